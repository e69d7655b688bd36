"""What a mail in the capture holds in memory is counted: never much less than it really is, whatever was sent."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from captures import ENVELOPE, ORIGIN

from fastsmtp.capture.attachments import MemoryStorage, TempfileStorage
from fastsmtp.capture.capture import Capture, Services
from fastsmtp.smtp.envelope import Envelope

pytestmark = pytest.mark.one_python

READ = 256 * 1024
SLACK = 64 * 1024  # caches
GROWING = 1.6  # of base64 that grows: what was not written to takes no memory, whatever was allocated
GROW = ("an attachment", "an attachment in base64", "an attachment in quoted-printable")
MULTIPART = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
SMILE = "\U0001f600".encode()
SIZED = Envelope("x", True, "s@x", ("r@x",), {"SIZE": "10000000"}, ({},))


def parts(header: bytes, count: int, body: bytes = b"") -> bytes:
    return MULTIPART + b"".join([b"--a\r\n" + header + b"\r\n\r\n" + body + b"\r\n"] * count)


def numbered(header: bytes, count: int) -> bytes:
    return MULTIPART + b"".join(
        [b"--a\r\n" + header % ((index,) * header.count(b"%d")) + b"\r\n\r\n\r\n" for index in range(count)]
    )


NAMES = b'Content-Type: a/b; name="' + SMILE + b"n" * 60_000 + b'"'
FORMS = {
    "a header in flight": b"X: " + b"h" * 1_000_000,
    "a header of small fields": b"a:\r\n" * 250_000 + b"\r\nbody",
    "a header of different fields": b"".join(b"n%d: %d\r\n" % (index, index) for index in range(60_000)) + b"\r\nbody",
    "a header that is not ASCII": b"X-S: " + SMILE + b"h" * 1_000_000 + b"\r\n\r\nbody",
    "some fields that are not ASCII": (b"X-S: " + SMILE + b"h" * 1000 + b"\r\n") * 100 + b"\r\nbody",
    "a short header": b"Subject: x\r\n" * 20 + b"\r\n",
    "names": numbered(
        b"Content-Type: a/b; name=n%d\r\nContent-ID: %d\r\nContent-Disposition: attachment; a=b; c=d", 3000
    ),
    "long names": parts(NAMES, 30),
    "long names of texts": parts(
        b"Content-Type: text/plain\r\nContent-Disposition: inline; filename*=utf-8''%F0%9F%98%80" + b"n" * 60_000, 30
    ),
    "parameters": parts(b"Content-Type: a/b" + b"".join(b";%x=" % number for number in range(900)), 200),
    "parameters of texts": parts(
        b"Content-Type: text/plain" + b"".join(b";%x=" % number for number in range(900)), 200
    ),
    "few parameters of texts": numbered(b"Content-Type: text/plain; a=%d; b=%d; c=%d; d=%d", 3000),
    "content ids": parts(b"Content-Type: a/b\r\nContent-ID: <" + SMILE + b"i" * 100_000 + b">", 30),
    "media types": parts(b"Content-Type: a/" + b"b" * 60_000, 30),
    "encodings": parts(b"Content-Type: a/b\r\nContent-Transfer-Encoding: " + b"b" * 100_000, 30),
    "charsets": parts(b"Content-Type: text/plain; charset=" + b"b" * 100_000, 30),
    "boundaries": b"".join(
        b"Content-Type: multipart/mixed; boundary=%d%s\r\n\r\n--%d%s\r\n" % (n, b"b" * 900, n, b"b" * 900)
        for n in range(90)
    ),
    "multiparts in a row": MULTIPART
    + b"".join(
        b"--a\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n\r\nx\r\n" % (n, n) for n in range(2000)
    ),
    "small parts": parts(b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64", 3000, b"eA=="),
    "empty parts": parts(b"Content-Type: a/b", 3000),
    "texts": parts(b"Content-Type: text/plain", 3000, b"x"),
    "texts in base64": parts(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64", 3000, b"eA=="),
    "texts in quoted-printable": parts(
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable", 3000, b"=41"
    ),
    "a text in base64": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"eHh4" * 100_000,
    "a short text in base64": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"eHh4" * 11_000,
    "an attachment": b"Content-Type: a/b\r\n\r\n" + b"x" * 1_000_000,
    "an attachment in base64": b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"eHh4" * 250_000,
    "an attachment in quoted-printable": b"Content-Type: a/b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    + b"x" * 1_000_000,
    "an epilogue": MULTIPART + b"--a--\r\n" + b"x" * 1_000_000,
    "a preamble": MULTIPART + b"x" * 1_000_000,
    "defects": parts(
        b'Content-Type: text/plain; a; charset=\xff; b="\r\nContent-Type: x\r\nbad line\r\nContent-Transfer-Encoding:',
        3000,
    ),
}


@pytest.fixture
def traced() -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    yield
    tracemalloc.stop()


def measure(mail: bytes, services: Services, envelope: Envelope) -> tuple[int, int]:
    """What is counted, and what is allocated, when `mail` has come."""
    buf = bytearray(8 + READ)
    before = tracemalloc.get_traced_memory()[0]
    capture = Capture(services, ORIGIN, envelope)
    for start in range(0, len(mail), READ):
        piece = mail[start : start + READ]
        buf[8 : 8 + len(piece)] = piece
        end = 8 + len(piece)
        position = 8
        del piece
        while position < end:
            position = capture.feed(buf, position, end)
    gc.collect()
    return capture.held, tracemalloc.get_traced_memory()[0] - before


@pytest.mark.parametrize("form", FORMS)
def test_what_a_mail_holds_is_counted(form: str, traced: None) -> None:
    services = Services(MemoryStorage(), False, structlog.get_logger())
    counted, allocated = measure(FORMS[form], services, ENVELOPE)
    assert allocated <= counted * (GROWING if form in GROW else 1.2) + SLACK
    assert counted <= allocated * 3 + SLACK


@pytest.mark.parametrize("form", GROW)
def test_what_a_mail_holds_is_counted_where_attachments_are_files(form: str, tmp_path: Path, traced: None) -> None:
    services = Services(TempfileStorage(str(tmp_path), 0), False, structlog.get_logger())
    counted, allocated = measure(FORMS[form], services, ENVELOPE)
    assert allocated <= counted * 1.2 + SLACK
    assert counted <= 2 * SLACK


def test_an_announced_size_reserves_nothing_for_small_parts(traced: None) -> None:
    services = Services(MemoryStorage(), False, structlog.get_logger())
    counted, allocated = measure(FORMS["small parts"], services, SIZED)
    assert allocated <= counted * 1.2 + SLACK
