"""Base64 while it arrives: RFC 2045 section 6.8.

Every `feed(buf, start, end)` takes the octets `buf[start:end]` of the body of one part, split anywhere, and is done
with them when it returns. `buf` must be bytearray or bytes and must not be resized meanwhile. Whatever the octets are,
nothing is raised for them: TypeError and ValueError mean a wrong `buf` or a slice outside of it.

Base64 is read leniently, in the same way by `Base64Text` and `Base64Decoder`:

- CR, LF, blanks and tabs may stand anywhere. Other characters outside of the alphabet are ignored (RFC 2045 section
  6.8); so are "-" and "_": MIME knows no URL-safe alphabet, and both are frequent in footers.
- Missing padding is completed (`missing-base64-padding`); a last single character, whose six bits make no octet, is
  dropped; padding where none can be is ignored.
- After padding, lines that look like base64 are decoded on (concatenated encodings), anything else, such as the footer
  of a mailing list, ends the content. A line looks like base64 if it is made of whole quads, or of at least 60
  characters of the alphabet.
- Bits of the last character that belong to no octet are cleared.

All of it except for missing padding and white space is the defect `invalid-base64`.
"""

from typing import final

from typing_extensions import Self, disjoint_base

@disjoint_base
class GrowingText:
    """Base of the two classes that make base64 text.

    The text grows inside the bytes object that `finish` hands out, so it is never copied as a whole. `quoted` puts it
    in double quotes: it then is a JSON string, for orjson.Fragment or as a segment of its own. `size_hint` is the
    number of characters expected; a good one saves reallocations.
    """

    def __new__(cls, *, quoted: bool = False, size_hint: int = 0) -> Self: ...

@final
class Base64Text(GrowingText):
    """base64 that stays base64: lines are joined, and text that is canonical is never decoded."""

    def feed(self, buf: bytearray | bytes, start: int, end: int) -> None:
        """Take the next octets of the part."""

    def finish(self) -> tuple[bytes, int, list[str]]:
        """End of the part: canonical base64 (RFC 4648 section 4), how many octets it stands for, and defects.

        Afterwards `feed` and `finish` raise ValueError.
        """

@final
class Base64Encoder(GrowingText):
    """Octets to base64, for content that arrived in another transfer encoding."""

    def feed(self, buf: bytearray | bytes, start: int, end: int) -> None:
        """Take the next octets."""

    def finish(self) -> tuple[bytes, int]:
        """End of the content: its base64, padded, and how many octets it stands for.

        Afterwards `feed` and `finish` raise ValueError.
        """

@final
class Base64Decoder:
    """base64 to octets, in blocks of about 36 KiB; holds at most 64 KiB."""

    def __new__(cls, defects: list[str]) -> Self: ...
    @property
    def defects(self) -> list[str]:
        """The list given at the start. Defects are added by `close`, each once."""

    def feed(self, buf: bytearray | bytes, start: int, end: int) -> bytes:
        """Take the next octets of the part; return what is decoded, b"" until there is a block of it."""

    def close(self) -> bytes:
        """End of the part: the rest."""
