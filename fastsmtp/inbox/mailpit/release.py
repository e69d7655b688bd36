"""Release: a mail of the inbox is sent on, to the one server that the configuration names."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from urllib.parse import urlsplit

from fastsmtp.errors import FastSMTPError

_TIMEOUT_S = 30.0


class ReleaseError(FastSMTPError):
    """The mail was not sent on."""


def release(relay: str, octets: bytes, sender: str, recipients: Sequence[str]) -> None:
    """Send a mail to the server at `relay`, `smtp://host:port`. Blocks. Raises ReleaseError."""
    if not relay:
        raise ReleaseError("no relay is configured: inbox.relay")
    place = urlsplit(relay)
    try:
        with smtplib.SMTP(place.hostname or "", place.port or 25, timeout=_TIMEOUT_S) as client:
            client.sendmail(sender, list(recipients), octets)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise ReleaseError(f"SMTP error: {error}") from None
