"""Content-Type and Content-Disposition values (RFC 2045, RFC 2183, RFC 2231)."""

from __future__ import annotations

import email.message
from email.headerregistry import ContentTypeHeader, HeaderRegistry
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.mime.budget import Budget
from fastsmtp.mime.defects import (
    DUPLICATE_PARAMETER,
    INVALID_CONTENT_TYPE,
    INVALID_DISPOSITION,
    INVALID_ENCODED_WORD,
    INVALID_PARAMETER,
    MEANINGS,
    UNDECODABLE_CHARSET,
    UNKNOWN_CHARSET,
    WRONG_CHARSET,
)
from fastsmtp.mime.parameters import (
    Disposition,
    MediaType,
    filename_of,
    irregular_disposition,
    irregular_media_type,
    parse_disposition,
    parse_media_type,
)

# Defects of most damaged values below.
BAD = [INVALID_PARAMETER]
QUOTED = [INVALID_CONTENT_TYPE]


def media_type(value: str) -> tuple[MediaType, list[str]]:
    """What is found the first time and from the cache, which must be the same."""
    defects: list[str] = []
    again: list[str] = []
    parsed = parse_media_type(value, defects)
    assert (parse_media_type(value, again), again) == (parsed, defects)
    return parsed, defects


TYPES = {
    "usual": ("text/plain; charset=utf-8", "text/plain", {"charset": "utf-8"}, []),
    "bare": ("image/png", "image/png", {}, []),
    "cases": ('TEXT/Html;CHARSET="UTF-8"', "text/html", {"charset": "UTF-8"}, []),
    "folded": ('multipart/mixed;\tboundary="a b"; x=y', "multipart/mixed", {"boundary": "a b", "x": "y"}, []),
    "specials in quotes": ('x/y; a="(;)=,"', "x/y", {"a": "(;)=,"}, []),
    "quoted pairs": (r'x/y; a="my \"best\"; \\ file"', "x/y", {"a": 'my "best"; \\ file'}, []),
    "empty value": ('x/y; a=""; b=1', "x/y", {"a": "", "b": "1"}, []),
    "trailing semicolons": ("text/plain; charset=us-ascii; ;", "text/plain", {"charset": "us-ascii"}, []),
    "quoted pair of any character": (
        r'x/y; boundary="a\bc\"d"; p="\1\\2"',
        "x/y",
        {"boundary": 'abc"d', "p": r"1\2"},
        [],
    ),
    "quoted pair in a boundary that is not closed": ('x/y; boundary="a\\bc', "x/y", {"boundary": "a\\bc"}, BAD),
    "pairs of a name in segments": (r'x/y; name*0="C:\t"; name*1="\"e\\"', "x/y", {"name": 'C:\\t"e\\'}, []),
    "quotes around the type": ('"application/PDF"; name="q.pdf"', "application/pdf", {"name": "q.pdf"}, QUOTED),
    "apostrophes around the type": ("'image/png'; name=a", "image/png", {"name": "a"}, QUOTED),
    "quotes around all of it": ('"text/html; charset=utf-8"', "text/html", {"charset": "utf-8"}, QUOTED),
    "apostrophes around all of it": ("'text/html; charset=utf-8'", "text/html", {"charset": "utf-8"}, QUOTED),
    "one quote before the type": ('"text/html', "text/html", {}, QUOTED),
    "quotes around both halves": ('"text"/"html"', "text/html", {}, QUOTED),
    "comments": (
        "text/plain (a (b) \\) c); (d) charset=us-ascii (Plain; text)",
        "text/plain",
        {"charset": "us-ascii"},
        [],
    ),
    "comment after quotes": ('text/plain; charset="utf-8" (c); x=1', "text/plain", {"charset": "utf-8", "x": "1"}, []),
    "blanks around signs": ("multipart/mixed ; boundary = nextPart", "multipart/mixed", {"boundary": "nextPart"}, []),
    "blanks around the slash": ("text / html", "text/html", {}, []),
    "rfc 2231": ("x/y; name*=utf-8''%e2%82%ac%20rates", "x/y", {"name": "€ rates"}, []),
    "no charset in rfc 2231": ("x/y; name*=''a%20b", "x/y", {"name": "a b"}, []),
    "apostrophes in rfc 2231": ("x/y; name*=utf-8'en'it's", "x/y", {"name": "it's"}, []),
    # Not the grammar
    "nothing": ("", "text/plain", {}, [INVALID_CONTENT_TYPE]),
    "no subtype": ("text; charset=utf-8", "text/plain", {"charset": "utf-8"}, [INVALID_CONTENT_TYPE]),
    "no type": ("/html; charset=utf-8", "text/plain", {"charset": "utf-8"}, [INVALID_CONTENT_TYPE]),
    "multipart without subtype": (
        "multipart; boundary=x",
        "multipart/mixed",
        {"boundary": "x"},
        [INVALID_CONTENT_TYPE],
    ),
    "boundary without a type": ("; boundary=x", "multipart/mixed", {"boundary": "x"}, [INVALID_CONTENT_TYPE]),
    "multipart without all": ("multipart", "text/plain", {}, [INVALID_CONTENT_TYPE]),
    "garbage": ("this is not; a valid = content type", "text/plain", {}, [INVALID_PARAMETER, INVALID_CONTENT_TYPE]),
    "two slashes": ("text/html/x", "text/html", {}, [INVALID_CONTENT_TYPE]),
    "comma for semicolon": ("text/html, charset=utf-8", "text/html", {"charset": "utf-8"}, BAD),
    "no semicolon": ("text/html charset=utf-8; a=b", "text/html", {"charset": "utf-8", "a": "b"}, BAD),
    "no second semicolon": (
        "text/html; charset=utf-8 format=flowed",
        "text/html",
        {"charset": "utf-8", "format": "flowed"},
        BAD,
    ),
    "no semicolon after quotes": ('x/y; a="b" c="d"', "x/y", {"a": "b", "c": "d"}, BAD),
    "junk between": ('x/y; =1; "a"=b; c; d=1', "x/y", {"d": "1"}, BAD),
    "junk after a value": ("text/plain; charset=utf-8 or so; a=b", "text/plain", {"charset": "utf-8", "a": "b"}, BAD),
    "empty token": ("text/plain; charset=; a=b", "text/plain", {"charset": "", "a": "b"}, BAD),
    "unclosed comment": ("text/plain; a=b (c; d=e", "text/plain", {"a": "b"}, BAD),
    "unclosed quote": ('x/y; a="b; c=d', "x/y", {"a": "b", "c": "d"}, BAD),
    "apostrophe that is not closed": ("'text/html; a=b", "text/html", {"a": "b"}, QUOTED),
    "apostrophe that is not opened": ("text/html'; a=b", "text/html'", {"a": "b"}, []),
    "bracket within the type": ("text>/html; a=b", "text/html", {"a": "b"}, QUOTED),
    "brackets around the type": ('<text/html>; a="b"', "text/html", {"a": "b"}, QUOTED),
    "its own name again": ("Content-Type: text/html; a=b", "text/html", {"a": "b"}, QUOTED),
    "unclosed quote in type": ('text/plain"; a=b', "text/plain", {"a": "b"}, [INVALID_CONTENT_TYPE]),
    "first of duplicates": ("x/y; a=1; A=2; a=3", "x/y", {"a": "1"}, [DUPLICATE_PARAMETER]),
    "unquoted boundary": ("multipart/mixed; boundary=a/b:c=?(d)", "multipart/mixed", {"boundary": "a/b:c=?(d)"}, BAD),
    "unquoted boundary, blanks": (
        "multipart/mixed; boundary=a b  c ; x=y",
        "multipart/mixed",
        {"boundary": "a b  c", "x": "y"},
        BAD,
    ),
    "unquoted boundary, comment": ("multipart/mixed; boundary=abc (d)", "multipart/mixed", {"boundary": "abc"}, []),
    "unquoted boundary, no semicolon": (
        "multipart/mixed; boundary=abc x=y",
        "multipart/mixed",
        {"boundary": "abc", "x": "y"},
        BAD,
    ),
    "blanks after a boundary": ('multipart/mixed; boundary="abc \t"', "multipart/mixed", {"boundary": "abc"}, []),
    "encoded word is a boundary": (
        'multipart/mixed; boundary="=?a?q?b?="',
        "multipart/mixed",
        {"boundary": "=?a?q?b?="},
        [],
    ),
    "unquoted name": ("x/y; name=my file (1).pdf ; a=b", "x/y", {"name": "my file (1).pdf", "a": "b"}, BAD),
    "unquoted 8-bit name": ("x/y; name=файл.txt", "x/y", {"name": "файл.txt"}, BAD),
    "raw 8-bit name": ('x/y; name="файл.txt"', "x/y", {"name": "файл.txt"}, []),
    "quotes in quotes": ('x/y; name="my "best" photo.jpg"; a=b', "x/y", {"name": 'my "best" photo.jpg', "a": "b"}, BAD),
    "windows path": (r'x/y; name="C:\Users\ada\notes.txt"', "x/y", {"name": r"C:\Users\ada\notes.txt"}, []),
    "path that ends in a backslash": ('x/y; name="C:\\dir\\"', "x/y", {"name": "C:\\dir\\"}, BAD),
    "escaped quotes": (
        r"x/y; boundary=\"a;b\"; charset=\"utf-8\"; name=\"a b.pdf\"",
        "x/y",
        {"boundary": "a;b", "charset": "utf-8", "name": "a b.pdf"},
        BAD,
    ),
    "escaped quote alone": (r"x/y; name=\"a.pdf; a=b", "x/y", {"name": '\\"a.pdf', "a": "b"}, BAD),
    "encoded words in quotes": (
        'x/y; name="=?utf-8?B?UsOpc3Vtw6kgMjAyNS5wZGY=?="',
        "x/y",
        {"name": "Résumé 2025.pdf"},
        [INVALID_ENCODED_WORD],
    ),
    "encoded words without quotes": (
        "x/y; name==?utf-8?Q?=C3=A9?=",
        "x/y",
        {"name": "é"},
        [INVALID_PARAMETER, INVALID_ENCODED_WORD],
    ),
    "encoded words over segments": (
        'x/y; name*0="=?utf-8?B?w6"; name*1="k=?="',
        "x/y",
        {"name": "é"},
        [INVALID_ENCODED_WORD],
    ),
}


