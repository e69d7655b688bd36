"""Conversations of well-behaved clients, refusals, limits, TLS, the end of a session. Everything is compared whole."""

from __future__ import annotations

import base64
import hashlib
import hmac
import tracemalloc

import pytest
from support import ACCEPTED, DATA, EHLO, GREETING, MAIL, QUIT, RCPT, Mail, Player, Step, converse, settings

from fastsmtp.smtp.envelope import Credentials, Envelope, TLSInfo
from fastsmtp.smtp.events import (
    HEADROOM,
    AbortReason,
    Closed,
    Command,
    MailAborted,
    MailBegin,
    MailEnd,
    Replied,
    StartTLS,
    Verdict,
)
from fastsmtp.smtp.outbox import ENOUGH
from fastsmtp.smtp.session import Session
from fastsmtp.smtp.sessionsettings import SessionSettings
from fastsmtp.smtp.verbs import VERBS

BAD_SEQUENCE = b"503 5.5.1 "
TOO_BIG = b"552 5.3.4 Message exceeds the size limit\r\n"


def feed(session: Session, octets: bytes) -> bytes:
    buf = bytearray(HEADROOM) + octets
    session.receive(buf, HEADROOM, len(buf))
    return session.take_output()


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


# Greeting and small commands


def test_greeting_names_the_host() -> None:
    session = Session(SessionSettings("buggregator.local"))
    session.greet()
    assert session.take_output() == b"220 buggregator.local ESMTP fastsmtp\r\n"
    assert session.take_output() == b""


def test_helo() -> None:
    outcome = converse((b"HELO client.test\r\n", b"250 mx.test\r\n"), MAIL, RCPT, DATA, (b"x\r\n.\r\n", ACCEPTED))
    assert outcome.envelope() == Envelope("client.test", False, "a@example.org", ("b@example.org",), {}, ({},))
    assert outcome.violations == {}


def test_ehlo_offers_tls_until_it_is_active() -> None:
    with_tls = EHLO[1].replace(b"250 HELP", b"250-STARTTLS\r\n250 HELP")
    converse((EHLO[0], with_tls), settings=settings(tls=True))
    converse(EHLO, settings=settings(tls=True), tls=TLSInfo("TLSv1.3", "x"))


def test_ehlo_unlimited_size() -> None:
    converse((EHLO[0], EHLO[1].replace(b"SIZE 2000", b"SIZE 0")), settings=settings(size=0))


SMALL: list[Step] = [
    (b"NOOP\r\n", b"250 2.0.0 OK\r\n"),
    (b"NOOP and more\r\n", b"250 2.0.0 OK\r\n"),
    (b"RSET\r\n", b"250 2.0.0 Reset\r\n"),
    (b"RSET  \r\n", b"250 2.0.0 Reset\r\n"),
    (b"VRFY joe\r\n", b"252 2.0.0 Cannot verify, will accept and capture\r\n"),
    (b"VRFY\r\n", b"501 5.5.4 Bad or missing argument\r\n"),
    (b"VRFY \r\n", b"501 5.5.4 Bad or missing argument\r\n"),
    (b"EXPN list\r\n", b"502 5.5.1 Command not implemented\r\n"),
    (
        b"HELP\r\n",
        b"214-2.0.0 This server captures all mail and any login\r\n"
        b"214-2.0.0 HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT\r\n"
        b"214 2.0.0 RSET NOOP VRFY EXPN HELP QUIT\r\n",
    ),
    (b"STARTTLS\r\n", b"502 5.5.1 Command not implemented\r\n"),
    (b"FOO\r\n", b"500 5.5.2 Command not recognized\r\n"),
    (b"MAILFROM:<a@b>\r\n", b"500 5.5.2 Command not recognized\r\n"),
    (b"DATAX\r\n", b"500 5.5.2 Command not recognized\r\n"),
    (b"\0\0\0\0\r\n", b"500 5.5.2 Command not recognized\r\n"),
]


@pytest.mark.parametrize("step", SMALL, ids=lambda step: step[0].decode().strip() or "empty")
@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_small_command(step: Step, strict: bool) -> None:
    outcome = converse(step, QUIT, settings=settings(strict=strict))
    assert outcome.violations == {}
    assert outcome.others == ["Closed"]


