"""Quoted-printable while it arrives (RFC 2045 section 6.7), and the encodings that change nothing.

Every `feed(buf, start, end)` takes the octets `buf[start:end]` of the body of one part, split anywhere, and is done
with them when it returns. `buf` must be bytearray or bytes and must not be resized meanwhile. Whatever the octets are,
nothing is raised for them: TypeError and ValueError mean a wrong `buf` or a slice outside of it.
"""

from typing import final

from typing_extensions import Self

@final
class QuotedPrintableDecoder:
    """quoted-printable to octets (RFC 2045 section 6.7); holds at most 1 KiB, and only at the end of a chunk.

    Soft line breaks are removed, also those with blanks behind the "=" or with a bare LF; so are blanks at the end of
    a line, up to 998 of them. Line ends stay as they were sent; a bare CR does not end a line. Hexadecimal digits
    may be lower case. What is not an escape is kept as it came (`invalid-quoted-printable`), and so are 8-bit octets.
    The end of the part counts as a line end.
    """

    def __new__(cls, defects: list[str]) -> Self: ...
    @property
    def defects(self) -> list[str]:
        """The list given at the start. Defects are added by `close`, each once."""

    def feed(self, buf: bytearray | bytes, start: int, end: int) -> bytes:
        """Take the next octets of the part; return what is decoded."""

    def close(self) -> bytes:
        """End of the part: the rest."""

@final
class IdentityDecoder:
    """7bit, 8bit and binary: octets as they are."""

    def __new__(cls, defects: list[str]) -> Self: ...
    @property
    def defects(self) -> list[str]:
        """The list given at the start; nothing is added to it."""

    def feed(self, buf: bytearray | bytes, start: int, end: int) -> bytes:
        """Take the next octets of the part; return a copy of them."""

    def close(self) -> bytes:
        """End of the part: b""."""
