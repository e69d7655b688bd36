"""The websockets of Mailpit and MailHog: what happens, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from time import monotonic
from typing import Any, Final

from aiohttp import WSMsgType, web

from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.encoding import encode_steps
from fastsmtp.inbox.events import MAX_STREAMS, EventFrame
from fastsmtp.inbox.mailpit.api import NS, VERSION
from fastsmtp.inbox.mailpit.compatible import compatible
from fastsmtp.inbox.mailpit.objects import summary_of, to_id
from fastsmtp.inbox.mailpit.scope import Scope, scope_of
from fastsmtp.system.timeslices import SLICE_S, joined, next_slice

_PACE_S: Final = 0.25  # between two looks: statistics come at most four times a second
_HEARTBEAT_S: Final = 54.0
_CHUNK: Final = 256 * 1024  # octets that are encoded at a time


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [web.get(f"{prefix}/api/events", compatible(events)) for prefix in ("", NS)]


async def events(request: web.Request) -> web.StreamResponse:
    """`GET /api/events`: frames `{"Type", "Data"}`."""
    scope = await scope_of(request)

    async def frames(changed: Iterable[EventFrame]) -> AsyncIterator[dict[str, Any]]:
        for frame in changed:
            for told in _told(frame):
                yield told
        yield await _stats(scope)

    return await follow(request, scope, frames)


async def follow(
    request: web.Request, scope: Scope, frames: Callable[[Iterable[EventFrame]], AsyncIterator[dict[str, Any]]]
) -> web.WebSocketResponse:
    """Send what `frames` makes of what happens, until the client or the namespace has gone."""
    if len(scope.inbox.events) >= MAX_STREAMS:
        raise Problem(429, f"{MAX_STREAMS} streams are open already")
    socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S)
    await socket.prepare(request)
    stream = scope.stream()
    reading = asyncio.ensure_future(_until_closed(socket))
    try:
        changed: list[EventFrame] = []
        while not (stream.ended or reading.done()):
            ends = monotonic() + SLICE_S
            async for frame in frames(changed):
                pieces = [piece async for piece in joined(encode_steps(frame), _CHUNK)]
                await socket.send_frame(b"".join(pieces), WSMsgType.TEXT)
                if monotonic() >= ends:
                    ends = await next_slice()
            waiting = asyncio.ensure_future(stream.changed.wait())
            await asyncio.wait((waiting, reading), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            await asyncio.sleep(_PACE_S)
            changed = stream.take()
    except ConnectionError:
        pass  # the client has gone
    finally:
        scope.inbox.events.close(stream)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await socket.close()
    return socket


async def _until_closed(socket: web.WebSocketResponse) -> None:
    """Read what the client says, which means nothing, until it has gone."""
    async for _message in socket:
        pass


def _told(frame: EventFrame) -> Iterable[dict[str, Any]]:
    content = frame.content
    if frame.event == "mail":
        return (
            {"Type": "new", "Data": summary_of(mail, read=mail["read"], tags=mail["tags"])}
            for mail in content["mails"]
            if mail["outcome"] == "accepted"
        )
    if frame.event == "update":
        return [
            {"Type": "update", "Data": {"ID": to_id(content["uuid"]), "Read": content["read"], "Tags": content["tags"]}}
        ]
    if frame.event == "delete":
        return [{"Type": "delete", "Data": {"ID": to_id(content["uuid"])}}]
    if frame.event == "purge":
        return [{"Type": "truncate", "Data": None}]
    if frame.event == "overflow":
        return [{"Type": "prune", "Data": None}]
    return []


async def _stats(scope: Scope) -> dict[str, Any]:
    counters = await scope.counters()
    stats = {"Total": counters.present, "Unread": counters.unread, "Version": VERSION}
    return {"Type": "stats", "Data": stats}
