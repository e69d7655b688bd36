"""Charset labels, as registered and as they are sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.mime.labels import CODECS, LABELS, codec_of, key_of, spellings

SPELLINGS = {
    "ascii": ["us-ascii", "ASCII", "ANSI_X3.4-1968", "cp20127", "us-ascii\0"],
    "big5hkscs": ["big5", "Big5-HKSCS", "big-5", "cp950", "x-mac-chinesetrad"],
    "cp037": ["IBM037", "ibm-037", "cp037", "ebcdic-cp-us"],
    "cp1047": ["IBM1047", "ibm-1047", "cp1047", "Open-Systems-Latin1", "IBM1047_LF"],
    "cp1140": ["IBM01140", "ccsid01140"],
    "cp500": ["IBM500"],
    "cp850": ["ibm850", "cp-850", "DOS-850"],
    "cp874": ["TIS-620", "iso-8859-11", "windows-874", "x-mac-thai"],
    "cp932": ["shift_jis", "sjis", "sjis-win", "SJIS-Mobile#DOCOMO", "Windows-31J", "x-mac-japanese"],
    "cp949": ["euc-kr", "ks_c_5601-1987", "ks_c_5601-1987;", "x-windows-949", "UHC"],
    "cp1250": ["windows-1250", "ansi_1250"],
    "cp1251": ["windows-1251", "windows1251", "win-1251", "cp1251", "cp-1251", "CP1251;", "x-cp1251", "1251"],
    "cp1252": ["windows-1252", "windows-1252http-equivContent-Type", "x-windows-1252"],
    "euc_jis_2004": ["euc-jisx0213"],
    "euc_jp": ["euc-jp", "eucJP-win", "eucjp", "CP51932", "eucJP-ms", "euc_jp"],
    "gb18030": ["gb2312", "GB2312_CHARSET", "gb_2312-80", "gbk", "cp936", "EUC-CN", "gb 2312", "GB18030-2022"],
    "iso-2022-jp": ["iso-2022-jp", "ISO-2022-JP-MS", "JIS", "CP50221"],
    "iso-8859-1": [
        "iso-8859-1", "iso8859-1", "iso-88591", "iso88591", "ISO_8859-1:1987", "ISO-8859-1-1987", "latin1", "Latin 1",
        "8859_1", "iso-8859-1-windows-3.1-latin-1", "iso-8859-1,", "x-iso-8859-1",
    ],
    "iso8859_2": ["iso-8859-2", "iso8859_2", "ISO_8859-2:1987"],
    "iso8859_15": ["iso-8859-15", "iso-8859-15:1998", "iso-885915", "en_US.ISO8859-15"],
    "koi8_r": ["koi8-r", "KOI8R", "koi-8-r", "cskoi8r"],
    "koi8_u": ["koi8-u", "koi8u"],
    "mac_arabic": ["x-mac-arabic"],
    "mac_croatian": ["x-mac-croatian"],
    "mac_cyrillic": ["x-mac-cyrillic", "x-mac-ukrainian"],
    "mac_farsi": ["x-mac-farsi"],
    "mac_greek": ["x-mac-greek", "macgreek", "cp10006"],
    "mac_iceland": ["x-mac-icelandic"],
    "mac_latin2": ["x-mac-ce", "x-mac-centraleurroman"],
    "mac_roman": ["macintosh", "x-mac-roman", "mac-roman", "MacRoman"],
    "mac_romanian": ["x-mac-romanian"],
    "mac_turkish": ["x-mac-turkish"],
    "shift_jis_2004": ["shift_jis_2004", "Shift_JISX0213"],
    "utf-16": ["utf-16", "UTF16", "unicode", "ucs-2"],
    "utf-16-le": ["utf-16le", "UTF-16 LE", "ucs-2le"],
    "utf-7": ["utf-7", "unicode-1-1-utf-7"],
    "utf-8": [
        "utf-8", "utf8", "UTF_8", "utf 8", "utf--8", "utf-8-", '"utf-8"', " 'UTF-8' ", "utf-8;", "utf-8, us-ascii",
        "utf-8 (unicode)", "charset=utf-8", "charset: utf-8", "‘utf-8’", "utf8mb4", "x-utf-8", "C.UTF-8", "utf-8\r\n",
        "utf-8http-equiv", "utf-8>", "unicode-1-1-utf-8", "65001",
    ],
    "viscii": ["VISCII", "VISCII1.1-1"],
}  # fmt: skip


@pytest.mark.parametrize("codec", SPELLINGS)
def test_spellings_of_a_label(codec: str) -> None:
    assert {label: codec_of(label) for label in SPELLINGS[codec]} == dict.fromkeys(SPELLINGS[codec], codec)


UNKNOWN = [
    "",
    "x",
    "utf",
    "utf-9",
    "utf-8859-1",
    "iso-8859-99",
    "windows-12521",
    "unknown-8bit",
    "x-user-defined",
    "-;",
]


@pytest.mark.parametrize("label", [*UNKNOWN, "iso-2022-cn", "x-nonsense-42", "cp9999", "utf-8" * 20, "korean1x"])
def test_labels_that_are_not_known(label: str) -> None:
    assert codec_of(label) is None


def test_no_label_stands_for_two_charsets() -> None:
    seen: dict[str, str] = {}
    for codec, labels in LABELS.items():
        for label in labels.split():
            for spelling in spellings(label):
                assert seen.setdefault(key_of(spelling), codec) == codec


@given(st.text(max_size=80))
def test_any_label(label: str) -> None:
    assert codec_of(label) in (None, *CODECS)
