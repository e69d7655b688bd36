"""A large email as JSON, some milliseconds at a time; what is large of it is made while it is written.

What comes out is what `payload` and `jobs` make at once of others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Final, TypeAlias

import orjson

from fastsmtp.capture.email import Attachment, Attachments, Email, Segment
from fastsmtp.capture.texts import QuotedText
from fastsmtp.delivery.deferred import (
    Deferrals,
    Made,
    QuotedOctets,
    Stretch,
    json_array,
    json_object,
    json_pairs,
    json_string,
)
from fastsmtp.delivery.omission import ADDRESSES, FIELDS, HEADERS, PARAMS, RAW_HEADERS, strip
from fastsmtp.delivery.payload import (
    ADDRESS_FIELDS,
    attachment_document,
    describing,
    email_document,
    message_document,
    spell_address,
)
from fastsmtp.mime.address import Address
from fastsmtp.mime.addresslist import address_steps
from fastsmtp.mime.budget import Budget
from fastsmtp.mime.header import canonical_name
from fastsmtp.mime.words import word_steps

Spelling: TypeAlias = Callable[[Address], dict[str, str]]
Steps: TypeAlias = Generator[None, None, "list[Stretch]"]
LargePayload: TypeAlias = "tuple[Sequence[Stretch], Sequence[Stretch]]"  # context and body of one frame

_INLINE: Final = 32 * 1024  # octets of JSON that are made at once
_STEP_FIELDS: Final = 200
_STEP_ATTACHMENTS: Final = 50


def payload_steps(email: Email, *, include_raw: bool = True, omit: int = 0) -> Generator[None, None, LargePayload]:
    """What `payload.encode_payload` does, some milliseconds at a time; what is large is made while it is written."""
    return (yield from context_steps(email, include_raw=include_raw, omit=omit)), []


def context_steps(email: Email, *, include_raw: bool = True, omit: int = 0) -> Steps:
    """The segments of the context."""
    deferrals = Deferrals()
    document, header = yield from document_steps(email, deferrals, include_raw=include_raw, omit=omit)
    message = document["message"]
    for key in () if omit & ADDRESSES else ADDRESS_FIELDS.values():
        message[key] = yield from spell_steps(header.addresses[key], spell_address, deferrals)
    return (yield from segment_steps(document, email, describing(omit), deferrals))


class LargeHeader:
    """The header of a large email taken apart."""

    __slots__ = ("_email", "_found", "addresses", "date", "headers")

    def __init__(self, email: Email) -> None:
        self._email = email
        self._found: list[str] = []
        self.headers: dict[str, str] = {}
        self.date: str | None = None
        self.addresses: dict[str, list[Address]] = {key: [] for key in ADDRESS_FIELDS.values()}

    def read(self, found: list[str]) -> Iterator[None]:
        """Read the header, some milliseconds at a time; defects go to `found`."""
        budget = self._email.budget.copy()
        for index, (name, value) in enumerate(self._email.message.fields):
            canonical = canonical_name(name)
            if canonical not in self.headers:
                self.headers[canonical] = value
                if "=?" in value:
                    yield from self._decode(canonical, value, found, budget)
                if canonical == "Date":
                    self.date = value
            key = ADDRESS_FIELDS.get(canonical)
            if key is not None:
                yield from address_steps(value, found, budget, self.addresses[key])
            if index % _STEP_FIELDS == 0:
                yield

    def _decode(self, name: str, value: str, found: list[str], budget: Budget) -> Iterator[None]:
        pieces: list[str] = []
        yield from word_steps(value, found, budget, pieces)
        self.headers[name] = "".join(pieces)


def outline_steps(email: Email) -> Steps:
    """What `payload.encode_outline` does, some milliseconds at a time; what is large is made while it is written."""
    deferrals = Deferrals()
    document, header = yield from document_steps(email, deferrals, include_raw=False)
    message = document["message"]
    for key in ADDRESS_FIELDS.values():
        message[key] = yield from spell_steps(header.addresses[key], spell_address, deferrals)
    document["attachments"] = yield from _made(
        lambda: json_array(map(attachment_document, email.attachments)), deferrals
    )
    return deferrals.cut(orjson.dumps(document))


def document_steps(
    email: Email, deferrals: Deferrals, *, include_raw: bool = True, lossy: bool = False, omit: int = 0
) -> Generator[None, None, tuple[dict[str, Any], LargeHeader]]:
    """What `payload.email_document` returns but for what is left out, and the header taken apart.

    Address lists are not in it yet.
    """
    yield from email.texts.quote_steps()
    found = email.texts.defects
    header = LargeHeader(email)
    yield from header.read(found)
    quoted = email.texts.quoted
    text, html = _put(quoted.text, deferrals), _put(quoted.html, deferrals)
    body = text if quoted.body is quoted.text else html
    message = message_document(email, header.headers, header.date, {}, text, html, body, found)
    if not omit & HEADERS:
        message["headers"] = yield from _made(lambda: json_object(header.headers.items()), deferrals)
    if not omit & RAW_HEADERS:
        message["raw_headers"] = yield from _made(lambda: json_pairs(email.message.fields), deferrals)
    for key in () if omit & FIELDS else ("id", "subject", "date"):
        message[key] = yield from _string(message[key], deferrals)
    if include_raw and email.raw is not None:
        raw = QuotedOctets(email.raw, lossy=lossy)
        yield from raw.measure()
        message["raw"], message["raw_encoding"] = deferrals.put(raw), raw.encoding
    document = email_document(email, message)
    strip(document, omit)
    envelope = document["envelope"]
    envelope["to"] = yield from _made(lambda: json_array(email.envelope.forward_paths), deferrals)
    if not omit & PARAMS:
        envelope["rcpt_params"] = yield from _made(lambda: json_array(email.envelope.rcpt_parameters), deferrals)
    return document, header


def spell_steps(
    addresses: list[Address], spell: Spelling, deferrals: Deferrals
) -> Generator[None, None, orjson.Fragment]:
    """The JSON of an address list."""
    return (yield from _made(lambda: json_array(map(spell, addresses)), deferrals))


def segment_steps(
    document: dict[str, Any], email: Email, describe: Callable[[Attachment], dict[str, Any]], deferrals: Deferrals
) -> Steps:
    """What `payload.encode_document` returns, in segments of which the large ones are made while they are written."""
    document["attachments"] = yield from _made(lambda: _attachments(email.attachments, describe), deferrals)
    return deferrals.cut(orjson.dumps(document))


def _put(text: QuotedText | None, deferrals: Deferrals) -> orjson.Fragment | None:
    return None if text is None else deferrals.put(text)


def _string(text: str | None, deferrals: Deferrals) -> Generator[None, None, Any]:
    if text is None or len(text) <= _INLINE:
        return text
    return (yield from _made(lambda: json_string(text), deferrals))


def _made(make: Callable[[], Iterator[Segment]], deferrals: Deferrals) -> Generator[None, None, orjson.Fragment]:
    """JSON that stands in the document if it is short, and is deferred if it is not."""
    made = Made(make)
    yield from made.measure()
    if made.size > _INLINE:
        return deferrals.put(made)
    return orjson.Fragment(b"".join(made.blocks()))


def _attachments(attachments: Attachments, describe: Callable[[Attachment], dict[str, Any]]) -> Iterator[Segment]:
    pending = bytearray(b"[")
    for index, attachment in enumerate(attachments):
        if index:
            pending += b","
        pending += orjson.dumps(describe(attachment))
        content = attachment.content
        if content is not None:
            pending[-1:] = b',"content":'
            if len(content) > _INLINE:
                yield pending
                yield content
                pending = bytearray()
            else:
                pending += content
            pending += b"}"
        if len(pending) > _INLINE or index % _STEP_ATTACHMENTS == 0:
            yield pending
            pending = bytearray()
    pending += b"]"
    yield pending
