"""Header blocks: fields, where the body begins, damage; the spelling of names."""

from __future__ import annotations

import email
import email.policy

import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.mime._fields import split_fields
from fastsmtp.mime.defects import (
    FIELD_LIMIT,
    HEADER_8BIT,
    HEADER_NUL,
    INVALID_HEADER_LINE,
    JUNK_BEFORE_HEADER,
    MBOX_FROM_LINE,
    MEANINGS,
    note,
)
from fastsmtp.mime.header import MAX_FIELDS, HeaderBlock, canonical_name, parse_fields

REGULAR = {
    "one": (b"Subject: hi\r\n\r\n", [("Subject", "hi")]),
    "order and repetition": (
        b"Received: a\r\nX-Tag: 1\r\nReceived: b\r\nx-tag: 2\r\n\r\n",
        [("Received", "a"), ("X-Tag", "1"), ("Received", "b"), ("x-tag", "2")],
    ),
    "folds keep their blanks": (b"Subject: a\r\n\tb\r\n   c \r\n\r\n", [("Subject", "a\tb   c")]),
    "blanks around the value": (b"A:value\r\nB:   value \t\r\nC:\r\n\r\n", [("A", "value"), ("B", "value"), ("C", "")]),
    "colons in the value": (b"X: a:b: c\r\n\r\n", [("X", "a:b: c")]),
    "fold at once": (b"DKIM-Signature:\r\n v=1;\r\n\ta=b\r\n\r\n", [("DKIM-Signature", "v=1;\ta=b")]),
    "line of blanks": (b"Subject: a\r\n \r\n b\r\nTo: c\r\n\r\n", [("Subject", "a  b"), ("To", "c")]),
    "line of blanks at the end": (b"Subject: a\r\n \t\r\n\r\n", [("Subject", "a")]),
    "no empty line": (b"Subject: a\r\nTo: b\r\n", [("Subject", "a"), ("To", "b")]),
    "no line end": (b"Subject: a\r\nTo: b", [("Subject", "a"), ("To", "b")]),
    "only an empty line": (b"\r\n", []),
    "nothing": (b"", []),
    "utf-8": ("Subject: Grüße ☃\r\n\r\n".encode(), [("Subject", "Grüße ☃")]),
    "no-break space is no blank": ("X: \xa0a\xa0\r\n\r\n".encode(), [("X", "\xa0a\xa0")]),
}


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["crlf", "lf"])
@pytest.mark.parametrize(("block", "fields"), REGULAR.values(), ids=REGULAR)
def test_well_formed(block: bytes, fields: list[tuple[str, str]], line_end: bytes) -> None:
    block = block.replace(b"\r\n", line_end)
    assert parse_fields(block) == HeaderBlock(fields, len(block), [])
    assert parse_fields(bytearray(block)) == HeaderBlock(fields, len(block), [])


