"""What the log says of a mail."""

from __future__ import annotations

import pytest
from captures import capture_email

from fastsmtp.server.record import MailRecord
from fastsmtp.smtp.envelope import Envelope


def envelope(reverse_path: str, *forward_paths: str) -> Envelope:
    return Envelope("client.test", True, reverse_path, forward_paths, {}, tuple({} for _ in forward_paths))


ENVELOPE = envelope("a@b.c", "d@e.f")


@pytest.mark.parametrize(
    ("known", "fields"),
    [
        (envelope("", "a@b.c"), {"from": "", "to": "a@b.c", "recipients": 1}),
        (envelope("a@b.c", "d@e.f", "g@h.i", "j@k.l"), {"from": "a@b.c", "to": "d@e.f", "recipients": 3}),
        (
            envelope("x" * 101, "\x1b]0;a\u202eb\x07@c"),
            {"from": "x" * 99 + "…", "to": "\x1b]0;a\u202eb\x07@c", "recipients": 1},
        ),
    ],
    ids=["bounce", "several", "hostile"],
)
def test_a_mail_that_arrives(known: Envelope, fields: dict[str, object]) -> None:
    assert MailRecord(known).describe() == fields


@pytest.mark.parametrize(
    ("header", "subject"),
    [
        ("", ""),
        ("Subject:\r\n", ""),
        ("subject: first\r\nSubject: second\r\n", "first"),
        ("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?b?8J+Riw==?=\r\n", "Grüße👋"),
        ("Subject: =?utf-8?q?=1B[2J=0A=E2=80=AE?= x\r\n", "\x1b[2J\n\u202e x"),
        ("Subject: " + "x" * 1_000_000 + "\r\n", "x" * 79 + "…"),
        ("Subject: " + "=?utf-8?b?8J+Riw==?= " * 90 + "\r\n", "👋" * 79 + "…"),
    ],
    ids=["none", "empty", "two", "encoded", "hostile", "endless", "long"],
)
def test_a_mail_that_has_arrived(header: str, subject: str) -> None:
    octets = f"{header}\r\ntext\r\n".encode()
    email = capture_email(octets)
    assert email is not None
    record = MailRecord(ENVELOPE)
    record.complete(email)
    assert record.describe() == {
        "from": "a@b.c",
        "to": "d@e.f",
        "recipients": 1,
        "subject": subject,
        "size": len(octets),
        "attachments": 0,
    }
