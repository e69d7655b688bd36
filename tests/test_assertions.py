"""Every test asserts something, itself or by a helper of the tests, and none sleeps."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_python

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("*.py"))
FAILING = {"raises", "fail", "warns"}  # of pytest
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def called(function: Function) -> set[str]:
    """The last names of what a function calls."""
    names = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            names |= {ast.unparse(node.func).rpartition(".")[2]}
    return names


def asserting() -> set[str]:
    """Names of functions that can fail a test: by an assertion, or by calling one that does."""
    found = set(FAILING)
    calls: dict[str, set[str]] = {}
    for function in (function for path in FILES for function in functions(path)):
        calls.setdefault(function.name, set()).update(called(function))
        if any(isinstance(node, ast.Assert) for node in ast.walk(function)):
            found.add(function.name)
    grown = True
    while grown:
        more = {name for name, names in calls.items() if names & found}
        grown = not more <= found
        found |= more
    return found


ASSERTING = asserting()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_every_test_asserts_something(path: Path) -> None:
    tests = {function.name for function in functions(path) if function.name.startswith("test_")}
    assert tests - ASSERTING == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_sleeps(path: Path) -> None:
    """To wait for a state there is `waits.py`; `asyncio.sleep(0)` is a turn of the loop."""
    slept = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "asyncio.sleep")
    ]
    allowed = {"asyncio.sleep(0)"}
    if path.name == "waits.py":
        allowed |= {"asyncio.sleep(_LOOK_EVERY_S)", "time.sleep(_LOOK_EVERY_S)"}
    assert set(slept) - allowed == set()


def names_of_the_package(tree: ast.AST) -> set[str]:
    """What a test has imported from fastsmtp, by the names it goes by there."""
    return {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if (node.module if isinstance(node, ast.ImportFrom) else alias.name or "").partition(".")[0] == "fastsmtp"
    }


def is_private(name: str) -> bool:
    """A leading underscore, but for `__version__` and what every NamedTuple has: `_replace`, `_asdict`, `_fields`."""
    return name.startswith("_") and not name.endswith("__") and name not in {"_replace", "_asdict", "_fields", "_make"}


def assigned(tree: ast.AST) -> set[str]:
    """Names that the classes of a file give to attributes, methods included: these are its own."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, Function)}
    own |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    return own | {
        node.target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign | ast.AugAssign) and isinstance(node.target, ast.Name)
    }


def private_names(tree: ast.AST) -> Iterator[str]:
    """Private names of fastsmtp that a test imports, reads as an attribute, or gives to `monkeypatch.setattr`."""
    ours, own = names_of_the_package(tree), assigned(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "fastsmtp":
            yield from (alias.name for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            root = ast.unparse(node).partition(".")[0]
            if root in ours or node.attr not in own:
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("setattr", "getattr", "patch", "object")):
            texts = [item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
            yield from (text for text in texts if is_private(text.rpartition(".")[2]))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from fastsmtp.mime.labels import _CODECS", ["_CODECS"]),
        ("import fastsmtp.text\nfastsmtp.text._known", ["fastsmtp.text._known"]),
        ("from fastsmtp.text import Table\nTable()._rows", ["Table()._rows"]),
        ("monkeypatch.setattr(server, '_loop', None)", ["_loop"]),
        ("class Own:\n    def _mine(self): self._mine()", []),
        ("import fastsmtp\nfastsmtp.__version__, point._replace(x=1)", []),
    ],
)
def test_private_names_are_found(code: str, found: list[str]) -> None:
    assert list(private_names(ast.parse(code))) == found


def test_no_test_uses_private_names() -> None:
    """A test or a benchmark asks for what a module promises; what the module keeps to itself may change."""
    files = [*FILES, *sorted(TESTS.with_name("benchmarks").rglob("*.py"))]
    found = {path.name: list(private_names(ast.parse(path.read_text()))) for path in files}
    assert {name: names for name, names in found.items() if names} == {}
