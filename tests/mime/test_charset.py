"""Octets and labels -> text."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.mime.charset import _CODECS, codecs_of, decode_charset, is_joinable
from fastsmtp.mime.defects import MEANINGS, MISSING_CHARSET, UNDECODABLE_CHARSET, UNKNOWN_CHARSET, WRONG_CHARSET
from fastsmtp.mime.reading import decode_replacing

GOOD = {
    "ascii": (b"abc", "us-ascii", "abc"),
    "utf-8": (b"\xc3\xa9", "UTF-8", "é"),
    "utf-8 without hyphen": (b"\xc3\xa9", "utf8", "é"),
    "quotes and blanks around the label": (b"\xc3\xa9", " 'UTF-8' ", "é"),
    "byte order mark": (b"\xef\xbb\xbfabc", "utf-8", "abc"),
    "latin-1": (b"\xe9", "ISO-8859-1", "é"),
    "latin-1 is windows-1252": (b"\x93x\x94 \x80", "iso-8859-1", "“x” €"),
    "latin-1 with a free octet": (b"\x81\xe9", "latin1", "\x81é"),
    "latin-9": (b"\xa4", "iso-8859-15", "€"),
    "turkish": (b"\xfd", "iso-8859-9", "ı"),
    "koi8-r": (b"\xf6", "KOI8-R", "Ж"),
    "cyrillic": (b"\xc6", "cp1251", "Ж"),
    "thai": (b"\xa1", "tis-620", "ก"),
    "dos": (b"\x82", "ibm850", "é"),
    "mac": (b"\x8e", "macintosh", "é"),
    "gb2312 is gb18030": (b"\xd6\xd0\x81\x30\x81\x30", "gb2312", "中\x80"),
    "gbk": (b"\x80\xd6\xd0"[1:], "GBK", "中"),
    "korean": (b"\xb0\xa1\x81\x41", "ks_c_5601-1987", "가갂"),
    "euc-kr is cp949": (b"\x81\x41", "euc-kr", "갂"),
    "shift_jis is cp932": (b"\x87\x40\x93\xfa", "Shift_JIS", "①日"),
    "big5": (b"\xa4\xa4", "big5", "中"),
    "big5 with hong kong": (b"\x87\x40", "big5", "䏰"),
    "big5 with the euro sign of windows": (b"\xa3\xe1", "big5", "€"),
    "euc-jp": (b"\xc6\xfc", "euc-jp", "日"),
    "euc-jp with nec row 13": (b"\xad\xa1", "euc-jp", "①"),
    "iso-2022-jp": (b"\x1b$BF|\x1b(B!", "iso-2022-jp", "日!"),
    "iso-2022-jp with nec row 13": (b"\x1b$B'('%-b\x1b(B41", "iso-2022-jp", "ЖД№41"),
    "iso-2022-jp with katakana and more": (b"\x1b(I1\x1b$B-!\x1b(Jx", "iso-2022-jp", "ｱ①x"),
    "iso-2022-kr": (b"\x1b$)C\x0e0!\x0f", "iso-2022-kr", "가"),
    "hz": (b"~{VP~}", "hz-gb-2312", "中"),
    "utf-7": (b"Gr+APwA3w-e", "UTF-7", "Grüße"),
    "utf-16 with mark, big": (b"\xfe\xff\0a", "utf-16", "a"),
    "utf-16 with mark, little": (b"\xff\xfea\0", "utf-16", "a"),
    "the mark beats the label": (b"\xff\xfea\0", "utf-16be", "a"),
    "utf-16 without mark, big": (b"\0a\0b", "utf-16", "ab"),
    "utf-16 without mark, little": (b"a\0b\0", "utf-16", "ab"),
    "utf-16 without any sign": (b"\x4e\x2d", "utf-16", "中"),
    "utf-16le": (b"\x2d\x4e", "utf-16le", "中"),
    "utf-32": (b"\0\0\0a", "utf-32", "a"),
    "utf-32 with mark": (b"\xff\xfe\0\0a\0\0\0", "utf-32", "a"),
    "x- prefix": (b"\xc6", "x-windows-1251", "Ж"),
    "underscores": (b"\xc6", "windows_1251", "Ж"),
    "no label, ascii": (b"abc", None, "abc"),
    "no label, utf-8": ("é☃".encode(), None, "é☃"),
    "no label, utf-8 with mark": (b"\xef\xbb\xbf\xc3\xa9", "", "é"),
    "unknown label, ascii": (b"abc", "x-nonsense-42", "abc"),
    "nothing": (b"", "utf-16", ""),
}


@pytest.mark.parametrize(("octets", "label", "text"), GOOD.values(), ids=GOOD)
def test_right(octets: bytes, label: str | None, text: str) -> None:
    for buffer in (octets, bytearray(octets)):
        defects: list[str] = []
        assert (decode_charset(buffer, label, defects), defects) == (text, [])


WRONG = {
    "ascii is utf-8": ("é".encode(), "us-ascii", "é", [WRONG_CHARSET]),
    "ascii is windows-1252": (b"\xe9 \x80", "ascii", "é €", [WRONG_CHARSET]),
    "utf-8 is windows-1252": (b"caf\xe9", "utf-8", "café", [WRONG_CHARSET]),
    "utf-8 cut": ("äöü€".encode()[:-1], "utf-8", "äöü\ufffd", [WRONG_CHARSET, UNDECODABLE_CHARSET]),
    "no meaning at all": (b"\x81", "utf-8", "\ufffd", [WRONG_CHARSET, UNDECODABLE_CHARSET]),
    "shift_jis is utf-8": ("日本".encode(), "iso-2022-jp", "日本", [WRONG_CHARSET]),
    "gb2312 is utf-8": ("é中".encode(), "gb2312", "é中", [WRONG_CHARSET]),
    "gb2312 cut": (b"\xd6\xd0\xd6", "gb2312", "中\ufffd", [UNDECODABLE_CHARSET]),
    "single octets without meaning": (b"\xa1\xd2", "iso-8859-3", "Ħ\xd2", []),
    "koi8 has them all": (b"\xff", "koi8-r", "Ъ", []),
    "windows-1252 free octet": (b"\xe9\x81", "windows-1252", "é\ufffd", [UNDECODABLE_CHARSET]),
    "utf-16 cut": (b"\0a\0", "utf-16be", "a\ufffd", [UNDECODABLE_CHARSET]),
    "utf-7 surrogate": (b"+2AA-a", "utf-7", "\ufffda", [UNDECODABLE_CHARSET]),
    "utf-7 8-bit": (b"a\xe9", "utf-7", "a\ufffd", [UNDECODABLE_CHARSET]),
    "iso-2022-jp without meaning": (b"\x1b$B~~\x1b(Bx", "iso-2022-jp", "\ufffdx", [UNDECODABLE_CHARSET]),
    "unknown, utf-8": ("é".encode(), "x-no", "é", [UNKNOWN_CHARSET]),
    "unknown, windows-1252": (b"\xe9", "unknown-8bit", "é", [UNKNOWN_CHARSET]),
    "user defined": (b"\xe9", "x-user-defined", "é", [UNKNOWN_CHARSET]),
    "endless label": (b"\xe9", "x" * 100_000, "é", [UNKNOWN_CHARSET]),
    "no label, windows-1252": (b"\xe9", None, "é", [MISSING_CHARSET]),
    "no label, utf-16": (b"\xff\xfe\xe9\0", None, "é", [MISSING_CHARSET]),
}


@pytest.mark.parametrize(("octets", "label", "text", "noted"), WRONG.values(), ids=WRONG)
def test_wrong(octets: bytes, label: str | None, text: str, noted: list[str]) -> None:
    defects: list[str] = []
    assert (decode_charset(octets, label, defects), defects) == (text, noted)


NOT_CHARSETS = ["rot13", "rot_13", "zlib", "bz2", "hex", "base64", "uu", "quopri", "idna", "punycode", "unicode_escape"]


@pytest.mark.parametrize(
    "label", [*NOT_CHARSETS, "raw_unicode_escape", "undefined", "mbcs", "oem", "charmap", "../x", "a\0b"]
)
def test_codecs_that_are_no_charsets(label: str) -> None:
    assert codecs_of(label) is None
    assert decode_charset(b"nop+\\u0041", label, []) == "nop+\\u0041"


@pytest.mark.parametrize("names", sorted(set(_CODECS.values())))
def test_every_codec_exists(names: tuple[str, ...]) -> None:
    for name in names:
        assert codecs.lookup(name).name


@pytest.mark.parametrize(
    ("label", "joinable"),
    [
        ("utf-8", True),
        ("GB2312", True),
        ("x-nonsense", True),
        ("utf-7", False),
        ("UTF-16", False),
        ("iso-2022-jp", False),
    ],
)
def test_is_joinable(label: str, joinable: bool) -> None:
    assert is_joinable(label) is joinable


@given(st.binary(max_size=60), st.one_of(st.none(), st.text(max_size=12), st.sampled_from(sorted(_CODECS))))
def test_any_octets(octets: bytes, label: str | None) -> None:
    defects: list[str] = []
    text = decode_charset(octets, label, defects)
    text.encode()  # no surrogates: it can become JSON
    assert set(defects) <= set(MEANINGS)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60), st.sampled_from(sorted(_CODECS)))
def test_what_python_encodes_comes_back(text: str, label: str) -> None:
    """As far as the charset can say it: text that its codec encodes is decoded to the same."""
    names = codecs_of(label)
    assert names is not None
    codec = {"iso-8859-1": "cp1252", "iso-2022-jp": "iso2022_jp"}.get(names[0], names[0])
    if names[0] in ("utf-16", "utf-32"):
        codec = f"{names[0]}-be"
        text = "x" + text  # the sign of big endian, without a mark
    text = text.encode(codec, "ignore").decode(codec)
    octets = text.encode(codec)
    if octets.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return
    defects: list[str] = []
    assert decode_charset(octets, label, defects) == text
    assert defects == []


@pytest.mark.parametrize("name", sorted({names[0] for names in _CODECS.values() if not names[0].startswith("utf-")}))
def test_replacing_by_table_is_what_the_codec_does(name: str) -> None:
    octets = bytes(range(256)) + b"".join(bytes((first, 0x81)) for first in range(256))
    assert decode_replacing(octets, name) == octets.decode(name, "replace")
