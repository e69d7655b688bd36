"""One email through `Capture` without a server: mail data in, the worker's JSON out."""

from __future__ import annotations

import json
from typing import Any

import structlog

from fastsmtp.capture.attachments import MemoryStorage, Storage
from fastsmtp.capture.capture import Capture, Services
from fastsmtp.capture.email import Email, Origin
from fastsmtp.delivery.payload import encode_payload
from fastsmtp.smtp.envelope import Envelope

ENVELOPE = Envelope(
    helo="client.example.com",
    esmtp=True,
    reverse_path="s@example.com",
    forward_paths=("r@example.com",),
    mail_parameters={},
    rcpt_parameters=({},),
)
ORIGIN = Origin("connection-uuid", "192.0.2.1:4321", "default", 1)


def feed(under_test: Capture, buf: bytearray, start: int) -> None:
    """Feed `buf[start:]`, in as many steps as it takes."""
    while start < len(buf):
        start = under_test.feed(buf, start, len(buf))


def capture_email(
    octets: bytes, piece: int = 0, *, storage: Storage | None = None, include_raw: bool = False
) -> Email | None:
    """Feed `octets` whole or in pieces; the email, None if it could not be stored."""
    services = Services(storage or MemoryStorage(), include_raw, structlog.get_logger())
    under_test = Capture(services, ORIGIN, ENVELOPE)
    for start in range(0, len(octets), piece or len(octets) or 1):
        buf = bytearray(8) + octets[start : start + (piece or len(octets))]
        feed(under_test, buf, 8)
    under_test.close()
    return under_test.finish([])


def capture(
    octets: bytes, piece: int = 0, *, storage: Storage | None = None, include_raw: bool = False
) -> dict[str, Any]:
    """Feed `octets` whole or in pieces; the context that a worker gets."""
    email = capture_email(octets, piece, storage=storage, include_raw=include_raw)
    assert email is not None
    context, body = encode_payload(email)
    assert body == []
    document: dict[str, Any] = json.loads(b"".join(context))
    return document