def test_an_empty_line_is_answered_at_once_but_for_the_first() -> None:
    """A connection that begins with one may be that of a proxy, whose header of version 2 does."""
    unknown = b"500 5.5.2 Command not recognized\r\n"
    converse((b"NOOP\r\n", b"250 2.0.0 OK\r\n"), (b"\r\n", unknown), QUIT)
    converse((b"\r\n", b""), (QUIT[0], unknown + QUIT[1]))


def test_quit_ends_all() -> None:
    outcome = converse((b"QUIT\r\nNOOP\r\nMAIL FROM:<a@b>\r\n", QUIT[1]))
    assert (outcome.mails, outcome.others, outcome.violations) == ([], ["Closed"], {})


# Transactions


def test_two_mails_and_rset_between() -> None:
    outcome = converse(
        EHLO,
        MAIL,
        RCPT,
        RCPT,
        DATA,
        (b"Subject: 1\r\n\r\none\r\n.\r\n", ACCEPTED),
        MAIL,
        (b"RSET\r\n", b"250 2.0.0 Reset\r\n"),
        (b"MAIL FROM:<>\r\n", MAIL[1]),
        RCPT,
        DATA,
        (b".\r\n", ACCEPTED),
        QUIT,
    )
    assert outcome.mails == [Mail(b"Subject: 1\r\n\r\none\r\n"), Mail(b"")]
    assert [mail.envelope for mail in outcome.mails] == [
        Envelope("client.test", True, "a@example.org", ("b@example.org", "b@example.org"), {}, ({}, {})),
        Envelope("client.test", True, "", ("b@example.org",), {}, ({},)),
    ]
    assert (outcome.others, outcome.violations) == (["Closed"], {})


def test_parameters_are_kept_as_sent() -> None:
    outcome = converse(
        EHLO,
        (b"MAIL FROM:<a@b> Size=12 BODY=8bitmime SMTPUTF8 AUTH=<> RET=HDRS ENVID=QQ+2B314159\r\n", MAIL[1]),
        (b"RCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c+40d\r\n", RCPT[1]),
        (b"RCPT TO:<e@f>\r\n", RCPT[1]),
        DATA,
        (b"x\r\n.\r\n", ACCEPTED),
    )
    envelope = outcome.envelope()
    assert envelope.mail_parameters == {
        "Size": "12",
        "BODY": "8bitmime",
        "SMTPUTF8": None,
        "AUTH": "<>",
        "RET": "HDRS",
        "ENVID": "QQ+2B314159",
    }
    assert envelope.rcpt_parameters == ({"NOTIFY": "SUCCESS,DELAY", "ORCPT": "rfc822;c+40d"}, {})
    assert outcome.violations == {}


@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_utf8_paths(strict: bool) -> None:
    outcome = converse(
        EHLO,
        ("MAIL FROM:<jürgen@bücher.example> SMTPUTF8\r\n".encode(), MAIL[1]),
        ("RCPT TO:<用户@例子.广告>\r\n".encode(), RCPT[1]),
        ("VRFY jürgen SMTPUTF8\r\n".encode(), b"252 2.0.0 Cannot verify, will accept and capture\r\n"),
        DATA,
        (b"x\r\n.\r\n", ACCEPTED),
        settings=settings(strict=strict),
    )
    assert outcome.envelope().reverse_path == "jürgen@bücher.example"
    assert outcome.envelope().forward_paths == ("用户@例子.广告",)
    assert outcome.violations == {}


SEQUENCE: dict[str, list[Step]] = {
    "nested MAIL": [EHLO, MAIL, (MAIL[0], BAD_SEQUENCE + b"Transaction already open\r\n"), RCPT],
    "RCPT without MAIL": [EHLO, (RCPT[0], BAD_SEQUENCE + b"Send MAIL first\r\n")],
    "DATA without MAIL": [EHLO, (DATA[0], BAD_SEQUENCE + b"Send MAIL first\r\n")],
    "DATA without RCPT": [EHLO, MAIL, (DATA[0], BAD_SEQUENCE + b"Send RCPT first\r\n"), RCPT, DATA],
    "AUTH in transaction": [
        EHLO,
        MAIL,
        (b"AUTH LOGIN\r\n", BAD_SEQUENCE + b"Not allowed inside a transaction\r\n"),
        RCPT,
    ],
    "AUTH twice": [
        EHLO,
        (b"AUTH PLAIN AGEAYg==\r\n", b"235 2.7.0 Authentication accepted\r\n"),
        (b"AUTH PLAIN AGEAYg==\r\n", BAD_SEQUENCE + b"Already authenticated\r\n"),
    ],
    "EHLO resets": [EHLO, MAIL, RCPT, EHLO, (DATA[0], BAD_SEQUENCE + b"Send MAIL first\r\n"), MAIL],
    "BINARYMIME by DATA": [
        EHLO,
        (b"MAIL FROM:<a@b> BODY=BINARYMIME\r\n", MAIL[1]),
        RCPT,
        (DATA[0], BAD_SEQUENCE + b"BODY=BINARYMIME needs BDAT\r\n"),
        (b"RSET\r\n", b"250 2.0.0 Reset\r\n"),
    ],
}


