"""Server-sent events of a namespace, resumed without loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from aiohttp import web

from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.api.requests import INBOX, NAMESPACE, namespace_of, read_position
from fastsmtp.inbox.documents import load
from fastsmtp.inbox.encoding import encode_steps
from fastsmtp.inbox.events import MAX_STREAMS, NEWEST, EventFrame, Stream
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.names import Cursor
from fastsmtp.inbox.namespaces import Namespace
from fastsmtp.system.timeslices import joined

PACE_S: Final = 0.1  # between two writes: a burst becomes one frame
KEEPALIVE_S: Final = 15.0
STILL_HERE: Final = b": still here\n\n"
CHUNK: Final = 256 * 1024  # octets that are written at a time


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [web.get(f"{NAMESPACE}/events", events)]


async def events(request: web.Request) -> web.StreamResponse:
    """`GET …/events`: from now on, or from behind `Last-Event-ID` or `after`."""
    namespace, inbox = namespace_of(request), request.app[INBOX]
    refuse_too_many(inbox)
    after = read_start(request, namespace)
    stream = inbox.events.open(namespace)
    try:
        told = inbox.cursor(namespace).seq
        response = await begin_stream(request)
        await catch_up(request, response, namespace, after, told)
        await _follow(response, stream)
        return response
    finally:
        inbox.events.close(stream)


def refuse_too_many(inbox: Inbox) -> None:
    """Raise Problem where as many streams are open as there may be."""
    if len(inbox.events) >= MAX_STREAMS:
        raise Problem(429, f"{MAX_STREAMS} streams are open already")


def read_start(request: web.Request, namespace: Namespace) -> int | None:
    """Return the number of the last mail that the client knows, None where it wants to know of new ones alone.

    Raises Problem, and GoneError for the cursor of a namespace that is gone.
    """
    cursor = request.headers.get("Last-Event-ID") or request.query.get("after")
    return read_position(request.app[INBOX], namespace, cursor, "/after") if cursor else None


async def begin_stream(request: web.Request) -> web.StreamResponse:
    """Return the answer to write events to; its client knows already that the inbox is there."""
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    await response.prepare(request)
    await response.write(b": the inbox is here\n\n")
    return response


async def catch_up(
    request: web.Request, response: web.StreamResponse, namespace: Namespace, after: int | None, told: int
) -> None:
    """Tell what has come behind `after`; the stream has what comes behind `told`."""
    inbox = request.app[INBOX]
    while after is not None and after < told:
        found = await inbox.find(
            namespace, limit=NEWEST, after=after, before=told + 1, newest_first=False, outcomes=None
        )
        if not found.rows:
            return
        mails = [
            {
                **await load(row.summary),
                "seq": row.seq,
                "namespace": namespace.name,
                "read": row.read,
                "tags": row.tags,
            }
            for row in found.rows
        ]
        after = found.rows[-1].seq
        async for octets in encoded([EventFrame("mail", namespace, after, {"count": len(mails), "mails": mails})]):
            await response.write(octets)


async def _follow(response: web.StreamResponse, stream: Stream) -> None:
    while not stream.ended:
        try:
            await asyncio.wait_for(stream.changed.wait(), KEEPALIVE_S)
        except asyncio.TimeoutError:
            await response.write(STILL_HERE)
            continue
        async for octets in encoded(stream.take()):
            if octets:
                await response.write(octets)
        await asyncio.sleep(PACE_S)


def encoded(frames: list[EventFrame]) -> AsyncIterator[bytes]:
    """Yield frames as they are sent; others have their turn in between."""
    return joined((piece for frame in frames for piece in _encode(frame)), CHUNK)


def _encode(frame: EventFrame) -> Iterator[bytes]:
    content: dict[str, Any] = frame.content
    cursor = Cursor(frame.namespace.epoch, frame.seq)
    yield b"event: %b\nid: %b\ndata: " % (frame.event.encode(), str(cursor).encode())
    yield from encode_steps({**content, "cursor": str(cursor)})
    yield b"\n\n"
