"""A way to read octets as text: a codec, strict or not. Whole texts, and long ones piece by piece.

Python's codecs take a third of a microsecond for each octet of UTF-7, UTF-16 or UTF-32 without a meaning; where they
are to be replaced, `_charset` reads them.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from fastsmtp.mime._charset import JISDecoder, UTF7Decoder, UTF16Decoder, UTF32Decoder

Octets = bytes | bytearray

JIS: Final = "jis"  # no codec of Python's: ISO-2022-JP with the characters that cp932 has beyond JIS X 0208
PIECE_OCTETS: Final = 16 * 1024  # of a long text; the slowest codec takes less than a millisecond for that

_BOM: Final = "\ufeff"
_OURS: Final = frozenset({JIS, "utf-7"})  # Python's are not used for these at all
# Of one, two and more octets, or with a state.
_MULTI_BYTE: Final = frozenset(
    {"big5hkscs", "cp932", "cp949", "euc_jp", "gb18030", "johab", "utf-8"}
    | {"hz", "iso-2022-jp", "iso2022_jp", "iso2022_kr"}
)


class Reading(NamedTuple):
    """A way to read octets: by a codec, strictly or with U+FFFD for what has no meaning; and the defects it implies.

    `codec` is a name that Python knows, or `JIS`, which is strict.
    """

    codec: str
    replacing: bool = False
    defects: tuple[str, ...] = ()


class Decoder(Protocol):
    """Reads a text in pieces cut anywhere."""

    def decode(self, octets: bytes, final: bool) -> str:
        """The text of the next piece, as far as it is whole. Raises UnicodeDecodeError where the reading is strict."""


def read(octets: Octets, reading: Reading) -> str:
    """The text of `octets`, without a byte order mark. Raises UnicodeDecodeError where the reading is strict."""
    codec = reading.codec
    if codec in _OURS or (reading.replacing and codec.startswith(("utf-16", "utf-32"))):
        text = open_decoder(reading).decode(bytes(octets), True)
    else:
        text = decode_replacing(octets, codec) if reading.replacing else octets.decode(codec)
    return text.removeprefix(_BOM) if codec[:4] == "utf-" else text


def read_pieces(octets: Octets, reading: Reading, size: int = PIECE_OCTETS) -> Iterator[str]:
    """What `read` returns, in pieces of `size` octets each."""
    decoder = open_decoder(reading)
    marked = reading.codec.startswith("utf-")  # a byte order mark may still come
    for start in range(0, len(octets), size):
        end = start + size
        text = decoder.decode(bytes(octets[start:end]), end >= len(octets))
        if marked and text:
            text = text.removeprefix(_BOM)
            marked = False
        yield text


def open_decoder(reading: Reading) -> Decoder:
    """A decoder for one text."""
    codec = reading.codec
    if codec == "utf-7":
        return _UTF7(strict=not reading.replacing)
    if codec == JIS:
        return _JIS()
    if reading.replacing:
        if codec.startswith("utf-16"):
            return UTF16Decoder(codec == "utf-16-be")
        if codec.startswith("utf-32"):
            return UTF32Decoder(codec == "utf-32-be")
        if codec not in _MULTI_BYTE:
            return _Table(codec)
    return codecs.getincrementaldecoder(codec)("replace" if reading.replacing else "strict")


class _UTF7:
    """UTF-7. Python's own lets lone surrogates through, which no JSON can carry."""

    __slots__ = ("_decoder", "_strict")

    def __init__(self, *, strict: bool) -> None:
        self._decoder = UTF7Decoder()
        self._strict = strict

    def decode(self, octets: bytes, final: bool) -> str:
        text = self._decoder.decode(octets, final)
        if self._strict and self._decoder.damaged:
            raise UnicodeDecodeError("utf-7", b"", 0, 0, "octets without a meaning")
        return text


class _JIS:
    __slots__ = ("_decoder", "_shifted")

    def __init__(self) -> None:
        self._shifted = JISDecoder()
        self._decoder = codecs.getincrementaldecoder("cp932")("strict")

    def decode(self, octets: bytes, final: bool) -> str:
        return self._decoder.decode(self._shifted.decode(octets, final), final)


class _Table:
    __slots__ = ("_codec",)

    def __init__(self, codec: str) -> None:
        self._codec = codec

    def decode(self, octets: bytes, final: bool) -> str:
        return decode_replacing(octets, self._codec)


def decode_replacing(octets: Octets, codec: str) -> str:
    """`octets.decode(codec, "replace")`, which takes its time over each octet without meaning; a table does not."""
    if codec in _MULTI_BYTE:
        return octets.decode(codec, "replace")
    return codecs.charmap_decode(octets, "strict", _table(codec))[0]


@lru_cache(maxsize=64)
def _table(codec: str) -> str:
    """What each octet means in a charset of single octets."""
    return "".join([bytes((octet,)).decode(codec, "replace") for octet in range(256)])
