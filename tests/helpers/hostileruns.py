"""The whole way of a mail, and of a stream of commands, without a server: what a connection does with its octets."""

from __future__ import annotations

from captures import ENVELOPE, ORIGIN, feed
from structlog import get_logger

from fastsmtp.capture.attachments import MemoryStorage
from fastsmtp.capture.capture import Capture, Services
from fastsmtp.capture.email import Email
from fastsmtp.delivery.deferred import at_once, blocks_of
from fastsmtp.delivery.large import payload_steps
from fastsmtp.delivery.payload import encode_payload
from fastsmtp.smtp.events import HEADROOM, MailEnd, Verdict
from fastsmtp.smtp.session import Session
from fastsmtp.smtp.sessionsettings import SessionSettings

_READ_OCTETS = 700  # of a read: small, so that what is done again for each is seen


def run_message(octets: bytes) -> None:
    """Take a message apart, and make of it what workers get: at once, and in steps."""
    email = _capture(octets)
    encode_payload(email)
    context, _ = at_once(payload_steps(email))
    for _block in blocks_of(context):
        pass


def _capture(octets: bytes) -> Email:
    capture = Capture(Services(MemoryStorage(), True, get_logger()), ORIGIN, ENVELOPE)
    for start in range(0, len(octets), _READ_OCTETS):
        feed(capture, bytearray(HEADROOM) + octets[start : start + _READ_OCTETS], HEADROOM)
    capture.close()
    email = capture.finish([])
    assert email is not None
    return email


def run_stream(octets: bytes) -> None:
    """Have a session read commands; its mails are accepted."""
    session = Session(SessionSettings(tls_available=True, trace=True))
    session.greet()
    for start in range(0, len(octets), _READ_OCTETS):
        buf = bytearray(HEADROOM) + octets[start : start + _READ_OCTETS]
        session.receive(buf, HEADROOM, len(buf))
        while _serve(session):
            pass
    session.receive_eof()
    _serve(session)


def _serve(session: Session) -> bool:
    """Do what the owner of a session does; whether it may have more to say."""
    events = session.take_events()
    session.take_output()
    if any(isinstance(event, MailEnd) for event in events):
        session.decide(Verdict.ACCEPT)
        return True
    if session.has_more_to_say:
        session.go_on()
        return True
    return False
