"""Octets and a charset label -> text, whatever both are.

Labels go through one allow-list, never straight to `codecs`: Python has codecs that are no charsets (rot13, zlib,
idna, unicode_escape). Names and supersets are those of the WHATWG Encoding standard, which is what senders mean: a
label names the smallest charset of a family, the octets come from the largest. Beyond it, mail has UTF-7, UTF-32,
ISO-2022-KR, HZ and DOS code pages.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Final

from fastsmtp.mime.defects import MISSING_CHARSET, UNDECODABLE_CHARSET, UNKNOWN_CHARSET, WRONG_CHARSET, note

Octets = bytes | bytearray

# codec -> labels, all lower case. A codec may name several, tried in order: Python's variants of one charset differ in
# their vendor extensions (NEC row 13, the euro sign).
_LABELS: Final[dict[str, str]] = {
    "ascii": "us-ascii ascii ansi_x3.4-1968 ansi_x3.4-1986 iso-ir-6 iso646-us iso_646.irv:1991 cp367 ibm367 us csascii",
    "big5hkscs cp950": "big5 big5-hkscs big5hkscs cn-big5 csbig5 x-x-big5 big5-eten cp950 ms950 windows-950",
    "cp437": "cp437 ibm437 437 cspc8codepage437",
    "cp737": "cp737",
    "cp775": "cp775 ibm775",
    "cp850": "cp850 ibm850 850 cspc850multilingual",
    "cp852": "cp852 ibm852 852 cspcp852",
    "cp855": "cp855 ibm855 855",
    "cp857": "cp857 ibm857 857",
    "cp858": "cp858 ibm00858 ccsid00858 cp00858",
    "cp860": "cp860 ibm860",
    "cp861": "cp861 ibm861 cp-is",
    "cp862": "cp862 ibm862 dos-862",
    "cp863": "cp863 ibm863",
    "cp865": "cp865 ibm865",
    "cp866": "cp866 ibm866 866 csibm866",
    "cp869": "cp869 ibm869 cp-gr",
    "cp874": "windows-874 cp874 dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 tis620",
    "cp932 shift_jis shift_jis_2004": "shift_jis shift-jis sjis x-sjis ms_kanji csshiftjis windows-31j ms932 cp932 "
    "cswindows31j shift_jis_2004 shift_jisx0213 x-ms-cp932",
    "cp949": "euc-kr euckr cseuckr ks_c_5601-1987 ks_c_5601-1989 ks_c_5601 ksc5601 ksc_5601 csksc56011987 iso-ir-149 "
    "korean windows-949 cp949 ms949 uhc x-windows-949",
    "cp1250": "windows-1250 cp1250 x-cp1250 ms-ee",
    "cp1251": "windows-1251 cp1251 x-cp1251 ms-cyrl",
    "cp1252": "windows-1252 cp1252 x-cp1252 ms-ansi ansi",
    "cp1253": "windows-1253 cp1253 x-cp1253 ms-greek",
    "cp1254": "windows-1254 cp1254 x-cp1254 ms-turk iso-8859-9 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 "
    "iso-ir-148 latin5 l5 csisolatin5",
    "cp1255": "windows-1255 cp1255 x-cp1255 ms-hebr",
    "cp1256": "windows-1256 cp1256 x-cp1256 ms-arab",
    "cp1257": "windows-1257 cp1257 x-cp1257 winbaltrim",
    "cp1258": "windows-1258 cp1258 x-cp1258",
    "euc_jp euc_jis_2004": "euc-jp eucjp x-euc-jp x-euc cseucpkdfmtjapanese euc_jp euc-jisx0213 euc-jis-2004",
    "gb18030": "gb2312 gb_2312 gb_2312-80 gb2312-80 gbk gb18030 x-gbk cp936 ms936 windows-936 chinese csgb2312 "
    "csiso58gb231280 iso-ir-58 euc-cn euccn cn-gb x-euc-cn",
    "hz": "hz-gb-2312 hz",
    "iso-2022-jp": "iso-2022-jp csiso2022jp iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-3 iso-2022-jp-2004 iso-2022-jp-ms "
    "cp50220 cp50221 cp50222",
    "iso-8859-1": "iso-8859-1 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 latin1 latin-1 l1 iso-ir-100 csisolatin1 "
    "cp819 ibm819 8859_1 iso8859_1",
    "iso2022_kr": "iso-2022-kr csiso2022kr",
    "iso8859_2": "iso-8859-2 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 latin2 l2 iso-ir-101 csisolatin2",
    "iso8859_3": "iso-8859-3 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 latin3 l3 iso-ir-109 csisolatin3",
    "iso8859_4": "iso-8859-4 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 latin4 l4 iso-ir-110 csisolatin4",
    "iso8859_5": "iso-8859-5 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988 cyrillic iso-ir-144 csisolatincyrillic",
    "iso8859_6": "iso-8859-6 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987 iso-8859-6-e iso-8859-6-i arabic asmo-708 "
    "ecma-114 iso-ir-127 csisolatinarabic csiso88596e csiso88596i",
    "iso8859_7": "iso-8859-7 iso8859-7 iso88597 iso_8859-7 iso_8859-7:1987 greek greek8 ecma-118 elot_928 sun_eu_greek "
    "iso-ir-126 csisolatingreek",
    "iso8859_8": "iso-8859-8 iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 iso-8859-8-e iso-8859-8-i hebrew visual "
    "logical iso-ir-138 csisolatinhebrew csiso88598e csiso88598i",
    "iso8859_10": "iso-8859-10 iso8859-10 iso885910 latin6 l6 iso-ir-157 csisolatin6",
    "iso8859_13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859_14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859_15": "iso-8859-15 iso8859-15 iso885915 iso_8859-15 latin-9 latin9 l9 csisolatin9",
    "iso8859_16": "iso-8859-16 iso8859-16",
    "johab": "johab cp1361 ms1361",
    "koi8_r": "koi8-r koi8 koi koi8_r cskoi8r",
    "koi8_u": "koi8-u koi8-ru",
    "kz1048": "kz-1048 kz1048 strk1048-2002 rk1048",
    "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "mac_latin2": "x-mac-ce macce x-mac-centraleurroman",
    "mac_roman": "macintosh mac x-mac-roman csmacintosh",
    "ptcp154": "ptcp154 csptcp154 pt154 cp154",
    "utf-16": "utf-16 utf16 utf_16 unicode ucs-2 iso-10646-ucs-2 csunicode",
    "utf-16-be": "utf-16be utf16be unicodefffe",
    "utf-16-le": "utf-16le utf16le unicodefeff",
    "utf-32": "utf-32 utf32 ucs-4 iso-10646-ucs-4",
    "utf-32-be": "utf-32be",
    "utf-32-le": "utf-32le",
    "utf-7": "utf-7 utf7 unicode-1-1-utf-7 x-unicode-1-1-utf-7 csunicode11utf7",
    "utf-8": "utf-8 utf8 utf_8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8 utf-8-sig utf8mb4 cp65001",
}

_CODECS: Final[dict[str, tuple[str, ...]]] = {
    label: tuple(names.split()) for names, labels in _LABELS.items() for label in labels.split()
}

_UTF8: Final = _CODECS["utf-8"]
_ASCII: Final = _CODECS["us-ascii"]
_LABEL_LENGTH: Final = 64  # characters; no known label is longer
_UTF_16_BOMS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# Charsets whose octets change meaning by what precedes them in the text: pieces may not be joined before decoding.
_STATEFUL: Final = frozenset({"hz", "iso-2022-jp", "iso2022_kr", "utf-16", "utf-32", "utf-7"})

_MULTI_BYTE: Final = frozenset(
    {"big5hkscs", "cp932", "cp949", "euc_jp", "gb18030", "hz", "iso-2022-jp", "iso2022_kr", "johab"}
)


def decode_charset(octets: Octets, label: str | None, defects: list[str]) -> str:
    """The text of `octets` in the charset `label` (None or "": not told); a leading byte order mark is taken off.

    Never raises and never returns a surrogate; what had to be guessed or given up is noted in `defects`.
    """
    if not label:
        return _decode_unlabelled(octets, defects)
    names = codecs_of(label)
    if names is None:
        return _decode_unknown(octets, defects)
    name = names[0]
    if name == "utf-8":
        try:
            return _without_bom(octets.decode())
        except UnicodeDecodeError:
            return _decode_mislabelled(octets, defects)
    if name == "ascii":
        return octets.decode("ascii") if octets.isascii() else _decode_mislabelled(octets, defects)
    if name == "iso-8859-1":
        return _decode_latin1(octets)
    if name.startswith("utf-"):
        return _decode_unicode(octets, name, defects)
    if name == "iso-2022-jp":
        return _decode_iso_2022_jp(octets, defects)
    return _decode_legacy(octets, names, defects)


def is_utf8(octets: Octets, label: str | None) -> bool:
    """Whether `decode_charset` would do no more than `octets.decode()`, if that works."""
    if octets.startswith(codecs.BOM_UTF8):
        return False
    names = codecs_of(label) if label else _UTF8
    return names == _UTF8 or (names == _ASCII and octets.isascii())


def codecs_of(label: str) -> tuple[str, ...] | None:
    """The codecs that stand for a charset label, in the order to try; None for a label nobody knows."""
    return _codecs_of(label) if len(label) <= _LABEL_LENGTH else None


def is_joinable(label: str) -> bool:
    """Whether octets in this charset may be joined with others before they are decoded."""
    names = codecs_of(label)
    return names is None or names[0] not in _STATEFUL


@lru_cache(maxsize=256)
def _codecs_of(label: str) -> tuple[str, ...] | None:
    label = label.strip(" \t\r\n\"'").lower()
    # QUIRK: Java's mail libraries send `x-windows-1251`, old PHP scripts `iso_8859_1` and `utf 8`.
    for spelling in (label, label.removeprefix("x-"), label.replace("_", "-").replace(" ", "-")):
        if spelling in _CODECS:
            return _CODECS[spelling]
    return None


def _without_bom(text: str) -> str:
    return text[1:] if text.startswith("\ufeff") else text


def decode_replacing(octets: Octets, name: str) -> str:
    """`octets.decode(name, "replace")`, which takes its time over each octet without meaning; a table does not."""
    if name in _MULTI_BYTE:
        return octets.decode(name, "replace")
    return codecs.charmap_decode(octets, "strict", _table(name))[0]


@lru_cache(maxsize=64)
def _table(name: str) -> str:
    """What each octet means in a charset of single octets."""
    return "".join([bytes((octet,)).decode(name, "replace") for octet in range(256)])


def _guess(octets: Octets) -> tuple[str, bool]:
    """UTF-8, else windows-1252; the second value tells whether every octet had a meaning."""
    try:
        return _without_bom(octets.decode()), True
    except UnicodeDecodeError:
        pass
    # Text that was cut in the middle of a character, or has a stray octet, is still UTF-8: see which reading
    # explains more of the octets.
    text = octets.decode("utf-8", "replace")
    lost = text.count("\ufffd")
    if len(text) - len(text.encode("ascii", "ignore")) - lost > lost:
        return _without_bom(text), False
    text = decode_replacing(octets, "cp1252")
    return text, "\ufffd" not in text


def _decode_unlabelled(octets: Octets, defects: list[str]) -> str:
    if octets.isascii():
        return octets.decode("ascii")
    if octets.startswith(_UTF_16_BOMS):
        note(defects, MISSING_CHARSET)
        return _decode_unicode(octets, "utf-16", defects)
    try:
        return _without_bom(octets.decode())
    except UnicodeDecodeError:
        note(defects, MISSING_CHARSET)
        return _guess_noting(octets, defects)


def _decode_unknown(octets: Octets, defects: list[str]) -> str:
    """`unknown-8bit` (RFC 1428) and `x-user-defined` come here too: they say that the sender did not know."""
    if octets.isascii():  # nothing has to be guessed
        return octets.decode("ascii")
    note(defects, UNKNOWN_CHARSET)
    return _guess_noting(octets, defects)


def _decode_mislabelled(octets: Octets, defects: list[str]) -> str:
    note(defects, WRONG_CHARSET)
    return _guess_noting(octets, defects)


def _guess_noting(octets: Octets, defects: list[str]) -> str:
    text, whole = _guess(octets)
    if not whole:
        note(defects, UNDECODABLE_CHARSET)
    return text


def _decode_latin1(octets: Octets) -> str:
    """QUIRK: Outlook labels windows-1252 as ISO-8859-1; nobody means its C1 controls (WHATWG Encoding 4.2)."""
    if octets.isascii():
        return octets.decode("ascii")
    try:
        return octets.decode("cp1252")
    except UnicodeDecodeError:  # one of the five octets that windows-1252 leaves free
        return octets.decode("latin-1")


def _decode_unicode(octets: Octets, name: str, defects: list[str]) -> str:
    if name.startswith("utf-16") and octets.startswith(_UTF_16_BOMS):
        name = "utf-16"  # WHATWG Encoding 6.1: the mark beats the label
    elif name == "utf-16":
        # RFC 2781 4.3 says big endian. QUIRK: Windows programs send little endian without a mark; the zeros of
        # Latin text tell.
        zeros_first, zeros_second = octets[0:4096:2].count(0), octets[1:4096:2].count(0)
        name = "utf-16-le" if zeros_second > zeros_first else "utf-16-be"
    elif name == "utf-32" and not octets.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        name = "utf-32-be" if octets.startswith(b"\0") else "utf-32-le"
    try:
        text = octets.decode(name)
    except UnicodeDecodeError:
        note(defects, UNDECODABLE_CHARSET)
        text = octets.decode(name, "replace")
    if name == "utf-7":
        text = _without_surrogates(text, defects)
    return _without_bom(text)


def _without_surrogates(text: str, defects: list[str]) -> str:
    """Python's UTF-7 lets lone surrogates through, which no JSON can carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        note(defects, UNDECODABLE_CHARSET)
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _decode_legacy(octets: Octets, names: tuple[str, ...], defects: list[str]) -> str:
    for name in names:
        try:
            return octets.decode(name)
        except UnicodeDecodeError:
            continue
    # QUIRK: PHP scripts keep the label of a template and fill it with UTF-8.
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        note(defects, UNDECODABLE_CHARSET)
        return decode_replacing(octets, names[0])
    note(defects, WRONG_CHARSET)
    return _without_bom(text)