@pytest.mark.parametrize("name", SEQUENCE)
@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_sequence(name: str, strict: bool) -> None:
    outcome = converse(*SEQUENCE[name], settings=settings(strict=strict))
    assert outcome.violations == {}


BAD_ARGUMENTS: list[Step] = [
    *(
        (line, b"501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\r\n")
        for line in (
            b"MAIL\r\n",
            b"MAIL FROM\r\n",
            b"MAIL FROM:\r\n",
            b"MAIL FROM: \r\n",
            b"MAIL FROM <a@b>\r\n",
            b"MAIL TO:<a@b>\r\n",
            b"MAIL FROM:<a@b\r\n",
            b'MAIL FROM:<"a>@b"\r\n',
            b"MAIL FROM:Joe <a@b\r\n",
            b"MAIL FROM:a<b@c\r\n",
            b"MAIL FROM:<@a:>\r\n",
            b"MAIL FROM:<a@b>" + b"".join(b" X%d" % i for i in range(65)) + b"\r\n",
        )
    ),
    (b"MAIL FROM:<a@b> SIZE=2001\r\n", TOO_BIG),
    (b"MAIL FROM:<a@b> SIZE=99999999999999999999\r\n", TOO_BIG),
]


@pytest.mark.parametrize("step", BAD_ARGUMENTS, ids=lambda step: step[0][:30].decode().strip())
@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_bad_argument_of_mail(step: Step, strict: bool) -> None:
    converse(EHLO, step, MAIL, settings=settings(strict=strict))


@pytest.mark.parametrize(
    "line",
    [b"RCPT\r\n", b"RCPT TO:\r\n", b"RCPT TO:<>\r\n", b"RCPT TO:< >\r\n", b"RCPT FROM:<a@b>\r\n", b"RCPT TO:<a\r\n"],
)
def test_bad_argument_of_rcpt(line: bytes) -> None:
    converse(EHLO, MAIL, (line, b"501 5.5.4 Syntax: RCPT TO:<address> [parameters]\r\n"), RCPT)


# Limits


def test_recipient_above_the_limit() -> None:
    outcome = converse(
        EHLO, MAIL, RCPT, RCPT, RCPT, (RCPT[0], b"452 4.5.3 Too many recipients\r\n"), DATA, (b"x\r\n.\r\n", ACCEPTED)
    )
    assert outcome.envelope().forward_paths == ("b@example.org",) * 3


def test_longest_command_line() -> None:
    noop = b"NOOP " + b"x" * (64 * 1024 - 7) + b"\r\n"
    converse((noop, b"250 2.0.0 OK\r\n"), pipelined=False)


def test_command_line_too_long() -> None:
    noop = b"NOOP " + b"x" * (64 * 1024 - 6) + b"\r\n"
    converse((noop, b"500 5.5.2 Command line too long\r\n"), QUIT)


def test_endless_line_is_not_kept() -> None:
    session = Session(settings())
    octets = b"x" * 65536
    tracemalloc.start()
    try:
        for _ in range(100):
            assert feed(session, octets) == b""
        kept, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2 * len(octets)
    assert feed(session, b"\r\nNOOP\r\n") == b"500 5.5.2 Command line too long\r\n250 2.0.0 OK\r\n"


def test_token_of_64_kib() -> None:
    token = "t" * 65536
    response = b64(f"user=joe\x01auth=Bearer {token}\x01\x01".encode())
    outcome = converse(
        EHLO,
        (b"AUTH XOAUTH2 " + response + b"\r\n", b"235 2.7.0 Authentication accepted\r\n"),
        MAIL,
        RCPT,
        DATA,
        (b".\r\n", ACCEPTED),
    )
    assert outcome.envelope().credentials == Credentials("XOAUTH2", "joe", token)


