"""What leaves a session: replies in one piece, events in order, one record for each kind of violation."""

from __future__ import annotations

from fastsmtp.smtp.events import Replied
from fastsmtp.smtp.outbox import Outbox
from fastsmtp.smtp.violations import LOWER_CASE_VERB, MAX_DETAIL, Violation

EHLO = b"250-me\r\n250-SIZE\r\n250 HELP\r\n"


def test_replies_in_one_piece() -> None:
    outbox = Outbox(trace=False)
    assert (outbox.take_output(), outbox.octets) == (b"", 0)
    outbox.reply(b"220 me\r\n")
    outbox.reply(EHLO)
    assert (outbox.octets, outbox.take_events()) == (8 + len(EHLO), [])
    assert (outbox.take_output(), outbox.octets) == (b"220 me\r\n" + EHLO, 0)
    assert outbox.take_output() == b""


def test_a_single_reply_is_not_copied() -> None:
    outbox = Outbox(trace=False)
    outbox.reply(EHLO)
    assert outbox.take_output() is EHLO


def test_trace() -> None:
    """Every line of a reply is an event, without its CRLF."""
    outbox = Outbox(trace=True)
    outbox.reply(EHLO)
    outbox.reply(b"221 bye\r\n")
    events = outbox.take_events()
    assert events == [Replied("250-me"), Replied("250-SIZE"), Replied("250 HELP"), Replied("221 bye")]
    assert outbox.take_events() == []


def test_violations() -> None:
    """The first detail stays, cut; later ones are counted."""
    outbox = Outbox(trace=False)
    outbox.record(LOWER_CASE_VERB, "x" * (MAX_DETAIL + 1))
    outbox.record(LOWER_CASE_VERB, "y")
    seen: dict[str, Violation] = outbox.violations
    assert {code: (item.code, item.detail, item.count) for code, item in seen.items()} == {
        LOWER_CASE_VERB: (LOWER_CASE_VERB, "x" * MAX_DETAIL, 2)
    }
