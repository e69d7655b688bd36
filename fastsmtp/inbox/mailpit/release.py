"""Release: a mail of the inbox is sent on, to the one server that the configuration names."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from fastsmtp.errors import FastSMTPError

_TIMEOUT_S = 30.0
_PIECE = 64 * 1024  # octets that are sent at a time
_OK, _GO_ON = 250, 354
_TAKEN = (250, 251)


class ReleaseError(FastSMTPError):
    """The mail was not sent on."""


def release(relay: str, octets: bytes, sender: str, recipients: Sequence[str]) -> None:
    """Send a mail to the server at `relay`, `smtp://host:port`. Blocks. Raises ReleaseError."""
    if not relay:
        raise ReleaseError("no relay is configured: inbox.relay")
    place = urlsplit(relay)
    try:
        with smtplib.SMTP(place.hostname or "", place.port or 25, timeout=_TIMEOUT_S) as client:
            _send(client, octets, sender, recipients)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise ReleaseError(f"SMTP error: {error}") from None


def _send(client: smtplib.SMTP, octets: bytes, sender: str, recipients: Sequence[str]) -> None:
    """What `sendmail` does, but for one thing: it looks for dots in the whole mail at once, and nothing else runs."""
    client.ehlo_or_helo_if_needed()
    code, said = client.mail(sender, [f"size={len(octets)}"] if client.has_extn("size") else [])
    if code != _OK:
        raise smtplib.SMTPSenderRefused(code, said, sender)
    refused = {one: reply for one in recipients if (reply := client.rcpt(one))[0] not in _TAKEN}
    if len(refused) == len(recipients):
        raise smtplib.SMTPRecipientsRefused(refused)
    code, said = client.docmd("DATA")
    if code == _GO_ON:
        for piece in stuffed(octets):
            client.sock.sendall(piece)  # type: ignore[union-attr]
        code, said = client.getreply()
    if code != _OK:
        raise smtplib.SMTPDataError(code, said)


def stuffed(octets: bytes) -> Iterator[bytes]:
    """Yield a mail as DATA has it, with its last line (RFC 5321 4.5.2)."""
    after_line = True
    for start in range(0, len(octets), _PIECE):
        piece = octets[start : start + _PIECE]
        if after_line and piece.startswith(b"."):
            yield b"."
        yield piece.replace(b"\n.", b"\n..")
        after_line = piece.endswith(b"\n")
    yield b".\r\n" if octets.endswith(b"\r\n") else b"\r\n.\r\n"
