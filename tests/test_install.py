"""`ci/install`: a changed source is never served from an old wheel, and what has not changed is not built again."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parent.parent


def load_installer() -> ModuleType:
    loader = SourceFileLoader("ci_install", str(ROOT / "ci" / "install"))
    spec = importlib.util.spec_from_loader("ci_install", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


installer = load_installer()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with few files."""
    files = {
        "fastsmtp/__init__.py": '__version__ = "1"',
        "fastsmtp/cli.py": "ANSWER = 1",
        "fastsmtp/mime/__init__.py": "",
        "fastsmtp/mime/words.py": "",
        "fastsmtp/_parse.pyx": "",
        "fastsmtp/_parse.pyi": "",
        "fastsmtp/py.typed": "",
        "setup.py": "",
        "pyproject.toml": '[build-system]\nrequires = [\n    "setuptools>=77",\n    "mypy>=1.18", # it compiles\n]\n',
        "MANIFEST.in": "",
        "README.md": "",
        "LICENSE": "",
        "ci/constraints.txt": "mypy==2\n",
        "tests/test_it.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


# Wheel and recipe: whether the wheel is built, and whether what was compiled is thrown away.
@pytest.mark.parametrize(
    ("path", "wheel", "recipe"),
    [
        ("fastsmtp/cli.py", True, False),
        ("fastsmtp/mime/words.py", True, False),
        ("fastsmtp/new.py", True, False),
        ("fastsmtp/_parse.pyx", True, True),
        ("fastsmtp/_new.pxd", True, True),
        ("fastsmtp/_parse.pyi", True, False),
        ("setup.py", True, True),
        ("pyproject.toml", True, False),
        ("README.md", True, False),
        ("ci/constraints.txt", True, True),
        ("tests/test_it.py", False, False),
        ("fastsmtp/__pycache__/cli.cpython-311.pyc", False, False),
        ("fastsmtp/_parse.cpython-311.so", False, False),
    ],
)
def test_what_a_change_costs(root: Path, path: str, wheel: bool, recipe: bool) -> None:
    checkout = installer.Checkout(root)
    before = checkout.fingerprint(), checkout.recipe()
    changed = root / path
    changed.parent.mkdir(exist_ok=True)
    text = changed.read_text() if changed.exists() else ""
    changed.write_text(text + "\n# changed\n")
    os.utime(changed, (1, 1))  # as old as can be: the content tells
    after = checkout.fingerprint(), checkout.recipe()
    assert (after[0] != before[0], after[1] != before[1]) == (wheel, recipe)


def test_touched_and_unchanged(root: Path) -> None:
    checkout = installer.Checkout(root)
    before = checkout.fingerprint()
    (root / "fastsmtp/cli.py").touch()
    assert checkout.fingerprint() == before


def test_removed_and_renamed(root: Path) -> None:
    checkout = installer.Checkout(root)
    seen = {checkout.fingerprint()}
    (root / "fastsmtp/mime/words.py").rename(root / "fastsmtp/mime/wards.py")
    seen.add(checkout.fingerprint())
    (root / "fastsmtp/mime/wards.py").unlink()
    seen.add(checkout.fingerprint())
    assert len(seen) == 3


def test_options_tell_wheels_apart(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTSMTP_MYPYC", raising=False)
    checkout = installer.Checkout(root)
    before = checkout.fingerprint()
    monkeypatch.setenv("FASTSMTP_MYPYC", "0")
    assert checkout.fingerprint() != before


def test_newest_has_a_place_of_its_own(root: Path) -> None:
    pinned, newest = installer.Checkout(root), installer.Checkout(root, newest=True)
    assert pinned.built != newest.built
    assert pinned.pip_arguments() == ["--constraint", str(root / "ci/constraints.txt")]
    assert newest.pip_arguments() == ["--upgrade", "--upgrade-strategy", "eager"]


def test_build_requirements(root: Path) -> None:
    assert installer.Checkout(root).build_requirements() == ["setuptools>=77", "mypy>=1.18"]
    names = [requirement.partition(">")[0] for requirement in installer.Checkout(ROOT).build_requirements()]
    assert names == ["setuptools", "Cython", "mypy"]


def test_what_an_extra_requires(root: Path) -> None:
    with (root / "pyproject.toml").open("a") as project:
        project.write(
            '[project]\ndependencies = [\n    "uvloop>=0.21",    # the "event" loop\n    "click", # words\n]\n'
            "[project.optional-dependencies]\n"
            'tls = ["cryptography>=42"]  # certificates\nplot = ["matplotlib"] # bench\n'
            'test = ["fastsmtp-server[tls,plot]", "pytest>=9", "hypothesis"]\n'
            'dev = [\n    "fastsmtp-server[test]",\n    "ruff>=0.8", # [lint]\n]\n'
        )
    checkout = installer.Checkout(root)
    assert checkout.requires("") == ["uvloop>=0.21", "click"]
    assert checkout.requires("tls") == ["uvloop>=0.21", "click", "cryptography>=42"]
    tested = ["pytest>=9", "hypothesis", "cryptography>=42", "matplotlib"]
    assert checkout.requires("test") == ["uvloop>=0.21", "click", *tested]
    assert checkout.requires("dev") == ["uvloop>=0.21", "click", "ruff>=0.8", *tested]


def test_our_own_requirements_are_found() -> None:
    assert {"uvloop>=0.21", "cryptography>=42", "pytest-xdist>=3.6"} <= set(installer.Checkout(ROOT).requires("dev"))


def test_modules_of_the_last_build_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / "fastsmtp").mkdir()
    for name in ("gone.py", "gone.pyi", "py.typed", "session.cpython-311-x86_64-linux-gnu.so"):
        (tmp_path / "fastsmtp" / name).touch()
    installer.forget_modules(tmp_path)
    assert [path.name for path in (tmp_path / "fastsmtp").iterdir()] == ["session.cpython-311-x86_64-linux-gnu.so"]


def pack(checkout: object) -> None:
    """Stands in for the compilers: a wheel of the sources as they are."""
    root, built = checkout.root, checkout.built  # type: ignore[attr-defined]
    about = "fastsmtp_server-1.dist-info"
    contents = {str(path.relative_to(root)): path.read_bytes() for path in (root / "fastsmtp").rglob("*.py")}
    contents[f"{about}/METADATA"] = b"Metadata-Version: 2.1\nName: fastsmtp-server\nVersion: 1\n"
    contents[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = ""
    for name, octets in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(octets).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(octets)}\n"
    with zipfile.ZipFile(built / "fastsmtp_server-1-py3-none-any.whl", "w") as wheel:
        for name, octets in contents.items():
            wheel.writestr(name, octets)
        wheel.writestr(f"{about}/RECORD", record + f"{about}/RECORD,,\n")


def test_a_wheel_alone_is_built_once(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For `make wheels`: nothing is installed, and what another target has built is taken."""
    built: list[object] = []

    def build(checkout: object) -> None:
        built.append(checkout)
        pack(checkout)

    monkeypatch.setattr(installer, "ROOT", root)
    monkeypatch.setattr(installer, "build_wheel", build)
    for _ in range(2):
        wheels = tmp_path_factory.mktemp("wheels")
        monkeypatch.setattr(sys, "argv", ["ci/install", "--wheel", str(wheels)])
        installer.main()
        assert [path.name for path in wheels.iterdir()] == ["fastsmtp_server-1-py3-none-any.whl"]
    assert len(built) == 1


@pytest.mark.parametrize("arguments", [["--wheel"], ["test", "dev"], ["--wheel", "there", "test"]])
def test_usage(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ci/install", *arguments])
    with pytest.raises(SystemExit) as caught:
        installer.main()
    assert caught.value.code == installer.__doc__


def test_what_is_installed_is_what_stands_here(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = tmp_path_factory.mktemp("venv")
    venv.create(prefix, with_pip=False, symlinks=True)
    built: list[object] = []

    def build(checkout: object) -> None:
        built.append(checkout)
        pack(checkout)

    def pip(*arguments: str) -> None:
        command = [sys.executable, "-m", "pip", "--python", prefix / "bin/python", "install", "--quiet", "--no-index"]
        subprocess.run([*command, "--disable-pip-version-check", *arguments], check=True)

    def installed() -> tuple[str, list[str]]:
        code = "import fastsmtp.cli; print(fastsmtp.cli.ANSWER, fastsmtp.__path__[0])"
        done = subprocess.run([prefix / "bin/python", "-c", code], cwd="/", capture_output=True, text=True, check=True)
        answer, path = done.stdout.split()
        return answer, sorted(str(module.relative_to(path)) for module in Path(path).rglob("*.py"))

    def uninstall(name: str) -> None:
        assert name == "fastsmtp"
        removed.append(name)
        shutil.rmtree(old)

    removed: list[str] = []
    old = prefix / f"lib/python3.{sys.version_info.minor}/site-packages/fastsmtp-0.dist-info"
    old.mkdir()
    monkeypatch.setattr(installer, "pip_uninstall", uninstall)
    monkeypatch.setattr(installer, "build_wheel", build)
    monkeypatch.setattr(installer, "pip_install", pip)
    checkout = installer.Checkout(root)
    everything = ["__init__.py", "cli.py", "mime/__init__.py", "mime/words.py"]

    installer.install(checkout, prefix, "")
    assert installed() == ("1", everything)
    installer.install(checkout, prefix, "")
    assert len(built) == 1
    assert removed == ["fastsmtp"]  # once, the distribution of the old name

    (root / "fastsmtp/cli.py").write_text("ANSWER = 2")
    installer.install(checkout, prefix, "")
    assert installed() == ("2", everything)

    (root / "fastsmtp/mime/words.py").unlink()
    installer.install(checkout, prefix, "")
    assert installed() == ("2", everything[:-1])

    # A wheel that another environment had built meanwhile.
    (root / "fastsmtp/cli.py").write_text("ANSWER = 3")
    installer.find_wheel(checkout)
    installer.install(checkout, prefix, "")
    assert installed() == ("3", everything[:-1])
    assert len(built) == 4
