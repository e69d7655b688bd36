"""Events that outlive the buffer they came from."""

from __future__ import annotations

from fastsmtp.smtp.events import HEADROOM, Closed, MailEnd, MailOctets, kept


def test_mail_data_is_copied_behind_headroom() -> None:
    buf = bytearray(b"..Subject: x\r\n..")
    event = kept(MailOctets(buf, 2, 14))
    buf[:] = bytes(len(buf))
    assert isinstance(event, MailOctets)
    assert (event.start, event.end, len(event.buf)) == (HEADROOM, HEADROOM + 12, HEADROOM + 12)
    assert event.buf[event.start : event.end] == b"Subject: x\r\n"


def test_other_events_have_no_octets() -> None:
    for event in (MailEnd(), Closed()):
        assert kept(event) is event
