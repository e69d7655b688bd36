"""Octets and labels -> text."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.mime.charset import decode_charset, is_joinable, is_utf8
from fastsmtp.mime.defects import MEANINGS, MISSING_CHARSET, UNDECODABLE_CHARSET, UNKNOWN_CHARSET, WRONG_CHARSET
from fastsmtp.mime.labels import CODEC_OF_KEY, CODECS, codec_of
from fastsmtp.mime.reading import WITHOUT_CODEC, decode_replacing

GOOD = {
    "ascii": (b"abc", "us-ascii", "abc"),
    "utf-8": (b"\xc3\xa9", "UTF-8", "é"),
    "utf-8 without hyphen": (b"\xc3\xa9", "utf8", "é"),
    "quotes and blanks around the label": (b"\xc3\xa9", " 'UTF-8' ", "é"),
    "byte order mark": (b"\xef\xbb\xbfabc", "utf-8", "abc"),
    "latin-1": (b"\xe9", "ISO-8859-1", "é"),
    "latin-1 is windows-1252": (b"\x93x\x94 \x80", "iso-8859-1", "“x” €"),
    "latin-1 with a free octet": (b"\x81\xe9", "latin1", "\x81é"),
    "latin-1 with a free octet and quotes": (b"\x93\x81\x94", "latin1", "“\x81”"),
    "latin-9": (b"\xa4", "iso-8859-15", "€"),
    "turkish": (b"\xfd", "iso-8859-9", "ı"),
    "koi8-r": (b"\xf6", "KOI8-R", "Ж"),
    "cyrillic": (b"\xc6", "cp1251", "Ж"),
    "thai": (b"\xa1", "tis-620", "ก"),
    "dos": (b"\x82", "ibm850", "é"),
    "mac": (b"\x8e", "macintosh", "é"),
    "gb2312 is gb18030": (b"\xd6\xd0\x81\x30\x81\x30", "gb2312", "中\x80"),
    "gbk with the euro sign of windows": (b"\x80\xd6\xd0\x81\x80", "GBK", "€中亐"),
    "gb18030 with the euro sign of windows": (b"\x80\x81\x30\x81\x30", "gb18030", "€\x80"),
    "korean": (b"\xb0\xa1\x81\x41", "ks_c_5601-1987", "가갂"),
    "euc-kr is cp949": (b"\x81\x41", "euc-kr", "갂"),
    "shift_jis is cp932": (b"\x87\x40\x93\xfa", "Shift_JIS", "①日"),
    "big5": (b"\xa4\xa4", "big5", "中"),
    "big5 with hong kong": (b"\x87\x40", "big5", "䏰"),
    "big5 with both": (b"\x9d\xef\xa3\xe1\x88\x62", "big5", "嘅€Ê̄"),
    "big5 with the euro sign of windows": (b"\xa3\xe1", "big5", "€"),
    "euc-jp": (b"\xc6\xfc", "euc-jp", "日"),
    "euc-jp with nec row 13": (b"\xad\xa1", "euc-jp", "①"),
    "euc-jp with kanji of ibm": (b"\xfc\xe2\xb6\xb6 \xf9\xa1", "euc-jp", "髙橋 纊"),
    "euc-jp with all there is": (b"\xad\xa1\x8f\xb0\xa1\x8e\xb1\xa9\xa1", "euc-jp", "①丂ｱ€"),
    "euc-jp of jis x 0213": (b"\xfc\xe2", "euc-jisx0213", "郄"),
    "shift_jis with kanji of nec and ibm": (b"\xee\xe0\xfb\xfc\xb1", "Shift_JIS", "髙髙ｱ"),
    "shift_jis with jis x 0213": (b"\x87\x40\x85\x5f", "Shift_JIS", "①É"),
    "shift_jis of jis x 0213": (b"\x85\x5f", "Shift_JIS-2004", "É"),
    "iso-2022-jp": (b"\x1b$BF|\x1b(B!", "iso-2022-jp", "日!"),
    "iso-2022-jp with nec row 13": (b"\x1b$B'('%-b\x1b(B41", "iso-2022-jp", "ЖД№41"),
    "iso-2022-jp with katakana and more": (b"\x1b(I1\x1b$B-!\x1b(Jx", "iso-2022-jp", "ｱ①x"),
    "iso-2022-jp with jis x 0212 and nec row 13": (b"\x1b$(D0!\x1b$B-!\x1b(B", "iso-2022-jp", "丂①"),
    "iso-2022-jp with the revision of 1990": (b"\x1b&@\x1b$BF|-b\x1b(B", "iso-2022-jp", "日№"),
    "iso-2022-jp-2": (b"\x1b$AVP\x1b$(C0!\x1b.A\x1bNi\x1b(B", "iso-2022-jp-2", "中가é"),
    "iso-2022-jp with kanji of ibm": (b"\x1b$B|b\x1b(B", "iso-2022-jp", "髙"),
    "iso-2022-jp that is not shifted back": (b"\x1b$B-!\r\nabc", "iso-2022-jp", "①\r\nabc"),
    "iso-2022-jp with shifted katakana": (b"a\x0e12\x0fb", "JIS", "aｱｲb"),
    "viscii": (b"Vi\xaet", "viscii", "Việt"),
    "cp1047": (b"\xad\x81\xbd\x5f\xb0\xba\xbb\x15\x25", "IBM1047", "[a]^¬Ý¨\x85\n"),
    "ebcdic": (b"\xc8\x85\x93\x93\x96", "IBM037", "Hello"),
    "ebcdic in seven bits": (b"\x40\x5a", "ibm500", " ]"),
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
    "utf-8 with a stray octet": (b"Zo\xc3\xab b\xe1h", "utf-8", "Zoë b\ufffdh", [WRONG_CHARSET, UNDECODABLE_CHARSET]),
    "utf-8 with some stray octets": (
        b"\xc3\xab" + b"\xe1\x20" * 8,
        "utf-8",
        "ë" + "\ufffd " * 8,
        [WRONG_CHARSET, UNDECODABLE_CHARSET],
    ),
    "windows-1252 that looks like utf-8 once": (
        b"MEN\xdc\xab" + b"\xe4 " * 9,
        "utf-8",
        "MENÜ«" + "ä " * 9,
        [WRONG_CHARSET],
    ),
    "utf-8 cut in its only character": (b"5 \xe2\x82", "utf-8", "5 \ufffd", [WRONG_CHARSET, UNDECODABLE_CHARSET]),
    "utf-8 that lost something before": (
        b"\xef\xbf\xbd \xe1",
        "utf-8",
        "\ufffd \ufffd",
        [WRONG_CHARSET, UNDECODABLE_CHARSET],
    ),
    "utf-8 with surrogates": (b"\xed\xa0\xbd\xed\xb8\x80 caf\xc3\xa9", "utf-8", "😀 café", [WRONG_CHARSET]),
    "cesu-8": (b"\xed\xa0\xbd\xed\xb8\x80", "cesu-8", "😀", [WRONG_CHARSET]),
    "utf-8 with half of a pair": (
        b"\xc3\xa9\xed\xa0\xbd",
        "utf-8",
        "é\ufffd\ufffd\ufffd",
        [WRONG_CHARSET, UNDECODABLE_CHARSET],
    ),
    "ascii is utf-8 with a stray octet": (b"\xc3\xab\xe1", "us-ascii", "ë\ufffd", [WRONG_CHARSET, UNDECODABLE_CHARSET]),
    "ascii is not utf-8": (b"\xc3\xab \xe1 \xe1", "us-ascii", "Ã« á á", [WRONG_CHARSET]),
    "big5 with an octet of none": (b"\xa4\xa4\xff\xff\xa3\xe1\xa4<", "big5", "中\ufffd€\ufffd<", [UNDECODABLE_CHARSET]),
    "gbk with an octet of none": (b"\x80\xff\xd6\xd0", "gbk", "€\ufffd中", [UNDECODABLE_CHARSET]),
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
    "iso-2022-jp with a lone escape": (b"\x1b", "iso-2022-jp", "\ufffd", [UNDECODABLE_CHARSET]),
    "iso-2022-jp with an escape in text": (b"a\x1b[1m", "iso-2022-jp", "a\ufffd[1m", [UNDECODABLE_CHARSET]),
    "iso-2022-jp with an escape of nothing": (b"\x1b$BF|\x1bBa", "iso-2022-jp", "日\ufffdBa", [UNDECODABLE_CHARSET]),
    "iso-2022-jp with half of an escape": (b"\x1b$BF|\x1b(", "iso-2022-jp", "日\ufffd(", [UNDECODABLE_CHARSET]),
    "iso-2022-jp without meaning": (b"\x1b$B$~-!\x1b(Bx", "iso-2022-jp", "\ufffd①x", [UNDECODABLE_CHARSET]),
    "iso-2022-jp with a stray octet": (b"\x1b$B&\xc8", "iso-2022-jp", "\ufffd", [UNDECODABLE_CHARSET]),
    "iso-2022-jp with a stray octet at its end": (b"\x1b$B'&\xc8", "iso-2022-jp", "Е\ufffd", [UNDECODABLE_CHARSET]),
    "iso-2022-jp with stray octets between characters": (
        b"\xe9 \x1b$BF|\xff\xffK\\\x1b(B caf\xe9\xe1",
        "iso-2022-jp",
        "\ufffd 日\ufffd\ufffd本 caf\ufffd\ufffd",
        [UNDECODABLE_CHARSET],
    ),
    "iso-2022-jp with a stray octet for half of a character": (
        b"\x1b$BF\xfcK\\\x1b(B.",
        "iso-2022-jp",
        "\ufffd本.",
        [UNDECODABLE_CHARSET],
    ),
    "iso-2022-jp with nec row 13 and a stray octet": (b"\x1b$B-b\x1b(B\xe9", "jis", "№\ufffd", [UNDECODABLE_CHARSET]),
    "iso-2022-jp with shifted katakana and a stray octet": (
        b"\x0e1\xe92\x0f",
        "jis",
        "ｱ\ufffdｲ",
        [UNDECODABLE_CHARSET],
    ),
    "iso-2022-jp with a character of utf-8": (
        b"\x1b$BF|\x1b(B \xc3\xa9",
        "iso-2022-jp",
        "日 \ufffd\ufffd",
        [UNDECODABLE_CHARSET],
    ),
    "utf-8 with a character of iso-2022-jp": (
        "日本語".encode() * 9 + b"\x1b$BF|\x1b(B",
        "iso-2022-jp",
        "日本語" * 9 + "\x1b$BF|\x1b(B",
        [WRONG_CHARSET],
    ),
    "windows-1252 labelled as iso-2022-jp": (b"caf\xe9", "iso-2022-jp", "café", [WRONG_CHARSET]),
    "iso-2022-kr with stray octets": (
        b"\x1b$)C\x0eGQ\xe919\x0f \xe9>n",
        "iso-2022-kr",
        "한\ufffd국 \ufffd>n",
        [UNDECODABLE_CHARSET],
    ),
    "iso-2022-kr with a stray octet for half of a character": (
        b"\x1b$)C\x0eG\xd119\x0f",
        "iso-2022-kr",
        "\ufffd국",
        [UNDECODABLE_CHARSET],
    ),
    "iso-2022-kr cut": (b"\x1b$)C\x0eGQ19>", "iso-2022-kr", "한국\ufffd", [UNDECODABLE_CHARSET]),
    "iso-2022-kr with a character of utf-8": (
        b"\x1b$)C\x0eGQ\x0f \xc3\xa9",
        "iso-2022-kr",
        "한 \ufffd\ufffd",
        [UNDECODABLE_CHARSET],
    ),
    "iso-2022-kr is utf-8": ("한국".encode(), "iso-2022-kr", "한국", [WRONG_CHARSET]),
    "hz with stray octets": (b"~{VP\xe9ND~} \xe9.", "hz", "中\ufffd文 \ufffd.", [UNDECODABLE_CHARSET]),
    "hz with a stray octet for half of a character": (b"~{V\xd0ND~}", "hz", "\ufffd文", [UNDECODABLE_CHARSET]),
    "hz cut": (b"~{VPN", "hz", "中\ufffd", [UNDECODABLE_CHARSET]),
    "hz with a character of utf-8": (b"~{VP~} \xc3\xa9", "hz", "中 \ufffd\ufffd", [UNDECODABLE_CHARSET]),
    "hz is utf-8": ("中 ~".encode(), "hz", "中 ~", [WRONG_CHARSET]),
    "hz is ascii": (b"cd ~/x", "hz", "cd ~/x", [WRONG_CHARSET]),
    "unknown, utf-8": ("é".encode(), "x-no", "é", [UNKNOWN_CHARSET]),
    "unknown, windows-1252": (b"\xe9", "unknown-8bit", "é", [UNKNOWN_CHARSET]),
    "utf-16 that is ascii": (b"Test", "utf-16", "Test", [WRONG_CHARSET]),
    "unicode that is ascii": (b"Hi there, Joe!\r\n", "unicode", "Hi there, Joe!\r\n", [WRONG_CHARSET]),
    "utf-16le that is utf-8": ("Grüße an Zoë\r\n".encode(), "utf-16le", "Grüße an Zoë\r\n", [WRONG_CHARSET]),
    "utf-32 that is ascii": (b"Test", "utf-32", "Test", [WRONG_CHARSET]),
    "user defined": (b"\xe9", "x-user-defined", "é", [UNKNOWN_CHARSET]),
    "endless label": (b"\xe9", "x" * 100_000, "é", [UNKNOWN_CHARSET]),
    "no label, windows-1252": (b"\xe9", None, "é", [MISSING_CHARSET]),
    "no label, utf-8 with a stray octet": (
        b"Zo\xc3\xab b\xe1h",
        None,
        "Zoë b\ufffdh",
        [MISSING_CHARSET, UNDECODABLE_CHARSET],
    ),
    "no label, utf-16": (b"\xff\xfe\xe9\0", None, "é", [MISSING_CHARSET]),
}


@pytest.mark.parametrize(("octets", "label", "text", "noted"), WRONG.values(), ids=WRONG)
def test_wrong(octets: bytes, label: str | None, text: str, noted: list[str]) -> None:
    defects: list[str] = []
    assert (decode_charset(octets, label, defects), defects) == (text, noted)


RUSSIAN = "<meta charset=windows-1251>Да".encode("cp1251")
HTML: dict[str, tuple[bytes, str | None, str, list[str]]] = {
    "no label": (RUSSIAN, None, "<meta charset=windows-1251>Да", [MISSING_CHARSET]),
    "unknown label": (RUSSIAN, "unknown-8bit", "<meta charset=windows-1251>Да", [UNKNOWN_CHARSET]),
    "lying label": (RUSSIAN, "us-ascii", "<meta charset=windows-1251>Да", [WRONG_CHARSET]),
    "another label": (RUSSIAN, "iso-8859-5", "<meta charset=windows-1251>Фр", []),
    "label of utf-8": (RUSSIAN, "utf-8", "<meta charset=windows-1251>Да", [WRONG_CHARSET]),
    "utf-8 all the same": ("<meta charset=cp1251>Да".encode(), None, "<meta charset=cp1251>Да", []),
    "utf-8 with a stray octet": (
        "<meta charset=cp1251>Да".encode() + b"\xe1",
        "utf-8",
        "<meta charset=cp1251>Да\ufffd",
        [WRONG_CHARSET, UNDECODABLE_CHARSET],
    ),
    "it says utf-8, with stray octets": (
        b"<meta charset=utf-8>\xc3\xa9" + b" \xe1" * 3,
        None,
        "<meta charset=utf-8>é" + " \ufffd" * 3,
        [MISSING_CHARSET, UNDECODABLE_CHARSET],
    ),
    "it says utf-8": (b"<meta charset=utf-8>\xe9", None, "<meta charset=utf-8>é", [MISSING_CHARSET]),
    "several octets": (
        "<meta charset=gbk>中".encode("gbk") + b"\x80",
        None,
        "<meta charset=gbk>中€",
        [MISSING_CHARSET],
    ),
    "escape sequences": (
        b"<meta charset=iso-2022-jp>\x1b$BF|\x1b(B",
        None,
        "<meta charset=iso-2022-jp>日",
        [MISSING_CHARSET],
    ),
    "an escape sequence without a charset": (b"\x1b$BF|\x1b(B", None, "\x1b$BF|\x1b(B", []),
}


@pytest.mark.parametrize(("octets", "label", "text", "noted"), HTML.values(), ids=HTML)
def test_html_that_says_its_charset(octets: bytes, label: str | None, text: str, noted: list[str]) -> None:
    defects: list[str] = []
    assert (decode_charset(octets, label, defects, is_html=True), defects) == (text, noted)


@pytest.mark.parametrize(
    ("octets", "label", "is_html", "same"),
    [
        (b"abc", None, True, True),
        (b"\x1b$B", None, True, False),
        (b"\x1b$B", None, False, True),
        (b"\xff", None, False, True),
        (b"\xef\xbb\xbfa", "utf-8", False, False),
        (b"a", "us-ascii", False, True),
        (b"\xc3\xa4", "us-ascii", False, False),
        (b"a", "latin1", False, False),
    ],
)
def test_is_utf8(octets: bytes, label: str | None, is_html: bool, same: bool) -> None:
    assert is_utf8(octets, label, is_html=is_html) is same


NOT_CHARSETS = ["rot13", "rot_13", "zlib", "bz2", "hex", "base64", "uu", "quopri", "idna", "punycode", "unicode_escape"]


@pytest.mark.parametrize(
    "label", [*NOT_CHARSETS, "raw_unicode_escape", "undefined", "mbcs", "oem", "charmap", "../x", "a\0b"]
)
def test_codecs_that_are_no_charsets(label: str) -> None:
    assert codec_of(label) is None
    assert decode_charset(b"nop+\\u0041", label, []) == "nop+\\u0041"


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_exists(codec: str) -> None:
    assert codec in WITHOUT_CODEC or codecs.lookup(codec).name


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


@given(st.binary(max_size=60), st.one_of(st.none(), st.text(max_size=12), st.sampled_from(sorted(CODEC_OF_KEY))))
def test_any_octets(octets: bytes, label: str | None) -> None:
    defects: list[str] = []
    text = decode_charset(octets, label, defects)
    text.encode()  # no surrogates: it can become JSON
    assert set(defects) <= set(MEANINGS)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60), st.sampled_from(sorted(CODEC_OF_KEY)))
def test_what_python_encodes_comes_back(text: str, label: str) -> None:
    """As far as the charset can say it: text that its codec encodes is decoded to the same."""
    named = codec_of(label)
    assert named is not None
    if named in WITHOUT_CODEC:
        return  # which Python does not encode
    codec = {"iso-8859-1": "cp1252", "iso-2022-jp": "iso2022_jp"}.get(named, named)
    if named in ("utf-16", "utf-32"):
        codec = f"{named}-be"
        text = "x" + text  # the sign of big endian, without a mark
    text = text.encode(codec, "ignore").decode(codec)
    octets = text.encode(codec)
    if octets.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return
    defects: list[str] = []
    assert decode_charset(octets, label, defects) == text
    assert defects == []


@pytest.mark.parametrize("name", [name for name in CODECS if not name.startswith("utf-") and name not in WITHOUT_CODEC])
def test_replacing_by_table_is_what_the_codec_does(name: str) -> None:
    octets = bytes(range(256)) + b"".join(bytes((first, 0x81)) for first in range(256))
    assert decode_replacing(octets, name) == octets.decode(name, "replace")
