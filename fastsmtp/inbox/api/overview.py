"""Server-sent events for a page: all namespaces and the live figures, as they change, and the mails of one namespace.

A browser has few connections to a server, so a page has one stream. What is told of the whole is what differs from
what was told before, looked at when something has happened, and once a second for what no event tells: connections,
workers, mails that became too old. What is told of the one namespace is what its own stream tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from aiohttp import web

from fastsmtp.errors import StoreError
from fastsmtp.inbox.api.events import (
    CHUNK,
    KEEPALIVE_S,
    PACE_S,
    STILL_HERE,
    begin_stream,
    catch_up,
    encoded,
    read_start,
    refuse_too_many,
)
from fastsmtp.inbox.api.live import figures
from fastsmtp.inbox.api.namespaces import shown
from fastsmtp.inbox.api.requests import INBOX, namespace_called
from fastsmtp.inbox.encoding import encode_steps
from fastsmtp.inbox.events import Glance
from fastsmtp.inbox.names import Cursor
from fastsmtp.inbox.namespaces import Namespace
from fastsmtp.system.timeslices import gathered, joined

_LOOK_S: Final = 0.5  # between two looks
_EVERY_S: Final = 1.0  # a look is taken, whatever happens

Facts = tuple[Any, ...]


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [web.get("/api/live/events", events)]


async def events(request: web.Request) -> web.StreamResponse:
    """`GET /api/live/events`: everything at first, then what changes; with `ns` the mails of that namespace, too."""
    inbox = request.app[INBOX]
    refuse_too_many(inbox)
    name = request.query.get("ns")
    namespace = namespace_called(request, name) if name else None
    after = read_start(request, namespace) if namespace is not None else None
    glance = inbox.events.glance(namespace)
    try:
        told = inbox.cursor(namespace).seq if namespace is not None else 0
        response = await begin_stream(request)
        if namespace is not None:
            await catch_up(request, response, namespace, after, told)
        await _follow(response, glance, _Overview(request))
        return response
    finally:
        inbox.events.close(glance)


async def _follow(response: web.StreamResponse, glance: Glance, overview: _Overview) -> None:
    wrote_at, looked_at = overview.now, -_EVERY_S
    while not glance.ended:
        pieces = [encoded(glance.take())]
        if overview.now - looked_at >= (_LOOK_S if glance.moved else _EVERY_S):
            glance.moved, looked_at = False, overview.now
            pieces += [joined(_encode(event, content), CHUNK) for event, content in await overview.changes()]
        if overview.now - wrote_at >= KEEPALIVE_S:
            await response.write(STILL_HERE)
            wrote_at = overview.now
        for piece in pieces:
            async for octets in piece:
                if octets:
                    await response.write(octets)
                    wrote_at = overview.now
        await asyncio.sleep(PACE_S)
        await _changed(glance.changed, looked_at + (_LOOK_S if glance.moved else _EVERY_S) - overview.now)


async def _changed(changed: asyncio.Event, within_s: float) -> None:
    try:
        await asyncio.wait_for(changed.wait(), within_s)
    except asyncio.TimeoutError:
        pass


def _encode(event: str, content: dict[str, Any]) -> Iterator[bytes]:
    yield b"event: %b\ndata: " % event.encode()
    yield from encode_steps(content)
    yield b"\n\n"


class _Overview:
    """What one client knows."""

    def __init__(self, request: web.Request) -> None:
        self._request: Final = request
        self._inbox: Final = request.app[INBOX]
        self._loop: Final = asyncio.get_running_loop()
        self._known: dict[str, tuple[Cursor, Facts]] = {}
        self._looked_at = 0.0  # 0.0 = not yet
        self._figures: dict[str, Any] | None = None

    @property
    def now(self) -> float:
        return self._loop.time()

    async def changes(self) -> list[tuple[str, dict[str, Any]]]:
        """Return events with their contents: what differs from what this returned before."""
        told = []
        spaces = await self._namespaces()
        if spaces["namespaces"] or spaces["gone"] or spaces["all"]:
            told.append(("namespaces", spaces))
        try:
            found = await figures(self._inbox)
        except StoreError:
            return told  # it will be seen with the next look
        if found != self._figures:
            self._figures = found
            told.append(("live", found))
        return told

    async def _namespaces(self) -> dict[str, Any]:
        first, now = not self._looked_at, self.now
        elapsed_s = now - self._looked_at
        self._looked_at = now
        found = self._inbox.namespaces()
        changed = await gathered(self._look(namespace, 0.0 if first else elapsed_s) for namespace in found)
        names = {namespace.name for namespace in found}
        gone = [name for name in self._known if name not in names]
        for name in gone:
            del self._known[name]
        return {"all": first, "namespaces": changed, "gone": gone}

    def _look(self, namespace: Namespace, elapsed_s: float) -> dict[str, Any] | None:
        """Return what is shown of a namespace, with its mails a second since the last look; None where it is known."""
        cursor = self._inbox.cursor(namespace)
        before = self._known.get(namespace.name)
        come = cursor.seq - before[0].seq if before is not None and before[0].epoch == cursor.epoch else 0
        rate = round(come / elapsed_s, 2) if elapsed_s else 0.0
        facts = (cursor, rate, *self._facts(namespace))
        self._known[namespace.name] = cursor, facts
        if before is not None and before[1] == facts:
            return None
        return {**shown(self._request, namespace), "rate": rate}

    def _facts(self, namespace: Namespace) -> Facts:
        counters, ports = namespace.counters, self._inbox.ports
        running = self._inbox.plans.of(namespace.name)
        return (
            counters.present,
            counters.unread,
            counters.refused_present,
            counters.bytes,
            namespace.settings,
            running and len(running.plan.rules),
            ports.address(namespace.name) or ports.common,
        )
