"""A child process with this test as its parent: what it answers before it serves, and every way it ends then."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastsmtp.errors import CallError
from fastsmtp.goridge.calls import decode_answer, encode_call
from fastsmtp.goridge.frame import FrameDecoder
from fastsmtp.processes.assignment import END_AT_ONCE
from fastsmtp.system.process import own_command

PATIENCE_S = 30.0


class Parent:
    """A real child process, and our end of its control connection."""

    def __init__(self, directory: Path) -> None:
        ours, its = socket.socketpair()
        self.control = ours
        self.control.settimeout(PATIENCE_S)
        self._decoder = FrameDecoder(1_000_000)
        self._sequence = 0
        with its:
            self.process = subprocess.Popen(
                own_command("fastsmtp.processes.child", str(its.fileno())), pass_fds=[its.fileno()], cwd=directory,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def ends(self) -> tuple[int, bytes]:
        """Its exit code, and all that it wrote."""
        output, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, output

    def close(self) -> None:
        self.control.close()
        self.process.kill()
        self.process.communicate()

    def call(self, method: str, argument: object = None) -> Any:
        """What the child answers. Raises CallError."""
        self._sequence += 1
        self.control.sendall(encode_call(self._sequence, method, argument))
        while True:
            octets = self.control.recv(65536)
            assert octets
            for frame in self._decoder.feed(octets):
                assert frame.options[0] == self._sequence
                return decode_answer(frame)


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    made = Parent(tmp_path)
    yield made
    made.close()


def test_stop(parent: Parent) -> None:
    assert parent.call("process.Reopen") is True  # there is no log yet
    assert parent.call("process.Stop") is True
    assert parent.ends() == (0, b"")


@pytest.mark.parametrize("method", ["process.Snapshot", "smtp.AddWorker", "no.Such"])
def test_serves_nothing_yet(parent: Parent, method: str) -> None:
    with pytest.raises(CallError, match=method):
        parent.call(method)
    parent.call("process.Stop")
    assert parent.ends() == (0, b"")


def test_start_without_an_assignment(parent: Parent) -> None:
    """What is not an assignment is refused, and the child goes on."""
    with pytest.raises(CallError, match=r"[Ee]xpected"):
        parent.call("process.Start", "serve")
    assert parent.call("process.Stop") is True
    assert parent.ends() == (0, b"")


def test_parent_is_gone(parent: Parent) -> None:
    parent.call("process.Reopen")
    parent.control.close()
    assert parent.ends() == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, END_AT_ONCE], ids=lambda number: number.name)
def test_signals(parent: Parent, number: signal.Signals) -> None:
    """Before it serves there is nothing to finish: it ends at once."""
    parent.call("process.Reopen")
    parent.process.send_signal(number)
    assert parent.ends() == (0, b"")


def test_other_signals(parent: Parent) -> None:
    """SIGHUP and SIGUSR1 have nothing to reset or to open again yet, and do not end it."""
    parent.call("process.Reopen")
    for number in (signal.SIGHUP, signal.SIGUSR1):
        parent.process.send_signal(number)
    assert parent.call("process.Stop") is True
    assert parent.ends() == (0, b"")
