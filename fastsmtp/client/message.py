"""The mail that `fastsmtp send` sends: composed of its parts, or read from a file."""

from __future__ import annotations

import mimetypes
import sys
from collections.abc import Sequence
from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import NamedTuple

_TEXT = "This is a test mail, sent by fastsmtp.\n"
_STANDARD_INPUT = "-"


class Message(NamedTuple):
    """The parts of a mail; `text` and `html` may be None, `fields` are like `X-Name: value`."""

    sender: str
    recipients: Sequence[str]
    subject: str
    text: str | None = None
    html: str | None = None
    files: Sequence[str] = ()
    fields: Sequence[str] = ()


def compose(parts: Message) -> bytes:
    """Return the mail with CRLF line ends. Raises OSError for a file, ValueError for a header field."""
    international = not all(path.isascii() for path in (parts.sender, *parts.recipients))
    message = EmailMessage(policy.SMTP.clone(utf8=international))
    if parts.sender:
        message["From"] = parts.sender
    message["To"] = ", ".join(parts.recipients)
    message["Subject"] = parts.subject
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain="fastsmtp.invalid")
    for field in parts.fields:
        name, colon, value = field.partition(":")
        if not colon or not name.strip() or any(char.isspace() for char in name):
            raise ValueError(f'a header field is like "X-Name: value", not "{field}"')
        del message[name]
        message[name] = value.strip()
    if parts.html is None or parts.text is not None:
        message.set_content(_TEXT if parts.text is None else parts.text)
        if parts.html is not None:
            message.add_alternative(parts.html, subtype="html")
    else:
        message.set_content(parts.html, subtype="html")
    for file in parts.files:
        _attach(message, Path(file))
    return message.as_bytes()


def read(path: str) -> bytes:
    """A message that is there already, byte for byte; "-" is standard input. Raises OSError."""
    return sys.stdin.buffer.read() if path == _STANDARD_INPUT else Path(path).read_bytes()


def _attach(message: EmailMessage, path: Path) -> None:
    guessed, encoding = mimetypes.guess_type(path.name)
    # `x.tar.gz` is a gzip file, whatever is in it.
    media_type = guessed if guessed is not None and encoding is None else "application/octet-stream"
    main, _, sub = media_type.partition("/")
    if main in ("message", "multipart"):
        main, sub = "application", "octet-stream"
    message.add_attachment(path.read_bytes(), maintype=main, subtype=sub, filename=path.name)
