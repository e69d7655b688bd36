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
    found = list(lineage(os.getpid()))
    assert found[:3] == [os.getpid(), os.getsid(0), os.getppid()]
    for wrapped in ([], ["setsid", "--wait"]):
        shell = ["sh", "-c", '"$@"; exit', "sh", *wrapped, "sh", "-c", "echo $$; read line"]
        with subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as outer:
            assert outer.stdout is not None
            inner = int(outer.stdout.readline())
            assert outer.pid in lineage(inner)
            assert os.getpid() in lineage(inner)
            assert inner not in lineage(outer.pid)
            outer.communicate(b"go\n")


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
