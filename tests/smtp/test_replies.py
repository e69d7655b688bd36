"""Every reply we send has the shape RFC 5321 and RFC 2034 give it, and says what the table here says."""

from __future__ import annotations

import re

import pytest

from fastsmtp.smtp import replies, violations
from fastsmtp.smtp.replies import MECHANISMS, format_reply

REPLIES = {name: value for name, value in vars(replies).items() if isinstance(value, bytes)}
# RFC 3463 section 2 "class", RFC 2034 section 4: the class is the first digit of the code.
_LINE = re.compile(rb"([2-5][0-5][0-9])([ -])(?:([245]\.[0-9]{1,3}\.[0-9]{1,3}) )?[ -~]+\r\n")

CODES = {
    "ALREADY_AUTHENTICATED": "503 5.5.1",
    "AUTHENTICATED": "235 2.7.0",
    "AUTH_CANCELLED": "501 5.7.0",
    "AUTH_LINE_TOO_LONG": "500 5.5.6",
    "BAD_ARGUMENT": "501 5.5.4",
    "BAD_BASE64": "501 5.5.2",
    "BAD_CREDENTIALS": "501 5.5.2",
    "BAD_FORWARD_PATH": "501 5.1.3",
    "BAD_LINE": "500 5.5.2",
    "BAD_REVERSE_PATH": "501 5.1.7",
    "BARE_LINE_BREAK": "554 5.6.0",
    "BDAT_SYNTAX": "501 5.5.4",
    "BINARY_NEEDS_BDAT": "503 5.5.1",
    "BODY_LINE_TOO_LONG": "554 5.6.0",
    "BYE": "221 2.0.0",
    "CANNOT_VERIFY": "252 2.0.0",
    "CHUNKS_STARTED": "503 5.5.1",
    "CHUNK_ACCEPTED": "250 2.0.0",
    "EHLO_FIRST": "503 5.5.1",
    "HELO_FIRST": "503 5.5.1",
    "HELP": "214 2.0.0",
    "LINE_TOO_LONG": "500 5.5.2",
    "MAIL_FIRST": "503 5.5.1",
    "MAIL_OK": "250 2.1.0",
    "MAIL_SYNTAX": "501 5.5.4",
    "MALFORMED_MESSAGE": "554 5.6.0",
    "MESSAGE_ACCEPTED": "250 2.0.0",
    "NESTED_MAIL": "503 5.5.1",
    "NOOP_OK": "250 2.0.0",
    "NOT_IMPLEMENTED": "502 5.5.1",
    "NOT_IN_TRANSACTION": "503 5.5.1",
    "NO_INITIAL_RESPONSE": "501 5.7.0",
    "NO_WORKER": "451 4.3.2",
    "OTHER_PROTOCOL": "421 4.7.0",
    "MALFORMED_PROXY_HEADER": "421 4.7.0",
    "UNTRUSTED_PROXY": "550 5.7.0",
    "XFORWARD_OK": "250 2.0.0",
    "RCPT_FIRST": "503 5.5.1",
    "RCPT_OK": "250 2.1.5",
    "RCPT_SYNTAX": "501 5.5.4",
    "READY_FOR_TLS": "220 2.0.0",
    "RSET_OK": "250 2.0.0",
    "SHUTTING_DOWN": "421 4.3.2",
    "START_MAIL_INPUT": "354 ",
    "OUT_OF_MEMORY": "452 4.3.1",
    "NO_ROOM_FOR_LOGIN": "454 4.7.0",
    "STORAGE_FAILED": "451 4.3.0",
    "STORAGE_FULL": "452 4.3.1",
    "CLUSTER_AWAY": "451 4.3.2",
    "TLS_ACTIVE": "503 5.5.1",
    "TOO_BIG": "552 5.3.4",
    "TOO_MANY_CONNECTIONS": "421 4.3.2",
    "TOO_MANY_RECIPIENTS": "452 4.5.3",
    "UNKNOWN_COMMAND": "500 5.5.2",
    "UNKNOWN_MECHANISM": "504 5.5.4",
    "UNKNOWN_PARAMETER": "555 5.5.4",
    "UTF8_FORWARD_PATH": "553 5.6.7",
    "UTF8_REVERSE_PATH": "550 5.6.7",
    "WORKER_FAILED": "451 4.3.0",
}


def codes(wire: bytes) -> str:
    """Code and enhanced code, the same on every line of a reply."""
    lines = wire.splitlines(keepends=True)
    matches = [_LINE.fullmatch(line) for line in lines]
    found = {(match[1], match[3]) for match in matches if match is not None}
    assert len(found) == 1
    assert [match[2] for match in matches if match is not None] == [b"-"] * (len(lines) - 1) + [b" "]
    ((code, enhanced),) = found
    assert enhanced is None or enhanced[:1] == code[:1]
    return f"{code.decode()} {enhanced.decode() if enhanced else ''}"


def test_codes() -> None:
    assert {name: codes(wire) for name, wire in REPLIES.items()} == CODES


def test_no_line_is_longer_than_512() -> None:
    assert [name for name, wire in REPLIES.items() if max(map(len, wire.splitlines(True))) > 512] == []


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (format_reply(250, "a"), b"250 a\r\n"),
        (format_reply(250, "a", "b", enhanced="2.0.0"), b"250-2.0.0 a\r\n250 2.0.0 b\r\n"),
        (replies.greeting("h"), b"220 h ESMTP fastsmtp\r\n"),
        (replies.helo("h"), b"250 h\r\n"),
        (replies.challenge(""), b"334 \r\n"),
        (replies.challenge("eA=="), b"334 eA==\r\n"),
    ],
)
def test_wire(wire: bytes, expected: bytes) -> None:
    assert wire == expected


def test_ehlo() -> None:
    assert replies.ehlo("h", 10485760, True).decode().split("\r\n") == [
        "250-h",
        "250-PIPELINING",
        "250-SIZE 10485760",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-ENHANCEDSTATUSCODES",
        "250-CHUNKING",
        "250-BINARYMIME",
        "250-DSN",
        "250-AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER",
        "250-STARTTLS",
        "250 HELP",
        "",
    ]


@pytest.mark.parametrize(
    ("mechanisms", "lines"),
    [(MECHANISMS, ["250-AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2 OAUTHBEARER"]), (("LOGIN",), ["250-AUTH LOGIN"]), ((), [])],
)
def test_ehlo_offers_the_mechanisms_that_it_is_given(mechanisms: tuple[str, ...], lines: list[str]) -> None:
    shown = replies.ehlo("h", 10, False, mechanisms).decode().split("\r\n")
    assert [line for line in shown if "AUTH" in line] == lines


def test_every_refusal_of_strict_mode_is_a_5xx() -> None:
    refusals = [wire for rule in violations.CLAUSES.values() for wire in (rule.refusal, rule.rcpt_refusal) if wire]
    assert {wire[:1] for wire in refusals} == {b"5"}
    assert set(refusals) <= set(REPLIES.values())


def test_violation_codes_are_named_once() -> None:
    named = [value for name, value in vars(violations).items() if name.isupper() and isinstance(value, str)]
    assert sorted(named) == sorted(violations.CLAUSES)
