"""What the log says of a mail: who sent it to whom, and its subject. Short; the log escapes what does not print."""

from __future__ import annotations

from typing import Final

from fastsmtp.capture.email import Email
from fastsmtp.mime.entity import Entity
from fastsmtp.mime.words import decode_words
from fastsmtp.smtp.envelope import Envelope
from fastsmtp.text import brief

# Characters shown. A mailbox may have 320 (RFC 5321 section 4.5.3.1), and nearly all have less than these.
MAX_PATH: Final = 100
MAX_SUBJECT: Final = 80

_MAX_ENCODED: Final = 4096  # characters of a subject that are decoded: more than those shown can come from


class MailRecord:
    """What is kept of a mail until the log is told what became of it; written out only where the log wants it."""

    __slots__ = ("_attachments", "_envelope", "_message", "_size")

    def __init__(self, envelope: Envelope) -> None:
        """Only the envelope is known of a mail that arrives."""
        self._envelope: Final = envelope
        self._message: Entity | None = None
        self._size = 0
        self._attachments = 0

    def complete(self, email: Email) -> None:
        """It has arrived. Of the email its header is kept, which takes little memory."""
        self._message = email.message
        self._size = email.size
        self._attachments = len(email.attachments)

    def describe(self) -> dict[str, object]:
        """Return what is known of it as fields of a record; a subject that it does not have is ""."""
        paths = self._envelope.forward_paths
        known: dict[str, object] = {
            "from": brief(self._envelope.reverse_path, MAX_PATH),
            "to": brief(paths[0], MAX_PATH) if paths else "",  # the first of them
            "recipients": len(paths),
        }
        if self._message is not None:
            known["subject"] = brief(_subject(self._message.fields), MAX_SUBJECT)
            known["size"] = self._size
            known["attachments"] = self._attachments
        return known


def _subject(fields: list[tuple[str, str]]) -> str:
    for name, value in fields:
        if name.lower() == "subject":
            return decode_words(value[:_MAX_ENCODED], [])
    return ""
