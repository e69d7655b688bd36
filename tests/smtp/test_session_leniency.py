"""What is accepted and recorded by default, and what the strict session refuses: one row each, played in both modes."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from support import ACCEPTED, DATA, EHLO, MAIL, RCPT, Step, converse, settings

from fastsmtp.smtp.violations import CLAUSES

MAIL_OK, RCPT_OK = MAIL[1], RCPT[1]
AUTH_OK = b"235 2.7.0 Authentication accepted\r\n"
BAD_LINE = b"500 5.5.2 Not a command line: octets or line end RFC 5321 does not allow\r\n"
MAIL_SYNTAX = b"501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\r\n"
RCPT_SYNTAX = b"501 5.5.4 Syntax: RCPT TO:<address> [parameters]\r\n"
BAD_SENDER = b"501 5.1.7 Bad sender mailbox syntax\r\n"
BAD_RECIPIENT = b"501 5.1.3 Bad recipient mailbox syntax\r\n"
BAD_ARGUMENT = b"501 5.5.4 Bad or missing argument\r\n"
UNKNOWN_PARAMETER = b"555 5.5.4 Parameter not recognized\r\n"
BARE_BREAK = b"554 5.6.0 Bare CR or LF in the message\r\n"
HELO_REPLY = b"250 mx.test\r\n"


class Row(NamedTuple):
    """`line` after the steps of `before`; what is recorded in both modes unless the strict one stops earlier."""

    line: bytes
    default: bytes
    strict: bytes
    recorded: dict[str, str]
    before: tuple[Step, ...] = (EHLO,)
    strict_recorded: dict[str, str] | None = None


def mail(argument: str, strict: bytes, **recorded: str) -> Row:
    return Row(f"MAIL {argument}\r\n".encode(), MAIL_OK, strict, _codes(recorded))


def rcpt(argument: str, strict: bytes, **recorded: str) -> Row:
    return Row(f"RCPT {argument}\r\n".encode(), RCPT_OK, strict, _codes(recorded), (EHLO, MAIL))


def body(octets: bytes, strict: bytes, *codes: str) -> Row:
    return Row(octets, ACCEPTED, strict, dict.fromkeys(codes, ""), (EHLO, MAIL, RCPT, DATA))


def _codes(recorded: dict[str, str]) -> dict[str, str]:
    return {code.replace("_", "-").replace("eightbit", "8bit"): detail for code, detail in recorded.items()}


ROWS: dict[str, Row] = {
    # Verbs: RFC 5321 section 2.4 wants them taken in any case, so strict does too.
    "lower case": Row(b"noop\r\n", b"250 2.0.0 OK\r\n", b"250 2.0.0 OK\r\n", {"lower-case-verb": "noop"}),
    "mixed case": Row(b"Mail From:<a@b>\r\n", MAIL_OK, MAIL_OK, {"lower-case-verb": "Mail"}),
    "lower case with tab": Row(b"mail\tFROM:<a@b>\r\n", MAIL_OK, MAIL_OK, {"lower-case-verb": "mail"}),
    "blank before verb": Row(
        b" RSET\r\n", b"250 2.0.0 Reset\r\n", b"500 5.5.2 Command not recognized\r\n", {"leading-space": "RSET"}
    ),
    # Line ends and octets
    "LF": Row(b"NOOP\n", b"250 2.0.0 OK\r\n", BAD_LINE, {"bare-lf-in-command": "NOOP"}),
    "CR CR LF": Row(b"NOOP\r\r\n", b"250 2.0.0 OK\r\n", BAD_LINE, {"bare-cr-in-command": "NOOP\r"}),
    "CR inside": Row(b"NOOP a\rb\r\n", b"250 2.0.0 OK\r\n", BAD_LINE, {"bare-cr-in-command": "NOOP a\rb"}),
    "LF in AUTH": Row(b"AUTH PLAIN AGEAYg==\n", AUTH_OK, BAD_LINE, {"bare-lf-in-command": "AUTH"}),
    "LF in AUTH behind blank": Row(
        b" AUTH PLAIN AGEAYg==\n",
        AUTH_OK,
        BAD_LINE,
        {"bare-lf-in-command": "AUTH", "leading-space": "AUTH"},
        strict_recorded={"bare-lf-in-command": "AUTH"},
    ),
    "LF in response": Row(
        b"AGEAYg==\n", AUTH_OK, BAD_LINE, {"bare-lf-in-command": "AUTH"}, (EHLO, (b"AUTH PLAIN\r\n", b"334 \r\n"))
    ),
    "8-bit in NOOP": Row("NOOP ü\r\n".encode(), b"250 2.0.0 OK\r\n", BAD_LINE, {"8bit-in-command": "NOOP ü"}),
    "8-bit in EHLO": Row(
        "HELO ü\r\n".encode(),
        HELO_REPLY,
        BAD_LINE,
        {"8bit-in-command": "HELO ü", "invalid-helo": "ü"},
        strict_recorded={"8bit-in-command": "HELO ü"},
    ),
    "8-bit in MAIL": mail(
        "FROM:<ü@b>", b"550 5.6.7 Non-ASCII sender needs SMTPUTF8\r\n", eightbit_in_command="FROM:<ü@b>"
    ),
    "8-bit in RCPT": rcpt(
        "TO:<ü@b>", b"553 5.6.7 Non-ASCII recipient needs SMTPUTF8\r\n", eightbit_in_command="TO:<ü@b>"
    ),
    "Latin-1 in MAIL": Row(
        b"MAIL FROM:<\xfc@b> SMTPUTF8\r\n", MAIL_OK, BAD_LINE, {"not-utf8-in-command": "MAIL FROM:<ü@b> SMTPUTF8"}
    ),
    # Arguments that should not be there
    "RSET x": Row(b"RSET x\r\n", b"250 2.0.0 Reset\r\n", BAD_ARGUMENT, {"unexpected-argument": "x"}),
    "DATA x": Row(b"DATA x\r\n", DATA[1], BAD_ARGUMENT, {"unexpected-argument": "x"}, (EHLO, MAIL, RCPT)),
    "QUIT x": Row(b"QUIT x\r\n", b"221 2.0.0 Bye\r\n", BAD_ARGUMENT, {"unexpected-argument": "x"}),
    # Sequence
    "MAIL without HELO": Row(MAIL[0], MAIL_OK, b"503 5.5.1 Send HELO or EHLO first\r\n", {"mail-without-helo": ""}, ()),
    "AUTH after HELO": Row(
        b"AUTH PLAIN AGEAYg==\r\n",
        AUTH_OK,
        b"503 5.5.1 Send EHLO first\r\n",
        {"auth-without-ehlo": ""},
        ((b"HELO x\r\n", HELO_REPLY),),
    ),
    "AUTH without HELO": Row(
        b"AUTH PLAIN AGEAYg==\r\n", AUTH_OK, b"503 5.5.1 Send EHLO first\r\n", {"auth-without-ehlo": ""}, ()
    ),
    # HELO
    "HELO without a name": Row(b"HELO \r\n", HELO_REPLY, BAD_ARGUMENT, {"invalid-helo": ""}),
    "EHLO without a name": Row(b"EHLO\r\n", EHLO[1], BAD_ARGUMENT, {"invalid-helo": ""}),
    "underscore in HELO": Row(b"HELO my_pc\r\n", HELO_REPLY, BAD_ARGUMENT, {"invalid-helo": "my_pc"}),
    "words in HELO": Row(b"HELO my own pc\r\n", HELO_REPLY, BAD_ARGUMENT, {"invalid-helo": "my own pc"}),
    "IPv6 literal without its tag in EHLO": Row(
        b"EHLO [2001:db8::19]\r\n", EHLO[1], BAD_ARGUMENT, {"invalid-helo": "[2001:db8::19]"}
    ),
    # Paths
    "no brackets": mail("FROM:a@b", BAD_SENDER, path_without_brackets="a@b"),
    "no brackets, parameter": mail("FROM:a@b BODY=7BIT", BAD_SENDER, path_without_brackets="a@b BODY=7BIT"),
    "no brackets in RCPT": rcpt("TO:a@b", BAD_RECIPIENT, path_without_brackets="a@b"),
    "blank after colon": mail("FROM: <a@b>", MAIL_SYNTAX, misplaced_space="FROM: <a@b>"),
    "blank before colon": mail("FROM :<a@b>", MAIL_SYNTAX, misplaced_space="FROM :<a@b>"),
    "two blanks": mail(" FROM:<a@b>", MAIL_SYNTAX, misplaced_space=" FROM:<a@b>"),
    "blank after colon in RCPT": rcpt("TO: <a@b>", RCPT_SYNTAX, misplaced_space="TO: <a@b>"),
    "blanks in brackets": mail("FROM:< a@b >", MAIL_SYNTAX, misplaced_space=" a@b "),
    "no domain": mail("FROM:<joe>", BAD_SENDER, invalid_mailbox="joe"),
    "postmaster as sender": mail("FROM:<Postmaster>", BAD_SENDER, invalid_mailbox="Postmaster"),
    "no local part": mail("FROM:<@b>", BAD_SENDER, invalid_mailbox="@b"),
    "two dots": mail("FROM:<a..b@c>", BAD_SENDER, invalid_mailbox="a..b@c"),
    "dot at the end": mail("FROM:<a.@c>", BAD_SENDER, invalid_mailbox="a.@c"),
    "dot at the start": mail("FROM:<.a@c>", BAD_SENDER, invalid_mailbox=".a@c"),
    "blank in mailbox": mail("FROM:<a b@c>", BAD_SENDER, invalid_mailbox="a b@c"),
    "underscore in domain": mail("FROM:<a@b_c>", BAD_SENDER, invalid_mailbox="a@b_c"),
    "hyphen before dot": mail("FROM:<a@b-.c>", BAD_SENDER, invalid_mailbox="a@b-.c"),
    "NUL in mailbox": mail("FROM:<a\0@b>", BAD_SENDER, invalid_mailbox="a\0@b"),
    "two at": rcpt("TO:<a@b@c>", BAD_RECIPIENT, invalid_mailbox="a@b@c"),
    "bad literal": rcpt("TO:<a@[1.2.3.4>", BAD_RECIPIENT, invalid_mailbox="a@[1.2.3.4"),
    "IPv6 literal without its tag": mail("FROM:<a@[2001:db8::19]>", BAD_SENDER, invalid_mailbox="a@[2001:db8::19]"),
    "number of a literal above 255": rcpt("TO:<a@[300.1.1.1]>", BAD_RECIPIENT, invalid_mailbox="a@[300.1.1.1]"),
    "bad literal in a route": rcpt(
        "TO:<@[1.2.3]:c@d>", BAD_RECIPIENT, source_route="@[1.2.3]:c@d", invalid_mailbox="@[1.2.3]:c@d"
    ),
    # Display names
    "name in brackets": mail("FROM:<Joe <a@b>>", BAD_SENDER, invalid_mailbox="<Joe <a@b>>"),
    "brackets twice": mail("FROM:<<a@b>>", BAD_SENDER, invalid_mailbox="<<a@b>>"),
    "name": mail("FROM:Ann <a@b> SIZE=3", BAD_SENDER, invalid_mailbox="Ann <a@b>"),
    "quoted name": mail('FROM:"Joe X" <a@b>', BAD_SENDER, invalid_mailbox='"Joe X" <a@b>'),
    "encoded name": mail("FROM:=?utf-8?q?J=C3=B6?= <a@b>", BAD_SENDER, invalid_mailbox="=?utf-8?q?J=C3=B6?= <a@b>"),
    "comment": mail("FROM:<a@b (Joe)>", BAD_SENDER, invalid_mailbox="<a@b (Joe)>"),
    "bracket too many": mail("FROM:<a@b>>", BAD_SENDER, invalid_mailbox="<a@b>>"),
    "name in RCPT": rcpt("TO:Ann <a@b>", BAD_RECIPIENT, invalid_mailbox="Ann <a@b>"),
    "name in brackets in RCPT": rcpt("TO:<Joe <a@b>> NOTIFY=NEVER", BAD_RECIPIENT, invalid_mailbox="<Joe <a@b>>"),
    "comment without brackets": Row(
        b"MAIL FROM:a@b (Joe)\r\n",
        MAIL_OK,
        BAD_SENDER,
        {"invalid-mailbox": "a@b (Joe)", "path-without-brackets": "a@b (Joe)"},
        strict_recorded={"invalid-mailbox": "a@b (Joe)"},
    ),
    "name behind a blank": Row(
        b"RCPT TO: Ann <a@b>\r\n",
        RCPT_OK,
        BAD_RECIPIENT,
        {"invalid-mailbox": "Ann <a@b>", "misplaced-space": "TO: Ann <a@b>"},
        (EHLO, MAIL),
        {"invalid-mailbox": "Ann <a@b>"},
    ),
    # "servers MUST" take source routes: so does strict.
    "source route": rcpt("TO:<@a.example,@b:c@d>", RCPT_OK, source_route="@a.example,@b:c@d"),
    # Parameters
    "unknown parameter": mail("FROM:<a@b> FOO=bar", UNKNOWN_PARAMETER, unknown_parameter="FOO=bar"),
    "unknown word": mail("FROM:<a@b> FOO", UNKNOWN_PARAMETER, unknown_parameter="FOO"),
    "parameter of RCPT in MAIL": mail("FROM:<a@b> NOTIFY=NEVER", UNKNOWN_PARAMETER, unknown_parameter="NOTIFY=NEVER"),
    "unknown parameter in RCPT": rcpt("TO:<a@b> SIZE=1", UNKNOWN_PARAMETER, unknown_parameter="SIZE=1"),
    "bad SIZE": mail("FROM:<a@b> SIZE=big", BAD_ARGUMENT, invalid_parameter="SIZE=big"),
    "empty SIZE": mail("FROM:<a@b> SIZE=", BAD_ARGUMENT, invalid_parameter="SIZE="),
    "no SIZE": mail("FROM:<a@b> SIZE", BAD_ARGUMENT, invalid_parameter="SIZE"),
    "SIZE with digits of Arabic": mail("FROM:<a@b> SMTPUTF8 SIZE=٣", BAD_ARGUMENT, invalid_parameter="SIZE=٣"),
    "bad BODY": mail("FROM:<a@b> BODY=9BIT", BAD_ARGUMENT, invalid_parameter="BODY=9BIT"),
    "value for SMTPUTF8": mail("FROM:<a@b> SMTPUTF8=yes", BAD_ARGUMENT, invalid_parameter="SMTPUTF8=yes"),
    "bad RET": mail("FROM:<a@b> RET=ALL", BAD_ARGUMENT, invalid_parameter="RET=ALL"),
    "bad ENVID": mail("FROM:<a@b> ENVID=a+b", BAD_ARGUMENT, invalid_parameter="ENVID=a+b"),
    "bad NOTIFY": rcpt("TO:<a@b> NOTIFY=NEVER,DELAY", BAD_ARGUMENT, invalid_parameter="NOTIFY=NEVER,DELAY"),
    "bad ORCPT": rcpt("TO:<a@b> ORCPT=a@b", BAD_ARGUMENT, invalid_parameter="ORCPT=a@b"),
    "no keyword": mail("FROM:<a@b> =x", BAD_ARGUMENT, invalid_parameter="=x"),
    "two equals": mail("FROM:<a@b> X=y=z", BAD_ARGUMENT, invalid_parameter="X=y=z"),
    "no blank before parameter": mail("FROM:<a@b>BODY=7BIT", BAD_ARGUMENT, invalid_parameter="BODY=7BIT"),
    "parameter twice": mail("FROM:<a@b> BODY=7BIT body=8BITMIME", BAD_ARGUMENT, duplicate_parameter="body=8BITMIME"),
    "parameter after HELO": Row(
        b"MAIL FROM:<a@b> SIZE=3\r\n",
        MAIL_OK,
        UNKNOWN_PARAMETER,
        {"parameter-without-ehlo": "SIZE"},
        ((b"HELO x\r\n", HELO_REPLY),),
    ),
    "RCPT parameter after HELO": Row(
        b"RCPT TO:<a@b> NOTIFY=NEVER\r\n",
        RCPT_OK,
        UNKNOWN_PARAMETER,
        {"parameter-without-ehlo": "NOTIFY"},
        ((b"HELO x\r\n", HELO_REPLY), MAIL),
    ),
    # Credentials
    "PLAIN without NUL": Row(
        b"AUTH PLAIN YWI=\r\n",
        AUTH_OK,
        b"501 5.5.2 Malformed credentials\r\n",
        {"malformed-credentials": "PLAIN"},
    ),
    "no bearer": Row(
        b"AUTH XOAUTH2 YWI=\r\n",
        AUTH_OK,
        b"501 5.5.2 Malformed credentials\r\n",
        {"malformed-credentials": "XOAUTH2"},
    ),
    # Mail data
    "LF in body": body(b"a\nb\r\n.\r\n", BARE_BREAK, "bare-lf-in-body"),
    "CR in body": body(b"a\rb\r\n.\r\n", BARE_BREAK, "bare-cr-in-body"),
    "CR CR LF in body": body(b"a\r\r\n.\r\n", BARE_BREAK, "bare-cr-in-body"),
    "both in body": body(b"a\n\rb\r\n.\r\n", BARE_BREAK, "bare-cr-in-body", "bare-lf-in-body"),
    "longest line": body(b"x" * 998 + b"\r\n.\r\n", ACCEPTED),
    "longest line, dot stuffed": body(b".." + b"x" * 997 + b"\r\n.\r\n", ACCEPTED),
    "no header": body(b"x\r\n.\r\n", ACCEPTED),
}
ROWS["long line"] = body(
    b"x" * 999 + b"\r\n.\r\n",
    b"554 5.6.0 Line longer than 998 octets in the message\r\n",
    "long-body-line",
)


@pytest.mark.parametrize("name", ROWS)
def test_accepted_and_recorded(name: str) -> None:
    row = ROWS[name]
    outcome = converse(*row.before, (row.line, row.default), settings=settings())
    assert outcome.violations == {code: (detail, 1) for code, detail in row.recorded.items()}


@pytest.mark.parametrize("name", ROWS)
def test_strict(name: str) -> None:
    row = ROWS[name]
    outcome = converse(*row.before, (row.line, row.strict), settings=settings(strict=True))
    recorded = row.recorded if row.strict_recorded is None else row.strict_recorded
    assert outcome.violations == {code: (detail, 1) for code, detail in recorded.items()}


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.strict[:1] == b"5"])
def test_strict_session_goes_on(name: str) -> None:
    row = ROWS[name]
    converse(
        *row.before,
        (row.line, row.strict),
        (b"RSET\r\n", b"250 2.0.0 Reset\r\n"),
        *((EHLO, MAIL, RCPT, DATA, (b".\r\n", ACCEPTED))),
        settings=settings(strict=True),
    )


def test_every_rule_has_a_row() -> None:
    elsewhere = {"plaintext-after-starttls", "starttls-without-ehlo", "message-without-header", "unparsable-message"}
    elsewhere |= {"http-request", "tls-without-starttls", "untrusted-proxy", "malformed-proxy-header"}
    assert {code for row in ROWS.values() for code in row.recorded} | elsewhere == set(CLAUSES)


def test_starttls_without_ehlo() -> None:
    ready = b"220 2.0.0 Ready to start TLS\r\n"
    outcome = converse((b"STARTTLS\r\n", ready), settings=settings(tls=True))
    assert outcome.violations == {"starttls-without-ehlo": ("", 1)}
    refused = b"503 5.5.1 Send EHLO first\r\n"
    outcome = converse((b"STARTTLS\r\n", refused), settings=settings(tls=True, strict=True))
    assert outcome.violations == {"starttls-without-ehlo": ("", 1)}


def test_first_detail_and_count() -> None:
    outcome = converse(EHLO, (b"NOOP 1\n", b"250 2.0.0 OK\r\n"), (b"NOOP 2\n", b"250 2.0.0 OK\r\n"))
    assert outcome.violations == {"bare-lf-in-command": ("NOOP 1", 2)}


ENVELOPES: dict[str, tuple[str, dict[str, str | None]]] = {
    "FROM:a@b": ("a@b", {}),
    "FROM: a@b SIZE=3": ("a@b", {"SIZE": "3"}),
    "FROM:<>": ("", {}),
    "FROM:< >": ("", {}),
    "FROM:<> AUTH=<> RET=FULL": ("", {"AUTH": "<>", "RET": "FULL"}),
    'FROM:<"a b"@c>': ('"a b"@c', {}),
    'FROM:<"a>b"@c> X': ('"a>b"@c', {"X": None}),
    'FROM:<"a\\"b>"@c>': ('"a\\"b>"@c', {}),
    'FROM:"a b"@c X=y': ('"a b"@c', {"X": "y"}),
    'FROM:<a"b@c> X': ('a"b@c', {"X": None}),
    "FROM:<@x,@y:a@b>": ("a@b", {}),
    "FROM:<a@[127.0.0.1]>": ("a@[127.0.0.1]", {}),
    "FROM:<a@[IPv6:::1]>": ("a@[IPv6:::1]", {}),
    "FROM:<a+b=c/d@e>": ("a+b=c/d@e", {}),
    "FROM:<a@b>  X=1   Y": ("a@b", {"X": "1", "Y": None}),
    "FROM:<a@b>\tX=1": ("a@b", {"X": "1"}),
    "FROM:<a@b> X=1 x=2": ("a@b", {"X": "1"}),
    "FROM:<a@b> X= =": ("a@b", {"X": "", "": ""}),
    "FROM:a@b\tX=1": ("a@b", {"X": "1"}),
    "FROM:<Joe <a@b>> X=1": ("a@b", {"X": "1"}),
    "FROM:<Joe <a@b> > X=1": ("a@b", {"X": "1"}),
    "FROM:<Joe <a@b> (at work)> X=1": ("a@b", {"X": "1"}),
    "FROM:<a@b> (at work)": ("a@b", {}),
    "FROM:<a@b> (Joe) X=1": ("a@b", {"X": "1"}),
    "FROM:<a@b> X=(y)": ("a@b", {"X": "(y)"}),
    "FROM:<<a@b>> AUTH=<>": ("a@b", {"AUTH": "<>"}),
    "FROM:<<a@b> AUTH=<>": ("a@b", {"AUTH": "<>"}),
    "FROM:<<<a@b>>>": ("a@b", {}),
    "FROM:<Joe <@x:a@b>>": ("a@b", {}),
    'FROM:<"Joe <X>" <a@b>>': ("a@b", {}),
    'FROM:<"a>b"@example.com>': ('"a>b"@example.com', {}),
    'FROM:<"a<b"@c>': ('"a<b"@c', {}),
    'FROM:<"(a)"@c>': ('"(a)"@c', {}),
    'FROM:<Joe <"a>b"@c>>': ('"a>b"@c', {}),
    "FROM:Ann <a@b> X=1 Y": ("a@b", {"X": "1", "Y": None}),
    "FROM:Ann <>": ("", {}),
    "FROM:Ann<a@b>": ("a@b", {}),
    "FROM:c@d <a@b>": ("a@b", {}),
    "FROM:Doe, Jane <a@b>": ("a@b", {}),
    'FROM:"Joe \\"X\\" <y>" <a@b> X=1': ("a@b", {"X": "1"}),
    'FROM:Joe "X <a@b>': ("a@b", {}),
    "FROM:Joe :) <a@b>": ("a@b", {}),
    "FROM:Joe (: <a@b>": ("a@b", {}),
    'FROM:Joe (: "X <y>" <a@b>': ("a@b", {}),
    "FROM:=?utf-8?q?J=C3=B6?= =?utf-8?q?_X?= <a@b> X=1": ("a@b", {"X": "1"}),
    "FROM:=?utf-8?q?J?=<a@b>": ("a@b", {}),
    "FROM:(Joe) <a@b>": ("a@b", {}),
    "FROM:Joe (the <x@y> (one)) <a@b>": ("a@b", {}),
    "FROM:<(Joe) a@b (work (home)) > X=1": ("a@b", {"X": "1"}),
    "FROM:(Joe) a@b X=1": ("a@b", {"X": "1"}),
    "FROM:a@b (Joe X) X=1": ("a@b", {"X": "1"}),
    "FROM:a@b(Joe) X=1": ("a@b", {"X": "1"}),
    "FROM:a@b> X=1": ("a@b", {"X": "1"}),
    "FROM:<a@b> > X=1": ("a@b", {"X": "1"}),
    "FROM:a@b > X=1": ("a@b", {"X": "1"}),
    "FROM:<a@b> X=1 >": ("a@b", {"X": "1"}),
    "FROM:<>>": ("", {}),
    "FROM:<(a)@b>": ("(a)@b", {}),
    "FROM:<a<b>": ("b", {}),
    "FROM:a@b AUTH=<>": ("a@b", {"AUTH": "<>"}),
    "FROM:a@b AUTH=<c@d>": ("a@b", {"AUTH": "<c@d>"}),
    "FROM:a@b X=(y)": ("a@b", {"X": "(y)"}),
}


@pytest.mark.parametrize("argument", ENVELOPES)
def test_meaning(argument: str) -> None:
    path, parameters = ENVELOPES[argument]
    outcome = converse(EHLO, (f"MAIL {argument}\r\n".encode(), MAIL_OK), RCPT, DATA, (b".\r\n", ACCEPTED))
    assert (outcome.envelope().reverse_path, outcome.envelope().mail_parameters) == (path, parameters)
