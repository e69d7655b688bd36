"""The body of a mail that is on the servers, and the frame that a worker gets of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import msgspec

from fastsmtp.capture.email import Segment
from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import MailHeader, header_text
from fastsmtp.delivery.jobs import job_context
from fastsmtp.delivery.payload import Payload
from fastsmtp.inbox.workerpayload import Shape, outline_at_once, worker_payload

_PIECE: Final = 64 * 1024
_NO_ATTACHMENTS: Final = b'"attachments":[]}'  # at the end of a payload


class MissingError(Exception):
    """A part of a mail is not on the servers any more."""


class WorkerShape(NamedTuple):
    """What workers get: the shape of the payload, and the pipeline of jobs."""

    shape: Shape
    pipeline: str = ""


async def read_chunks(connection: NATSConnection, stream: str, seq: int, header: MailHeader) -> bytes:
    """Return the body of a mail that is message `seq` and has chunks. Raises MissingError, or what nats-py raises."""
    pieces = [await _read_message(connection, stream, number) for number in range(seq - header.chunks, seq)]
    return b"".join(pieces)


async def _read_message(connection: NATSConnection, stream: str, seq: int) -> bytes:
    """Ask any replica first; one that lags behind knows nothing of what is new, and then the leader is asked."""
    wanted = b'{"seq": %d}' % seq
    told = await connection.request(f"$JS.API.DIRECT.GET.{stream}", wanted)
    if not header_text(told.headers, "Status"):
        return told.body
    told = await connection.request(f"$JS.API.STREAM.MSG.GET.{stream}", wanted)
    answer = msgspec.json.decode(told.body, type=_Answer)
    if answer.message is None:
        raise MissingError(f"message {seq} of stream {stream} is gone")
    return answer.message.data


class _Stored(msgspec.Struct, frozen=True):
    """A message as the leader of a stream tells it."""

    data: bytes = b""  # base64 in JSON


class _Answer(msgspec.Struct, frozen=True):
    message: _Stored | None = None


def frame_at_once(header: MailHeader, body: Segment, wanted: WorkerShape) -> Payload | None:
    """Return context and body of the frame for a worker, None where that takes long."""
    jobs, include_raw, omit = wanted.shape
    if jobs or include_raw or header.chunks or not body.startswith(_NO_ATTACHMENTS, header.outline - 17):
        return None
    context = outline_at_once(bytes(body[: header.outline]), omit)
    return None if context is None else ([context], [])


async def frame(header: MailHeader, body: Segment, wanted: WorkerShape) -> Payload:
    """Return context and body of the frame for a worker, made in pieces."""
    outline = bytes(body[: header.outline])

    async def read_raw() -> AsyncIterator[bytes]:
        for start in range(header.outline, len(body), _PIECE):
            yield bytes(body[start : start + _PIECE])

    pieces: list[Segment] = [piece async for piece in worker_payload(outline, read_raw, wanted.shape)]
    if wanted.shape.jobs:
        return [job_context(header.uuid, wanted.pipeline)], pieces
    return pieces, []
