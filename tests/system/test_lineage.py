"""Where a process comes from, and which sockets it holds."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from fastsmtp.system.lineage import holds_socket, lineage

NO_PID = 2**22 + 1  # above what Linux can have


def test_a_process_comes_from_its_session_and_its_ancestors() -> None:
    session = os.getsid(0)  # 0 where it was made outside our PID namespace, as by `docker exec`
    parents = [os.getpid(), *([session] if session else []), *([os.getppid()] if os.getppid() > 1 else [])]
    assert list(lineage(os.getpid()))[: len(parents)] == parents
    for wrapped in ([], ["setsid", "--wait"]):
        shell = ["sh", "-c", '"$@"; exit', "sh", *wrapped, "sh", "-c", "echo $$; read line"]
        with subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as outer:
            assert outer.stdout is not None
            inner = int(outer.stdout.readline())
            assert outer.pid in lineage(inner)
            assert os.getpid() in lineage(inner)
            assert inner not in lineage(outer.pid)
            outer.communicate(b"go\n")


def test_a_session_from_outside_the_pid_namespace_is_no_ancestor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getsid", lambda _pid: 0)
    with subprocess.Popen(["sh", "-c", "read line"], stdin=subprocess.PIPE) as child:
        assert list(lineage(child.pid))[:2] == [child.pid, os.getpid()]
        assert 0 not in lineage(child.pid)
        child.communicate(b"go\n")


@pytest.mark.parametrize("pid", [0, -1, NO_PID, 2**80])
def test_no_process_comes_from_nowhere(pid: int) -> None:
    assert list(lineage(pid)) == []
    assert holds_socket(pid, 1) is None


def test_a_process_holds_its_sockets_only() -> None:
    ours, theirs = socket.socketpair()
    inode = os.fstat(ours.fileno()).st_ino
    assert holds_socket(os.getpid(), inode) is True
    with Path("/dev/null").open("rb") as other:
        assert holds_socket(os.getpid(), os.fstat(other.fileno()).st_ino) is False
    ours.close()
    theirs.close()
    assert holds_socket(os.getpid(), inode) is False