DAMAGED = {
    "mixed line ends": (b"A: 1\nB: 2\r\n 3\n\tc\r\n\r\n", [("A", "1"), ("B", "2 3\tc")], 20, []),
    "bare CR is text": (b"A: 1\r2\r\nB: 3\r\n\r\n", [("A", "1\r2"), ("B", "3")], 16, []),
    "blanks before the colon": (b"Subject : a\r\nTo\t: b\r\n\r\n", [("Subject", "a"), ("To", "b")], 23, []),
    "empty name": (b": a\r\nTo: b\r\n\r\n", [("", "a"), ("To", "b")], 14, [INVALID_HEADER_LINE]),
    "control in the name": (b"X\x01Y: a\r\n\r\n", [("X\x01Y", "a")], 10, [INVALID_HEADER_LINE]),
    "nul": (b"A: 1\x002\r\n\r\n", [("A", "1\x002")], 10, [HEADER_NUL]),
    "nul in the name": (b"A\0: 1\r\n\r\n", [("A\0", "1")], 9, [HEADER_NUL, INVALID_HEADER_LINE]),
    "text between fields": (b"A: 1\r\nHello you\r\nB: 2\r\n\r\n", [("A", "1"), ("B", "2")], 25, [INVALID_HEADER_LINE]),
    "parameters without a blank before them": (
        b'Content-Type: multipart/mixed;\r\nboundary="a:b";\r\n\tx=y;\r\nz=1\r\nA: 1\r\n\r\n',
        [("Content-Type", 'multipart/mixed; boundary="a:b";\tx=y; z=1'), ("A", "1")],
        69,
        [INVALID_HEADER_LINE],
    ),
    "parameter without a blank, with a colon": (
        b'Content-Type: multipart/mixed;\nboundary="a:b"\n\n',
        [("Content-Type", 'multipart/mixed; boundary="a:b"')],
        47,
        [INVALID_HEADER_LINE],
    ),
    "equals sign in a name": (b"A=B: 1\r\n\r\n", [("A=B", "1")], 10, []),
    "parameter without a blank, at the end": (
        b"Content-Disposition: attachment; \nfilename=a\n\n",
        [("Content-Disposition", "attachment; filename=a")],
        46,
        [INVALID_HEADER_LINE],
    ),
    "no parameter of this field": (
        b"Content-Type: text/plain\nx=y\nSubject: a;\nb=c\n\n",
        [("Content-Type", "text/plain"), ("Subject", "a;")],
        41,
        [INVALID_HEADER_LINE],
    ),
    "text before the fields": (b"Hello you\r\nA: 1\r\n\r\n", [("A", "1")], 19, [INVALID_HEADER_LINE]),
    "text that goes on": (
        b"A: 1\r\nHello\r\n you\r\nB: 2\r\n\r\n",
        [("A", "1"), ("B", "2")],
        27,
        [INVALID_HEADER_LINE],
    ),
    "text between and behind": (
        b"A: 1\r\nHello you\r\nB: 2\r\nIt is\r\n me\r\n\r\n",
        [("A", "1"), ("B", "2")],
        23,
        [INVALID_HEADER_LINE],
    ),
    "text behind, then an empty line": (b"A: 1\r\nHello you\r\n\r\n", [("A", "1")], 6, [INVALID_HEADER_LINE]),
    "address of a page behind": (b"A: 1\r\nhttp://x/\r\n\r\n", [("A", "1")], 6, [INVALID_HEADER_LINE]),
    "address of a page only": (b"http://x/\r\n\r\n", [], 0, [INVALID_HEADER_LINE]),
    "carriage returns doubled": (b"A: 1\r\r\n 2\r\r\nB:\r\r\n\r\r\n", [("A", "1 2"), ("B", "")], 20, []),
    "byte order mark": (b"\xef\xbb\xbfA: 1\r\nB: 2\r\n\r\n", [("A", "1"), ("B", "2")], 17, [JUNK_BEFORE_HEADER]),
    "byte order marks": (b"\xef\xbb\xbf\xef\xbb\xbfA: 1\r\n\r\n", [("A", "1")], 14, [JUNK_BEFORE_HEADER]),
    "byte order mark of UTF-16": (b"\xff\xfeA: 1\r\n\r\n", [("A", "1")], 10, [JUNK_BEFORE_HEADER]),
    "byte order mark encoded twice": ("ï»¿A: 1\r\n\r\n".encode(), [("A", "1")], 14, [JUNK_BEFORE_HEADER]),
    "byte order mark on a line of its own": (b"\xef\xbb\xbf\r\nA: 1\r\n\r\n", [("A", "1")], 13, [INVALID_HEADER_LINE]),
    "byte order mark before text": (b"\xef\xbb\xbfHello you\r\n\r\n", [], 0, [INVALID_HEADER_LINE]),
    "byte order mark before mbox": (
        b"\xef\xbb\xbfFrom joe@x\r\nA: 1\r\n\r\n",
        [("A", "1")],
        23,
        [JUNK_BEFORE_HEADER, MBOX_FROM_LINE],
    ),
    "mbox before byte order mark": (
        b"From joe@x\r\n\xef\xbb\xbfA: 1\r\n\r\n",
        [("A", "1")],
        23,
        [MBOX_FROM_LINE, JUNK_BEFORE_HEADER],
    ),
    "byte order mark later": (
        "A: 1\r\n\ufeffB: 2\r\n\r\n".encode(),
        [("A", "1"), ("\ufeffB", "2")],
        17,
        [INVALID_HEADER_LINE],
    ),
    "blanks before the first field": (b"\t A: 1\r\nB: 2\r\n\r\n", [("A", "1"), ("B", "2")], 16, [JUNK_BEFORE_HEADER]),
    "controls before the first field": (b"\0\x1bA: 1\r\n\r\n", [("A", "1")], 10, [HEADER_NUL, JUNK_BEFORE_HEADER]),
    "anything before a name that is known": (
        "\xa0\u200bto: a\r\n\r\n".encode(),
        [("to", "a")],
        14,
        [JUNK_BEFORE_HEADER],
    ),
    "blanks, then text": (
        b"A: 1\r\n \r\nHello: you there\r\nIt is\r\n",
        [("A", "1"), ("Hello", "you there")],
        27,
        [INVALID_HEADER_LINE],
    ),
    "name in utf-8": ("A: ä\r\nüber: 1\r\n\r\n".encode(), [("A", "ä"), ("über", "1")], 19, [INVALID_HEADER_LINE]),
    "name in utf-8 first": ("über: 1\r\nA: 2\r\n\r\n".encode(), [("über", "1"), ("A", "2")], 18, [INVALID_HEADER_LINE]),
    "name in windows-1252": (
        b"A: 1\r\n\xfcber: 2\r\n\r\n",
        [("A", "1"), ("über", "2")],
        17,
        [INVALID_HEADER_LINE, HEADER_8BIT],
    ),
    "names in utf-8 alone are text": ("时间: 1\r\n\r\n".encode(), [], 0, [INVALID_HEADER_LINE]),
    "names in utf-8 alone behind mbox": (
        "From joe@x\r\n时间: 1\r\n\r\n".encode(),
        [],
        12,
        [MBOX_FROM_LINE, INVALID_HEADER_LINE],
    ),
    "text only": (b"Hello you\r\n", [], 0, [INVALID_HEADER_LINE]),
    "indented text only": (b"  Hello\r\nyou there\r\n", [], 0, [INVALID_HEADER_LINE]),
    "indented first line": (b" x\r\nA: 1\r\n\r\n", [("A", "1")], 12, [INVALID_HEADER_LINE]),
    "empty line first": (b"\r\nA: 1\r\n\r\n", [], 2, []),
    "mbox": (b"From joe@x Tue Mar  4 10:36:00 2025\r\nA: 1\r\n\r\n", [("A", "1")], 45, [MBOX_FROM_LINE]),
    "mbox escaped": (b">From joe@x\nA: 1\n\n", [("A", "1")], 18, [MBOX_FROM_LINE]),
    "mbox twice": (b"From joe@x\r\n>From jim@y\r\nA: 1\r\n\r\n", [("A", "1")], 33, [MBOX_FROM_LINE]),
    "mbox, carriage returns doubled": (b"From joe@x\r\r\nA: 1\r\r\n\r\r\n", [("A", "1")], 23, [MBOX_FROM_LINE]),
    "mbox and text": (b"From joe@x\r\nHello you\r\n", [], 12, [MBOX_FROM_LINE, INVALID_HEADER_LINE]),
    "mbox later": (b"A: 1\r\nFrom joe@x\r\n", [("A", "1")], 6, [INVALID_HEADER_LINE]),
    "windows-1252": (b"A: \x93x\x94\r\nB: \xc3\xa4\r\n\r\n", [("A", "“x”"), ("B", "ä")], 17, [HEADER_8BIT]),
    "utf-8 with a stray octet": (
        b"A: na\xc3\xafve \xc3\xbc \xe9\r\n\r\n",
        [("A", "naïve ü \ufffd")],
        18,
        [HEADER_8BIT],
    ),
    "in the charset of the body": (
        "Subject: Привет\r\nX: Ё\r\nContent-Type: text/plain; charset=KOI8-R\r\n\r\n".encode("koi8-r"),
        [("Subject", "Привет"), ("X", "Ё"), ("Content-Type", "text/plain; charset=KOI8-R")],
        67,
        [HEADER_8BIT],
    ),
    "in a charset of two octets": (
        "Content-Type: text/plain; charset=euc-kr\nSubject: 안녕하세요\n\n".encode("euc-kr"),
        [("Content-Type", "text/plain; charset=euc-kr"), ("Subject", "안녕하세요")],
        62,
        [HEADER_8BIT],
    ),
    "rather utf-8 than the charset of the body": (
        b"Content-Type: text/plain; charset=koi8-r\nSubject: Gr\xc3\xbc\xc3\n\n",
        [("Content-Type", "text/plain; charset=koi8-r"), ("Subject", "Grü\ufffd")],
        57,
        [HEADER_8BIT],
    ),
    "charset of the body that no header has": (
        b"Content-Type: text/plain; charset=ibm037\nSubject: caf\xe9\n\n",
        [("Content-Type", "text/plain; charset=ibm037"), ("Subject", "café")],
        56,
        [HEADER_8BIT],
    ),
    "no meaning in windows-1252": (b"A: x\x81\r\n\r\n", [("A", "x\ufffd")], 9, [HEADER_8BIT]),
}