@pytest.mark.parametrize(
    "steps",
    [
        [(b"AUTH PLAIN " + b"A" * 131072 + b"\r\n", b"500 5.5.6 Authentication exchange line too long\r\n")],
        [
            (b"AUTH PLAIN\r\n", b"334 \r\n"),
            (b"A" * 131072 + b"\r\n", b"500 5.5.6 Authentication exchange line too long\r\n"),
        ],
    ],
    ids=["initial response", "response"],
)
def test_auth_line_too_long(steps: list[Step]) -> None:
    converse(EHLO, *steps, (b"NOOP\r\n", b"250 2.0.0 OK\r\n"))


def test_thousands_of_commands_in_one_read() -> None:
    session = Session(settings())
    replies, longest = feed(session, b"NOOP\r\n" * 20000), 0
    while session.has_more_to_say:
        session.go_on()
        taken = session.take_output()
        longest = max(longest, len(taken))
        replies += taken
    assert replies == b"250 2.0.0 OK\r\n" * 20000
    assert longest < ENOUGH + 14


@pytest.mark.parametrize("verb", [*VERBS, "X"])
def test_replies_that_are_not_taken_make_commands_wait(verb: str) -> None:
    """Whatever is asked for, and however often: no reply is made before those that there are were taken."""
    session = Session(SessionSettings(tls_available=True, trace=True))
    session.greet()
    octets = b"\0" * HEADROOM + f"{verb}\r\n".encode() * 3000
    session.receive(bytearray(octets), HEADROOM, len(octets))
    assert len(session.take_output()) < ENOUGH + 500
    # Each reply is an event, too, and so is each command.
    assert sum(isinstance(event, (Command, Replied)) for event in session.take_events()) < 1500


def test_what_comes_behind_commands_that_wait_stays_behind_them() -> None:
    session = Session(settings())
    replies = feed(session, b"NOOP\r\n" * 1000 + b"VR") + feed(session, b"FY a\r\n")
    assert session.has_more_to_say
    session.receive_eof()
    assert not session.closing
    while session.has_more_to_say:
        session.go_on()
        replies += session.take_output()
    assert replies == b"250 2.0.0 OK\r\n" * 1000 + b"252 2.0.0 Cannot verify, will accept and capture\r\n"
    assert session.closing


def test_commands_that_wait_are_dropped_when_the_session_ends() -> None:
    session = Session(settings())
    feed(session, b"NOOP\r\n" * 1000)
    session.shutdown()
    assert session.take_output() == b"421 4.3.2 Server is shutting down\r\n"
    assert not session.has_more_to_say
    assert session.closing


def test_garbage_does_not_grow_the_session() -> None:
    session = Session(settings())
    for number in range(3000):
        feed(session, b"\xff%d \n" % number + b"MAIL FROM:%d%s X%d\r\n" % (number, b"y" * 500, number) + b"RSET x\r\n")
    assert {code: (len(item.detail), item.count) for code, item in session.violations.items()} == {
        "bare-lf-in-command": (3, 3000),
        "not-utf8-in-command": (3, 3000),
        "mail-without-helo": (0, 3000),
        "path-without-brackets": (200, 3000),
        "invalid-mailbox": (200, 3000),
        "unknown-parameter": (2, 3000),
        "parameter-without-ehlo": (2, 3000),
        "unexpected-argument": (1, 3000),
    }


# AUTH

OK = b"235 2.7.0 Authentication accepted\r\n"
DIGEST = hmac.new(b"secret", b"<nonce@mx.test>", hashlib.md5).hexdigest()
BEARER = b"n,a=joe=2C=3D@example.org,\x01host=mx.test\x01port=25\x01auth=Bearer tok.en==\x01\x01"
USERNAME, PASSWORD = b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"

