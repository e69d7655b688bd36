"""A finished transaction as JSON: the context a worker gets. Every key of it is spelled here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson
import pybase64

from fastsmtp.mime.address import parse_addresses
from fastsmtp.mime.entity import Entity
from fastsmtp.mime.header import canonical_name
from fastsmtp.mime.words import decode_words
from fastsmtp.smtp.envelope import Envelope

Segment = bytes | bytearray
Text: TypeAlias = str | bytes  # bytes: a JSON string already, quotes included
Payload: TypeAlias = tuple[list[Segment], list[Segment]]  # context and body of one frame, in segments

# Up to this size a content is copied into its segment: one larger write is cheaper than three small ones.
_JOIN_BYTES: Final = 32 * 1024
_ADDRESS_FIELDS: Final = {"From": "from", "To": "to", "Cc": "cc", "Bcc": "bcc", "Reply-To": "reply_to"}


@dataclass(init=False, slots=True)
class Attachment:
    """One attachment as the worker sees it.

    `size` counts decoded octets. Either `content` is a JSON string, quotes included, of its base64 text, or `path`
    names its file. `sha256` is None where no checksum was asked for.
    """

    entity: Entity
    size: int
    content: Segment | None
    path: str | None
    sha256: str | None
    defects: Sequence[str]

    def __init__(
        self,
        entity: Entity,
        size: int,
        content: Segment | None,
        path: str | None,
        sha256: str | None,
        defects: Sequence[str],
    ) -> None:
        self.entity = entity
        self.size = size
        self.content = content
        self.path = path
        self.sha256 = sha256
        self.defects = defects


@dataclass(init=False, slots=True)
class Email:
    """All that is known of one email when its last octet has arrived. Texts are None where there is no such body."""

    uuid: str
    connection_uuid: str
    sequence: int
    remote_addr: str
    received_at: str
    server: str
    envelope: Envelope
    violations: Sequence[tuple[str, str, int]]
    transcript: Sequence[tuple[int, str, str]] | None  # ms, speaker, line; None where it is not asked for
    message: Entity
    text: Text | None
    html: Text | None
    size: int
    raw: bytearray | None
    defects: list[str]
    attachments: Sequence[Attachment]

    def __init__(
        self,
        uuid: str,
        connection_uuid: str,
        sequence: int,
        remote_addr: str,
        received_at: str,
        server: str,
        envelope: Envelope,
        violations: Sequence[tuple[str, str, int]],
        transcript: Sequence[tuple[int, str, str]] | None,
        message: Entity,
        text: Text | None,
        html: Text | None,
        size: int,
        raw: bytearray | None,
        defects: list[str],
        attachments: Sequence[Attachment],
    ) -> None:
        self.uuid = uuid
        self.connection_uuid = connection_uuid
        self.sequence = sequence
        self.remote_addr = remote_addr
        self.received_at = received_at
        self.server = server
        self.envelope = envelope
        self.violations = violations
        self.transcript = transcript
        self.message = message
        self.text = text
        self.html = html
        self.size = size
        self.raw = raw
        self.defects = defects
        self.attachments = attachments


def encode_payload(email: Email) -> Payload:
    """The email as workers of mode `smtp` get it: all in the context, an empty body."""
    return encode_context(email), []


def encode_context(email: Email) -> list[Segment]:
    """The JSON that docs/payload.md describes, in segments to be written one after the other.

    Large attachment contents are segments of their own, so nothing large is copied. Always valid JSON in UTF-8.
    """
    return encode_document(email_document(email), email.attachments, attachment_document)


def encode_document(
    document: dict[str, Any], attachments: Sequence[Attachment], describe: Callable[[Attachment], dict[str, Any]]
) -> list[Segment]:
    """`document`, with what `describe` makes of each attachment, and its content, under the key `attachments`."""
    if not attachments:
        document["attachments"] = ()
        return [orjson.dumps(document)]
    head = orjson.dumps(document)
    segments: list[Segment] = []
    small = bytearray(head[:-1])
    small += b',"attachments":['
    for index, attachment in enumerate(attachments):
        if index:
            small += b","
        small += orjson.dumps(describe(attachment))
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


def email_document(email: Email) -> dict[str, Any]:
    """The JSON of one email but for its attachments."""
    envelope = email.envelope
    return {
        "event": "EMAIL_RECEIVED",
        "uuid": email.uuid,
        "connection_uuid": email.connection_uuid,
        "sequence": email.sequence,
        "remote_addr": email.remote_addr,
        "received_at": email.received_at,
        "server": email.server,
        "envelope": {
            "from": envelope.reverse_path,
            "to": envelope.forward_paths,
            "helo": envelope.helo,
            "mail_params": envelope.mail_parameters,
            "rcpt_params": envelope.rcpt_parameters,
        },
        "authentication": _authentication(envelope),
        "session": _session(email),
        "message": _message(email),
    }


def _session(email: Email) -> dict[str, Any]:
    envelope = email.envelope
    document: dict[str, Any] = {
        "esmtp": envelope.esmtp,
        "tls": None if envelope.tls is None else envelope.tls._asdict(),
        "violations": [{"code": code, "detail": detail, "count": count} for code, detail, count in email.violations],
    }
    if email.transcript is not None:
        document["transcript"] = [{"ms": ms, "from": speaker, "line": line} for ms, speaker, line in email.transcript]
    return document


def _authentication(envelope: Envelope) -> dict[str, Any]:
    credentials = envelope.credentials
    if credentials is None:
        return {"attempted": envelope.auth_attempted, "mechanism": None, "username": None, "password": None}
    fields = {
        "attempted": True,
        "mechanism": credentials.mechanism,
        "username": credentials.username,
        "password": credentials.password,
    }
    if credentials.challenge is not None:
        fields["challenge"] = credentials.challenge
    return fields


def _message(email: Email) -> dict[str, Any]:
    found = email.defects
    headers: dict[str, str] = {}
    addresses: dict[str, list[dict[str, str]]] = {"from": [], "to": [], "cc": [], "bcc": [], "reply_to": []}
    date = None
    for name, value in email.message.fields:
        canonical = canonical_name(name)
        if canonical not in headers:
            headers[canonical] = decode_words(value, found) if "=?" in value else value
            if canonical == "Date":
                date = value
        field = _ADDRESS_FIELDS.get(canonical)
        if field is not None:
            addresses[field].extend(_addresses(value, found))
    message_id = headers.get("Message-ID")
    text, html = _text(email.text), _text(email.html)
    document = {
        "headers": headers,
        "raw_headers": email.message.fields,
        "id": None if message_id is None else message_id.strip().removeprefix("<").removesuffix(">"),
        "subject": headers.get("Subject"),
        "date": date,
        # One by one: merging dicts costs compiled code more.
        "from": addresses["from"],
        "to": addresses["to"],
        "cc": addresses["cc"],
        "bcc": addresses["bcc"],
        "reply_to": addresses["reply_to"],
        "body": "" if text is None and html is None else html if text is None else text,
        "text": text,
        "html": html,
        "size": email.size,
        "defects": list(dict.fromkeys(found)) if found else [],
    }
    if email.raw is not None:
        document["raw"], document["raw_encoding"] = _raw(email.raw)
    return document


def _text(text: Text | None) -> str | orjson.Fragment | None:
    return orjson.Fragment(text) if isinstance(text, bytes) else text


def _addresses(value: str, found: list[str]) -> list[dict[str, str]]:
    return [{"name": name, "address": address} for name, address in parse_addresses(value, found)]


def _raw(octets: bytearray) -> tuple[str, str]:
    try:
        return octets.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return pybase64.b64encode_as_string(octets), "base64"


def attachment_document(attachment: Attachment) -> dict[str, Any]:
    """The JSON of one attachment but for its content."""
    entity = attachment.entity
    disposition = entity.disposition
    document: dict[str, Any] = {
        "filename": entity.name_or_invented(),
        "content_type": entity.media_type.value,
        "size": attachment.size,
        # RFC 2183 2: without the field a receiver decides; what is referred to by Content-ID is meant to be shown.
        "disposition": disposition.value if disposition else "inline" if entity.content_id else "attachment",
        "content_id": entity.content_id,
        "defects": list(dict.fromkeys((*entity.defects, *attachment.defects))),
    }
    if attachment.path is not None:
        document["path"] = attachment.path
    if attachment.sha256 is not None:
        document["sha256"] = attachment.sha256
    return document
