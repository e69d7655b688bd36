"""Mails in the store are taken apart again: parts, their octets, and the JSON that a worker got, octet by octet."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from captures import capture_email

from fastsmtp.capture.attachments import MemoryStorage, Storage, TempfileStorage
from fastsmtp.delivery.jobs import encode_job
from fastsmtp.delivery.omission import GROUPS
from fastsmtp.delivery.payload import Payload, encode_outline, encode_payload
from fastsmtp.inbox.parts import Part, read_contents, read_parts
from fastsmtp.inbox.workerpayload import Shape, worker_payload

CORPUS = sorted((Path(__file__).parent.parent / "corpus").glob("*.eml"))
MIXED = (
    b"Content-Type: multipart/mixed; boundary=o\r\n\r\nread this with MIME\r\n"
    b"--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
    b"--i\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"gr=C3=BCn\r\n"
    b"--i\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n--i--\r\n"
    b"--o\r\nContent-Type: image/png; name=a.png\r\nContent-ID: <a@b>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"QUJD\r\n--o\r\nContent-Disposition: attachment\r\n\r\nplain\r\n--o--\r\n"
)


T = TypeVar("T")


def done(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns."""
    return asyncio.run(work)


def pieces(octets: bytes, size: int = 1000) -> Callable[[], AsyncIterator[bytes]]:
    """Return what reads a mail in pieces."""

    async def read() -> AsyncIterator[bytes]:
        for start in range(0, len(octets), size):
            yield octets[start : start + size]

    return read


async def contents_of(octets: bytes, size: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    async for ordinal, decoded in read_contents(pieces(octets, size)()):
        found[ordinal] = found.get(ordinal, b"") + decoded
    return found


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_parts(size: int) -> None:
    parts: list[Part] = done(read_parts(pieces(MIXED, size)()))
    inside = ["multipart/mixed"]
    both = [*inside, "multipart/alternative"]
    assert parts == [
        Part("1.1", "text/plain", "utf-8", "", None, None, "quoted-printable", 5, both, None, [], 1),
        Part("1.2", "text/html", None, "", None, None, "", 8, both, None, [], 2),
        Part("2", "image/png", None, "a.png", None, "a@b", "base64", 3, inside, 0, [], 3),
        Part("3", "text/plain", None, "part-3.txt", "attachment", None, "", 5, inside, 1, [], 4),
    ]
    found = done(contents_of(MIXED, size))
    assert [found[part.ordinal] for part in parts] == ["grün".encode(), b"<b>x</b>", b"ABC", b"plain"]


def test_a_mail_that_is_one_part() -> None:
    octets = b"Subject: x\r\n\r\nhello\r\n"
    parts = done(read_parts(pieces(octets)()))
    assert [(part.number, part.content_type, part.size, part.attachment) for part in parts] == [
        ("1", "text/plain", 7, None)
    ]
    assert done(contents_of(octets, 1)) == {0: b"hello\r\n"}


JOB = functools.partial(encode_job, pipeline="p")
SHAPES: list[tuple[Shape, Callable[..., Payload], int]] = [
    (Shape(), functools.partial(encode_payload, include_raw=False), 0),
    (Shape(include_raw=True), encode_payload, 0),
    (Shape(jobs=True), JOB, 1),
    (Shape(omit=GROUPS["beyond"]), functools.partial(encode_payload, include_raw=False, omit=GROUPS["beyond"]), 0),
    (Shape(include_raw=True, omit=8191), functools.partial(encode_payload, omit=8191), 0),
]


@pytest.mark.parametrize("mode", ["memory", "checksum", "tempfile"])
@pytest.mark.parametrize(("shape", "encode", "which"), SHAPES)
def test_the_payload_is_what_the_worker_got(
    tmp_path: Path, mode: str, shape: Shape, encode: Callable[..., Payload], which: int
) -> None:
    assert len(CORPUS) > 100

    async def made(outline: bytes, octets: bytes) -> bytes:
        return b"".join([piece async for piece in worker_payload(outline, pieces(octets), shape)])

    for file in CORPUS:
        storage: Storage = MemoryStorage(checksum=mode == "checksum")
        if mode == "tempfile":
            storage = TempfileStorage(str(tmp_path), 0, checksum=True)
        octets = file.read_bytes()
        email = capture_email(octets, storage=storage, include_raw=True)
        assert email is not None
        outline = encode_outline(email)
        assert done(made(outline, octets)) == b"".join(encode(email)[which]), file.name