AUTH: dict[str, tuple[list[Step], Credentials]] = {
    "PLAIN": ([(b"AUTH PLAIN " + b64(b"\0joe\0s3cret") + b"\r\n", OK)], Credentials("PLAIN", "joe", "s3cret")),
    "PLAIN asked for": (
        [(b"AUTH PLAIN\r\n", b"334 \r\n"), (b64("\0jürgen\0ß".encode()) + b"\r\n", OK)],
        Credentials("PLAIN", "jürgen", "ß"),
    ),
    "PLAIN authzid": ([(b"AUTH plain " + b64(b"adm\0joe\0") + b"\r\n", OK)], Credentials("PLAIN", "joe", "")),
    "PLAIN not UTF-8": ([(b"AUTH PLAIN " + b64(b"\0j\xfc\0p") + b"\r\n", OK)], Credentials("PLAIN", "jü", "p")),
    "LOGIN": (
        [(b"AUTH LOGIN\r\n", USERNAME), (b64(b"joe") + b"\r\n", PASSWORD), (b64(b"s3cret") + b"\r\n", OK)],
        Credentials("LOGIN", "joe", "s3cret"),
    ),
    "LOGIN initial": (
        [(b"AUTH LOGIN " + b64(b"joe") + b"\r\n", PASSWORD), (b"\r\n", OK)],
        Credentials("LOGIN", "joe", ""),
    ),
    "LOGIN initial empty": (
        [(b"AUTH LOGIN =\r\n", PASSWORD), (b64(b"x") + b"\r\n", OK)],
        Credentials("LOGIN", "", "x"),
    ),
    "CRAM-MD5": (
        [
            (b"AUTH CRAM-MD5\r\n", b"334 " + b64(b"<nonce@mx.test>") + b"\r\n"),
            (b64(f"joe smith {DIGEST}".encode()) + b"\r\n", OK),
        ],
        Credentials("CRAM-MD5", "joe smith", None, "<nonce@mx.test>", DIGEST),
    ),
    "XOAUTH2": (
        [(b"AUTH XOAUTH2 " + b64(b"user=joe@x\x01auth=Bearer ya29.tok==\x01\x01") + b"\r\n", OK)],
        Credentials("XOAUTH2", "joe@x", "ya29.tok=="),
    ),
    "XOAUTH2 asked for": (
        [(b"AUTH XOAUTH2\r\n", b"334 \r\n"), (b64(b"user=joe\x01auth=Bearer t\x01\x01") + b"\r\n", OK)],
        Credentials("XOAUTH2", "joe", "t"),
    ),
    "OAUTHBEARER": (
        [(b"AUTH OAUTHBEARER " + b64(BEARER) + b"\r\n", OK)],
        Credentials("OAUTHBEARER", "joe,=@example.org", "tok.en=="),
    ),
}


@pytest.mark.parametrize("name", AUTH)
@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_auth(name: str, strict: bool) -> None:
    steps, credentials = AUTH[name]
    outcome = converse(EHLO, *steps, MAIL, RCPT, DATA, (b".\r\n", ACCEPTED), QUIT, settings=settings(strict=strict))
    assert outcome.envelope().credentials == credentials
    assert outcome.envelope().auth_attempted
    assert outcome.violations == {}


REFUSED_AUTH: dict[str, list[Step]] = {
    "unknown mechanism": [(b"AUTH NTLM\r\n", b"504 5.5.4 Authentication mechanism not supported\r\n")],
    "no mechanism": [(b"AUTH\r\n", b"501 5.5.4 Bad or missing argument\r\n")],
    "cancel": [(b"AUTH LOGIN\r\n", USERNAME), (b"*\r\n", b"501 5.7.0 Authentication cancelled\r\n")],
    "cancel late": [
        (b"AUTH LOGIN\r\n", USERNAME),
        (b"eA==\r\n", PASSWORD),
        (b"*\r\n", b"501 5.7.0 Authentication cancelled\r\n"),
    ],
    "CRAM-MD5 initial": [
        (b"AUTH CRAM-MD5 eA==\r\n", b"501 5.7.0 This mechanism takes no initial response\r\n"),
        (b"AUTH CRAM-MD5 =\r\n", b"501 5.7.0 This mechanism takes no initial response\r\n"),
    ],
    **{
        f"not base64: {text.decode()}": [(b"AUTH PLAIN " + text + b"\r\n", b"501 5.5.2 Cannot decode base64\r\n")]
        for text in (b"x", b"AGEAYg=", b"AGEAYg", b"AGEA*g==", b"AGEA Yg==", b"====", b"A===", b"YQ==YQ==")
    },
    "command as response": [
        (b"AUTH LOGIN\r\n", USERNAME),
        (b"MAIL FROM:<a@b>\r\n", b"501 5.5.2 Cannot decode base64\r\n"),
    ],
}


