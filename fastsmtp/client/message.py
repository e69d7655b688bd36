"""The mail that `fastsmtp send` sends: written from its parts, or read from a file."""

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


class Letter(NamedTuple):
    """What goes into a mail; `text` and `html` may be None, `fields` are like `X-Name: value`."""

    sender: str
    recipients: Sequence[str]
    subject: str
    text: str | None = None
    html: str | None = None
    files: Sequence[str] = ()
    fields: Sequence[str] = ()


def write(letter: Letter) -> bytes:
    """The mail as it goes over the wire. Raises OSError for a file, ValueError for a header field."""
    international = not all(path.isascii() for path in (letter.sender, *letter.recipients))
    message = EmailMessage(policy.SMTP.clone(utf8=international))
    if letter.sender:
        message["From"] = letter.sender
    message["To"] = ", ".join(letter.recipients)
    message["Subject"] = letter.subject
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain="fastsmtp.invalid")
    for field in letter.fields:
        name, colon, value = field.partition(":")
        if not colon or not name.strip() or any(char.isspace() for char in name):
            raise ValueError(f'a header field is like "X-Name: value", not "{field}"')
        del message[name]
        message[name] = value.strip()
    if letter.html is None or letter.text is not None:
        message.set_content(_TEXT if letter.text is None else letter.text)
        if letter.html is not None:
            message.add_alternative(letter.html, subtype="html")
    else:
        message.set_content(letter.html, subtype="html")
    for file in letter.files:
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
