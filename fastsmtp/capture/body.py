"""One text body of a message while it arrives, and its text when it is complete."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fastsmtp.capture._json import escape, escaped_size, quote, utf8_end
from fastsmtp.mime.charset import decode_charset, is_utf8, readings
from fastsmtp.mime.defects import note
from fastsmtp.mime.entity import Entity, Role
from fastsmtp.mime.reading import Reading, read_pieces
from fastsmtp.mime.transfer import TransferDecoder, transfer_decoder

_STEP_OCTETS: Final = 256 * 1024  # of UTF-8 that are looked at at a time: less than a millisecond
_BLOCK_OCTETS: Final = 32 * 1024  # of UTF-8 that become a block


class Body:
    """The octets of a text body with the transfer encoding undone; the charset is undone when a text is asked for.

    A large one is asked for in blocks: `measure` it first, then `escaped_size`, `is_empty` and `ends_line` tell what
    there is to know, and `blocks` makes it as often as it is wanted.
    """

    __slots__ = (
        "_decoder",
        "_octets",
        "_reading",
        "_undecoded",
        "ends_line",
        "entity",
        "escaped_size",
        "is_empty",
        "place",
    )

    def __init__(self, entity: Entity, found: list[str], place: int) -> None:
        """Defects of the transfer encoding go to `found`; `place` is how many attachments come before it."""
        self.entity = entity
        self.place = place
        self._decoder: TransferDecoder | None = transfer_decoder(entity.transfer_encoding, found)
        self._undecoded = 0  # octets that the decoder may hold
        self._octets = bytearray()
        self._reading: Reading | None = None  # how it is read, when it is measured; None: the octets are UTF-8
        self.escaped_size = 0  # of the text inside of a JSON string
        self.is_empty = False
        self.ends_line = False

    @property
    def held(self) -> int:
        """Octets in memory."""
        return len(self._octets) + self._undecoded

    def feed(self, buf: bytearray, start: int, end: int) -> None:
        """Take `buf[start:end]`, in the part's transfer encoding."""
        assert self._decoder is not None
        decoded = self._decoder.feed(buf, start, end)
        self._octets += decoded
        # Base64 is decoded in blocks.
        self._undecoded = end - start - len(decoded) + (0 if decoded else self._undecoded)

    def close(self) -> None:
        """The part is complete."""
        decoder, self._decoder = self._decoder, None  # those of thousands of parts would take much memory
        assert decoder is not None
        self._octets += decoder.close()
        self._undecoded = 0

    def discard(self) -> None:
        """Forget the octets."""
        self._octets = bytearray()

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing in it but blanks."""
        return not self._octets or self._octets.isspace()

    def take_octets(self) -> bytearray:
        """Return the octets, and forget them."""
        octets, self._octets = self._octets, bytearray()
        return octets

    def decode(self, found: list[str]) -> str:
        """Return the text; defects of the charset go to `found`."""
        return decode_charset(self._octets, self._charset, found, is_html=self._is_html)

    def quote(self) -> bytes | None:
        """Return the text as JSON where its octets are what JSON wants, without the way over a str; None elsewhere."""
        return quote(self._octets) if self._may_be_utf8() else None

    def measure(self, found: list[str]) -> Iterator[None]:
        """Find out how the text is read, and its size, some milliseconds at a time; defects go to `found`."""
        if self._may_be_utf8():
            yield from self._measure_utf8()
            if self.escaped_size >= 0:
                return
        for reading in readings(self._octets, self._charset, is_html=self._is_html):
            if reading is None:
                yield
                continue
            try:
                yield from self._measure_pieces(reading)
            except UnicodeDecodeError:
                continue
            self._reading = reading
            for defect in reading.defects:
                note(found, defect)
            return

    def _measure_utf8(self) -> Iterator[None]:
        octets, position = self._octets, 0
        self.escaped_size = 0
        while position < len(octets):
            end = utf8_end(octets, position, min(position + _STEP_OCTETS, len(octets)))
            if end == position:
                self.escaped_size = -1
                return
            self.escaped_size += escaped_size(octets, position, end)
            position = end
            if position < len(octets):
                yield
        self.is_empty = not octets
        self.ends_line = octets.endswith(b"\n")

    def _measure_pieces(self, reading: Reading) -> Iterator[None]:
        self.escaped_size = 0
        self.is_empty = True
        for piece in read_pieces(self._octets, reading):
            if piece:
                octets = piece.encode()
                self.escaped_size += escaped_size(octets, 0, len(octets))
                self.is_empty = False
                self.ends_line = piece.endswith("\n")
            yield

    def blocks(self) -> Iterator[bytes]:
        """The text as it stands inside of a JSON string, in blocks."""
        octets = self._octets
        if self._reading is None:
            for start in range(0, len(octets), _BLOCK_OCTETS):
                yield escape(octets, start, min(start + _BLOCK_OCTETS, len(octets)))
            return
        for piece in read_pieces(octets, self._reading):
            encoded = piece.encode()
            yield escape(encoded, 0, len(encoded))

    def _may_be_utf8(self) -> bool:
        return is_utf8(self._octets, self._charset, is_html=self._is_html)

    @property
    def _charset(self) -> str | None:
        return self.entity.media_type.parameters.get("charset")

    @property
    def _is_html(self) -> bool:
        return self.entity.role is Role.HTML
