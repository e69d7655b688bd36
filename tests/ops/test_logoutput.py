"""Where the log goes: nothing waits, nothing is lost in silence, and what is lost is counted."""

from __future__ import annotations

import os
import pty
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastsmtp.errors import StartError
from fastsmtp.ops.logoutput import PIPE_LINE, LogOutput, shorten


class Fifo:
    """A pipe in the file system, whose reader reads when it is told to."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self) -> bytes:
        """All that is in it."""
        found = b""
        while True:
            try:
                found += os.read(self.fd, 1 << 20)
            except BlockingIOError:
                return found


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    made = Fifo(tmp_path / "fifo")
    yield made
    os.close(made.fd)


def test_every_output_once(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("a", "b")]
    output = LogOutput([*paths, *paths], paths)
    output.write(b"one\n")
    output.write(b"two\n")
    output.close()
    output.write(b"dropped\n")
    assert [Path(path).read_bytes() for path in paths] == 2 * [b"one\ntwo\n"]
    assert stat.S_IMODE(os.stat(paths[0]).st_mode) == 0o640


def test_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    output = LogOutput([str(path)], [])
    output.write(b"after\n")
    output.close()
    assert path.read_bytes() == b"before\nafter\n"


def test_cannot_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    missing = tmp_path / "no" / "log"
    with pytest.raises(StartError, match=f"^cannot open the log file {missing}: No such file or directory$"):
        LogOutput([str(tmp_path / "log"), str(missing)], [])
    assert os.listdir("/proc/self/fd") == before


def test_reopen(tmp_path: Path) -> None:
    """After it was renamed the file is made again; where that fails, the old one stays."""
    path, errors = tmp_path / "log", tmp_path / "errors"
    output = LogOutput([str(path)], [str(errors)])
    output.write(b"one\n")
    path.rename(tmp_path / "log.1")
    output.reopen()
    output.write(b"two\n")
    assert ((tmp_path / "log.1").read_bytes(), path.read_bytes()) == (b"one\n", b"two\n")
    path.unlink()
    path.mkdir()
    output.reopen()
    output.write(b"three\n")
    output.close()
    assert errors.read_bytes() == f"fastsmtp: cannot reopen the log file {path}: Is a directory\n".encode()


def test_a_full_pipe_does_not_wait(fifo: Fifo) -> None:
    """What it does not take is dropped, and the number of records is told as soon as there is room."""
    output = LogOutput([fifo.path], [])
    line = b"x" * (PIPE_LINE - 1) + b"\n"
    for _ in range(100):
        output.write(line)
    kept = len(fifo.read()) // PIPE_LINE
    assert 0 < kept < 100
    output.write(b"after\n")
    assert fifo.read() == b"%d log records dropped\nafter\n" % (100 - kept)
    output.close()


def test_a_long_line_goes_whole_into_a_pipe(fifo: Fifo) -> None:
    """Its middle is left out; the cut never parts a character."""
    output = LogOutput([fifo.path], [])
    output.write("ä".encode() * PIPE_LINE + b"\n")
    found = fifo.read()
    assert len(found) <= PIPE_LINE
    assert found.decode() == found.decode().replace("\ufffd", "")
    assert (found.startswith("ä".encode()), b" ... [cut] ... " in found, found.endswith(b"\n")) == (True, True, True)
    output.close()


def test_a_reader_that_is_gone(fifo: Fifo, tmp_path: Path) -> None:
    """A failure is told once, and again after a write went well in between."""
    errors = tmp_path / "errors"
    output = LogOutput([fifo.path], [str(errors)])
    reader, fifo.fd = fifo.fd, os.open(os.devnull, os.O_RDONLY)
    output.write(b"one\n")
    assert os.read(reader, 100) == b"one\n"
    os.close(reader)
    for _ in range(3):
        output.write(b"lost\n")
    complaint = f"fastsmtp: cannot write the log to {fifo.path}: Broken pipe\n".encode()
    assert errors.read_bytes() == complaint
    again = os.open(fifo.path, os.O_RDONLY | os.O_NONBLOCK)
    output.write(b"two\n")
    assert os.read(again, 100) == b"two\n"
    os.close(again)
    output.write(b"lost\n")
    output.close()
    assert errors.read_bytes() == 2 * complaint


def test_is_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    master, slave = pty.openpty()
    terminal, file = os.ttyname(slave), str(tmp_path / "log")
    found = {}
    for name, outputs in {"terminal": [terminal], "file": [file], "both": [terminal, file], "none": []}.items():
        output = LogOutput(outputs, [])
        found[name] = output.is_terminal()
        output.close()
    assert found == {"terminal": True, "file": False, "both": False, "none": False}
    monkeypatch.setenv("NO_COLOR", "1")
    output = LogOutput([terminal], [])
    assert not output.is_terminal()
    output.close()
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [("abc", 3, "abc"), ("x" * 40, 40, "x" * 40), ("x" * 20 + "y" * 21, 35, "x" * 10 + " ... [cut] ... " + "y" * 10)],
)
def test_shorten(text: str, most: int, short: str) -> None:
    assert shorten(text, most) == short
