"""A mail as lines, without what differs each time."""

from __future__ import annotations

import base64
import uuid
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import pytest
from facts import CORPUS, FILES

from fastsmtp.client.comparable import comparable, masked


def mail(text: str = "Hello.\nBye.") -> bytes:
    """A mail as an application makes it: each time another one."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Zoë <a@example.com>", "b@example.com", "Grüße"
    message["Date"], message["Message-ID"] = formatdate(), make_msgid()
    message["References"] = f"{make_msgid()} {make_msgid()}"
    message.set_content(text)
    message.add_alternative("<p>Hello.</p>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="t.pdf")
    return message.as_bytes()


LINES = [
    "From: Zoë <a@example.com>",
    "To: b@example.com",
    "Subject: Grüße",
    "Date: <time>",
    "Message-ID: <id>",
    "References: <id> <id>",
    "MIME-Version: 1.0",
    "Content-Type: multipart/mixed",
    "",
    "[part 1.1: text/plain]",
    "Hello.",
    "Bye.",
    "",
    "[part 1.2: text/html]",
    "<p>Hello.</p>",
    "",
    '[part 2: application/pdf; attachment; filename="t.pdf"]',
    "4 octets, SHA-256 315d429b7714cedb6ad04ac31240145257692630457f3c88253c5beceac76027",
]


def test_two_mails_of_an_application_are_alike() -> None:
    assert comparable(mail()) == LINES
    assert comparable(b"Received: from x\r\n by y\r\nDKIM-Signature: v=1\r\n" + mail().replace(b"\n", b"\r\n")) == LINES


def test_how_a_text_is_encoded_makes_no_difference() -> None:
    text = "Grüße".encode()
    plain = b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
    encoded = [
        plain + b"\r\n" + text,
        plain + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(text),
        plain + b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe=\r\n",
    ]
    assert [comparable(octets) for octets in encoded] == [
        ["Subject: x", "Content-Type: text/plain", "", "[part 1: text/plain]", "Grüße"]
    ] * 3


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"order {uuid.UUID(int=7)} is", "order <uuid> is"),
        ("at 2026-11-27T18:46:01.123Z, or 2026-11-27 18:46", "at <time>, or <time>"),
        ("https://x.test/confirm?user=1&token=a-B_9&next=/", "https://x.test/confirm?user=1&token=<token>&next=/"),
        ("https://x.test/r?signature=abc", "https://x.test/r?signature=<token>"),
        (f"https://x.test/reset/{'aB3_' * 10}", "https://x.test/reset/<token>"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF", "<token>"),
        ("0123456789abcdef", "<hex>"),
        ("Your order 4711 of 2026", "Your order 4711 of 2026"),
        ("a-very-long-slug-of-words-without-any-digit-in-it", "a-very-long-slug-of-words-without-any-digit-in-it"),
    ],
)
def test_what_differs_each_time_has_a_placeholder(line: str, shown: str) -> None:
    assert masked(line) == shown


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_mail_is_like_itself(name: str) -> None:
    octets = (CORPUS / name).read_bytes()
    lines = comparable(octets)
    assert lines
    assert lines == comparable(octets)


@pytest.mark.parametrize("piece", ["a", "0", "a1", "?token=", "eyJ", "0-", "-1", "=", "<", "1 "])
def test_a_long_line_takes_no_time(piece: str) -> None:
    """That is to say: this ends."""
    title, *text = comparable(b"Subject: x\r\n\r\n" + (piece * 300_000).encode())
    assert (title, text[:2], len(text)) == ("Subject: x", ["", "[part 1: text/plain]"], 3)