@pytest.mark.parametrize(("block", "fields", "body_start", "defects"), DAMAGED.values(), ids=DAMAGED)
def test_damaged(block: bytes, fields: list[tuple[str, str]], body_start: int, defects: list[str]) -> None:
    assert parse_fields(block) == HeaderBlock(fields, body_start, defects)


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("message-id", "Message-ID"),
        ("MESSAGE-ID", "Message-ID"),
        ("Message-Id", "Message-ID"),
        ("mime-version", "MIME-Version"),
        ("Dkim-Signature", "DKIM-Signature"),
        ("arc-seal", "ARC-Seal"),
        ("list-id", "List-ID"),
        ("content-id", "Content-ID"),
        ("SUBJECT", "Subject"),
        ("x-mailer", "X-Mailer"),
        ("X-MSMail-Priority", "X-MSMail-Priority"),
        ("x-OriginatorOrg", "X-OriginatorOrg"),
        ("X--a", "X--A"),
        ("", ""),
        ("a" * 10_000, "A" + "a" * 9_999),
    ],
)
def test_canonical_name(name: str, spelling: str) -> None:
    assert canonical_name(name) == spelling


def test_hostile_blocks() -> None:
    """A megabyte each: they end, and lose nothing but fields above the limit."""
    line = b"x" * 1_000_000
    assert parse_fields(b"A: " + line + b"\r\n\r\n").fields == [("A", line.decode())]
    assert parse_fields(line).body_start == 0
    assert parse_fields(b"A: 1\r\n " * 100_000).fields == [("A", ("1" + " A: ") * 99_999 + "1")]
    assert parse_fields(b"a:\n" * 300_000 + b"\n").fields == [("a", "")] * MAX_FIELDS
    assert parse_fields(b"A:" + b"\r\n " * 300_000 + b"x\xff").fields == [("A", "xÿ")]
    assert len(parse_fields(b"Content-Type: a;\n" + b"x=1;\n" * 100_000 + b"\n").fields[0][1]) < 10_000