# ISO-2022-JP (RFC 1468): escape sequences that select JIS X 0208, JIS X 0201 katakana or Roman, ASCII.
_JIS_SEGMENT: Final = re.compile(rb"\x1b(\$[@B]|\(I|\([BJH])([^\x1b]*)")


def _decode_iso_2022_jp(octets: Octets, defects: list[str]) -> str:
    for name in ("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_2"):
        try:
            return octets.decode(name)
        except UnicodeDecodeError:
            continue
    if octets.isascii():
        # QUIRK: Outlook sends NEC row 13 (the numero sign, circled digits), which JIS X 0208 lacks and cp932 has.
        try:
            return _JIS_SEGMENT.sub(_jis_to_cp932, bytes(octets)).decode("cp932")
        except UnicodeDecodeError:
            note(defects, UNDECODABLE_CHARSET)
            return octets.decode("iso2022_jp", "replace")
    return _decode_mislabelled(octets, defects)


def _jis_to_cp932(match: re.Match[bytes]) -> bytes:
    charset, octets = match[1], match[2]
    if charset == b"(I":
        return bytes([octet | 0x80 for octet in octets])
    if charset.startswith(b"("):
        return octets
    shifted = bytearray()
    for row, cell in zip(octets[::2], octets[1::2], strict=False):
        odd = row & 1
        lead = (row + 1 >> 1) + (0x70 if row < 0x5F else 0xB0)
        trail = cell + (0x1F + (cell >= 0x60) if odd else 0x7E)
        shifted += bytes((lead & 0xFF, trail & 0xFF))
    return bytes(shifted)
