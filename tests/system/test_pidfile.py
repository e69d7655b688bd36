"""Whose pid a file holds: of a process that lives, or of one that is gone though its number is in use again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastsmtp.system.pidfile import find_owner, read_pid

FOR_EVER = [sys.executable, "-c", "input()"]


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until its input is closed."""
    with subprocess.Popen(FOR_EVER, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def pid_file(directory: Path, text: object) -> Path:
    path = directory / ".pid"
    path.write_text(f"{text}\n")
    return path


def test_a_live_process_owns_it(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    assert find_owner(pid_file(tmp_path, other.pid)) == other.pid
    assert find_owner(pid_file(tmp_path, os.getpid())) == os.getpid()


def test_a_process_that_was_started_later_does_not(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    path = pid_file(tmp_path, other.pid)
    os.utime(path, (0, path.stat().st_mtime - 3600))
    assert find_owner(path) == 0


def test_a_process_that_has_ended_does_not(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    path = pid_file(tmp_path, other.pid)
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is a zombie
    assert find_owner(path) == 0
    other.wait()
    assert find_owner(path) == 0


def test_without_a_file_there_is_no_owner(tmp_path: Path) -> None:
    assert find_owner(tmp_path / ".pid") == 0
    assert find_owner(pid_file(tmp_path, 2**70)) == 0


@pytest.mark.parametrize("text", ["", "abc", "-1", "12 13", "\u0663"])
def test_what_is_no_pid(tmp_path: Path, text: str) -> None:
    path = pid_file(tmp_path, text)
    for read in (read_pid, find_owner):
        with pytest.raises(ValueError, match=f"^{path} holds no pid, but '{text}'$"):
            read(path)