@pytest.mark.parametrize(("value", "expected", "parameters", "noted"), TYPES.values(), ids=TYPES)
def test_media_type(value: str, expected: str, parameters: dict[str, str], noted: list[str]) -> None:
    assert media_type(value) == (MediaType(expected, parameters), noted)


SEGMENTS = {
    "continued": ('name*0="a long "; name*1="file name"; name*2=".txt"', "a long file name.txt", []),
    "out of order": ('name*1="two"; name*0="one-"; name*2=.dat', "one-two.dat", []),
    "ten and more": ("; ".join(f"name*{n}={n}" for n in reversed(range(12))), "01234567891011", []),
    "encoded and not": ("name*0*=utf-8''%e2%82%ac%20; name*1*=%61%62; name*2=\"%c.txt\"", "€ ab%c.txt", []),
    "character over segments": ("name*0*=utf-8''caf%C3; name*1*=%A9.txt", "café.txt", []),
    "latin-1": ("name*=iso-8859-1'en'%A3%20rates.pdf", "£ rates.pdf", []),
    "in quotes": ("name*=\"iso-8859-1''Fr%F6sche.txt\"", "Frösche.txt", []),
    "nul": ("name*=utf-8''evil%00.txt", "evil\0.txt", []),
    "wins over the plain form": ("name=a; name*=utf-8''b", "b", []),
    "wins, in any order": ("name*0=b; name=a", "b", []),
    "whole wins over segments": ("name*0=a; name*=''b; name*1=c", "b", []),
    "no quotes": ("name*=just%20a%20name.txt", "just a name.txt", BAD),
    "one quote": ("name*=utf-8'%C3%A9.txt", "é.txt", BAD),
    "one quote, no charset": ("name*=it's", "it's", BAD),
    "counted from one": ("name*1=a; name*2=b", "ab", BAD),
    "a gap": ("name*0=a; name*2=b", "ab", BAD),
    "same number twice": ("name*0=a; name*0=b; name*1=c", "ac", [DUPLICATE_PARAMETER]),
    "charset late": ("name*0=a; name*1*=%C3%A9", "aé", []),
    "raw characters": ("name*=\"iso-8859-1''é%20\"", "é ", BAD),
    "unknown charset": ("name*=x-no''%C3%A9", "é", [UNKNOWN_CHARSET]),
    "lying charset": ("name*=utf-8''%E9", "é", [WRONG_CHARSET]),
    "undecodable": ("name*=iso-2022-jp''%1B%24B%24%7e%1B%28B", "�", [UNDECODABLE_CHARSET]),
    "no such number": ("name*x=a; name*9999999=b; **=c; *=d; name=e", "e", BAD),
}


