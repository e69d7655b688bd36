"""What people reported about other servers and clients, said to ours: a dialogue per report, with all that it gives.

Each is named by the project and the number of a public report. The words are ours, what goes wrong is theirs.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from support import ACCEPTED, DATA, EHLO, MAIL, QUIT, RCPT, Mail, Step, converse, settings

from fastsmtp.smtp.envelope import Credentials

CONTENT = b"Subject: x\r\n\r\ny\r\n"
SEND: list[Step] = [DATA, (CONTENT + b".\r\n", ACCEPTED)]
MAIL_OK, RCPT_OK = MAIL[1], RCPT[1]
AUTH_OK = b"235 2.7.0 Authentication accepted\r\n"
USERNAME, PASSWORD = b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"
UNKNOWN = b"500 5.5.2 Command not recognized\r\n"
UNSUPPORTED = b"504 5.5.4 Authentication mechanism not supported\r\n"
CHUNK_OK = b"250 2.0.0 Chunk accepted\r\n"
OK = b"250 2.0.0 OK\r\n"
EHLO_TLS = (EHLO[0], EHLO[1].replace(b"250 HELP", b"250-STARTTLS\r\n250 HELP"))
A_AND_B = Credentials("PLAIN", "a", "b")


class Report(NamedTuple):
    """A dialogue, and the envelope of the only mail that comes of it; none where `complete` is False."""

    steps: Sequence[Step]
    reverse_path: str = "a@example.org"
    forward_paths: tuple[str, ...] = ("b@example.org",)
    mail_parameters: dict[str, str | None] = {}
    rcpt_parameters: tuple[dict[str, str | None], ...] = ({},)
    helo: str = "client.test"
    credentials: Credentials | None = None
    violations: dict[str, tuple[str, int]] = {}
    content: bytes = CONTENT
    complete: bool = True
    tls: bool = False


def mail(argument: str, path: str = "a@example.org", **wanted: object) -> Report:
    steps = [EHLO, (f"MAIL {argument}\r\n".encode(), MAIL_OK), RCPT, *SEND]
    return Report(steps, reverse_path=path)._replace(**wanted)  # type: ignore[arg-type]


def rcpt(argument: str, path: str = "b@example.org", **wanted: object) -> Report:
    steps = [EHLO, MAIL, (f"RCPT {argument}\r\n".encode(), RCPT_OK), *SEND]
    return Report(steps, forward_paths=(path,))._replace(**wanted)  # type: ignore[arg-type]


def login(*steps: Step, credentials: Credentials | None = A_AND_B, **wanted: object) -> Report:
    report = Report([EHLO, *steps, MAIL, RCPT, *SEND], credentials=credentials)
    return report._replace(**wanted)  # type: ignore[arg-type]


def greeted(line: str, reply: bytes, **wanted: object) -> Report:
    return Report([(line.encode(), reply), MAIL, RCPT, *SEND])._replace(**wanted)  # type: ignore[arg-type]


LONG_TOKEN = "x" * 20_000
LONG_NAME = "autodefensafeminista@resistemail.example"  # 40 characters
REPORTS: dict[str, Report] = {
    # Parameters of MAIL and RCPT that servers refused
    "mailpit#407 BODY without SIZE, from a forwarder": mail(
        "FROM:<SRS0=I7TD=ft=s.example=mailer@fwd.example> BODY=8BITMIME",
        "SRS0=I7TD=ft=s.example=mailer@fwd.example",
        mail_parameters={"BODY": "8BITMIME"},
    ),
    "smtp4dev#565, hmailserver#164, aiosmtpd#299 AUTH=<>": mail(
        "FROM:<a@example.org> SIZE=1334 AUTH=<>", mail_parameters={"SIZE": "1334", "AUTH": "<>"}
    ),
    "go-smtp#95 AUTH= with a name in brackets": mail(
        "FROM:<a@example.org> AUTH=<username>",
        mail_parameters={"AUTH": "<username>"},
    ),
    "smtp4dev#4 ENVID with a colon and a plus": mail(
        "FROM:<a@example.org> SIZE=575 ENVID=X400:+20[/PRMD+3dOne/C+3dGB/;DC01-98] RET=FULL",
        mail_parameters={"SIZE": "575", "ENVID": "X400:+20[/PRMD+3dOne/C+3dGB/;DC01-98]", "RET": "FULL"},
    ),
    "aiosmtpd#367 ENVID, RET and ORCPT": Report(
        [
            EHLO,
            (b"MAIL FROM:<a@example.org> RET=HDRS ENVID=q1\r\n", MAIL_OK),
            (b"RCPT TO:<b@example.org> ORCPT=rfc822;b@example.org\r\n", RCPT_OK),
            *SEND,
        ],
        mail_parameters={"RET": "HDRS", "ENVID": "q1"},
        rcpt_parameters=({"ORCPT": "rfc822;b@example.org"},),
    ),
    "nette/mail#21 NOTIFY in lower case": rcpt(
        "TO:<b@example.org> NOTIFY=success,delay,failure ORCPT=rfc822;b@example.org",
        rcpt_parameters=({"NOTIFY": "success,delay,failure", "ORCPT": "rfc822;b@example.org"},),
    ),
    "ESP-Mail-Client#74 NOTIFY with a blank behind the comma": rcpt(
        "TO:<b@example.org> NOTIFY=SUCCESS, FAILURE",
        rcpt_parameters=({"NOTIFY": "SUCCESS,", "FAILURE": None},),
        violations={"invalid-parameter": ("NOTIFY=SUCCESS,", 1), "unknown-parameter": ("FAILURE", 1)},
    ),
    "gen_smtp#2 the limit of size after HELO": Report(
        [
            (b"HELO client.test\r\n", b"250 mx.test\r\n"),
            (b"MAIL FROM:<a@example.org> SIZE=2001\r\n", b"552 5.3.4 Message exceeds the size limit\r\n"),
        ],
        violations={"parameter-without-ehlo": ("SIZE", 1)},
        complete=False,
    ),
    # Paths
    "mailpit#622 a source route without its colon": rcpt(
        "TO:<@route.example b@example.org>", violations={"invalid-mailbox": ("@route.example b@example.org", 1)}
    ),
    "aws-smtp-relay#7, smtp_to_telegram#2 a blank and no brackets": mail(
        "FROM: printer@example.org",
        "printer@example.org",
        violations={
            "misplaced-space": ("FROM: printer@example.org", 1),
            "path-without-brackets": ("printer@example.org", 1),
        },
    ),
    "smtp-proto#12 brackets too many behind the null path": mail(
        "FROM:<>>>>>", "", violations={"invalid-mailbox": ("<>>>>>", 1)}
    ),
    "smtp-proto#12 junk behind the path": mail(
        "FROM:<a@example.org>!#$",
        mail_parameters={"!#$": None},
        violations={"invalid-parameter": ("!#$", 1)},
    ),
    "smtp-server#244 an IPv4 literal": rcpt("TO:<b@[192.168.1.123]>", "b@[192.168.1.123]"),
    "Haraka#379 a dot at the end of the domain": rcpt(
        "TO:<b@example.org.>", "b@example.org.", violations={"invalid-mailbox": ("b@example.org.", 1)}
    ),
    "Haraka#2833 a quoted blank": mail('FROM:<" "@example.org>', '" "@example.org'),
    "Haraka#2833 quotes inside of a word": mail(
        'FROM:<just"not"right@example.org>',
        'just"not"right@example.org',
        violations={"invalid-mailbox": ('just"not"right@example.org', 1)},
    ),
    "Haraka#2885 a plus sign": mail("FROM:<boun+ces@example.org>", "boun+ces@example.org"),
    "simplesmtp#77 the null path": mail("FROM:<>", ""),
    "nodemailer#1814 UTF-8 on both sides": mail(
        "FROM:<jõgeva@jõgeva.example> SMTPUTF8", "jõgeva@jõgeva.example", mail_parameters={"SMTPUTF8": None}
    ),
    "nodemailer#1378 UTF-8 that was not announced": rcpt(
        "TO:<jürgen@example.org>", "jürgen@example.org", violations={"8bit-in-command": ("TO:<jürgen@example.org>", 1)}
    ),
    "aboutmyemail#7 a local part in punycode": mail("FROM:<xn--gr-zia@example.org>", "xn--gr-zia@example.org"),
    # HELO and EHLO
    "OpenSMTPD#1054, simple.mailserver#5 HELO without a name": greeted(
        "HELO \r\n", b"250 mx.test\r\n", helo="", violations={"invalid-helo": ("", 1)}
    ),
    "roundcube#6408 EHLO with an underline": greeted(
        "EHLO _\r\n", EHLO[1], helo="_", violations={"invalid-helo": ("_", 1)}
    ),
    "james#5258, go-smtp-mock#54 a name without a dot": greeted("EHLO 7kO2OrE\r\n", EHLO[1], helo="7kO2OrE"),
    "Mail-Toaster-6#202 the log of an Outlook 2013, which names its computer": greeted(
        "EHLO DESKTOP3507CDS\r\n", EHLO[1], helo="DESKTOP3507CDS"
    ),
    "OpenSMTPD#178 a scoped address": greeted(
        "EHLO [IPv6:fe80::1%en0]\r\n",
        EHLO[1],
        helo="[IPv6:fe80::1%en0]",
        violations={"invalid-helo": ("[IPv6:fe80::1%en0]", 1)},
    ),
    "hoa/mail#21 EHLO twice": Report([EHLO, EHLO, MAIL, RCPT, *SEND]),
    "msmtp#216, mailslurper#134 NOOP before anything else": Report([(b"NOOP\r\n", OK), EHLO, MAIL, RCPT, *SEND]),
    "mailio#214 no EHLO behind STARTTLS": Report(
        [EHLO_TLS, (b"STARTTLS\r\n", b"220 2.0.0 Ready to start TLS\r\n"), MAIL, RCPT, *SEND],
        helo="",
        violations={"mail-without-helo": ("", 1)},
        tls=True,
    ),
    # Login
    "smtp4dev#3 login in lower case, with the user": login(
        (b"AUTH login ZHVtbXk=\r\n", PASSWORD),
        (b"Z2VoZWlt\r\n", AUTH_OK),
        credentials=Credentials("LOGIN", "dummy", "geheim"),
    ),
    "MailKit#216 an empty password": login(
        (b"AUTH LOGIN QmVu\r\n", PASSWORD), (b"\r\n", AUTH_OK), credentials=Credentials("LOGIN", "Ben", "")
    ),
    "go-simple-mail#119, mox#223, greenmail#370 LOGIN asks for the user by its name": login(
        (b"AUTH LOGIN\r\n", USERNAME),
        (b"YQ==\r\n", PASSWORD),
        (b"Yg==\r\n", AUTH_OK),
        credentials=Credentials("LOGIN", "a", "b"),
    ),
    "curl#4080 PLAIN without an initial response": login((b"AUTH PLAIN\r\n", b"334 \r\n"), (b"AGEAYg==\r\n", AUTH_OK)),
    "aerion#355 LOGIN after a mechanism that is not there": login(
        (b"AUTH NTLM TlRMTVNTUAABAAAA\r\n", UNSUPPORTED),
        (b"AUTH GSSAPI\r\n", UNSUPPORTED),
        (b"AUTH PLAIN AGEAYg==\r\n", AUTH_OK),
    ),
    "OpenSMTPD#582 a user of more than 31 characters": login(
        (b"AUTH LOGIN\r\n", USERNAME),
        (b"YXV0b2RlZmVuc2FmZW1pbmlzdGFAcmVzaXN0ZW1haWwuZXhhbXBsZQ==\r\n", PASSWORD),
        (b"Yg==\r\n", AUTH_OK),
        credentials=Credentials("LOGIN", LONG_NAME, "b"),
    ),
    "Net_SMTP#70, email-oauth2-proxy#287 a token longer than a command may be": login(
        (b"AUTH XOAUTH2\r\n", b"334 \r\n"),
        (b64encode(f"user=a\x01auth=Bearer {LONG_TOKEN}\x01\x01".encode()) + b"\r\n", AUTH_OK),
        credentials=Credentials("XOAUTH2", "a", LONG_TOKEN),
    ),
    "Mailspring#1061 base64 with padding too much": login(
        (b"AUTH PLAIN AGEAYg===\r\n", b"501 5.5.2 Cannot decode base64\r\n"), credentials=None
    ),
    # Order, and what comes where nothing was asked for
    "mailpit#623 MAIL inside of a transaction": Report(
        [EHLO, MAIL, RCPT, (MAIL[0], b"503 5.5.1 Transaction already open\r\n"), *SEND]
    ),
    "xsibackup#12 everything in one piece": Report(
        [
            (
                b"HELO h\r\nEHLO h\r\nAUTH LOGIN\r\nYQ==\r\nYg==\r\n" + MAIL[0] + RCPT[0] + DATA[0],
                b"250 mx.test\r\n" + EHLO[1] + USERNAME + PASSWORD + AUTH_OK + MAIL_OK + RCPT_OK + DATA[1],
            ),
            (CONTENT + b".\r\n" + QUIT[0], ACCEPTED + QUIT[1]),
        ],
        helo="h",
        credentials=Credentials("LOGIN", "a", "b"),
    ),
    "metasploit#4758 header fields before DATA": Report(
        [EHLO, MAIL, RCPT, (b"Date: now\r\nSubject: y\r\n", UNKNOWN * 2), *SEND]
    ),
    "interactsh#991, OpenSMTPD#1146 VRFY before a mail": Report(
        [EHLO, (b"VRFY b@example.org\r\n", b"252 2.0.0 Cannot verify, will accept and capture\r\n"), MAIL, RCPT, *SEND]
    ),
    "smtp-client#23 one spelling of MAIL after the other": Report(
        [
            EHLO,
            (b"MAIL FROM a@example.org\r\n", b"501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\r\n"),
            MAIL,
            RCPT,
            *SEND,
        ]
    ),
    # Chunks
    "go-smtp#315 the octets of a refused chunk are no commands": Report(
        [
            EHLO,
            (b"BDAT 9 LAST\r\nMAIL FROM", b"503 5.5.1 Send MAIL first\r\n"),
            MAIL,
            (b"BDAT 6 LAST\r\nQUIT\r\n", b"503 5.5.1 Send RCPT first\r\n"),
            RCPT,
            *SEND,
        ]
    ),
    "go-smtp#306 the limit of lines after chunks that were given up": Report(
        [
            EHLO,
            MAIL,
            RCPT,
            (b"BDAT 8\r\nHey <3\r\n", CHUNK_OK),
            (b"RSET\r\n", b"250 2.0.0 Reset\r\n"),
            (b"NOOP " + b"x" * 65536 + b"\r\n", b"500 5.5.2 Command line too long\r\n"),
        ],
        complete=False,
    ),
    "subethasmtp#75 one reply to the last chunk": Report(
        [EHLO, MAIL, RCPT, (b"BDAT %d LAST\r\n%s" % (len(CONTENT), CONTENT), ACCEPTED), QUIT]
    ),
    "suricata#15837 a last chunk of no octets, and a mail behind it": Report(
        [
            EHLO,
            MAIL,
            RCPT,
            (b"BDAT %d\r\n%s" % (len(CONTENT), CONTENT), CHUNK_OK),
            (b"BDAT 0 LAST\r\n", ACCEPTED),
            (b"MAIL FROM:<z@example.org>\r\n", MAIL_OK),
        ]
    ),
    "chrj/smtpd#54 a word that is not LAST": Report(
        [EHLO, MAIL, RCPT, (b"BDAT 5 FIRST\r\nQUIT\n", b"501 5.5.4 Syntax: BDAT size [LAST]\r\n"), MAIL, RCPT, *SEND]
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_report(name: str) -> None:
    report = REPORTS[name]
    outcome = converse(*report.steps, settings=settings(tls=report.tls), pipelined=not report.tls)
    assert outcome.violations == report.violations
    complete = [item for item in outcome.mails if item.end == "complete"]
    assert complete == ([Mail(report.content)] if report.complete else [])
    for item in complete:
        envelope = item.envelope
        assert envelope is not None
        assert (
            envelope.helo,
            envelope.reverse_path,
            envelope.forward_paths,
            envelope.mail_parameters,
            envelope.rcpt_parameters,
            envelope.credentials,
        ) == (
            report.helo,
            report.reverse_path,
            report.forward_paths,
            report.mail_parameters,
            report.rcpt_parameters,
            report.credentials,
        )
