"""Server-sent events of a namespace, resumed without loss."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from aiohttp import web

from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.api.requests import INBOX, NAMESPACE, namespace_of, read_position
from fastsmtp.inbox.events import MAX_STREAMS, NEWEST, EventFrame, Stream
from fastsmtp.inbox.names import Cursor
from fastsmtp.inbox.namespaces import Namespace

_PACE_S: Final = 0.1  # between two writes: a burst becomes one frame
_KEEPALIVE_S: Final = 15.0


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [web.get(f"{NAMESPACE}/events", events)]


async def events(request: web.Request) -> web.StreamResponse:
    """`GET …/events`: from now on, or from behind `Last-Event-ID` or `after`."""
    namespace, inbox = namespace_of(request), request.app[INBOX]
    if len(inbox.events) >= MAX_STREAMS:
        raise Problem(429, f"{MAX_STREAMS} streams are open already")
    cursor = request.headers.get("Last-Event-ID") or request.query.get("after")
    after = read_position(inbox, namespace, cursor, "/after") if cursor else None
    stream = inbox.events.open(namespace)
    try:
        told = inbox.cursor(namespace).seq
        response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        await response.prepare(request)
        await response.write(b": the inbox is here\n\n")
        if after is not None and after < told:
            await _catch_up(request, response, namespace, after, told)
        await _follow(response, stream)
        return response
    finally:
        inbox.events.close(stream)


async def _catch_up(
    request: web.Request, response: web.StreamResponse, namespace: Namespace, after: int, told: int
) -> None:
    """Tell what has come behind `after`; the stream has what comes behind `told`."""
    inbox = request.app[INBOX]
    while after < told:
        found = await inbox.find(
            namespace, limit=NEWEST, after=after, before=told + 1, newest_first=False, outcomes=None
        )
        if not found.rows:
            return
        mails = [
            {
                **orjson.loads(row.summary),
                "seq": row.seq,
                "namespace": namespace.name,
                "read": row.read,
                "tags": row.tags,
            }
            for row in found.rows
        ]
        after = found.rows[-1].seq
        await response.write(_encode(EventFrame("mail", namespace, after, {"count": len(mails), "mails": mails})))


async def _follow(response: web.StreamResponse, stream: Stream) -> None:
    while not stream.ended:
        try:
            await asyncio.wait_for(stream.changed.wait(), _KEEPALIVE_S)
        except asyncio.TimeoutError:
            await response.write(b": still here\n\n")
            continue
        octets = b"".join(map(_encode, stream.take()))
        if octets:
            await response.write(octets)
        await asyncio.sleep(_PACE_S)


def _encode(frame: EventFrame) -> bytes:
    content: dict[str, Any] = frame.content
    cursor = Cursor(frame.namespace.epoch, frame.seq)
    return b"event: %b\nid: %b\ndata: %b\n\n" % (
        frame.event.encode(),
        str(cursor).encode(),
        orjson.dumps({**content, "cursor": str(cursor)}),
    )
