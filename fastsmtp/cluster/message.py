"""A mail as it is published: one header field that says what is known of it, then its JSON and its octets.

The field `Fastsmtp-Mail` is a JSON object in ASCII, so that an index, or a person with the `nats` command, needs no
body. The body is the JSON of `delivery.payload.encode_outline`, without contents of attachments, and then the mail as
it came: `outline` says how many octets of it are JSON. What a worker gets is made of both again.

A mail that is too large for one message is a batch: chunks of the body, then a message without a body that has the
header. They are stored together or not at all, one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from fastsmtp.capture.email import Email
from fastsmtp.cluster.subjects import Subjects
from fastsmtp.delivery.deferred import Stretch, blocks_of, octets_of
from fastsmtp.mime.words import decode_words
from fastsmtp.text import timestamp

MAIL: Final = "Fastsmtp-Mail"
DEATH: Final = "Fastsmtp-Death"  # why a mail is among the dead
MESSAGE_ID: Final = "Nats-Msg-Id"
BATCH_ID: Final = "Nats-Batch-Id"
BATCH_SEQUENCE: Final = "Nats-Batch-Sequence"
BATCH_COMMIT: Final = "Nats-Batch-Commit"

CHUNK_BYTES: Final = 950_000
_HEADER_BYTES: Final = 48 * 1024  # room for the header in the largest message that a server takes
_SHOWN_CHARS: Final = 200
_SHOWN_RECIPIENT_CHARS: Final = 1000  # of all that are shown


class MailHeader(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a mail without its body. `to` has the first recipients, `recipients` says how many there are.

    `namespaces` are those in the partition of the message: a mail of several partitions is published in each. `faults`
    are pairs of the rule of a plan and what it did.
    """

    uuid: str
    node: str
    received: str
    from_: str = msgspec.field(name="from")
    to: list[str]
    recipients: int
    namespaces: list[str]
    size: int  # octets of the mail
    subject: str | None
    outline: int  # octets of the body that are JSON; the rest is the mail
    chunks: int = 0  # messages right before this one that have the body, 0 = it is here
    at_ms: int = 0  # Unix time in milliseconds that inboxes show, 0 = that of the message
    outcome: str = "accepted"
    faults: list[tuple[str, str]] = []


class Death(msgspec.Struct, frozen=True):
    """Why a mail is among the dead: what came of its last delivery, and where it was."""

    reason: str
    deliveries: int
    at: str
    stream: str
    seq: int


@dataclass(slots=True)
class Outgoing:
    """A mail to be published, `body` in stretches. `message_id` is that by which the servers know it again."""

    subjects: Subjects
    message_id: str
    header: MailHeader
    body: Sequence[Stretch]
    size: int  # octets of the body
    death: Death | None = None


@dataclass(frozen=True, slots=True)
class NATSMessage:
    """One message of NATS."""

    subject: str
    headers: dict[str, str]
    body: bytes


def outgoing(
    email: Email,
    outline: Sequence[Stretch],
    subjects: Subjects,
    node: str,
    names: Sequence[str],
    outcome: str = "accepted",
) -> Outgoing:
    """Return a mail as it is published; `email.raw` must be there."""
    assert email.raw is not None
    octets = octets_of(outline)
    paths = email.envelope.forward_paths
    header = MailHeader(
        uuid=email.uuid,
        node=node,
        received=timestamp(email.received_at),
        from_=email.envelope.reverse_path[:_SHOWN_CHARS],
        to=_first(paths),
        recipients=len(paths),
        namespaces=list(names),
        size=email.size,
        subject=_subject(email),
        outline=octets,
        outcome=outcome,
        faults=list(email.faults),
    )
    return Outgoing(subjects, email.uuid, header, [*outline, email.raw], octets + len(email.raw))


def _first(paths: Sequence[str]) -> list[str]:
    shown: list[str] = []
    left = _SHOWN_RECIPIENT_CHARS
    for path in paths:
        left -= len(path) + 1
        if left < 0:
            break
        shown.append(path)
    return shown


def _subject(email: Email) -> str | None:
    for name, value in email.message.fields:
        if name.lower() == "subject":
            return decode_words(value[: 4 * _SHOWN_CHARS], [])[:_SHOWN_CHARS]
    return None


def fits(mail: Outgoing, max_payload: int) -> bool:
    """Whether a mail is one message for servers that take so many octets."""
    return mail.size <= min(CHUNK_BYTES, max_payload - _HEADER_BYTES)


def whole(mail: Outgoing) -> NATSMessage:
    """Return the one message of a mail that fits."""
    return NATSMessage(mail.subjects.mail, _headers(mail, 0), b"".join(blocks_of(mail.body)))


def batch(mail: Outgoing, batch_id: str, max_payload: int) -> Iterator[NATSMessage]:
    """Yield the messages of a mail that does not fit; the last one commits them."""
    size = min(CHUNK_BYTES, max_payload - _HEADER_BYTES)
    number = 0
    pending = bytearray()
    for block in blocks_of(mail.body):
        view = memoryview(block)
        while view:
            taken = view[: size - len(pending)]
            pending += taken
            view = view[len(taken) :]
            if len(pending) == size:
                number += 1
                yield _chunk(mail, batch_id, number, pending)
                pending = bytearray()
    if pending:
        number += 1
        yield _chunk(mail, batch_id, number, pending)
    headers = _headers(mail, number)
    headers |= {BATCH_ID: batch_id, BATCH_SEQUENCE: str(number + 1), BATCH_COMMIT: "1"}
    yield NATSMessage(mail.subjects.mail, headers, b"")


def _chunk(mail: Outgoing, batch_id: str, number: int, octets: bytearray) -> NATSMessage:
    return NATSMessage(mail.subjects.chunk, {BATCH_ID: batch_id, BATCH_SEQUENCE: str(number)}, bytes(octets))


def _headers(mail: Outgoing, chunks: int) -> dict[str, str]:
    header = mail.header if mail.header.chunks == chunks else msgspec.structs.replace(mail.header, chunks=chunks)
    headers = {MESSAGE_ID: mail.message_id, MAIL: _encode(header)}
    if mail.death is not None:
        headers[DEATH] = _encode(mail.death)
    return headers


def _encode(value: MailHeader | Death) -> str:
    """Return JSON in ASCII. Clients take "=?" in a header for an encoded word, and so there is no equals sign in it."""
    octets = msgspec.json.encode(value)
    text = octets.decode() if octets.isascii() else json.dumps(msgspec.to_builtins(value), separators=(",", ":"))
    return text.replace("=", "\\u003d")


_MAIL_DECODER: Final = msgspec.json.Decoder(MailHeader)
_DEATH_DECODER: Final = msgspec.json.Decoder(Death)


def header_text(headers: Mapping[str, object] | None, name: str) -> str:
    """Return the value of a header field, "" where there is none.

    QUIRK: where fast-mail-parser is installed, nats-py has it read headers, and then each value is a list.
    """
    value = (headers or {}).get(name, "")
    return str(value[0]) if isinstance(value, list) else str(value)


def read_header(headers: Mapping[str, object] | None) -> MailHeader:
    """Return what a message says of its mail. Raises ValueError where another program wrote it."""
    text = header_text(headers, MAIL)
    if not text:
        raise ValueError(f"no header {MAIL}")
    return _MAIL_DECODER.decode(text)


def read_death(headers: Mapping[str, object] | None) -> Death | None:
    """Return why a mail is among the dead, None where it is not. Raises ValueError."""
    text = header_text(headers, DEATH)
    return _DEATH_DECODER.decode(text) if text else None
