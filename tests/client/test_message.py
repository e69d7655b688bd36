"""The mail that `send` composes, read again by the standard library."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import pytest

from fastsmtp.client.message import Message, compose, read


def parsed(parts: Message) -> EmailMessage:
    return cast(EmailMessage, message_from_bytes(compose(parts), policy=policy.SMTP))


def test_plain() -> None:
    message = parsed(Message("me@example.com", ["a@example.com", "b@example.com"], "Grüße"))
    assert {name: message[name] for name in ("From", "To", "Subject")} == {
        "From": "me@example.com",
        "To": "a@example.com, b@example.com",
        "Subject": "Grüße",
    }
    assert message["Date"]
    assert message["Message-ID"]
    assert message.get_content() == "This is a test mail, sent by fastsmtp.\r\n"


def test_lines_end_as_they_should() -> None:
    octets = compose(Message("me@example.com", ["a@example.com"], "x", "one\ntwo"))
    assert octets.replace(b"\r\n", b"").count(b"\n") == 0


def test_text_and_html_and_files(tmp_path: Path) -> None:
    octets = bytes(range(256))
    for name in ("a.pdf", "b.tar.gz", "c.eml", "ü.bin"):
        (tmp_path / name).write_bytes(octets)
    files = [str(tmp_path / name) for name in ("a.pdf", "b.tar.gz", "c.eml", "ü.bin")]
    message = parsed(Message("me@example.com", ["a@example.com"], "x", "text", "<b>html</b>", files))
    assert [(part.get_content_type(), part.get_filename()) for part in message.walk()] == [
        ("multipart/mixed", None),
        ("multipart/alternative", None),
        ("text/plain", None),
        ("text/html", None),
        ("application/pdf", "a.pdf"),
        ("application/octet-stream", "b.tar.gz"),
        ("application/octet-stream", "c.eml"),
        ("application/octet-stream", "ü.bin"),
    ]
    assert [part.get_content() for part in message.iter_attachments()] == 4 * [octets]


def test_html_alone() -> None:
    message = parsed(Message("me@example.com", ["a@example.com"], "x", None, "<b>html</b>"))
    assert (message.get_content_type(), message.get_content()) == ("text/html", "<b>html</b>\r\n")


def test_fields_are_added_or_replaced() -> None:
    fields = ["X-Tag: one", "Subject: other", "From: Me <me@example.org>"]
    message = parsed(Message("", ["a@example.com"], "x", fields=fields))
    assert (message["X-Tag"], message.get_all("Subject"), message["From"]) == ("one", ["other"], "Me <me@example.org>")


@pytest.mark.parametrize("field", ["X-Tag", ": value", "X Tag: value"])
def test_what_is_no_field(field: str) -> None:
    with pytest.raises(ValueError, match=f'^a header field is like "X-Name: value", not "{field}"$'):
        compose(Message("", ["a@example.com"], "x", fields=[field]))


def test_a_file_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_bytes(b"Subject: x\n\n\xff\r.\n")
    assert read(str(tmp_path / "mail.eml")) == b"Subject: x\n\n\xff\r.\n"
