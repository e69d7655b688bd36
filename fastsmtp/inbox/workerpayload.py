"""The JSON that a worker gets of a mail, made again from what the store has.

It is the same octet by octet, and comes in pieces: neither the mail nor an attachment is in memory as a whole.
"""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, NamedTuple

import orjson
import pybase64

from fastsmtp.delivery.jobs import reshape, reshape_attachment
from fastsmtp.delivery.omission import strip, strip_attachment
from fastsmtp.inbox.documents import load
from fastsmtp.inbox.encoding import encode_steps
from fastsmtp.inbox.parts import read_contents, read_parts
from fastsmtp.system.timeslices import joined

_ATTACHMENTS: Final = b'"attachments":'
_SMALL: Final = 32 * 1024  # octets of a document that is changed at once
_CHUNK: Final = 256 * 1024  # octets that are yielded at a time
ReadRaw = Callable[[], AsyncIterator[bytes]]


class Shape(NamedTuple):
    """What workers get: `smtp.payload` is "jobs", `smtp.include_raw`, and what is left out, see `delivery.omission`."""

    jobs: bool = False
    include_raw: bool = False
    omit: int = 0


async def worker_payload(document: bytes, read_raw: ReadRaw, shape: Shape) -> AsyncIterator[bytes]:
    """Yield the JSON in pieces. `document` is the payload without contents; `read_raw` begins to read the mail."""
    end = document.rindex(_ATTACHMENTS) + len(_ATTACHMENTS)  # quotes of a text are escaped: it is the key
    attachments = await load(document[end:-1])
    head: bytes | bytearray = document
    if shape.jobs or shape.omit:
        head = await _changed(document, shape)
        end = len(head)
    for attachment in attachments:
        if shape.jobs:
            reshape_attachment(attachment)
        strip_attachment(attachment, shape.omit)
    # The end of the message, where its octets are inserted.
    inner = head.rindex(b"}", 0, end) if shape.jobs or shape.include_raw else end
    for piece in _cut(head, 0, inner):
        yield piece
    if inner < end:
        # Where everything of the message is left out there is nothing before it.
        comma = b"," if head[inner - 1 : inner] != b"{" else b""
        async for piece in _raw_members(read_raw, comma, lossy=shape.jobs):
            yield piece
    yield bytes(head[inner:end]) + b"["
    async for piece in _attachments(attachments, read_raw):
        yield piece
    yield b"]}"


def outline_at_once(outline: bytes, omit: int) -> bytes | None:
    """Return the JSON of a mail without attachments without what is left out; None where that takes long."""
    if not omit:
        return outline
    if len(outline) > _SMALL:
        return None
    document = orjson.loads(outline)
    strip(document, omit)
    return orjson.dumps(document)


def _cut(octets: bytes | bytearray, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _CHUNK):
        yield bytes(octets[at : min(end, at + _CHUNK)])


async def _changed(document: bytes, shape: Shape) -> bytearray:
    """Return the document in the shape of jobs, or without what is left out, up to its attachments."""
    changed = await load(document)
    del changed["attachments"]
    if shape.jobs:
        reshape(changed)
    strip(changed, shape.omit)
    written = bytearray()
    async for piece in joined(encode_steps(changed), _CHUNK):
        written += piece
    written[-1:] = b"," + _ATTACHMENTS
    return written


async def _raw_members(read_raw: ReadRaw, comma: bytes, *, lossy: bool) -> AsyncIterator[bytes]:
    """Yield the members `raw` and `raw_encoding` of a message."""
    is_text = await _is_utf8(read_raw())
    yield comma + b'"raw":"'
    if is_text or lossy:
        decoder = codecs.getincrementaldecoder("utf-8")("strict" if is_text else "replace")
        async for piece in read_raw():
            yield orjson.dumps(decoder.decode(piece))[1:-1]
        yield orjson.dumps(decoder.decode(b"", True))[1:-1]
    else:
        encoder = _Base64()
        async for piece in read_raw():
            yield encoder.feed(piece)
        yield encoder.close()
    yield b'","raw_encoding":"%b"' % (b"utf-8" if is_text else b"lossy" if lossy else b"base64")


async def _is_utf8(raw: AsyncIterator[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        async for piece in raw:
            decoder.decode(piece)
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True


async def _attachments(attachments: list[dict[str, Any]], read_raw: ReadRaw) -> AsyncIterator[bytes]:
    """Yield attachments with their contents, where these are not files that are the worker's."""
    if all("path" in attachment for attachment in attachments):
        async for piece in joined(_listed(attachments), _CHUNK):
            yield piece
        return
    ordinals = [part.ordinal for part in await read_parts(read_raw()) if part.attachment is not None]
    writer = _Contents(attachments, ordinals)
    async for ordinal, octets in read_contents(read_raw()):
        async for piece in joined(writer.feed(ordinal, octets), _CHUNK):
            yield piece
    async for piece in joined(writer.close(), _CHUNK):
        yield piece


def _listed(attachments: list[dict[str, Any]]) -> Iterator[bytes]:
    for index, attachment in enumerate(attachments):
        yield (b"," if index else b"") + orjson.dumps(attachment)


class _Contents:
    """Writes attachments whose octets come one after the other."""

    def __init__(self, attachments: list[dict[str, Any]], ordinals: list[int]) -> None:
        """`ordinals` are those of the attachments."""
        self._attachments: Final = attachments
        self._places: Final = {ordinal: place for place, ordinal in enumerate(ordinals)}
        self._place = -1  # of the attachment at hand
        self._encoder = _Base64()

    def feed(self, ordinal: int, octets: bytes) -> Iterator[bytes]:
        """Yield what is to be written, perhaps nothing."""
        place = self._places.get(ordinal)
        if place is not None:
            yield from self._go_to(place)
            yield self._encoder.feed(octets)

    def close(self) -> Iterator[bytes]:
        """Yield the rest."""
        return self._go_to(len(self._attachments))

    def _go_to(self, place: int) -> Iterator[bytes]:
        while self._place < place:
            if self._place >= 0:
                yield self._encoder.close() + b'"}'
            self._place += 1
            if self._place < len(self._attachments):
                comma = b"," if self._place else b""
                yield comma + orjson.dumps(self._attachments[self._place])[:-1] + b',"content":"'


class _Base64:
    """Encodes octets that come in pieces (RFC 4648 section 4)."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, octets: bytes) -> bytes:
        octets = self._rest + octets if self._rest else octets
        whole = len(octets) - len(octets) % 3
        self._rest = octets[whole:]
        return pybase64.b64encode(octets[:whole])

    def close(self) -> bytes:
        rest, self._rest = self._rest, b""
        return pybase64.b64encode(rest)
