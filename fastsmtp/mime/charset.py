"""Octets and a charset label -> text, whatever both are.

Labels go through one allow-list, never straight to `codecs`: Python has codecs that are no charsets (rot13, zlib,
idna, unicode_escape). Names and supersets are those of the WHATWG Encoding standard, which is what senders mean: a
label names the smallest charset of a family, the octets come from the largest. Beyond it, mail has UTF-7, UTF-32,
ISO-2022-KR, HZ and DOS code pages.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from fastsmtp.mime._charset import weigh_utf8
from fastsmtp.mime.defects import MISSING_CHARSET, UNDECODABLE_CHARSET, UNKNOWN_CHARSET, WRONG_CHARSET, note
from fastsmtp.mime.reading import JIS, Octets, Reading, read

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
_STRICT: Final = {
    name: Reading(name) for name in ("cp1252", "latin-1", *{name for names in _CODECS.values() for name in names})
}
# Charsets whose first reading is a codec of Python's, by the first of their names.
_DIRECT: Final = {name: name for name in _STRICT if name == "utf-8" or not name.startswith("utf-")}
_DIRECT["iso-8859-1"] = "cp1252"
_BOM: Final = "\ufeff"
_WINDOWS_1252: Final = bytes(set(range(256)) - {0x81, 0x8D, 0x8F, 0x90, 0x9D})  # octets that it has a meaning for

# Charsets whose octets change meaning by what precedes them in the text: pieces may not be joined before decoding.
_STATEFUL: Final = frozenset({"hz", "iso-2022-jp", "iso2022_kr", "utf-16", "utf-32", "utf-7"})


def decode_charset(octets: Octets, label: str | None, defects: list[str]) -> str:
    """The text of `octets` in the charset `label` (None or "": not told); a leading byte order mark is taken off.

    Never raises and never returns a surrogate; what had to be guessed or given up is noted in `defects`.
    """
    names = codecs_of(label) if label else None
    if names is not None and names[0] in _DIRECT:  # the first of `readings`, as in nearly all mail, for less
        try:
            text = octets.decode(_DIRECT[names[0]])
            return text.removeprefix(_BOM) if names == _UTF8 else text
        except UnicodeDecodeError:
            pass
    for reading in readings(octets, label):
        try:
            text = read(octets, reading)
        except UnicodeDecodeError:
            continue
        for defect in reading.defects:
            note(defects, defect)
        return text
    raise AssertionError("the last reading takes any octets")


def readings(octets: Octets, label: str | None) -> Iterator[Reading]:
    """The ways to read `octets` in the charset `label`, best first: the first one without an error counts.

    The last one has none, whatever the octets are.
    """
    if not label:
        yield from _unlabelled(octets)
        return
    names = codecs_of(label)
    if names is None:
        # `unknown-8bit` (RFC 1428) and `x-user-defined` come here too: they say that the sender did not know.
        yield _STRICT["ascii"]
        yield Reading("utf-8", False, (UNKNOWN_CHARSET,))
        yield _guess(octets, UNKNOWN_CHARSET)
        return
    name = names[0]
    if name == "utf-8":
        yield _STRICT["utf-8"]
        yield _guess(octets, WRONG_CHARSET)
    elif name == "ascii":
        yield _STRICT["ascii"]
        yield Reading("utf-8", False, (WRONG_CHARSET,))
        yield _guess(octets, WRONG_CHARSET)
    elif name == "iso-8859-1":
        # QUIRK: Outlook labels windows-1252 as ISO-8859-1; nobody means its C1 controls (WHATWG Encoding 4.2).
        yield _STRICT["cp1252"]
        yield _STRICT["latin-1"]  # for one of the five octets that windows-1252 leaves free
    elif name.startswith("utf-"):
        yield from _unicode(octets, name)
    elif name == "iso-2022-jp":
        yield from _iso_2022_jp(octets)
    else:
        for name in names:
            yield _STRICT[name]
        # QUIRK: PHP scripts keep the label of a template and fill it with UTF-8.
        yield Reading("utf-8", False, (WRONG_CHARSET,))
        yield Reading(names[0], True, (UNDECODABLE_CHARSET,))


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


def _unlabelled(octets: Octets) -> Iterator[Reading]:
    if octets.startswith(_UTF_16_BOMS):
        for reading in _unicode(octets, "utf-16"):
            yield reading._replace(defects=(MISSING_CHARSET, *reading.defects))
        return
    yield _STRICT["utf-8"]
    yield _guess(octets, MISSING_CHARSET)


def _guess(octets: Octets, defect: str) -> Reading:
    """Octets that are not UTF-8 are windows-1252, unless they seem to be UTF-8 after all.

    Text that was cut in the middle of a character, or has a stray octet, is still UTF-8: the reading that explains more
    of the octets counts.
    """
    characters, lost = weigh_utf8(octets)
    if characters > lost:
        return Reading("utf-8", True, (defect, UNDECODABLE_CHARSET))
    if octets.translate(None, _WINDOWS_1252):
        return Reading("cp1252", True, (defect, UNDECODABLE_CHARSET))
    return Reading("cp1252", True, (defect,))


def _unicode(octets: Octets, name: str) -> Iterator[Reading]:
    if name.startswith("utf-16") and octets.startswith(_UTF_16_BOMS):
        # WHATWG Encoding 6.1: the mark beats the label.
        name = "utf-16-le" if octets.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    elif name == "utf-16":
        # RFC 2781 4.3 says big endian. QUIRK: Windows programs send little endian without a mark; the zeros of
        # Latin text tell.
        zeros_first, zeros_second = octets[0:4096:2].count(0), octets[1:4096:2].count(0)
        name = "utf-16-le" if zeros_second > zeros_first else "utf-16-be"
    elif name == "utf-32":
        big_endian = octets.startswith(b"\0") and not octets.startswith(codecs.BOM_UTF32_LE)
        name = "utf-32-be" if big_endian else "utf-32-le"
    yield Reading(name)
    yield Reading(name, True, (UNDECODABLE_CHARSET,))


def _iso_2022_jp(octets: Octets) -> Iterator[Reading]:
    for name in ("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_2"):
        yield Reading(name)
    if octets.isascii():
        # QUIRK: Outlook sends NEC row 13 (the numero sign, circled digits), which JIS X 0208 lacks and cp932 has.
        yield Reading(JIS)
        yield Reading("iso2022_jp", True, (UNDECODABLE_CHARSET,))
    else:
        yield Reading("utf-8", False, (WRONG_CHARSET,))
        yield _guess(octets, WRONG_CHARSET)
