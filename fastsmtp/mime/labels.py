"""Charset labels -> the codecs that they stand for.

Labels go through one allow-list, never straight to `codecs`: Python has codecs that are not charsets (rot13, zlib,
idna, unicode_escape). Names and supersets are those of the WHATWG Encoding standard, which is what senders mean: a
label names the smallest charset of a family, the octets come from the largest. Beyond it, mail has UTF-7, UTF-32,
ISO-2022-KR, HZ, EBCDIC, code pages of DOS and of the Macintosh, and the names that PHP and Windows give to charsets.
(The package webencodings knows the labels of the standard alone: not half of these, and they are all here.)

Only letters and digits of a label count, so that a hyphen too many or too few makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

# codec -> labels. `windows:1251` stands for all the ways to name a code page of Windows, `dos:850` for those of DOS,
# `iso:2` for those of a part of ISO 8859.
LABELS: Final[dict[str, str]] = {
    "ascii": "us-ascii ascii ansi_x3.4-1968 ansi_x3.4-1986 iso-ir-6 iso646-us iso_646.irv:1991 cp367 ibm367 us csascii "
    "iso-646 iso646 646 7bit cp20127",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5 big5-eten big5-tw windows:950 x-mac-chinesetrad cp10002 "
    "cp951 big5-2003 csbig5hkscs",
    "cp037": "dos:037 dos:37 ebcdic-cp-us ebcdic-cp-ca ebcdic-cp-wt ebcdic-cp-nl csibm037 ebcdic-us",
    "cp1026": "dos:1026 csibm1026",
    "cp1047": "dos:1047 open-systems-latin1 latin1/open-systems cp20924",
    "cp1140": "dos:1140 ccsid01140 cp01140 ibm01140 ebcdic-us-37+euro csibm01140",
    "cp273": "dos:273 csibm273 cp20273 ebcdic-cp-at ebcdic-cp-de",
    "cp424": "dos:424 ebcdic-cp-he csibm424",
    "cp500": "dos:500 ebcdic-cp-be ebcdic-cp-ch csibm500 ebcdic-international",
    "cp875": "dos:875 ebcdic-cp-gr",
    "cp437": "dos:437 cspc8codepage437",
    "cp720": "dos:720",
    "cp737": "dos:737",
    "cp775": "dos:775 cspc775baltic",
    "cp850": "dos:850 cspc850multilingual",
    "cp852": "dos:852 cspcp852",
    "cp855": "dos:855 csibm855",
    "cp857": "dos:857 csibm857",
    "cp858": "dos:858 ibm00858 ccsid00858 cp00858 pc-multilingual-850+euro",
    "cp860": "dos:860 csibm860",
    "cp861": "dos:861 cp-is csibm861",
    "cp862": "dos:862 cspc862latinhebrew",
    "cp863": "dos:863 csibm863",
    "cp864": "dos:864 csibm864",
    "cp865": "dos:865 csibm865",
    "cp866": "dos:866 csibm866",
    "cp1125": "dos:1125 cp866u",
    "cp869": "dos:869 cp-gr csibm869",
    "cp874": "windows:874 iso:11 tis-620 tis-620-2533 iso-ir-166 cstis620 x-mac-thai cp10021",
    "cp932": "shift_jis sjis ms_kanji csshiftjis windows-31j windows:932 cswindows31j sjis-win sjis-ms x-ms-cp932 "
    "cp943 cp943c ibm943 x-ibm943c x-mac-japanese cp10001 sjis-mac sjis-mobile",
    "cp949": "euc-kr cseuckr ks_c_5601-1987 ks_c_5601-1989 ks_c_5601 ksc5601 ksx1001 ks_x_1001 csksc56011987 "
    "iso-ir-149 korean windows:949 uhc cp51949 cp20949 x-mac-korean cp10003",
    "cp1250": "windows:1250 ms-ee",
    "cp1251": "windows:1251 ms-cyrl",
    "cp1252": "windows:1252 ms-ansi ansi",
    "cp1253": "windows:1253 ms-greek",
    "cp1254": "windows:1254 ms-turk iso:9 latin5 l5 iso-ir-148 csisolatin5 cp28599",
    "cp1255": "windows:1255 ms-hebr",
    "cp1256": "windows:1256 ms-arab",
    "cp1257": "windows:1257 winbaltrim",
    "cp1258": "windows:1258",
    "euc_jis_2004": "euc-jisx0213 euc-jis-2004",
    "euc_jp": "euc-jp x-euc cseucpkdfmtjapanese eucjp-win eucjp-ms eucjp-open ujis cp51932 cp20932",
    "gb18030": "gb2312 gb_2312-80 gb2312-80 gbk gb18030 gb18030-2000 gb18030-2005 gb18030-2022 windows:936 chinese "
    "csgb2312 csgb18030 csgbk csiso58gb231280 iso-ir-58 euc-cn cn-gb cp54936 cp20936 cp51936 x-mac-chinesesimp cp10008",
    "hp_roman8": "hp-roman8 roman8 r8 cshproman8",
    "hz": "hz-gb-2312 hz cp52936",
    "iso-2022-jp": "iso-2022-jp csiso2022jp iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-3 iso-2022-jp-2004 iso-2022-jp-ms "
    "iso-2022-jp-ext csiso2022jp2 cp50220 cp50220raw cp50221 cp50222 jis jis-ms jis7 junet iso-2022-jp-kddi "
    "iso-2022-jp-mobile",
    "iso-8859-1": "iso:1 latin1 l1 iso-ir-100 csisolatin1 cp819 ibm819 cp28591 isolatin1",
    "iso2022_kr": "iso-2022-kr csiso2022kr cp50225",
    "iso8859_2": "iso:2 latin2 l2 iso-ir-101 csisolatin2 cp28592 isolatin2",
    "iso8859_3": "iso:3 latin3 l3 iso-ir-109 csisolatin3 cp28593",
    "iso8859_4": "iso:4 latin4 l4 iso-ir-110 csisolatin4 cp28594",
    "iso8859_5": "iso:5 cyrillic iso-ir-144 csisolatincyrillic cp28595",
    "iso8859_6": "iso:6 iso-8859-6-e iso-8859-6-i arabic asmo-708 ecma-114 iso-ir-127 csisolatinarabic csiso88596e "
    "csiso88596i cp28596 dos-708",
    "iso8859_7": "iso:7 greek greek8 ecma-118 elot_928 sun_eu_greek iso-ir-126 csisolatingreek cp28597",
    "iso8859_8": "iso:8 iso-8859-8-e iso-8859-8-i hebrew visual logical iso-ir-138 csisolatinhebrew csiso88598e "
    "csiso88598i cp28598 cp38598",
    "iso8859_10": "iso:10 latin6 l6 iso-ir-157 csisolatin6",
    "iso8859_13": "iso:13 latin7 l7 cp28603",
    "iso8859_14": "iso:14 latin8 l8 iso-celtic iso-ir-199",
    "iso8859_15": "iso:15 latin9 l9 csisolatin9 cp28605 latin0 iso-ir-203",
    "iso8859_16": "iso:16 latin10 l10 iso-ir-226",
    "johab": "johab cp1361 ms1361",
    "koi8_r": "koi8-r koi8 koi cskoi8r cp20866",
    "koi8_t": "koi8-t",
    "koi8_u": "koi8-u koi8-ru cskoi8u cp21866",
    "kz1048": "kz-1048 strk1048-2002 rk1048 cskz1048",
    "mac_arabic": "x-mac-arabic macarabic cp10004",
    "mac_croatian": "x-mac-croatian maccroatian cp10082",
    "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian maccyrillic macukraine cp10007 cp10017",
    "mac_farsi": "x-mac-farsi macfarsi",
    "mac_greek": "x-mac-greek macgreek cp10006",
    "mac_iceland": "x-mac-icelandic x-mac-iceland maciceland cp10079",
    "mac_latin2": "x-mac-ce macce x-mac-centraleurroman maccentraleurope cp10029 x-mac-centraleurope",
    "mac_roman": "macintosh mac x-mac-roman macroman csmacintosh cp10000",
    "mac_romanian": "x-mac-romanian x-mac-romania macromania cp10010",
    "mac_turkish": "x-mac-turkish macturkish cp10081",
    "ptcp154": "ptcp154 csptcp154 pt154 cp154 cyrillic-asian",
    "shift_jis_2004": "shift_jis_2004 shift_jisx0213 sjis-2004",
    "utf-16": "utf-16 unicode ucs-2 iso-10646-ucs-2 csunicode csutf16 unicode-2-0",
    "utf-16-be": "utf-16be unicodefffe ucs-2be cp1201 csutf16be unicodebig unicodebigunmarked",
    "utf-16-le": "utf-16le unicodefeff ucs-2le cp1200 csutf16le unicodelittle unicodelittleunmarked",
    "utf-32": "utf-32 ucs-4 iso-10646-ucs-4 csutf32 csucs4",
    "utf-32-be": "utf-32be ucs-4be cp12001 csutf32be",
    "utf-32-le": "utf-32le ucs-4le cp12000 csutf32le",
    "utf-7": "utf-7 unicode-1-1-utf-7 csunicode11utf7 cp65000 csutf7",
    "utf-8": "utf-8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8 unicode-2-0-utf-8 utf-8-sig utf8mb3 "
    "utf8mb4 cp65001 65001 csutf8 utf-8n utf-8-mac utf-8-mobile wtf-8 cesu-8 csesu8",
    "viscii": "viscii viscii1.1-1 csviscii x-viet-viscii",
}
_FAMILIES: Final = {
    "windows": "windows-{} win-{} cp{} ms{} ms-cp{} microsoft-cp{} windows-cp{} ansi-{} ansi-cp{} codepage-{} dos-{} "
    "ibm{} {}",
    "dos": "cp{} ibm{} ibm-cp{} dos-{} ms-dos-{} oem-{} pc{} codepage-{} {}",
    "iso": "iso-8859-{} iso-8859{} 8859-{} is-8859-{}",
}


def key_of(label: str) -> str:
    """Return what counts of a label in lower case: its letters and digits."""
    return _SIGNS.sub("", label)


def spellings(label: str) -> Iterator[str]:
    """Return every way to write a label of LABELS: `windows:1251` is `cp1251`, `win-1251` and more."""
    family, colon, number = label.partition(":")
    if colon and family in _FAMILIES:
        for spelling in _FAMILIES[family].split():
            yield spelling.format(number)
    else:
        yield label


_SIGNS: Final = re.compile(r"[^a-z0-9]+")
CODEC_OF_KEY: Final = {
    key_of(spelling): codec
    for codec, labels in LABELS.items()
    for label in labels.split()
    for spelling in spellings(label)
}
CODECS: Final = tuple(LABELS)
_LABEL_LENGTH: Final = 64  # characters; no known label is longer
_START: Final = re.compile(r"(?:charset[ \t]*[=:])?[^a-z0-9]*")
_JUNK: Final = re.compile(r"[^a-z0-9_.:+ -].*", re.DOTALL)
_YEAR: Final = re.compile(r"[:_ -](?:19|20)[0-9][0-9](?![0-9]).*", re.DOTALL)
_SHORTEST: Final = 4  # characters of a label that may have other letters behind it: "utf8"


def codec_of(label: str) -> str | None:
    """The codec that stands for a charset label; None for a label that is not known.

    It is a name that Python knows, or one of `mime.reading`.
    """
    return _cached_codec(label) if len(label) <= _LABEL_LENGTH else None


@lru_cache(maxsize=256)
def _cached_codec(label: str) -> str | None:
    label = label.lower()
    label = label[_START.match(label).end() :]  # type: ignore[union-attr]  # it matches nothing, too
    # QUIRK: `utf-8;`, `"utf-8" (x)`, `ISO_8859-15:1998`, and `x-windows-1251` of Java's mail libraries,
    # `en_US.UTF-8`.
    bare = _JUNK.sub("", label)
    for text in (label, bare, _YEAR.sub("", bare), bare.rpartition(".")[2]):
        key = key_of(text)
        for spelling in (key, key.removeprefix("x"), key.removeprefix("cs")):
            if spelling in CODEC_OF_KEY:
                return CODEC_OF_KEY[spelling]
    return _codec_before_junk(key_of(bare).removeprefix("x"))


def _codec_before_junk(key: str) -> str | None:
    """QUIRK: scripts that put HTML together wrongly send `windows-1252http-equivContent-Type`."""
    for end in range(len(key) - 1, _SHORTEST - 1, -1):
        codec = CODEC_OF_KEY.get(key[:end])
        # With a digit in it, so that no word is taken for a charset; with all of its digits.
        if codec is not None and not key[end].isdigit() and any(map(str.isdigit, key[:end])):
            return codec
    return None
