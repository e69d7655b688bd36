"""A message made of a document: addresses, subject, texts, header fields, attachments."""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid, quote
from typing import Any, Final

import pybase64

from fastsmtp.inbox.api.problems import bad

MAX_RECIPIENTS: Final = 1000
_OWN_FIELDS: Final = frozenset(
    {"from", "to", "cc", "bcc", "reply-to", "subject", "content-type", "content-transfer-encoding", "mime-version"}
)
_FIELD_NAME: Final = re.compile(r"[!-9;-~]{1,76}")


def compose(document: Mapping[str, Any]) -> bytes:
    """Return the message that a document describes, with CRLF line ends. Raises Problem."""
    message = EmailMessage(SMTP.clone(utf8=True))
    for key, name in (("from", "From"), ("to", "To"), ("cc", "Cc"), ("bcc", "Bcc"), ("reply_to", "Reply-To")):
        mailboxes = _mailboxes(document.get(key), f"/{key}")
        if mailboxes:
            _set(message, name, ", ".join(mailboxes), f"/{key}")
    _set(message, "Subject", _string(document, "subject") or "", "/subject")
    _add_fields(message, document.get("headers"))
    if "Date" not in message:
        message["Date"] = format_datetime(datetime.now(timezone.utc))
    if "Message-ID" not in message:
        message["Message-ID"] = make_msgid(domain="fastsmtp.invalid")
    text, html = _string(document, "text"), _string(document, "html")
    if html is None or text is not None:
        message.set_content(text or "")
        if html is not None:
            message.add_alternative(html, subtype="html")
    else:
        message.set_content(html, subtype="html")
    _add_attachments(message, document.get("attachments"))
    return message.as_bytes()


def _string(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise bad(f"/{key}", "a string")
    return value


def _set(message: EmailMessage, name: str, value: str, pointer: str) -> None:
    try:
        message[name] = value
    except (ValueError, IndexError, MessageError) as error:
        raise bad(pointer, str(error)) from None


def _mailboxes(value: Any, pointer: str) -> list[str]:
    """Read a mailbox or a list: a string as in a header field, or `{"name": ..., "address": ...}`."""
    items = value if isinstance(value, list) else [] if value is None else [value]
    if len(items) > MAX_RECIPIENTS:
        raise bad(pointer, f"at most {MAX_RECIPIENTS} mailboxes")
    return [_mailbox(item, f"{pointer}/{index}") for index, item in enumerate(items)]


def _mailbox(item: Any, pointer: str) -> str:
    if isinstance(item, str) and item.strip():
        return item
    if isinstance(item, dict) and item.keys() <= {"name", "address"}:
        name, address = item.get("name", ""), item.get("address")
        if isinstance(name, str) and isinstance(address, str):
            return mailbox_of(name, address)
    raise bad(pointer, 'a mailbox: "Ann <ann@example.com>", or {"name": "Ann", "address": "ann@example.com"}')


def mailbox_of(name: str, address: str) -> str:
    """Return a mailbox as a header field has it; both may be any UTF-8 (RFC 6532)."""
    return f'"{quote(name)}" <{address}>' if name else address


def _add_fields(message: EmailMessage, fields: Any) -> None:
    if fields is None:
        return
    if not isinstance(fields, dict):
        raise bad("/headers", "an object of names and values")
    for name, value in fields.items():
        pointer = f"/headers/{name}"
        if not _FIELD_NAME.fullmatch(name) or name.lower() in _OWN_FIELDS:
            raise bad(pointer, "no name of a header field, or one that is made of other keys")
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, str):
                raise bad(pointer, "a string, or a list of strings")
            _set(message, name, one, pointer)


def _add_attachments(message: EmailMessage, attachments: Any) -> None:
    if attachments is None:
        return
    if not isinstance(attachments, list):
        raise bad("/attachments", "a list of objects")
    for index, attachment in enumerate(attachments):
        _attach(message, attachment, f"/attachments/{index}")


def _attach(message: EmailMessage, attachment: Any, pointer: str) -> None:
    if not isinstance(attachment, dict):
        raise bad(pointer, "an object")
    for key in attachment:
        if key not in ("filename", "content", "content_type", "content_id"):
            raise bad(f"{pointer}/{key}", "unknown key; there are filename, content, content_type, content_id")
        if not isinstance(attachment[key], str):
            raise bad(f"{pointer}/{key}", "a string")
    if "content" not in attachment:
        raise bad(pointer, "without content, which is base64")
    try:
        octets = pybase64.b64decode(attachment["content"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad(f"{pointer}/content", f"no base64: {error}") from None
    main, _slash, sub = attachment.get("content_type", "application/octet-stream").partition("/")
    if not (main.isalnum() and _FIELD_NAME.fullmatch(sub)) or main == "multipart":
        raise bad(f"{pointer}/content_type", "a media type like application/pdf, other than multipart")
    if main == "message":
        main, sub = "application", "octet-stream"
    more: dict[str, Any] = {}
    if "content_id" in attachment:
        more = {"cid": f"<{attachment['content_id'].strip('<>')}>", "disposition": "inline"}
    try:
        message.add_attachment(
            octets, maintype=main, subtype=sub, filename=attachment.get("filename", f"part-{pointer[-1]}"), **more
        )
    except (ValueError, TypeError, MessageError) as error:
        raise bad(pointer, str(error)) from None
