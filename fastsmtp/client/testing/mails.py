"""A mail as a test looks at it: read from the inbox when it is asked for."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from functools import cached_property
from typing import Any, Final, NamedTuple

from fastsmtp.client.inbox import InboxClient


class AttachedFile(NamedTuple):
    """An attachment, decoded."""

    filename: str
    content_type: str
    content: bytes


class ReceivedMail:
    """One mail of a namespace. `summary` is what lists have of it, `payload` what a worker gets (docs/payload.md)."""

    def __init__(self, client: InboxClient, mails: str, summary: dict[str, Any]) -> None:
        """`mails` is the path of the namespace's mails."""
        self._client = client
        self._path = f"{mails}/{summary['uuid']}"
        self.summary: Final = summary

    def __repr__(self) -> str:
        return f"<Mail {self.subject!r} from {self.sender or '<>'} to {', '.join(self.recipients)}>"

    # the envelope

    @property
    def sender(self) -> str:
        """Return the reverse-path, "" for `<>`."""
        return str(self.summary["envelope"]["from"])

    @property
    def recipients(self) -> list[str]:
        """Return the forward-paths."""
        return list(self.summary["envelope"]["to"])

    @property
    def username(self) -> str | None:
        """Return who logged in."""
        name: str | None = self.summary["username"]
        return name

    # the header

    @property
    def subject(self) -> str | None:
        """Return the subject, decoded."""
        subject: str | None = self.summary["subject"]
        return subject

    @property
    def from_(self) -> str | None:
        """Return the first address of From."""
        mailbox = self.summary["from"]
        return mailbox["address"] if mailbox is not None else None

    @property
    def to(self) -> list[str]:
        """Return the addresses of To."""
        return self._addresses("to")

    @property
    def cc(self) -> list[str]:
        """Return the addresses of Cc."""
        return self._addresses("cc")

    @property
    def bcc(self) -> list[str]:
        """Return the addresses of Bcc: of its field, and those that only the envelope has are in `recipients`."""
        return self._addresses("bcc")

    @property
    def reply_to(self) -> list[str]:
        """Return the addresses of Reply-To."""
        return self._addresses("reply_to")

    def _addresses(self, key: str) -> list[str]:
        return [mailbox["address"] for mailbox in self.summary[key]]

    @property
    def headers(self) -> dict[str, str]:
        """Return the header fields, decoded; of those with one name, the first."""
        return dict(self.payload["message"]["headers"])

    # what is in it

    @cached_property
    def payload(self) -> dict[str, Any]:
        """Return the JSON that a worker gets."""
        payload: dict[str, Any] = self._client.call("GET", self._path).document["payload"]
        return payload

    @property
    def text(self) -> str | None:
        """Return the plain text."""
        text: str | None = self.payload["message"]["text"]
        return text

    @property
    def html(self) -> str | None:
        """Return the HTML, as it came."""
        html: str | None = self.payload["message"]["html"]
        return html

    @cached_property
    def raw(self) -> bytes:
        """Return the octets."""
        return b"".join(self._client.download(f"{self._path}/raw"))

    @property
    def message(self) -> EmailMessage:
        """Return it as a message of the standard library."""
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def attachments(self) -> list[AttachedFile]:
        """Return the attachments."""
        parts = self._client.call("GET", f"{self._path}/parts").document["parts"]
        return [
            AttachedFile(part["filename"], part["content_type"], self._part(part["number"]))
            for part in parts
            if part["attachment"] is not None
        ]

    def _part(self, number: str) -> bytes:
        return b"".join(self._client.download(f"{self._path}/parts/{number}"))

    @property
    def links(self) -> list[str]:
        """Return the addresses of the links in text and HTML, the likeliest to be followed first."""
        return [link["url"] for link in self._client.call("GET", f"{self._path}/links").document["links"]]

    @property
    def codes(self) -> list[str]:
        """Return what looks like a code to be entered, the likeliest first."""
        return [code["code"] for code in self._client.call("GET", f"{self._path}/codes").document["codes"]]

    def difference(self, expected: bytes) -> list[str]:
        """Return the lines in which it differs from this message, apart from what differs each time."""
        path, kind = f"{self._path}/diff", "message/rfc822"
        lines: list[str] = self._client.call("POST", path, body=expected, content_type=kind).document["lines"]
        return lines