@pytest.mark.parametrize(("parameters", "name", "noted"), SEGMENTS.values(), ids=SEGMENTS)
def test_rfc2231(parameters: str, name: str, noted: list[str]) -> None:
    assert media_type(f"x/y; {parameters}") == (MediaType("x/y", {"name": name}), noted)


DISPOSITIONS = {
    "usual": ('attachment; filename="a.pdf"; size=3', "attachment", {"filename": "a.pdf", "size": "3"}, []),
    "cases": ("Inline", "inline", {}, []),
    "other": ("form-data; name=x", "form-data", {"name": "x"}, []),
    "comment": ("inline (c)", "inline", {}, []),
    "in quotes": ('"attachment"; filename=a', "attachment", {"filename": "a"}, []),
    "in apostrophes": ("'inline'; filename=a", "inline", {"filename": "a"}, []),
    "all in quotes": ('"attachment; filename=a"', "attachment", {"filename": "a"}, []),
    "nothing": ("", "", {}, [INVALID_DISPOSITION]),
    "blanks inside": ("attached file; filename=a", "attached", {"filename": "a"}, [INVALID_DISPOSITION]),
    "no type": ('filename="a.pdf"', "attachment", {"filename": "a.pdf"}, [INVALID_PARAMETER, INVALID_DISPOSITION]),
    "no type, no name": ("; size=1", "", {"size": "1"}, [INVALID_DISPOSITION]),
    "no semicolon": ("attachment filename=a.pdf", "attachment", {"filename": "a.pdf"}, BAD),
}