@pytest.mark.parametrize("name", REFUSED_AUTH)
@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_refused_auth_may_be_tried_again(name: str, strict: bool) -> None:
    outcome = converse(
        EHLO, *REFUSED_AUTH[name], (b"AUTH PLAIN AGEAYg==\r\n", OK), MAIL, settings=settings(strict=strict)
    )
    assert outcome.violations == {}


def test_failed_auth_was_attempted() -> None:
    outcome = converse(EHLO, *REFUSED_AUTH["cancel"], MAIL, RCPT, DATA, (b".\r\n", ACCEPTED))
    assert (outcome.envelope().auth_attempted, outcome.envelope().credentials) == (True, None)


def test_a_mechanism_that_is_not_offered_is_answered() -> None:
    offered = SessionSettings("mx.test", make_nonce=lambda: "nonce", auth_mechanisms=("LOGIN",))
    session = Session(offered)
    session.greet()
    assert b"250-AUTH LOGIN\r\n" in feed(session, b"EHLO x\r\n")
    assert feed(session, b"AUTH CRAM-MD5\r\n") == b"334 " + b64(b"<nonce@mx.test>") + b"\r\n"


def test_challenges_differ() -> None:
    challenges = set()
    for _ in range(3):
        session = Session(SessionSettings())
        feed(session, b"EHLO x\r\n")
        challenges.add(feed(session, b"AUTH CRAM-MD5\r\n"))
    assert len(challenges) == 3


# STARTTLS

READY = b"220 2.0.0 Ready to start TLS\r\n"
EHLO_WITH_TLS: Step = (EHLO[0], EHLO[1].replace(b"250 HELP", b"250-STARTTLS\r\n250 HELP"))


def test_starttls_forgets_the_client() -> None:
    outcome = converse(
        EHLO_WITH_TLS,
        (b"AUTH PLAIN AGEAYg==\r\n", OK),
        (b"STARTTLS\r\n", READY),
        EHLO,
        MAIL,
        RCPT,
        DATA,
        (b".\r\n", ACCEPTED),
        (b"STARTTLS\r\n", BAD_SEQUENCE + b"TLS already active\r\n"),
        settings=settings(tls=True),
        pipelined=False,
    )
    tls = TLSInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    assert outcome.envelope() == Envelope(
        "client.test", True, "a@example.org", ("b@example.org",), {}, ({},), False, None, tls
    )
    assert (outcome.others, outcome.violations) == (["StartTLS"], {})


def test_mail_after_starttls_needs_helo_again() -> None:
    converse(
        EHLO_WITH_TLS,
        (b"STARTTLS\r\n", READY),
        (MAIL[0], BAD_SEQUENCE + b"Send HELO or EHLO first\r\n"),
        settings=settings(tls=True, strict=True),
        pipelined=False,
    )


@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_plain_text_behind_starttls_is_dropped(strict: bool) -> None:
    outcome = converse(
        EHLO_WITH_TLS,
        (b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<", READY),
        EHLO,
        (RCPT[0], BAD_SEQUENCE + b"Send MAIL first\r\n"),
        MAIL,
        settings=settings(tls=True, strict=strict),
        pipelined=False,
    )
    assert outcome.violations == {"plaintext-after-starttls": ("", 1)}


def test_starttls_in_transaction() -> None:
    converse(
        EHLO_WITH_TLS,
        MAIL,
        (b"STARTTLS\r\n", BAD_SEQUENCE + b"Not allowed inside a transaction\r\n"),
        RCPT,
        settings=settings(tls=True),
    )


# The owner's side


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        (Verdict.ACCEPT, ACCEPTED),
        (Verdict.WORKER_FAILED, b"451 4.3.0 Worker failed, try again later\r\n"),
        (Verdict.NO_WORKER, b"451 4.3.2 No worker free, try again later\r\n"),
        (Verdict.STORAGE_FAILED, b"451 4.3.0 Storage failed, try again later\r\n"),
        (Verdict.STORAGE_FULL, b"452 4.3.1 Storage is full, try again later\r\n"),
        (Verdict.TOO_LARGE, b"552 5.3.4 Message exceeds the size limit\r\n"),
        (Verdict.MALFORMED, b"554 5.6.0 Message is not RFC 5322\r\n"),
    ],
    ids=lambda value: value.value if isinstance(value, Verdict) else "",
)
def test_verdict(verdict: Verdict, answer: bytes) -> None:
    outcome = converse(EHLO, MAIL, RCPT, DATA, (b"x\r\n.\r\n", answer), MAIL, QUIT, verdicts=[verdict])
    assert outcome.mails == [Mail(b"x\r\n")]


