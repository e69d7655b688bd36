"""The payload in the shape of RoadRunner's jobs plugin (`smtp.payload: jobs`), and the answers to it.

The frame's context describes the job, its body is the email: as Spiral's smtp plugin pushes it to a pipeline and as
Buggregator 1.x reads it. A worker is any consumer of `spiral/roadrunner-jobs`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from fastsmtp.capture.email import Attachment, Email
from fastsmtp.delivery.deferred import Deferrals
from fastsmtp.delivery.large import LargePayload, document_steps, segment_steps, spell_steps
from fastsmtp.delivery.payload import (
    ADDRESS_FIELDS,
    Payload,
    attachment_document,
    email_document,
    encode_document,
    read_message,
    spell_address,
)
from fastsmtp.mime.address import Address

# Types of answers: no error, error, ACK, NACK, requeue.
_DONE = frozenset({0, 2})
_FAILED = frozenset({1, 3, 4})
_REQUEUE = 4
# Address lists of the envelope, and those of the message that they come from.
_LISTS = {"from": "from", "to": "to", "ccs": "cc", "replyTo": "reply_to"}


def encode_job(email: Email, pipeline: str) -> Payload:
    """Return the segments of context and body. `email.raw` must be there."""
    return [job_context(email.uuid, pipeline)], encode_document(_document(email), email.attachments, _attachment)


def job_steps(email: Email, pipeline: str) -> Generator[None, None, LargePayload]:
    """What `encode_job` does, some milliseconds at a time; what is large is made while it is written."""
    deferrals = Deferrals()
    document, header = yield from document_steps(email, deferrals, lossy=True)
    envelope, message = document["envelope"], document["message"]
    envelope["allRecipients"] = envelope["to"]
    for key in ADDRESS_FIELDS.values():
        message[key] = yield from spell_steps(header.addresses[key], spell_address, deferrals)
    for key, name in _LISTS.items():
        envelope[key] = yield from spell_steps(header.addresses[name], _spell_address, deferrals)
    message["subject"] = message["subject"] or ""
    return [job_context(email.uuid, pipeline)], (yield from segment_steps(document, email, _attachment, deferrals))


def job_context(uuid: str, pipeline: str) -> bytes:
    """Return the context of a job: the email with this uuid, in this pipeline."""
    return msgspec.json.encode(
        {
            "id": uuid,
            "job": "smtp.email",
            "driver": "memory",
            "headers": job_headers(uuid),
            "pipeline": pipeline,
        }
    )


def job_headers(uuid: str) -> dict[str, list[str]]:
    """Return the headers of a job."""
    return {"uuid": [uuid], "payload_class": ["smtp:handler"]}


def _spell_address(address: Address) -> dict[str, str]:
    return {"email": address.address, "name": address.name}


def _document(email: Email) -> dict[str, Any]:
    assert email.raw is not None
    document = email_document(email, read_message(email))
    reshape(document)
    message = document["message"]
    # Text to a consumer that knows nothing of encodings and parses it as a mail: base64 would not do.
    if message["raw_encoding"] != "utf-8":
        message["raw"], message["raw_encoding"] = email.raw.decode("utf-8", "replace"), "lossy"
    return document


def reshape(document: dict[str, Any]) -> None:
    """Give the JSON of an email, but for its attachments and its octets, the shape that consumers of jobs read."""
    envelope, message = document["envelope"], document["message"]
    envelope["allRecipients"] = envelope["to"]
    for key, name in _LISTS.items():
        envelope[key] = [{"email": item["address"], "name": item["name"]} for item in message[name]]
    # Consumers type it as a string.
    message["subject"] = message["subject"] or ""


def _attachment(attachment: Attachment) -> dict[str, Any]:
    document = attachment_document(attachment)
    reshape_attachment(document)
    return document


def reshape_attachment(document: dict[str, Any]) -> None:
    """Give the JSON of an attachment the names, too, that consumers of jobs read."""
    document["type"] = document["content_type"]
    document["contentId"] = document["content_id"]


class _Failure(msgspec.Struct, frozen=True):
    message: str = ""
    requeue: bool = False


class _Answer(msgspec.Struct, frozen=True):
    type: int
    data: _Failure | list[Any] | None = None  # PHP writes an empty array where it has nothing to say


def read_answer(body: bytes) -> str | None:
    """Return the text of the error that a consumer answered with, None when the job is done.

    Raises ValueError when it is no answer.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if answer.type in _DONE:
        return None
    if answer.type not in _FAILED:
        raise ValueError(f"{answer.type} is no type of an answer")
    failure = answer.data if isinstance(answer.data, _Failure) else _Failure()
    text = failure.message or "no message"
    # RoadRunner would try again later. Here nothing is queued: the email has been taken, and that is all.
    return f"{text} (not queued again)" if failure.requeue or answer.type == _REQUEUE else text
