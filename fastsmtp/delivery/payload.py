"""An email as JSON: the context a worker gets. Its keys are spelled here, and once more in `_context.pyx`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import orjson
import pybase64

from fastsmtp.capture.email import Attachment, Attachments, Email, Segment
from fastsmtp.capture.texts import Text
from fastsmtp.delivery._context import write_context
from fastsmtp.delivery.omission import DEFECTS, DIGEST, DISPOSITION, SESSION, strip, strip_attachment
from fastsmtp.mime.address import Address
from fastsmtp.mime.addresslist import parse_addresses
from fastsmtp.mime.budget import Budget
from fastsmtp.mime.header import canonical_name
from fastsmtp.mime.msgid import parse_message_id
from fastsmtp.mime.words import decode_words
from fastsmtp.smtp.envelope import Envelope
from fastsmtp.smtp.proxied import Proxied
from fastsmtp.text import timestamp

Payload: TypeAlias = tuple[list[Segment], list[Segment]]  # context and body of one frame, in segments

# A name of another module is looked up in its dictionary each time, these are not.
_dumps: Final = orjson.dumps
_fragment: Final = orjson.Fragment

# Up to this size a content is copied into its segment: one larger write is cheaper than three small ones.
_JOIN_BYTES: Final = 32 * 1024
ADDRESS_FIELDS: Final = {"From": "from", "To": "to", "Cc": "cc", "Bcc": "bcc", "Reply-To": "reply_to"}


def encode_payload(email: Email, *, include_raw: bool = True, omit: int = 0) -> Payload:
    """The email as workers of mode `smtp` get it: all in the context, an empty body."""
    return encode_context(email, include_raw=include_raw, omit=omit), []


def encode_context(email: Email, *, include_raw: bool = True, omit: int = 0) -> list[Segment]:
    """The JSON that docs/payload.md describes, in segments to be written one after the other; `omit`: see `omission`.

    Large attachment contents are segments of their own, so nothing large is copied. Always valid JSON in UTF-8.
    """
    if not email.attachments:
        return [_encode_head(email, include_raw, b',"attachments":[]}', omit)]
    return _add_attachments(_encode_head(email, include_raw, b"}", omit), email.attachments, describing(omit))


def encode_outline(email: Email) -> bytes:
    """The same JSON without contents of attachments and without the octets of the mail."""
    attachments = [attachment_document(attachment) for attachment in email.attachments]
    return _encode_head(email, False, b',"attachments":' + _dumps(attachments) + b"}")


def _encode_head(email: Email, include_raw: bool, end: bytes, omit: int = 0) -> bytes:
    """What `email_document` returns, as JSON, with `end` in the place of its last brace."""
    envelope = email.envelope
    authentication = session = None
    if envelope.credentials is not None:
        authentication = _dumps(_authentication(envelope, omit))
    if not omit & SESSION and _is_unusual(email):
        session = _dumps(_session(email))
    raw = email.raw if include_raw else None
    head = write_context(email, raw, timestamp(email.received_at), authentication, session, end, omit)
    if head is None:
        document = email_document(email, read_message(email, include_raw=include_raw))
        strip(document, omit)
        head = _dumps(document)[:-1] + end
    return head


def _is_unusual(email: Email) -> bool:
    """Whether there is more to say of the session than whether it began with EHLO."""
    envelope = email.envelope
    return bool(
        envelope.tls is not None or email.violations or envelope.proxied is not None or email.transcript is not None
    )


def encode_document(
    document: dict[str, Any], attachments: Attachments, describe: Callable[[Attachment], dict[str, Any]]
) -> list[Segment]:
    """`document`, with what `describe` makes of each attachment, and its content, under the key `attachments`."""
    if not attachments:
        document["attachments"] = ()
        return [_dumps(document)]
    return _add_attachments(_dumps(document), attachments, describe)


def _add_attachments(
    head: bytes, attachments: Attachments, describe: Callable[[Attachment], dict[str, Any]]
) -> list[Segment]:
    """Put the attachments behind the last key of a document."""
    segments: list[Segment] = []
    small = bytearray(head[:-1])
    small += b',"attachments":['
    for index, attachment in enumerate(attachments):
        if index:
            small += b","
        small += _dumps(describe(attachment))
        content = attachment.content
        if content is None:
            continue
        small[-1:] = b',"content":'
        if len(content) <= _JOIN_BYTES:
            small += content
        else:
            segments += (small, content)
            small = bytearray()
        small += b"}"
    small += b"]}"
    segments.append(small)
    return segments


def email_document(email: Email, message: dict[str, Any]) -> dict[str, Any]:
    """The JSON of one email with this `message` but without its attachments."""
    envelope, origin = email.envelope, email.origin
    return {
        "event": "EMAIL_RECEIVED",
        "uuid": email.uuid,
        "connection_uuid": origin.connection_uuid,
        "sequence": origin.sequence,
        "remote_addr": origin.remote_addr,
        "received_at": timestamp(email.received_at),
        "server": origin.server,
        "envelope": {
            "from": envelope.reverse_path,
            "to": envelope.forward_paths,
            "helo": envelope.helo,
            "mail_params": envelope.mail_parameters,
            "rcpt_params": envelope.rcpt_parameters,
        },
        "authentication": _authentication(envelope),
        "session": _session(email),
        "message": message,
    }


def _session(email: Email) -> dict[str, Any]:
    envelope = email.envelope
    document: dict[str, Any] = {
        "esmtp": envelope.esmtp,
        "tls": None if envelope.tls is None else envelope.tls._asdict(),
        "violations": [{"code": code, "detail": detail, "count": count} for code, detail, count in email.violations],
    }
    if envelope.proxied is not None:
        document["proxy"] = _proxy(envelope.proxied)
    if email.transcript is not None:
        document["transcript"] = [_line(said) for said in email.transcript]
    return document


def _proxy(proxied: Proxied) -> dict[str, Any]:
    header = proxied.header
    return {
        "remote_addr": proxied.proxy_addr,
        "believed": proxied.believed,
        "header": None
        if header is None
        else {
            "version": header.version,
            "source": header.source,
            "destination": header.destination,
            "fields": header.fields,
        },
        "xclient": proxied.xclient,
        "xforward": proxied.xforward,
    }


def _authentication(envelope: Envelope, omit: int = 0) -> dict[str, Any]:
    credentials = envelope.credentials
    if credentials is None:
        return {"attempted": envelope.auth_attempted, "mechanism": None, "username": None, "password": None}
    fields = {
        "attempted": True,
        "mechanism": credentials.mechanism,
        "username": credentials.username,
        "password": credentials.password,
    }
    if credentials.challenge is not None and not omit & DIGEST:
        fields["digest"] = credentials.digest
        fields["challenge"] = credentials.challenge
    return fields


def read_message(email: Email, *, include_raw: bool = True) -> dict[str, Any]:
    """The JSON of the message; without its octets, where the email has them, if they are not wanted."""
    text, html = _text(email.text), _text(email.html)
    body = text if email.body is email.text else html
    found = email.defects
    budget = email.budget.copy()
    headers: dict[str, str] = {}
    addresses: dict[str, list[dict[str, str]]] = {"from": [], "to": [], "cc": [], "bcc": [], "reply_to": []}
    date = None
    for name, value in email.message.fields:
        canonical = canonical_name(name)
        if canonical not in headers:
            headers[canonical] = decode_words(value, found, budget) if "=?" in value else value
            if canonical == "Date":
                date = value
        field = ADDRESS_FIELDS.get(canonical)
        if field is not None:
            addresses[field].extend(_addresses(value, found, budget))
    document = message_document(email, headers, date, addresses, text, html, body, found)
    if include_raw and email.raw is not None:
        document["raw"], document["raw_encoding"] = _raw(email.raw)
    return document


def message_document(
    email: Email,
    headers: dict[str, str],
    date: str | None,
    addresses: dict[str, list[dict[str, str]]],
    text: Any,
    html: Any,
    body: Any,
    found: list[str],
) -> dict[str, Any]:
    """The JSON of a message whose header was read, but for its octets; `text` and the like are what orjson takes."""
    message_id = headers.get("Message-ID")
    return {
        "headers": headers,
        "raw_headers": email.message.fields,
        "id": None if message_id is None else parse_message_id(message_id),
        "subject": headers.get("Subject"),
        "date": date,
        # One by one: merging dicts costs compiled code more.
        "from": addresses.get("from"),
        "to": addresses.get("to"),
        "cc": addresses.get("cc"),
        "bcc": addresses.get("bcc"),
        "reply_to": addresses.get("reply_to"),
        "body": "" if body is None else body,
        "text": text,
        "html": html,
        "size": email.size,
        "defects": list(dict.fromkeys(found)) if found else [],
    }


def _text(text: Text | None) -> str | orjson.Fragment | None:
    return _fragment(text) if isinstance(text, bytes) else text


def _addresses(value: str, found: list[str], budget: Budget) -> list[dict[str, str]]:
    return [{"name": name, "address": address} for name, address in parse_addresses(value, found, budget)]


def spell_address(address: Address) -> dict[str, str]:
    """The JSON of a mailbox."""
    return {"name": address.name, "address": address.address}


def _raw(octets: Segment) -> tuple[str, str]:
    try:
        return octets.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return pybase64.b64encode_as_string(octets), "base64"


def attachment_document(attachment: Attachment) -> dict[str, Any]:
    """The JSON of one attachment but for its content."""
    document: dict[str, Any] = {
        "filename": attachment.filename,
        "content_type": attachment.content_type,
        "size": attachment.size,
        "disposition": attachment.disposition,
        "content_id": attachment.content_id,
        "defects": attachment.defects,
    }
    if attachment.path is not None:
        document["path"] = attachment.path
    if attachment.sha256 is not None:
        document["sha256"] = attachment.sha256
    return document


def describing(omit: int) -> Callable[[Attachment], dict[str, Any]]:
    """What makes the JSON of an attachment but for its content and what is left out."""
    if not omit & (DISPOSITION | DEFECTS):
        return attachment_document

    def describe(attachment: Attachment) -> dict[str, Any]:
        document = attachment_document(attachment)
        strip_attachment(document, omit)
        return document

    return describe


def _line(said: tuple[int, str, str, str]) -> dict[str, object]:
    ms, speaker, line, fault = said
    shown: dict[str, object] = {"ms": ms, "from": speaker, "line": line}
    return {**shown, "fault": fault} if fault else shown