def test_verdict_closes() -> None:
    outcome = converse(
        EHLO, MAIL, RCPT, DATA, (b"x\r\n.\r\nNOOP\r\n", ACCEPTED + QUIT[1]), verdicts=[Verdict.ACCEPT_AND_CLOSE]
    )
    assert outcome.others == ["Closed"]


TWO_MAILS = b"".join(step[0] for step in (EHLO, MAIL, RCPT, DATA)) + b"1\r\n.\r\n" + b"".join(
    step[0] for step in (MAIL, RCPT, DATA)
)  # fmt: skip


def test_nothing_is_parsed_before_the_decision() -> None:
    session = Session(settings())
    assert feed(session, TWO_MAILS + b"2\r\n.\r\nQUIT\r\n") == EHLO[1] + MAIL[1] + RCPT[1] + DATA[1]
    assert isinstance(session.take_events()[-1], MailEnd)
    assert feed(session, b"NOOP\r\n") == b""
    assert (session.take_events(), session.waiting_for_decision) == ([], True)
    session.decide(Verdict.ACCEPT)
    begin, _, end = session.take_events()
    assert (type(begin), type(end), session.waiting_for_decision) == (MailBegin, MailEnd, True)
    assert session.take_output() == ACCEPTED + MAIL[1] + RCPT[1] + DATA[1]
    session.decide(Verdict.NO_WORKER)
    assert session.take_output() == b"451 4.3.2 No worker free, try again later\r\n" + QUIT[1]
    assert session.take_events() == [Closed()]


def test_questions_of_the_owner() -> None:
    session = Session(settings())

    def state() -> tuple[bool, bool, bool, bool]:
        return (
            session.transaction is not None,
            session.receiving_mail,
            session.waiting_for_decision,
            session.closing,
        )

    assert state() == (False, False, False, False)
    feed(session, b"EHL")
    assert state() == (False, False, False, False)
    feed(session, b"O x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n")
    assert state() == (True, False, False, False)
    feed(session, b"DATA\r\n")
    assert state() == (True, True, False, False)
    feed(session, b"x\r\n.\r\n")
    assert state() == (True, False, True, False)
    session.decide(Verdict.ACCEPT)
    assert state() == (False, False, False, False)
    feed(session, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nBDAT 3\r\nx")
    assert state() == (True, True, False, False)
    feed(session, b"yz")
    assert state() == (True, False, False, False)
    feed(session, b"QUIT\r\nx")
    assert state() == (False, False, False, True)


@pytest.mark.parametrize("octets", [b"", b"EHLO x\r\n", b"EHLO x\r\nNOO", b"AUTH LOGIN\r\n"])
def test_shutdown_when_idle(octets: bytes) -> None:
    session = Session(settings())
    feed(session, octets)
    session.shutdown()
    assert session.take_output() == b"421 4.3.2 Server is shutting down\r\n"
    assert session.take_events() == [Closed()]
    session.shutdown()
    assert feed(session, b"NOOP\r\n") == b""
    assert session.take_events() == []


SHUTTING_DOWN = b"421 4.3.2 Server is shutting down\r\n"


@pytest.mark.parametrize(
    ("rest", "answer"),
    [
        (b"RSET\r\nNOOP\r\n", b"250 2.0.0 Reset\r\n" + SHUTTING_DOWN),
        (b"DATA\r\nx\r\n.\r\nNOOP\r\n", DATA[1] + ACCEPTED + SHUTTING_DOWN),
        (b"DATA\r\n" + b"x" * 2001 + b"\r\n.\r\nNOOP\r\n", DATA[1] + TOO_BIG + SHUTTING_DOWN),
        (b"BDAT 1\r\nxBDAT 0 LAST\r\nNOOP\r\n", b"250 2.0.0 Chunk accepted\r\n" + ACCEPTED + SHUTTING_DOWN),
        (b"BDAT 2001\r\n" + b"x" * 2001 + b"NOOP\r\n", TOO_BIG + SHUTTING_DOWN),
        (b"NOOP\r\nQUIT\r\n", b"250 2.0.0 OK\r\n" + QUIT[1]),
    ],
    ids=["RSET", "DATA", "DATA too big", "BDAT", "BDAT too big", "QUIT"],
)  # fmt: skip
def test_shutdown_waits_for_the_transaction(rest: bytes, answer: bytes) -> None:
    for size in (1, len(rest)):
        player = Player(Session(settings()))
        player.send(EHLO[0] + MAIL[0] + RCPT[0])
        player.finish_step()
        player.session.shutdown()
        assert player.finish_step() == b""
        for start in range(0, len(rest), size):
            player.send(rest[start : start + size])
        assert player.finish_step() == answer
        assert player.finish().others == ["Closed"]


def test_shutdown_during_the_handshake() -> None:
    session = Session(settings(tls=True))
    feed(session, b"EHLO x\r\nSTARTTLS\r\n")
    assert session.take_events() == [StartTLS()]
    session.shutdown()
    assert (session.take_output(), session.take_events()) == (b"", [])
    session.tls_established(TLSInfo("TLSv1.3", "x"))
    assert (session.take_output(), session.take_events()) == (SHUTTING_DOWN, [Closed()])


@pytest.mark.parametrize(
    ("octets", "mails"),
    [
        (b"", []),
        (b"EHLO x", []),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", []),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", [Mail(b"", "eof")]),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r", [Mail(b"", "eof")]),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 2\r\nxy", [Mail(b"", "eof")]),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 2 LAST\r\nx", [Mail(b"", "eof")]),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + b"x" * 2001, [Mail(b"", "size")]),
    ],
)
def test_end_of_input(octets: bytes, mails: list[Mail]) -> None:
    player = Player(Session(settings()))
    player.send(octets)
    player.end()
    player.end()
    assert player.finish().mails == mails
    assert player.finish().others == ["Closed"]
    assert player.session.closing


