"""A way to read octets as text: a codec, strict or not. Whole texts, and long ones piece by piece.

Python's codecs take a third of a microsecond for each octet of UTF-7, UTF-16 or UTF-32 without a meaning, and those of
HZ and ISO-2022-KR go on between the halves of characters behind it; where they are to be replaced, `_unicode` and
`_shifts` read them. Charsets that Python has in parts are put together in `pairs`.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from fastsmtp.mime._pairs import GBKDecoder, PairDecoder
from fastsmtp.mime._shifts import JISDecoder, ShiftDecoder
from fastsmtp.mime._unicode import CESUDecoder, UTF7Decoder, UTF16Decoder, UTF32Decoder
from fastsmtp.mime.pairs import pair_table

Octets = bytes | bytearray

# No codecs of Python's:
CESU_8: Final = "utf-8 or cesu-8"
JIS: Final = "iso-2022-jp of vendors"
LATIN_1: Final = "iso-8859-1 of windows"  # windows-1252 with C1 controls in its five free places (WHATWG Encoding)
VISCII: Final = "viscii"  # RFC 1456
CP1047: Final = "cp1047"  # EBCDIC of z/OS: cp037 with six characters in other places
WITHOUT_CODEC: Final = frozenset({CP1047, VISCII})  # charsets that Python does not have
# Charsets that vendors extended, by their codec; `extended` is the name of what they made of it.
EXTENDED: Final = frozenset({"big5hkscs", "cp932", "euc_jis_2004", "euc_jp", "gb18030", "shift_jis_2004"})
PIECE_OCTETS: Final = 16 * 1024  # of a long text; the slowest codec takes less than a millisecond for that

_BOM: Final = "\ufeff"
# Of one, two and more octets, or with a state.
_MULTI_BYTE: Final = frozenset(
    {"big5hkscs", "cp932", "cp949", "euc_jp", "gb18030", "johab", "utf-8", "shift_jis_2004", "euc_jis_2004"}
    | {"hz", "iso-2022-jp", "iso2022_jp", "iso2022_kr"}
)
_WINDOWS_1252: Final = b"".join([bytes((octet,)) for octet in range(256)]).decode("cp1252", "replace")
_EBCDIC: Final = b"".join([bytes((octet,)) for octet in range(256)]).decode("cp037")
_VISCII: Final = (
    "\0\x01Ẳ\x03\x04ẴẪ\x07\b\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x12\x13Ỷ\x15\x16\x17\x18Ỹ\x1a\x1b\x1c\x1dỴ\x1f"
    + "".join(map(chr, range(32, 128)))
    + "ẠẮẰẶẤẦẨẬẼẸẾỀỂỄỆỐỒỔỖỘỢỚỜỞỊỎỌỈỦŨỤỲÕắằặấầẩậẽẹếềểễệốồổỗỠƠộờởịỰỨỪỬơớƯ"
    "ÀÁÂÃẢĂẳẵÈÉÊẺÌÍĨỳĐứÒÓÔạỷừửÙÚỹỵÝỡưàáâãảăữẫèéêẻìíĩỉđựòóôõỏọụùúũủýợỮ"
)
_TABLES: Final = {
    LATIN_1: "".join([chr(octet) if char == "\ufffd" else char for octet, char in enumerate(_WINDOWS_1252)]),
    CP1047: _EBCDIC.translate(str.maketrans("¬Ý^[]¨", "^[¬Ý¨]")),
    VISCII: _VISCII,
}


def extended(codec: str) -> str:
    """The name of the charset that vendors made of one in `EXTENDED`."""
    return codec + _EXTENSION


_EXTENSION: Final = "+"
_SHIFTED: Final = {"hz": "gb2312", "iso2022_kr": "euc_kr"}  # and what they are shifts of
_OURS_WHERE_REPLACED: Final = ("utf-16", "utf-32", *_SHIFTED)
_OURS: Final = frozenset({CESU_8, JIS, "utf-7", *_TABLES, *map(extended, EXTENDED)})


class Reading(NamedTuple):
    """A way to read octets: by a codec, strictly or with U+FFFD for what has no meaning; and the defects it implies.

    `codec` is a name that Python knows, or one of those above.
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
    if codec in _OURS or (reading.replacing and codec.startswith(_OURS_WHERE_REPLACED)):
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
    codec, replacing = reading.codec, reading.replacing
    if codec in _OURS:
        return _open_ours(codec, replacing)
    if replacing:
        if codec.startswith("utf-16"):
            return UTF16Decoder(codec == "utf-16-be")
        if codec.startswith("utf-32"):
            return UTF32Decoder(codec == "utf-32-be")
        if codec in _SHIFTED:
            return _Recoding(ShiftDecoder(codec == "hz"), PairDecoder(pair_table(_SHIFTED[codec])))
        if codec not in _MULTI_BYTE:
            return _Table(codec)
    return _open_python(codec, replacing)


def _open_python(codec: str, replacing: bool) -> Decoder:
    return codecs.getincrementaldecoder(codec)("replace" if replacing else "strict")


def _open_ours(codec: str, replacing: bool) -> Decoder:
    if codec in _TABLES:
        return _Table(codec)
    if codec == CESU_8:
        return _Recoding(CESUDecoder(), _open_python("utf-8", replacing))
    if codec == extended("gb18030"):
        return _Recoding(GBKDecoder(), _open_python("gb18030", replacing))
    if codec == JIS:
        return _Recoding(JISDecoder(), _open_ours(extended("euc_jp"), replacing))
    # Python's UTF-7 lets lone surrogates through, which no JSON can carry.
    decoder = UTF7Decoder() if codec == "utf-7" else PairDecoder(pair_table(codec.removesuffix(_EXTENSION)))
    return decoder if replacing else _Strict(decoder)


class _Damageable(Decoder, Protocol):
    @property
    def damaged(self) -> bool:
        """Whether there was an octet without a meaning."""


class _Strict:
    """Raises for octets without a meaning."""

    __slots__ = ("_decoder",)

    def __init__(self, decoder: _Damageable) -> None:
        self._decoder = decoder

    def decode(self, octets: bytes, final: bool) -> str:
        text = self._decoder.decode(octets, final)
        if self._decoder.damaged:
            raise UnicodeDecodeError("ours", b"", 0, 0, "octets without a meaning")
        return text


class _Recoder(Protocol):
    def decode(self, octets: bytes, final: bool) -> bytes:
        """The next piece in another charset."""


class _Recoding:
    """Reads a charset by way of another one."""

    __slots__ = ("_decoder", "_recoder")

    def __init__(self, recoder: _Recoder, decoder: Decoder) -> None:
        self._recoder = recoder
        self._decoder = decoder

    def decode(self, octets: bytes, final: bool) -> str:
        return self._decoder.decode(self._recoder.decode(octets, final), final)


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
    if codec in _TABLES:
        return _TABLES[codec]
    return "".join([bytes((octet,)).decode(codec, "replace") for octet in range(256)])
