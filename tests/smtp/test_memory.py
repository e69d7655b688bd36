"""What a session keeps of its client's words is counted, and refused while memory is short."""

from __future__ import annotations

import base64
import gc
import tracemalloc

import pytest

from fastsmtp.smtp.events import HEADROOM
from fastsmtp.smtp.session import Session
from fastsmtp.smtp.sessionsettings import SessionSettings

SHORT = b"452 4.3.1 Too much mail in memory, try again later\r\n"
NO_LOGIN = b"454 4.7.0 Too much mail in memory to authenticate, try again later\r\n"
OPENING = b"EHLO x\r\nMAIL FROM:<a@b.c> SMTPUTF8\r\n"
SMILE = "\U0001f600".encode()
PARAMETERS = b"".join(b" K%02d=%s" % (number, b"v" * 1000) for number in range(60))
SMALL_PARAMETERS = b"".join(b" K%02d=v" % number for number in range(60))
WIDE_PARAMETERS = b"".join(b" K%02d=%s%s" % (number, SMILE, b"v" * 1000) for number in range(60))
PASSWORD = base64.b64encode(b"\0u\0" + b"p" * 90_000)
WIDE_PASSWORD = base64.b64encode(b"\0u\0" + SMILE + b"p" * 90_000)

FORMS = {
    "a partial command": b"NOOP " + b"x" * 60_000,
    "a partial AUTH": b"AUTH PLAIN " + b"x" * 120_000,
    "a name": b"EHLO " + b"x" * 60_000 + b"\r\n",
    "a name that is not ASCII": b"EHLO " + SMILE + b"x" * 60_000 + b"\r\n",
    "a login": b"EHLO x\r\nAUTH PLAIN " + PASSWORD + b"\r\n",
    "a login that is not ASCII": b"EHLO x\r\nAUTH PLAIN " + WIDE_PASSWORD + b"\r\n",
    "a user name": b"EHLO x\r\nAUTH LOGIN " + WIDE_PASSWORD + b"\r\n",
    "a token": b"EHLO x\r\nAUTH XOAUTH2 " + PASSWORD + b"\r\n",
    "a digest": b"EHLO x\r\nAUTH CRAM-MD5\r\n" + PASSWORD + b"\r\n",
    "parameters of MAIL": b"EHLO x\r\nMAIL FROM:<a@b.c>" + PARAMETERS + b"\r\n",
    "recipients": OPENING + b"RCPT TO:<a>\r\n" * 5000,
    "different recipients": OPENING + b"".join(b"RCPT TO:<%d@example.com>\r\n" % number for number in range(5000)),
    "recipients that are not ASCII": OPENING + (b"RCPT TO:<" + SMILE + b"x" * 1000 + b"@b.c>\r\n") * 100,
    "parameters of recipients": OPENING + (b"RCPT TO:<a@b.c>" + PARAMETERS + b"\r\n") * 50,
    "small parameters of recipients": OPENING + (b"RCPT TO:<a@b.c>" + SMALL_PARAMETERS + b"\r\n") * 500,
    "parameters that are not ASCII": OPENING + (b"RCPT TO:<a@b.c>" + WIDE_PARAMETERS + b"\r\n") * 50,
    "one parameter of recipients": OPENING + b"RCPT TO:<a@b.c> NOTIFY=NEVER\r\n" * 5000,
}


class Memory:
    is_short = True


def feed(session: Session, octets: bytes) -> bytes:
    """Feed `octets`, and return the replies."""
    buf = bytearray(HEADROOM) + octets
    session.receive(buf, HEADROOM, len(buf))
    replies = session.take_output()
    while session.has_more_to_say:
        session.take_events()
        session.go_on()
        replies += session.take_output()
    session.take_events()
    return replies


@pytest.mark.parametrize("form", FORMS)
def test_what_a_session_keeps_is_counted(form: str) -> None:
    octets = FORMS[form]
    session = Session(SessionSettings(max_recipients=0))
    gc.collect()
    tracemalloc.start()
    try:
        replies = feed(session, octets)
        del replies
        gc.collect()
        allocated = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert allocated <= session.held * 1.2 + 16_384
    assert session.held <= allocated * 4


@pytest.mark.parametrize(
    ("commands", "reply"),
    [
        (b"EHLO " + b"x" * 9000, SHORT),
        (b"HELO " + b"x" * 9000, SHORT),
        (b"EHLO x\r\nMAIL FROM:<a@b.c> X=" + b"x" * 9000, SHORT),
        (OPENING + b"RCPT TO:<a@b.c> X=" + b"x" * 33_000, SHORT),
        (b"EHLO x\r\nAUTH PLAIN " + PASSWORD, NO_LOGIN),
        (b"EHLO x\r\nAUTH PLAIN\r\n" + PASSWORD, NO_LOGIN),
        (b"EHLO x\r\nAUTH LOGIN " + PASSWORD, NO_LOGIN),
        (b"EHLO x\r\nAUTH LOGIN dXNlcg==\r\n" + PASSWORD, NO_LOGIN),
        (b"EHLO x\r\nAUTH CRAM-MD5\r\n" + PASSWORD, NO_LOGIN),
    ],
)
def test_what_is_long_is_refused_while_memory_is_short(commands: bytes, reply: bytes) -> None:
    """The session goes on, and keeps nothing of it."""
    memory = Memory()
    session = Session(SessionSettings(memory=memory))
    assert feed(session, commands + b"\r\n").endswith(reply)
    assert session.held < 1000
    assert feed(session, b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
    memory.is_short = False
    session = Session(SessionSettings(memory=memory))
    assert not feed(session, commands + b"\r\n").endswith(reply)


def test_what_is_usual_is_taken_while_memory_is_short() -> None:
    session = Session(SessionSettings(memory=Memory()))
    recipients = b"".join(b"RCPT TO:<%d@example.com> NOTIFY=NEVER\r\n" % number for number in range(50))
    replies = feed(session, b"EHLO x\r\nAUTH PLAIN AHVzZXIAcGFzcw==\r\nMAIL FROM:<a@b.c> SIZE=1\r\n" + recipients)
    assert replies.count(b"250 2.1.5 Recipient accepted\r\n") == 50
    assert b"235 2.7.0 " in replies
    assert SHORT not in replies