def test_end_of_input_before_the_decision() -> None:
    session = Session(settings())
    feed(session, TWO_MAILS + b"2\r\n.\r\nMAIL FROM:<c@d>\r\nNOO")
    session.take_events()
    session.receive_eof()
    assert (session.take_events(), session.closing) == ([], False)
    session.decide(Verdict.ACCEPT)
    assert [type(event).__name__ for event in session.take_events()] == ["MailBegin", "MailOctets", "MailEnd"]
    session.decide(Verdict.ACCEPT)
    assert session.take_events() == [Closed()]
    assert session.take_output() == ACCEPTED + MAIL[1] + RCPT[1] + DATA[1] + ACCEPTED + MAIL[1]


def test_rset_between_chunks_tells_the_owner() -> None:
    session = Session(settings())
    feed(session, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nBDAT 1\r\nxRSET\r\n")
    assert session.take_events()[-1] == MailAborted(AbortReason.RESET)


def test_trace_shows_all_lines() -> None:
    outcome = converse(
        (b"VRFY\r\n", b"501 5.5.4 Bad or missing argument\r\n"),
        (b"HELP\r\n", SMALL[8][1]),
        (b"AUTH LOGIN\r\n", USERNAME),
        (b"c2VjcmV0\r\n", PASSWORD),
        (b"\xff\r\n", b"501 5.5.2 Cannot decode base64\r\n"),
        settings=settings(trace=True),
    )
    assert outcome.others == [
        "S: 220 mx.test ESMTP fastsmtp",
        "C: VRFY",
        "S: 501 5.5.4 Bad or missing argument",
        "C: HELP",
        "S: 214-2.0.0 This server captures all mail and any login",
        "S: 214-2.0.0 HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT",
        "S: 214 2.0.0 RSET NOOP VRFY EXPN HELP QUIT",
        "C: AUTH LOGIN",
        "S: 334 VXNlcm5hbWU6",
        "C: c2VjcmV0",
        "S: 334 UGFzc3dvcmQ6",
        "C: ÿ",
        "S: 501 5.5.2 Cannot decode base64",
    ]


def test_greeting_constant() -> None:
    player = Player(Session(settings()))
    player.session.greet()
    assert player.finish_step() == GREETING
