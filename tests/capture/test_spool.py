"""Large mails that are kept for the inbox: in a file while they arrive, and nowhere once they are decided."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from captures import ENVELOPE, ORIGIN, feed

from fastsmtp.capture.attachments import MemoryStorage, TempfileStorage
from fastsmtp.capture.capture import Capture, Services
from fastsmtp.capture.email import Email
from fastsmtp.capture.spool import SPOOL_BYTES, Spool, process_of

PROCESS = "0123456789abcdef" * 2
HEAD = b"Subject: large\r\nContent-Type: application/octet-stream\r\n\r\n"


def mail(octets: int) -> bytes:
    return HEAD + (b"x" * 98 + b"\r\n") * ((octets - len(HEAD)) // 100 + 1)


LARGE = mail(3_000_000)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "incoming"


@pytest.fixture
def spool(directory: Path) -> Iterator[Spool]:
    made = Spool(PROCESS)
    made.use(str(directory))
    yield made
    made.close()


def begin(spool: Spool, tmp_path: Path) -> Capture:
    storage = TempfileStorage(str(tmp_path / "attachments"), 0)
    return Capture(Services(storage, True, structlog.get_logger(), spool), ORIGIN, ENVELOPE)


def send(capture: Capture, octets: bytes, piece: int = 65_536) -> int:
    """Feed all of it; the most octets that were held at a time."""
    held = 0
    for start in range(0, len(octets), piece):
        feed(capture, bytearray(octets[start : start + piece]), 0)
        held = max(held, capture.held)
    return held


def finish(capture: Capture) -> Email:
    capture.close()
    email = capture.finish([])
    assert email is not None
    return email


@pytest.mark.parametrize("piece", [999, 65_536, 4_000_000])
def test_a_large_mail_is_in_a_file(spool: Spool, directory: Path, tmp_path: Path, piece: int) -> None:
    capture = begin(spool, tmp_path)
    held = send(capture, LARGE, piece)
    assert held < SPOOL_BYTES + 3 * 65_536
    email = finish(capture)
    assert (email.raw, email.size, email.spool) == (None, len(LARGE), f"{PROCESS}-{email.uuid}")
    file = directory / email.spool
    assert (file.read_bytes(), file.stat().st_mode & 0o7777, directory.stat().st_mode & 0o7777) == (LARGE, 0o600, 0o700)
    assert (spool.files, spool.octets) == (1, len(LARGE))
    assert process_of(email.spool) == PROCESS
    assert email.copy("another").spool == email.spool
    email.attachments.release()
    email.attachments.discard()
    assert (list(directory.iterdir()), spool.files, spool.octets) == ([], 0, 0)


def test_a_mail_that_is_not_large_is_in_memory(spool: Spool, directory: Path, tmp_path: Path) -> None:
    octets = mail(SPOOL_BYTES - 200)
    capture = begin(spool, tmp_path)
    send(capture, octets)
    email = finish(capture)
    assert (email.raw, email.spool, directory.exists()) == (octets, "", False)


def test_without_an_inbox_all_is_in_memory(tmp_path: Path) -> None:
    capture = begin(Spool(PROCESS), tmp_path)
    send(capture, LARGE)
    email = finish(capture)
    assert (email.raw, email.spool) == (LARGE, "")


@pytest.mark.parametrize("end", ["abort", "judged", "discarded", "closed"])
def test_nothing_is_left_of_a_mail_that_is_not_wanted(spool: Spool, directory: Path, tmp_path: Path, end: str) -> None:
    capture = begin(spool, tmp_path)
    send(capture, LARGE)
    assert len(list(directory.iterdir())) == 1
    if end == "abort":
        capture.abort()
    elif end == "judged":
        capture.close()
        capture.abort()
    elif end == "discarded":
        finish(capture).attachments.discard()
    else:
        spool.close()
    assert list(directory.iterdir()) == []


def test_a_full_disk(spool: Spool, directory: Path, tmp_path: Path) -> None:
    """The mail is refused, the next one is not."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    capture = Capture(Services(MemoryStorage(), True, structlog.get_logger(), spool), ORIGIN, ENVELOPE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        send(capture, LARGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
    capture.close()
    assert (capture.finish([]), capture.held, list(directory.iterdir()), spool.octets) == (None, 0, [], 0)
    capture = begin(spool, tmp_path)
    send(capture, LARGE)
    assert (directory / finish(capture).spool).read_bytes() == LARGE


def test_a_file_that_is_moved_while_it_is_written(spool: Spool, directory: Path, tmp_path: Path) -> None:
    capture = begin(spool, tmp_path)
    send(capture, LARGE)
    (file,) = directory.iterdir()
    file.rename(tmp_path / "moved")
    capture.close()
    assert capture.finish([]) is None


def test_a_directory_that_everybody_may_write_to_is_not_used(spool: Spool, directory: Path, tmp_path: Path) -> None:
    directory.mkdir()
    os.chmod(directory, 0o777)
    capture = begin(spool, tmp_path)
    send(capture, LARGE)
    capture.close()
    assert (capture.finish([]), list(directory.iterdir())) == (None, [])


def test_a_file_goes_where_it_was_made(spool: Spool, directory: Path, tmp_path: Path) -> None:
    """The inbox names another directory while mails arrive."""
    capture = begin(spool, tmp_path)
    send(capture, LARGE)
    spool.use(str(tmp_path / "another"))
    email = finish(capture)
    assert (directory / email.spool).exists()
    email.attachments.release()
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "smtp-att-1", f"{PROCESS}-", f"{PROCESS}-../../etc/passwd", f"{'0' * 31}g-" + "0" * 36, "lock"]
)
def test_what_is_no_name_of_a_file(name: str) -> None:
    assert process_of(name) == ""
