"""What of a payload says whether a mail was captured right: everything but what differs from one run to the next."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from servers import Server


def whole_mail(server: Server) -> dict[str, Any]:
    """The facts of the only mail that a server got: envelope, login, text, and attachments by their digest."""
    [record] = server.records()
    message = record["message"]
    authentication = record["authentication"]
    return {
        "envelope": (record["envelope"]["from"], record["envelope"]["to"]),
        "login": (authentication["mechanism"], authentication["username"], authentication["password"]),
        "tls": record["session"]["tls"] is not None,
        "violations": [(item["code"], item["detail"], item["count"]) for item in record["session"]["violations"]],
        **{name: [(item["name"], item["address"]) for item in message[name]] for name in ("from", "to", "cc")},
        "subject": message["subject"],
        "text": (message["text"] or "").replace("\r\n", "\n"),
        "html": (message["html"] or "").replace("\r\n", "\n"),
        "defects": message["defects"],
        "attachments": [_attachment(item) for item in record["attachments"]],
    }


def digest(octets: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(octets).hexdigest()


def _attachment(item: dict[str, Any]) -> tuple[Any, ...]:
    octets = base64.b64decode(item["content"])
    assert len(octets) == item["size"]
    return item["filename"], item["content_type"], item["disposition"], digest(octets)
