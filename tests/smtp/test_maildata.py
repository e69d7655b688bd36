"""Mail data: the one sequence that ends it, dot-unstuffing, the size limit, chunks."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import ACCEPTED, DATA, EHLO, MAIL, QUIT, RCPT, Mail, Outcome, Step, converse, settings

from fastsmtp._parse import BodyLines
from fastsmtp.smtp.maildata import line_faults

TOO_BIG = b"552 5.3.4 Message exceeds the size limit\r\n"
CHUNK_OK = b"250 2.0.0 Chunk accepted\r\n"
BREAKS = {"bare-cr-in-body", "bare-lf-in-body"}


def send_data(octets: bytes) -> Outcome:
    return converse(EHLO, MAIL, RCPT, DATA, (octets, ACCEPTED), QUIT)


# Every transition of "what the octets so far end in", by the octet that comes: x, dot, CR, LF.
TRANSITIONS: dict[bytes, bytes] = {
    # at the start of mail data
    b".\r\n": b"",
    b"x\r\n.\r\n": b"x\r\n",
    b"..\r\n.\r\n": b".\r\n",
    b"\r\n.\r\n": b"\r\n",
    b"\n\r\n.\r\n": b"\n\r\n",
    b"\rx\r\n.\r\n": b"\rx\r\n",
    # in a line
    b"x.\r\n.\r\n": b"x.\r\n",
    b"x.x.\r\n.\r\n": b"x.x.\r\n",
    b"x\n.\r\n\r\n.\r\n": b"x\n.\r\n\r\n",
    # after CR
    b"x\rx\r\n.\r\n": b"x\rx\r\n",
    b"x\r.\r\n\r\n.\r\n": b"x\r.\r\n\r\n",
    b"x\r\r\n.\r\n": b"x\r\r\n",
    # after CRLF
    b"a\r\nb\r\n.\r\n": b"a\r\nb\r\n",
    b"a\r\n\r\n.\r\n": b"a\r\n\r\n",
    b"a\r\n\nb\r\n.\r\n": b"a\r\n\nb\r\n",
    b"a\r\n\rb\r\n.\r\n": b"a\r\n\rb\r\n",
    # after CRLF dot: the dot goes
    b"a\r\n.b\r\n.\r\n": b"a\r\nb\r\n",
    b"a\r\n..\r\n.\r\n": b"a\r\n.\r\n",
    b"a\r\n..b\r\n.\r\n": b"a\r\n.b\r\n",
    b"a\r\n...\r\n.\r\n": b"a\r\n..\r\n",
    b"a\r\n.\nb\r\n.\r\n": b"a\r\n\nb\r\n",
    # after CRLF dot CR: only LF ends it
    b"a\r\n.\rb\r\n.\r\n": b"a\r\n\rb\r\n",
    b"a\r\n.\r.\r\n.\r\n": b"a\r\n\r.\r\n",
    b"a\r\n.\r\r\n.\r\n": b"a\r\n\r\r\n",
    b"a\r\n.\r\r\r\n\r\n.\r\n": b"a\r\n\r\r\r\n\r\n",
    # stuffed lines one after the other
    b"..\r\n..\r\n..a\r\n.\r\n": b".\r\n.\r\n.a\r\n",
}


@pytest.mark.parametrize("octets", TRANSITIONS, ids=ascii)
def test_transition(octets: bytes) -> None:
    outcome = send_data(octets)
    assert outcome.mails == [Mail(TRANSITIONS[octets])]
    assert set(outcome.violations) <= BREAKS


# What other servers have taken for the end (SMTP smuggling, CVE-2023-51764 to 51766 and kin): octets -> what is kept.
# A dot at the start of a line that is not the end is stuffing, and goes; nothing else does.
SMUGGLING: dict[bytes, bytes] = {
    b"\n.\n": b"\n.\n",
    b"\n.\r\n": b"\n.\r\n",
    b"\n.\r": b"\n.\r",
    b"\r.\r": b"\r.\r",
    b"\r.\n": b"\r.\n",
    b"\r.\r\n": b"\r.\r\n",
    b"\r\n.\n": b"\r\n\n",
    b"\r\n.\r": b"\r\n\r",
    b"\r\n\0.\r\n": b"\r\n\0.\r\n",
    b"\r\n.\0\r\n": b"\r\n\0\r\n",
    b"\r\n.\r\0\n": b"\r\n\r\0\n",
    b"\r\0\n.\r\n": b"\r\0\n.\r\n",
    b"\r\n\x1a.\r\n": b"\r\n\x1a.\r\n",
    b"\r\n.\x1a\r\n": b"\r\n\x1a\r\n",
    b"\r\n .\r\n": b"\r\n .\r\n",
    b"\r\n. \r\n": b"\r\n \r\n",
    b"\r\n.\t\r\n": b"\r\n\t\r\n",
    b"\r\r\n.\r\r\n": b"\r\r\n\r\r\n",
    b"\r\n.\r\r\n": b"\r\n\r\r\n",
    b"\n\n.\r\n": b"\n\n.\r\n",
    b"\n\n.\n\n": b"\n\n.\n\n",
    b"\n\r.\r\n": b"\n\r.\r\n",
    b"\r\n..\r\n": b"\r\n.\r\n",
    b"\r\n...\r\n": b"\r\n..\r\n",
    b"\x0b.\x0b": b"\x0b.\x0b",
    b"\x0c.\x0c": b"\x0c.\x0c",
    b"\x85.\x85": b"\x85.\x85",
    b"\xc2\x85.\xc2\x85": b"\xc2\x85.\xc2\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8": b"\xe2\x80\xa8.\xe2\x80\xa8",
}
SMUGGLED = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nboo"


@pytest.mark.parametrize("octets", SMUGGLING, ids=ascii)
def test_smuggling(octets: bytes) -> None:
    outcome = send_data(b"x" + octets + SMUGGLED + b"\r\n.\r\n")
    assert outcome.mails == [Mail(b"x" + SMUGGLING[octets] + SMUGGLED + b"\r\n")]
    assert set(outcome.violations) <= BREAKS


def test_all_octets_pass() -> None:
    octets = bytes(range(256)) * 2
    assert send_data(octets + b"\r\n.\r\n").mails == [Mail(octets + b"\r\n")]


# The size limit counts what is left after dot-unstuffing.


@pytest.mark.parametrize("octets", [b"x" * 1998 + b"\r\n", b".." + b"x" * 1997 + b"\r\n"], ids=["plain", "stuffed"])
def test_largest_mail(octets: bytes) -> None:
    assert [mail.end for mail in send_data(octets + b".\r\n").mails] == ["complete"]


@pytest.mark.parametrize("extra", [1, 5000])
def test_mail_too_big_is_swallowed(extra: int) -> None:
    octets = b"x" * (1998 + extra) + b"\r\nMAIL FROM:<a@b>\r\nQUIT\r\n.\n.\r\n.\r\n"
    outcome = converse(
        EHLO,
        (b"MAIL FROM:<a@b> SIZE=3\r\n", MAIL[1]),
        RCPT,
        DATA,
        (octets.replace(b".\n.\r\n", b"..\n.\r\n"), TOO_BIG),
        MAIL,
        RCPT,
        DATA,
        (b"x\r\n.\r\n", ACCEPTED),
    )
    assert outcome.mails == [Mail(b"", "size"), Mail(b"x\r\n")]


def test_no_limit() -> None:
    outcome = converse(
        (b"HELO x\r\n", b"250 mx.test\r\n"),
        (b"MAIL FROM:<a@b> SIZE=99999999999999999999\r\n", MAIL[1]),
        RCPT,
        DATA,
        ((b"x" * 78 + b"\r\n") * 100 + b".\r\n", ACCEPTED),
        settings=settings(size=0),
    )
    assert outcome.mails == [Mail((b"x" * 78 + b"\r\n") * 100)]


def test_reset_in_strict_is_told() -> None:
    outcome = converse(
        EHLO,
        MAIL,
        RCPT,
        DATA,
        (b"a\nb\r\n.\r\n", b"554 5.6.0 Bare CR or LF in the message\r\n"),
        settings=settings(strict=True),
    )
    assert outcome.mails == [Mail(b"", "strict")]


# BDAT


def test_chunks() -> None:
    outcome = converse(
        EHLO,
        (b"MAIL FROM:<a@b> BODY=BINARYMIME\r\n", MAIL[1]),
        RCPT,
        (b"BDAT 10\r\n\r\n.\r\n\0\xff\n\rx", CHUNK_OK),
        (b"BDAT 0\r\n", CHUNK_OK),
        (b"NOOP\r\n", b"250 2.0.0 OK\r\n"),
        (b"BDAT 3 last\r\n..\n", ACCEPTED),
        MAIL,
        RCPT,
        (b"BDAT 0 LAST\r\n", ACCEPTED),
        MAIL,
        RCPT,
        (b"BDAT 3  LAST \r\nabc", ACCEPTED),
        MAIL,
        RCPT,
        (b"BDAT 1\r\nx", CHUNK_OK),
        (b"BDAT 0 LAST\r\n", ACCEPTED),
        QUIT,
    )
    assert outcome.mails == [Mail(b"\r\n.\r\n\0\xff\n\rx..\n"), Mail(b""), Mail(b"abc"), Mail(b"x")]
    assert outcome.mails[0].envelope is not None
    assert outcome.mails[0].envelope.mail_parameters == {"BODY": "BINARYMIME"}
    assert outcome.violations == {}


MAIL_FIRST = b"503 5.5.1 Send MAIL first\r\n"
SYNTAX = b"501 5.5.4 Syntax: BDAT size [LAST]\r\n"
BETWEEN_CHUNKS = b"503 5.5.1 Only BDAT or RSET between chunks\r\n"

CHUNKS: dict[str, tuple[list[Step], list[Mail]]] = {
    "without MAIL": ([(b"BDAT 6\r\nQUIT\r\n", MAIL_FIRST), (b"BDAT 6 LAST\r\nQUIT\r\n", MAIL_FIRST), MAIL], []),
    "without MAIL, empty": ([(b"BDAT 0 LAST\r\n", MAIL_FIRST), MAIL], []),
    "without RCPT": (
        [MAIL, (b"BDAT 6 LAST\r\nQUIT\r\n", b"503 5.5.1 Send RCPT first\r\n"), RCPT, (b"BDAT 1 LAST\r\nx", ACCEPTED)],
        [Mail(b"x")],
    ),
    "no size": ([MAIL, RCPT, (b"BDAT\r\n", SYNTAX), (b"BDAT 1 LAST\r\nx", ACCEPTED)], [Mail(b"x")]),
    **{
        f"bad size {size}": ([MAIL, RCPT, (b"BDAT %s\r\n" % size.encode(), SYNTAX)], [])
        for size in ("x", "-1", "+1", "1x", "0x10", "1.5", "LAST", "٣", "1" * 21)
    },
    "bad size between chunks": (
        [MAIL, RCPT, (b"BDAT 1\r\nx", CHUNK_OK), (b"BDAT x\r\n", SYNTAX), (b"BDAT 1 LAST\r\nx", MAIL_FIRST), MAIL],
        [Mail(b"", "chunk")],
    ),
    "not LAST": (
        [MAIL, RCPT, (b"BDAT 6 FIRST\r\nQUIT\r\n", SYNTAX), (b"BDAT 1 LAST\r\nx", MAIL_FIRST), MAIL],
        [],
    ),
    "not LAST between chunks": (
        [MAIL, RCPT, (b"BDAT 1\r\nx", CHUNK_OK), (b"BDAT 6 LAST LAST\r\nQUIT\r\n", SYNTAX), MAIL],
        [Mail(b"", "chunk")],
    ),
    "largest": (
        [MAIL, RCPT, (b"BDAT 2000 LAST\r\n" + b"x\r\n" * 666 + b"\r\n", ACCEPTED)],
        [Mail(b"x\r\n" * 666 + b"\r\n")],
    ),
    "too big": (
        [
            MAIL,
            RCPT,
            (b"BDAT 2001\r\n" + b"QUIT\n" * 400 + b"x", TOO_BIG),
            (b"BDAT 6 LAST\r\nQUIT\r\n", MAIL_FIRST),
            MAIL,
        ],
        [],
    ),
    "too big together": (
        [MAIL, RCPT, (b"BDAT 1\r\nx", CHUNK_OK), (b"BDAT 2000 LAST\r\n" + b"QUIT\n" * 400, TOO_BIG), MAIL],
        [Mail(b"", "size")],
    ),
    "RSET between": (
        [
            MAIL,
            RCPT,
            (b"BDAT 1\r\nx", CHUNK_OK),
            (b"RSET\r\n", b"250 2.0.0 Reset\r\n"),
            (b"BDAT 1\r\nx", MAIL_FIRST),
            MAIL,
        ],
        [Mail(b"", "reset")],
    ),
    "EHLO between": ([MAIL, RCPT, (b"BDAT 1\r\nx", CHUNK_OK), EHLO, MAIL], [Mail(b"", "reset")]),
    "QUIT between": ([MAIL, RCPT, (b"BDAT 1\r\nx", CHUNK_OK), QUIT], [Mail(b"", "reset")]),
    "DATA, RCPT, MAIL between": (
        [
            MAIL,
            RCPT,
            (b"BDAT 1\r\nx", CHUNK_OK),
            (DATA[0], BETWEEN_CHUNKS),
            (RCPT[0], BETWEEN_CHUNKS),
            (MAIL[0], b"503 5.5.1 Transaction already open\r\n"),
            (b"BDAT 1 LAST\r\ny", ACCEPTED),
        ],
        [Mail(b"xy")],
    ),
    "behind LAST": ([MAIL, RCPT, (b"BDAT 1 LAST\r\nx", ACCEPTED), (b"BDAT 1 LAST\r\ny", MAIL_FIRST)], [Mail(b"x")]),
}


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_chunk(name: str, strict: bool) -> None:
    steps, mails = CHUNKS[name]
    # A chunk size in digits of other scripts is refused as 8-bit before it is looked at.
    if strict and "٣" in name:
        steps = [
            *steps[:-1],
            (steps[-1][0], b"500 5.5.2 Not a command line: octets or line end RFC 5321 does not allow\r\n"),
        ]
    assert converse(EHLO, *steps, settings=settings(strict=strict)).mails == mails


def test_lines_of_text_chunks_are_watched() -> None:
    steps = [
        EHLO,
        MAIL,
        RCPT,
        (b"BDAT 2\r\na\r", CHUNK_OK),
        (b"BDAT 2\r\n\nb", CHUNK_OK),
        (b"BDAT 2 LAST\r\n\nc", ACCEPTED),
    ]
    assert converse(*steps).violations == {"bare-lf-in-body": ("", 1)}


def test_swallowed_chunk_keeps_no_octets() -> None:
    outcome = converse(EHLO, (b"BDAT 300000\r\n" + b"QUIT\r\n" * 50000, MAIL_FIRST), QUIT, pipelined=False)
    assert outcome.others == ["Closed"]


# The lines of a body


@pytest.mark.parametrize(
    ("octets", "faults"),
    [
        (b"", []),
        (b"a\r\nb", []),
        (b"\r\n", []),
        (b"\r\n\r\n\r\n", []),
        (b"\n", ["bare-lf-in-body"]),
        (b"\r", ["bare-cr-in-body"]),
        (b"\r\r\n", ["bare-cr-in-body"]),
        (b"\r\n\n", ["bare-lf-in-body"]),
        (b"\n\r", ["bare-cr-in-body", "bare-lf-in-body"]),
        (b"x" * 998 + b"\r\n", []),
        (b"x" * 999 + b"\r\n", ["long-body-line"]),
        (b"x" * 1000, []),
        (b"x" * 1001, ["long-body-line"]),
        (b"\r\n" + b"x" * 999 + b"\r\n", ["long-body-line"]),
        (b"\r\n" * 700 + b"x" * 998 + b"\r\n" + b"x" * 998 + b"\r\n", []),
        (b"\r\n" * 700 + b"x" * 998 + b"\r\n" + b"x" * 999 + b"\r\n", ["long-body-line"]),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_body_lines(octets: bytes, faults: list[str]) -> None:
    for size in (1, 2, 3, 7, 500, 998, 999, 1000, 1001, 5000):
        lines = BodyLines()
        for start in range(0, len(octets), size):
            buf = bytearray(b"\r\n") + octets[start : start + size] + b"\n\r"
            lines.feed(buf, 2, len(buf) - 2)
        assert line_faults(lines) == faults


def plain_line_faults(octets: bytes) -> list[str]:
    """By the methods of bytes."""
    rest = octets.replace(b"\r\n", b"")
    too_long = any(len(line) > 1000 for line in re.findall(rb"[^\n]*\n?", octets))
    seen = [("bare-cr-in-body", b"\r" in rest), ("bare-lf-in-body", b"\n" in rest), ("long-body-line", too_long)]
    return [code for code, found in seen if found]


LINES = st.one_of(
    st.integers(0, 80).map(lambda length: b"x" * length + b"\r\n"),
    st.sampled_from([b"\r\n" * 150, b"y" * 250, b"z" * 998 + b"\r\n", b"z" * 999, (b"b" * 76 + b"\r\n") * 9]),
    st.sampled_from([b"\r", b"\n", b"\r\r\n", b"\n\r"]),
)


@given(st.lists(LINES, max_size=20).map(b"".join), st.lists(st.integers(0, 3000), max_size=4))
def test_body_lines_agree_with_plain_code(octets: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(octets)) for cut in cuts} | {0, len(octets)})
    lines = BodyLines()
    for start, end in itertools.pairwise(places):
        buf = bytearray(b"\r\n") + octets[start:end] + b"\n\r"
        lines.feed(buf, 2, len(buf) - 2)
    assert line_faults(lines) == plain_line_faults(octets)
