"""Private directories: of a process that lives, and of one that is dead."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from foreign import give_away

from fastsmtp.system.runtimedir import RuntimeDirectory, leave, lock, sweep, unlock

KEEP = "from fastsmtp.system.runtimedir import *; d = RuntimeDirectory(); print(d.path, flush=True); input()"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def left_by_a_kill(home: Path) -> Path:
    """The directory of a process that was killed, with something in it."""
    env = {**os.environ, "TMPDIR": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", KEEP], stdin=-1, stdout=-1, env=env, text=True) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().rstrip())
        assert sweep(str) == []
        process.kill()
    (path / "below").mkdir()
    (path / "below" / "relay.sock").touch()
    return path


def test_a_directory_lives_as_long_as_its_process(home: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    ours, passable = RuntimeDirectory(), RuntimeDirectory("fsmtp-", 0o711)
    assert [stat.S_IMODE(os.stat(each.path).st_mode) for each in (ours, passable)] == [0o700, 0o711]
    assert [Path(each.path).name.partition("-")[0] for each in (ours, passable)] == ["fastsmtp", "fsmtp"]
    assert sweep(str) == []
    for each in (ours, passable, ours):
        each.remove()
    assert list(home.iterdir()) == []
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_the_directory_of_a_killed_process_is_removed(home: Path) -> None:
    dead = left_by_a_kill(home)
    seen: list[list[str]] = []
    assert sweep(lambda path: seen.append(sorted(os.listdir(path)))) == [str(dead)]
    assert seen == [["below", "fastsmtp"]]
    assert list(home.iterdir()) == []


def test_one_that_another_process_looks_at_is_not_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep may lock a directory between its making and our lock; it leaves one without a mark alone."""
    make, looked_at = tempfile.mkdtemp, []

    def make_and_look(prefix: str) -> str:
        path = make(prefix=prefix)
        if len(looked_at) < 2:
            looked_at.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
            fcntl.flock(looked_at[-1], fcntl.LOCK_EX)
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_look)
    ours = RuntimeDirectory()
    assert len(looked_at) == 2
    assert [str(path) for path in home.iterdir()] == [ours.path]
    for descriptor in looked_at:
        os.close(descriptor)
    ours.remove()


def test_who_shares_the_lock_keeps_it(home: Path) -> None:
    dead = left_by_a_kill(home)
    first, second = lock(str(dead)), lock(str(dead))
    assert sweep(str) == []
    leave(str(dead), first)
    assert sweep(str) == []
    leave(str(dead), second)
    leave(str(dead), -1)
    assert list(home.iterdir()) == []


def test_what_only_looks_like_one_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = left_by_a_kill(home)
    (home / "fastsmtp-backup").mkdir()
    (home / "fastsmtp-file").touch()
    (home / "fastsmtp-link").symlink_to(dead)
    other = home / "fsmtp-other"
    shutil.copytree(dead, other)
    (other / "fastsmtp").write_text("something else")
    linked = home / "fsmtp-linked"
    linked.mkdir()
    (linked / "fastsmtp").symlink_to(dead / "fastsmtp")
    (home / "other").mkdir()
    assert sweep(str) == [str(dead)]
    left = ["fastsmtp-backup", "fastsmtp-file", "fastsmtp-link", "fsmtp-linked", "fsmtp-other", "other"]
    assert sorted(path.name for path in home.iterdir()) == left


@pytest.mark.parametrize("given", ["", "fastsmtp"], ids=["directory", "mark"])
def test_what_is_of_another_user_stays(home: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    dead = left_by_a_kill(home)
    give_away(dead / given, monkeypatch)
    assert sweep(str) == []
    assert dead.exists()


def test_another_directory_of_the_same_name_is_not_removed(home: Path) -> None:
    ours = RuntimeDirectory()
    shutil.rmtree(ours.path)
    os.mkdir(ours.path)
    ours.remove()
    assert os.path.isdir(ours.path)


def test_without_a_directory_for_temporary_files(home: Path) -> None:
    home.rmdir()
    with pytest.raises(FileNotFoundError):
        RuntimeDirectory()
    assert sweep(str) == []
    unlock(-1)
