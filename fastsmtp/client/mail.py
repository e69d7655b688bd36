"""A mail as the client sends it: its content prepared for DATA and for BDAT, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Failure(NamedTuple):
    """What went wrong: where in the dialogue, what (a reply code, or words), and the reply where there is one.

    `command` is the line that was refused, without its CRLF and without what proves a user; "" where a failure is not
    about a command.
    """

    step: str
    what: str
    text: str = ""
    command: str = ""

    @property
    def kind(self) -> str:
        """Return what it is counted as."""
        return f"{self.step}: {self.what}"


class Content(NamedTuple):
    """Mail data, or all of it below the fields of `Mail.head`: whole lines that end in CRLF."""

    octets: bytes
    stuffed: bytes  # the same for DATA, with dots doubled, without the last line; the same object where it can be
    eight_bit: bool


class OwnEnvelope(NamedTuple):
    """The envelope of one mail, where it is not that of the script; parameters are those of MAIL and of each RCPT."""

    sender: str
    recipients: Sequence[str]
    mail_parameters: Mapping[str, str] = {}
    rcpt_parameters: Sequence[Mapping[str, str]] = ()


class Mail:
    """One mail on its way. Times are the owner's."""

    __slots__ = ("began", "content", "envelope", "failure", "head", "ident", "open", "rcpts", "reply", "sent")

    def __init__(self, ident: str, head: bytes, content: Content) -> None:
        self.ident = ident
        self.head = head  # its own fields, above those of the content
        self.content = content
        self.envelope: OwnEnvelope | None = None
        self.rcpts: list[bytes] | None = None  # the lines of its own envelope, once it is known what is offered
        self.began = 0.0
        self.sent = 0.0
        self.failure: Failure | None = None
        self.open = False  # the server has begun a transaction for it
        self.reply = b""  # what accepted it, line by line

    @property
    def octets(self) -> int:
        """Return the size of the mail data, as SIZE declares it (RFC 1870 section 3)."""
        return len(self.head) + len(self.content.octets)


def reply_text(reply: bytes) -> str:
    """Return a reply in one line: its code, and the text of all its lines."""
    texts = [line.rstrip("\r") for line in reply.decode("utf-8", "replace").split("\n")]
    return " ".join([texts[-1][:3], *(text[4:] for text in texts)]).rstrip()


def content_of(message: bytes) -> Content:
    """Prepare a message with any line ends."""
    lines = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not lines.endswith(b"\n"):
        lines += b"\n"
    return prepared(lines.replace(b"\n", b"\r\n"))


def prepared(octets: bytes) -> Content:
    """Prepare whole lines that end in CRLF (RFC 5321 section 4.5.2)."""
    dotted = octets.startswith(b".") or b"\r\n." in octets
    stuffed = octets.replace(b"\r\n.", b"\r\n..") if dotted else octets
    stuffed = b"." + stuffed if stuffed.startswith(b".") else stuffed
    return Content(octets, stuffed, not octets.isascii())
