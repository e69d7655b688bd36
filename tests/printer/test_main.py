"""The default worker as a process: it accepts every mail, whatever happens to what it writes to."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import pytest
from shownmail import mail

from fastsmtp.goridge.frame import CODEC_JSON, CONTROL, Frame, FrameDecoder, encode_frame
from fastsmtp.printer.block import Painter


class Peer:
    """The server's end of the relay."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.decoder = FrameDecoder(1 << 20)
        self.frames: list[Frame] = []

    def exchange(self, frame: bytes) -> Frame:
        self.connection.sendall(frame)
        while not self.frames:
            self.frames += self.decoder.feed(self.connection.recv(65536))
        return self.frames.pop(0)

    def deliver(self, document: dict[str, Any]) -> bytes:
        context = json.dumps(document).encode()
        return bytes(self.exchange(encode_frame(CODEC_JSON, context, (len(context),))).payload)


class Worker:
    """`python -m fastsmtp.printer.main`, connected and past its handshake."""

    def __init__(self, directory: Path, stdout: int | IO[bytes], environment: dict[str, str] | None = None) -> None:
        path = str(directory / "relay.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fastsmtp.printer.main"],
                stdout=stdout,
                stderr=subprocess.PIPE,
                env={**os.environ, "RR_RELAY": f"unix://{path}", **(environment or {})},
            )
            self.peer = Peer(listener.accept()[0])
        answer = self.peer.exchange(encode_frame(CONTROL | CODEC_JSON, json.dumps({"pid": os.getpid()}).encode()))
        assert json.loads(bytes(answer.payload)) == {"pid": self.process.pid, "token": ""}

    def stop(self) -> tuple[int, bytes]:
        """Hang up; return exit code and stderr."""
        self.peer.connection.close()
        assert self.process.stderr is not None
        errors: bytes = self.process.stderr.read()
        return self.process.wait(), errors

    def close(self) -> None:
        self.process.kill()
        self.peer.connection.close()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.process.wait()


@pytest.fixture
def piped(tmp_path: Path) -> Iterator[Worker]:
    with closing(Worker(tmp_path, subprocess.PIPE)) as worker:
        yield worker


def test_process_shows_and_accepts(piped: Worker) -> None:
    assert piped.peer.deliver(mail()) == b"CONTINUE"
    assert piped.process.stdout is not None
    expected = Painter(colours=False, width=80).block(mail()).encode()
    assert piped.process.stdout.read(len(expected)) == expected
    assert piped.peer.deliver(mail()) == b"CONTINUE"
    assert piped.process.stdout.read(len(expected)) == expected
    assert piped.stop() == (0, b"")


def test_process_ends_when_asked(piped: Worker) -> None:
    piped.peer.connection.sendall(encode_frame(CONTROL | CODEC_JSON, b'{"stop":true}'))
    assert piped.process.wait(timeout=30) == 0


def test_closed_stdout_does_not_fail_the_mail(piped: Worker) -> None:
    assert piped.process.stdout is not None
    piped.process.stdout.close()
    assert [piped.peer.deliver(mail()) for _ in range(2)] == [b"CONTINUE", b"CONTINUE"]
    assert piped.stop() == (0, b"")


def test_full_disk_does_not_fail_the_mail(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        worker = Worker(tmp_path, full)
    with closing(worker):
        assert worker.peer.deliver(mail()) == b"CONTINUE"
        assert worker.stop() == (0, b"")


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_only_on_a_terminal_that_wants_them(tmp_path: Path, no_color: str, coloured: bool) -> None:
    ours, theirs = pty.openpty()
    worker = Worker(tmp_path, theirs, {"NO_COLOR": no_color, "TERM": "xterm"})
    os.close(theirs)
    with closing(worker):
        assert worker.peer.deliver(mail()) == b"CONTINUE"
        shown = b""
        while b"Hallo" not in shown:
            shown += os.read(ours, 4096)
        assert (b"\x1b[" in shown) is coloured
        assert worker.stop() == (0, b"")
    os.close(ours)
