"""The MIME parts of a mail in the store, taken apart again when they are asked for.

The store keeps a mail as it came, and what the payload says of it. A part's octets are decoded while the mail is read,
so that no part is ever in memory as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from time import monotonic
from typing import Final

import msgspec

from fastsmtp.mime.entity import Entity, Role, is_beside_root
from fastsmtp.mime.splitter import Splitter
from fastsmtp.mime.transfer import TransferDecoder, transfer_decoder
from fastsmtp.system.timeslices import SLICE_S, gathered, next_slice

_FED: Final = 16 * 1024  # octets that are taken apart at a time, some tenths of a millisecond
_SINGLE: Final = "1"  # how IMAP numbers the only part of a message that is not a multipart (RFC 3501 6.4.5)


class Part(msgspec.Struct, frozen=True):
    """A part that is not a multipart.

    `number` is that of IMAP ("2.1"), `inside` are the media types of the multiparts around it, outermost first.
    `size` counts octets with the transfer encoding undone. `attachment` is its place among `attachments` of the
    payload, None for texts of the mail itself. `ordinal` counts what begins in the mail, preambles included.
    """

    number: str
    content_type: str
    charset: str | None
    filename: str
    disposition: str | None
    content_id: str | None
    transfer_encoding: str
    size: int
    inside: list[str]
    attachment: int | None
    defects: list[str]
    ordinal: int


class _Collector:
    """A `PartHandler` that notes every part, and keeps what is decoded until it is taken."""

    def __init__(self) -> None:
        self.found: list[tuple[int, Entity, int]] = []  # ordinal, entity, size
        self.decoded: list[tuple[int, bytes]] = []  # ordinal, octets
        self._ordinal = -1
        self._entity: Entity | None = None
        self._decoder: TransferDecoder | None = None
        self._size = 0

    def on_part_begin(self, entity: Entity) -> None:
        self._ordinal += 1
        self._entity, self._size = entity, 0
        self._decoder = transfer_decoder(entity.transfer_encoding, entity.defects)

    def on_part_bytes(self, buf: bytearray, start: int, end: int) -> None:
        assert self._decoder is not None
        self._take(self._decoder.feed(buf, start, end))

    def on_part_end(self) -> None:
        assert self._decoder is not None
        assert self._entity is not None
        self._take(self._decoder.close())
        self.found.append((self._ordinal, self._entity, self._size))

    def on_part_drop(self) -> None:
        """The ordinal of a preamble is skipped: nothing asks for it."""

    def _take(self, octets: bytes) -> None:
        if octets:
            self._size += len(octets)
            self.decoded.append((self._ordinal, octets))


async def read_parts(raw: AsyncIterator[bytes]) -> list[Part]:
    """Return the parts of a mail that comes in pieces, in order."""
    collector = _Collector()
    async for _decoded in _take_apart(raw, collector):
        pass
    return await gathered(_described(collector.found))


def _described(found: Sequence[tuple[int, Entity, int]]) -> Iterator[Part]:
    attachments = 0
    for ordinal, entity, size in found:
        attached = entity.role is Role.ATTACHMENT or is_beside_root(entity)
        yield _describe(ordinal, entity, size, attachments if attached else None)
        attachments += attached


async def read_contents(raw: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """Yield ordinals of parts with octets of them, their transfer encodings undone, in the order of the mail."""
    async for decoded in _take_apart(raw, _Collector()):
        for ordinal, octets in decoded:
            yield ordinal, octets


async def _take_apart(raw: AsyncIterator[bytes], collector: _Collector) -> AsyncIterator[list[tuple[int, bytes]]]:
    """Feed a mail to the collector; yield what is decoded after each step, and at the end.

    The consumer's work between two steps counts as well: others have their turn when it is time.
    """
    splitter = Splitter(collector)
    ends = monotonic() + SLICE_S
    async for piece in raw:
        for start in range(0, len(piece), _FED):
            buf = bytearray(piece[start : start + _FED])
            at = 0
            while at < len(buf):
                at = splitter.feed(buf, at, len(buf))
                decoded, collector.decoded = collector.decoded, []
                yield decoded
                if monotonic() >= ends:
                    ends = await next_slice()
    splitter.close()
    yield collector.decoded


def _describe(ordinal: int, entity: Entity, size: int, attachment: int | None) -> Part:
    inside = []
    around = entity.parent
    while around is not None:
        inside.append(around.media_type.value)
        around = around.parent
    disposition = entity.disposition
    return Part(
        number=entity.number or _SINGLE,
        content_type=entity.media_type.value,
        charset=entity.media_type.parameters.get("charset"),
        filename=entity.name_or_invented() if attachment is not None else entity.filename or "",
        disposition=disposition.value if disposition is not None else None,
        content_id=entity.content_id,
        transfer_encoding=entity.transfer_encoding.strip().lower(),
        size=size,
        inside=inside[::-1],
        attachment=attachment,
        defects=list(dict.fromkeys(entity.defects)),
        ordinal=ordinal,
    )
