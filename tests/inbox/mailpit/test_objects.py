"""Objects of Mailpit's API, each whole."""

from __future__ import annotations

import asyncio

import pytest

from fastsmtp.inbox.mailpit.objects import address, canonical_headers, summary_of, to_id, to_uuid

UUID = "0199aa00-1111-7222-8333-444455556666"
SUMMARY = {
    "uuid": UUID,
    "received_at": "2026-11-03T10:30:45.123Z",
    "from": {"name": "Zoë", "address": "zoe@example.com"},
    "to": [{"name": "", "address": "bob@example.com"}],
    "cc": [],
    "bcc": [{"name": "Ann", "address": "ann@example.com"}],
    "reply_to": [],
    "subject": None,
    "message_id": None,
    "size": 77,
    "snippet": "Hello",
    "attachments": 2,
    "inline": 1,
    "envelope": {"from": "zoe@example.com", "to": ["bob@example.com", "eve@example.com"], "helo": "x"},
    "username": None,
}


def test_ids_have_no_hyphens() -> None:
    assert to_id(UUID) == "0199aa00111172228333444455556666"
    assert to_uuid("0199AA00111172228333444455556666@mailpit") == UUID
    assert to_uuid("latest") == "latest"


def test_addresses() -> None:
    assert address({"name": "Zoë", "address": "zoe@example.com"}) == {"Name": "Zoë", "Address": "zoe@example.com"}
    assert address(None) == {"Name": "", "Address": ""}


@pytest.mark.parametrize("read", [False, True])
def test_summary(read: bool) -> None:
    assert summary_of(SUMMARY, read=read, tags=("red", "blue")) == {
        "ID": "0199aa00111172228333444455556666",
        "MessageID": "",
        "Read": read,
        "From": {"Name": "Zoë", "Address": "zoe@example.com"},
        "To": [{"Name": "", "Address": "bob@example.com"}],
        "Cc": [],
        "Bcc": [{"Name": "Ann", "Address": "ann@example.com"}, {"Name": "", "Address": "eve@example.com"}],
        "ReplyTo": [],
        "Subject": "",
        "Created": "2026-11-03T10:30:45.123Z",
        "Username": "",
        "Tags": ["red", "blue"],
        "Size": 77,
        "Attachments": 1,
        "Snippet": "Hello",
    }


def test_header_fields_are_spelled_as_go_does() -> None:
    fields = [("x-mailer", " a "), ("SUBJECT", "one"), ("Received", "1"), ("subject", "two"), ("received", "2")]
    assert asyncio.run(canonical_headers(fields)) == {
        "Received": ["1", "2"],
        "Subject": ["one", "two"],
        "X-Mailer": ["a"],
    }