@pytest.mark.parametrize(("value", "expected", "parameters", "noted"), DISPOSITIONS.values(), ids=DISPOSITIONS)
def test_disposition(value: str, expected: str, parameters: dict[str, str], noted: list[str]) -> None:
    for _ in range(2):  # the second time from the cache
        defects: list[str] = []
        assert parse_disposition(value, defects) == Disposition(expected, parameters)
        assert defects == noted


@pytest.mark.parametrize(
    ("content_type", "content_disposition", "filename"),
    [
        ("x/y; name=a", "attachment; filename=b", "b"),
        ("x/y; name=a", "attachment", "a"),
        ("x/y; name=a", None, "a"),
        (None, "attachment; filename=b", "b"),
        ('x/y; name=" "', 'attachment; filename=""', None),
        ("x/y", "attachment; name=b", None),
        (None, None, None),
    ],
)
def test_filename_of(content_type: str | None, content_disposition: str | None, filename: str | None) -> None:
    defects: list[str] = []
    assert filename == filename_of(
        None if content_type is None else parse_media_type(content_type, defects),
        None if content_disposition is None else parse_disposition(content_disposition, defects),
    )


UNITS = [
    ";a=b", ';a="', ';a="\\"', " a=b", "(", ";a=(", ";a(", '"', '\\"', ";boundary=a b", ";n*0=x",
    ";n*9*=x", " ", "=", ",", ",\n", ';name="b"c d', ';a="b"c"', " a", "'", "%",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("start", ["text/plain", "text/plain;boundary=", "", 'x/y;name="', "x/y;n*="])
def test_hostile(start: str, unit: str) -> None:
    """Tens of thousands of each: it ends."""
    parsed = parse_media_type(start + unit * 30_000, [])
    assert parsed.value.startswith(("text/plain", "x/y", "multipart/mixed"))


TOKENS = st.from_regex(r"[A-Za-z0-9!#$&.^_`{|}~+-]{1,20}", fullmatch=True)
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\"), max_size=30)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(
    TOKENS,
    TOKENS,
    st.dictionaries(TOKENS.map(str.lower).filter(lambda name: name != "boundary"), PRINTABLE, max_size=4),
)
def test_agrees_with_stdlib(kind: str, subtype: str, parameters: dict[str, str]) -> None:
    value = f"{kind}/{subtype}" + "".join(f'; {name}="{text}"' for name, text in parameters.items() if '"' not in text)
    header = cast("ContentTypeHeader", HeaderRegistry()("content-type", value))
    if header.defects:  # type: ignore[attr-defined]
        return
    assert media_type(value)[0] == MediaType(header.content_type, dict(header.params))


@given(TOKENS, st.dictionaries(TOKENS, st.one_of(TOKENS, PRINTABLE.map(lambda text: f'"{text}"')), max_size=4))
def test_both_ways_agree(kind: str, parameters: dict[str, str]) -> None:
    value = f"{kind}/{kind}" + "".join(f"; {name}={text}" for name, text in parameters.items() if text.count('"') != 1)
    parsed, defects = media_type(value)
    noted: list[str] = []
    assert (irregular_media_type(value, noted, Budget()), noted) == (parsed, defects)
    value = value.partition("/")[2]
    defects, noted = [], []
    assert irregular_disposition(value, noted, Budget()) == parse_disposition(value, defects)
    assert noted == defects


@given(ANY_TEXT)
def test_names_of_stdlib_come_back(filename: str) -> None:
    """Whatever `email` writes, in the RFC 2231 form."""
    message = email.message.Message()
    message.add_header("Content-Disposition", "attachment", filename=("utf-8", "", filename))
    defects: list[str] = []
    disposition = parse_disposition(message["content-disposition"], defects)
    assert disposition == Disposition("attachment", {"filename": filename.removeprefix("\ufeff")})
    assert defects == []


PIECES = st.sampled_from(
    ["text", "/", "plain", ";", "=", '"', "\\", "(", ")", "*", "0", "'", "%41", " ", ",", "a", "boundary=", "name="]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=3))).map("".join))
def test_any_value(value: str) -> None:
    parsed, defects = media_type(value)
    assert parsed.value.count("/") == 1
    assert set(defects) <= set(MEANINGS)
    assert not any(set(name) & set(' \t;="*') for name in parsed.parameters)
    disposition = parse_disposition(value, defects)
    assert disposition.value == disposition.value.lower()
