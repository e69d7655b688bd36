"""A mail as the default worker gets it."""

from __future__ import annotations

from typing import Any


def mail(**changes: Any) -> dict[str, Any]:
    """A mail as the server hands it out; `message__text=...` changes what stands deeper."""
    found: dict[str, Any] = {
        "event": "EMAIL_RECEIVED",
        "uuid": "0192f3a4-0000-7000-8000-000000000000",
        "remote_addr": "127.0.0.1:54321",
        "received_at": "2025-11-03T10:30:45Z",
        "envelope": {
            "from": "bounce@example.com",
            "to": ["bob@example.com", "carol@example.com"],
            "helo": "client.test",
        },
        "authentication": {"attempted": False, "mechanism": None, "username": None, "password": None},
        "session": {"esmtp": True, "tls": None, "violations": []},
        "message": {
            "subject": "Grüße",
            "date": "Mon, 3 Nov 2025 10:30:45 +0000",
            "from": [{"name": "Änne", "address": "aenne@example.com"}],
            "to": [{"name": "", "address": "bob@example.com"}],
            "cc": [],
            "bcc": [],
            "reply_to": [],
            "text": "Hallo\r\n",
            "html": None,
            "size": 1234,
            "defects": [],
        },
        "attachments": [],
    }
    for name, value in changes.items():
        section, _, key = name.rpartition("__")
        (found[section] if section else found)[key] = value
    return found