FIELD_NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)
FIELD_VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)


@given(st.lists(st.tuples(FIELD_NAMES, st.lists(FIELD_VALUES.filter(bool), min_size=1, max_size=4))))
def test_agrees_with_stdlib(fields: list[tuple[str, list[str]]]) -> None:
    block = "".join(f"{name}: " + "\r\n ".join(lines) + "\r\n" for name, lines in fields).encode() + b"\r\n"
    message = email.message_from_bytes(block, policy=email.policy.compat32)
    expected = [(name, value.replace("\r\n", "").replace("\n", "")) for name, value in message.items()]
    assert parse_fields(block) == HeaderBlock(expected, len(block), [])


@pytest.mark.parametrize("line", [b"a: b\r\n", b"a: b\n", b"a: b\n c\n", b"a: \xc3\xa4\r\n"])
def test_fields_above_the_limit_are_left_out(line: bytes) -> None:
    end = b"\r\n" if line.endswith(b"\r\n") else b"\n"
    most = parse_fields(line * MAX_FIELDS + end)
    assert (len(most.fields), most.defects) == (MAX_FIELDS, [])
    block = line * MAX_FIELDS + line * 5 + end
    assert parse_fields(block) == HeaderBlock(most.fields, len(block), [FIELD_LIMIT])


