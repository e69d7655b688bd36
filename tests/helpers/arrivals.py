"""Mails as they arrive at the inbox, without an SMTP process."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
from captures import capture_email

from fastsmtp.delivery.payload import encode_outline
from fastsmtp.inbox.group import Arrival
from fastsmtp.inbox.summary import summarize
from fastsmtp.inbox.tags import tags_of

_NUMBERS = itertools.count(1)
RECEIVED_AT = 1_800_000_000_000  # Unix time in milliseconds


def payload(uuid: str, **changes: Any) -> dict[str, Any]:
    """A payload of one text mail; `changes` are to, subject, text, html, headers, session, username..."""
    to, subject = changes.get("to", "x@example.com"), changes.get("subject", "Welcome")
    headers = {"From": "a@example.com", "To": to, "Subject": subject, **changes.get("headers", {})}
    return {
        "event": "EMAIL_RECEIVED",
        "uuid": uuid,
        "connection_uuid": "c",
        "sequence": 1,
        "remote_addr": "127.0.0.1:4000",
        "received_at": "2027-01-15T08:00:00Z",
        "server": "default",
        "envelope": {
            "from": "a@example.com",
            "to": changes.get("rcpt", [to]),
            "helo": "client.test",
            "mail_params": {},
            "rcpt_params": [{}],
        },
        "authentication": {
            "attempted": False,
            "mechanism": None,
            "username": changes.get("username"),
            "password": None,
        },
        "session": {"esmtp": True, "tls": None, "violations": [], **changes.get("session", {})},
        "message": {
            "headers": headers,
            "raw_headers": [[name, f" {value}"] for name, value in headers.items()],
            "id": f"{uuid}@example.com",
            "subject": subject,
            "date": None,
            "from": [{"name": "", "address": "a@example.com"}],
            "to": [{"name": "", "address": to}],
            "cc": [],
            "bcc": [],
            "reply_to": [],
            "body": changes.get("text", "hello"),
            "text": changes.get("text", "hello"),
            "html": changes.get("html"),
            "size": changes.get("size", 100),
            "defects": [],
        },
        "attachments": changes.get("attachments", []),
    }


def arrival(
    *namespaces: str, uuid: str = "", raw: bytes | str = b"", outcome: str = "accepted", at: int = 0, **changes: Any
) -> Arrival:
    """A mail for these namespaces, "default" without any; `at` counts milliseconds from `RECEIVED_AT`."""
    number = next(_NUMBERS)
    document = payload(uuid or f"mail-{number}", **changes)
    return Arrival(
        uuid=document["uuid"],
        namespaces=namespaces or ("default",),
        received_at=RECEIVED_AT + at,
        outcome=outcome,
        payload=orjson.dumps(document),
        raw=raw or b"Subject: %d\r\n\r\n" % number,
        size=document["message"]["size"],
        summary=summarize(document, RECEIVED_AT + at, outcome),
    )


def arrival_of(octets: bytes, *namespaces: str, outcome: str = "accepted") -> Arrival:
    """A mail as a server captures it, for these namespaces."""
    email = capture_email(octets, include_raw=True)
    assert email is not None
    outline = encode_outline(email)
    return Arrival(
        uuid=email.uuid,
        namespaces=namespaces or ("default",),
        received_at=RECEIVED_AT,
        outcome=outcome,
        payload=outline,
        raw=octets,
        size=len(octets),
        summary=summarize(orjson.loads(outline), RECEIVED_AT, outcome),
        tags=tags_of(orjson.loads(outline)["message"]["headers"]),
    )
