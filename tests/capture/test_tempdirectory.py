"""The directory of tempfiles, and what others may put in its place."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from foreign import give_away

from fastsmtp.capture.tempdirectory import TempDirectory

NAME = "smtp-att-x"


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """A directory like /tmp: everybody may make files in it, and only the owner of one may rename or delete it."""
    path = tmp_path / "public"
    path.mkdir()
    path.chmod(0o1777)
    return path


@pytest.fixture
def directory(public: Path) -> Iterator[TempDirectory]:
    directory = TempDirectory(str(public / "attachments"), (-1, -1))
    before = sorted(os.listdir("/proc/self/fd"))
    yield directory
    directory.close()
    directory.close()
    assert sorted(os.listdir("/proc/self/fd")) == before


def create(directory: TempDirectory, octets: bytes = b"ours") -> int:
    """Make the file as a sink does; whether its path leads to it."""
    directory.open()
    descriptor = directory.create(NAME)
    os.write(descriptor, octets)
    led = directory.leads_to(NAME, descriptor)
    os.close(descriptor)
    return led


def test_it_is_made_private_and_made_again(directory: TempDirectory) -> None:
    path = Path(directory.path)
    for _ in range(2):
        assert create(directory)
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE((path / NAME).stat().st_mode) == 0o600
        path.rename(f"{path}-{path.stat().st_ino}")


Replace = Callable[[Path, Path, pytest.MonkeyPatch], None]


def by_a_directory(path: Path, _public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.mkdir()
    path.chmod(0o777)
    give_away(path, monkeypatch)


def by_a_sticky_directory(path: Path, _public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.mkdir()
    path.chmod(0o1777)
    give_away(path, monkeypatch)


def by_a_link(path: Path, public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a directory of ours."""
    (public / "elsewhere").mkdir()
    path.symlink_to(public / "elsewhere")
    give_away(path, monkeypatch)


def by_a_chain_of_links(path: Path, public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of them can be changed by its owner."""
    (public / "elsewhere").mkdir()
    (public / "second").symlink_to("elsewhere")
    path.symlink_to("second")
    give_away(public / "second", monkeypatch)


def by_a_loop_of_links(path: Path, public: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    path.symlink_to(public / "second")
    (public / "second").symlink_to(path)


def by_one_that_everybody_may_write_to(path: Path, _public: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    path.mkdir()
    path.chmod(0o777)


def by_a_file(path: Path, _public: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("a file")


@pytest.mark.parametrize(
    "replace",
    [
        by_a_directory,
        by_a_sticky_directory,
        by_a_link,
        by_a_chain_of_links,
        by_a_loop_of_links,
        by_one_that_everybody_may_write_to,
        by_a_file,
    ],
    ids=lambda replace: replace.__name__,
)
@pytest.mark.parametrize("running", [False, True], ids=["at the start", "later"])
def test_what_others_put_in_its_place_is_not_used(
    directory: TempDirectory, public: Path, monkeypatch: pytest.MonkeyPatch, replace: Replace, running: bool
) -> None:
    path = Path(directory.path)
    if running:
        assert create(directory)
        (path / NAME).unlink()
        path.rmdir()
    with monkeypatch.context() as patch:
        replace(path, public, patch)
        with pytest.raises(OSError):  # noqa: PT011  (each has its own text)
            directory.open()
        if path.is_dir():
            assert list(path.iterdir()) == []
    # And well again, once the cause is gone.
    path.rename(f"{path}-away")
    assert create(directory)


def test_a_directory_that_is_given_away_is_not_used(directory: TempDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    assert create(directory)
    give_away(Path(directory.path), monkeypatch)
    with pytest.raises(PermissionError, match="belongs to another user"):
        directory.open()


def test_a_directory_in_one_of_another_user_in_public_is_not_used(
    public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner could rename what we make in it."""
    (public / "theirs").mkdir(mode=0o755)
    give_away(public / "theirs", monkeypatch)
    directory = TempDirectory(str(public / "theirs" / "attachments"), (-1, -1))
    with pytest.raises(PermissionError, match="theirs belongs to another user"):
        directory.open()


def test_links_of_ours_may_lead_to_it(public: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (public / "link").symlink_to(tmp_path / "real")
    directory = TempDirectory(str(public / "link" / ".." / "real" / "attachments"), (-1, -1))
    other = TempDirectory(str(public / "link" / "attachments"), (-1, -1))
    for each in (directory, other):
        try:
            assert create(each)
        finally:
            each.close()
    assert (tmp_path / "real" / "attachments" / NAME).read_bytes() == b"ours"


def test_a_path_that_leads_elsewhere_in_the_meantime(directory: TempDirectory, public: Path) -> None:
    path = Path(directory.path)
    directory.open()
    descriptor = directory.create(NAME)
    assert directory.leads_to(NAME, descriptor)
    path.rename(public / "moved")
    assert not directory.leads_to(NAME, descriptor)
    path.mkdir()
    (path / NAME).write_bytes(b"forged")
    assert not directory.leads_to(NAME, descriptor)
    (path / NAME).unlink()
    (path / NAME).symlink_to(public / "moved" / NAME)
    assert not directory.leads_to(NAME, descriptor)
    os.close(descriptor)
    # Deleted is what we have made, not what has its name now.
    assert directory.delete(NAME)
    assert not directory.delete(NAME)
    assert (path / NAME).is_symlink()
    with pytest.raises(FileNotFoundError, match="another directory has its name"):
        directory.reopen()