def test_names_that_are_nearly_the_same() -> None:
    names = ["XabcZ", "XdbcZ", "XabeZ", "XabcZ", "XabcZZ", "xabcZ", "X" * 64, "X" * 65, "X", "Y", "X"] * 2
    block = "".join(f"{name}: x\n" for name in names).encode() + b"\n"
    assert split_fields(block, 100) == [(name, "x") for name in names]


def test_the_charset_of_thousands_of_fields_is_not_guessed() -> None:
    """Above the limit they are read as Latin-1; the euro sign of windows-1252 tells which ones are."""
    parsed = parse_fields(b"X: \x80\r\n" * 501 + b"Y: \xe2\x82\xac\r\n\r\n")
    assert [value for _, value in parsed.fields] == ["\u20ac"] * 500 + ["\x80", "\u20ac"]
    assert parsed.defects == [HEADER_8BIT]


def test_body_behind_fields_above_the_limit() -> None:
    header = b"a: b\n" * (MAX_FIELDS + 5)
    parsed = parse_fields(header + b"no field\n\n")
    assert (len(parsed.fields), parsed.body_start) == (MAX_FIELDS, len(header))
    assert parsed.defects == [FIELD_LIMIT, INVALID_HEADER_LINE]


BLOCKS = st.lists(
    st.one_of(
        st.sampled_from([b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"From ", b"A: 1", b"\0", b"\xe4"]),
        st.binary(max_size=4),
    )
).map(b"".join)


@given(BLOCKS)
def test_any_block(block: bytes) -> None:
    """Whatever it is: valid text, a body inside the block, known defects; the way it was read does not matter."""
    parsed = parse_fields(block)
    assert 0 <= parsed.body_start <= len(block)
    assert set(parsed.defects) <= set(MEANINGS)
    for name, value in parsed.fields:
        (name + value).encode()
    # 8-bit octets force the walk over lines, which must see what the short way sees.
    if block.isascii() and parsed.body_start == len(block) and not parsed.defects:
        walked = parse_fields("X: ä\r\n".encode() + block)
        if block[:1] not in (b" ", b"\t", b"\r", b"\n"):
            assert walked.fields[1:] == parsed.fields


LINES = st.lists(
    st.sampled_from([b"A: 1", b"Subject:", b" b", b"\t", b"\r\n", b"\n", b"\r", b":", b"\0", b"\x7f", b"\xc3\xbc"]),
    max_size=12,
).map(b"".join)


@given(LINES, st.sampled_from([b"\r\n\r\n", b"\n\n", b"\n\r\n", b"\r\n", b""]), st.integers(0, 4))
def test_splitting_agrees_with_the_oracle(lines: bytes, end: bytes, limit: int) -> None:
    assert split_fields(lines + end, limit) == reference.split_fields(lines + end, limit)


def test_vocabulary() -> None:
    assert list(MEANINGS) == sorted(MEANINGS)
    assert all(name == name.lower() and meaning for name, meaning in MEANINGS.items())
    defects: list[str] = []
    note(defects, HEADER_NUL)
    note(defects, HEADER_NUL)
    assert defects == [HEADER_NUL]
