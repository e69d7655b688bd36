"""One text body of a message while it arrives, and its text when it is complete."""

from __future__ import annotations

from fastsmtp.capture._json import quote
from fastsmtp.mime.charset import decode_charset, is_utf8
from fastsmtp.mime.entity import Entity, Role
from fastsmtp.mime.transfer import TransferDecoder, transfer_decoder


class Body:
    """The octets of a text body with the transfer encoding undone; the charset is undone when a text is asked for."""

    __slots__ = ("_decoder", "_octets", "entity", "place")

    def __init__(self, entity: Entity, found: list[str], place: int) -> None:
        """Defects of the transfer encoding go to `found`; `place` is how many attachments come before it."""
        self.entity = entity
        self.place = place
        self._decoder: TransferDecoder = transfer_decoder(entity.transfer_encoding, found)
        self._octets = bytearray()

    @property
    def held(self) -> int:
        """Octets in memory."""
        return len(self._octets)

    def feed(self, buf: bytearray, start: int, end: int) -> None:
        """Take `buf[start:end]`, in the part's transfer encoding."""
        self._octets += self._decoder.feed(buf, start, end)

    def close(self) -> None:
        """The part is complete."""
        self._octets += self._decoder.close()

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
        return quote(self._octets) if is_utf8(self._octets, self._charset, is_html=self._is_html) else None

    @property
    def _charset(self) -> str | None:
        return self.entity.media_type.parameters.get("charset")

    @property
    def _is_html(self) -> bool:
        return self.entity.role is Role.HTML
