"""Listeners of namespaces that have a port for themselves: as many as the inbox says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Final

from fastsmtp.errors import StartError
from fastsmtp.inbox.frames import ListeningReport
from fastsmtp.inbox.link import Link
from fastsmtp.inbox.listenerplans import ListenerPlans
from fastsmtp.inbox.resolver import Resolver
from fastsmtp.server.listening import Listening
from fastsmtp.system.sockets import bind_shared

Listen = Callable[..., Awaitable[asyncio.AbstractServer]]

_PATIENCE_S: Final = 5.0  # for an inbox that was there a moment ago
_PREFIX: Final = "ns:"  # of the listener's name


class NamespacePorts:
    """The ports at which one process listens for namespaces."""

    def __init__(
        self, link: Link, resolver: Resolver, listening: Listening, listen: Listen, addresses: Iterable[str]
    ) -> None:
        """Connections are as those of `listening`; `listen` makes a server of a bound socket."""
        self._link: Final = link
        self._resolver: Final = resolver
        self._listening: Final = listening
        self._listen: Final = listen
        self._addresses: Final = list(addresses)
        self._open: dict[str, tuple[str, asyncio.AbstractServer]] = {}  # address and server by namespace
        self._following: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Listen at what the inbox has told by now, and from now on at what it tells."""
        try:
            await asyncio.wait_for(self._link.first_ports(), _PATIENCE_S)
        except asyncio.TimeoutError:
            pass  # it is told of them once it answers
        self._link.on_ports = self._changed.set
        await self._follow_once()
        self._following = asyncio.ensure_future(self._follow())

    def close(self) -> None:
        """Listen no more; sessions are the caller's."""
        self._link.on_ports = lambda: None
        if self._following is not None:
            self._following.cancel()
        for _address, server in self._open.values():
            server.close()
        self._open.clear()

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._follow_once()

    async def _follow_once(self) -> None:
        number, wanted = self._link.ports
        for namespace, (address, _server) in list(self._open.items()):
            if wanted.get(namespace) != address:
                self._leave(namespace)
        wrong = {}
        for namespace, address in wanted.items():
            if namespace not in self._open:
                try:
                    await self._join(namespace, address)
                except StartError as error:
                    wrong[namespace] = str(error)
        self._link.tell_listening(ListeningReport(number, wrong, self._addresses))

    async def _join(self, namespace: str, address: str) -> None:
        name = _PREFIX + namespace
        bound = bind_shared(address)
        self._resolver.listeners[name] = namespace
        try:
            planner = ListenerPlans(self._link, self._resolver, name)
            server = await self._listen(bound, replace(self._listening, server=name, planner=planner))
        except BaseException:
            bound.close()
            raise
        self._open[namespace] = address, server

    def _leave(self, namespace: str) -> None:
        """Close the port: sessions end now, or after the transaction that is under way."""
        _address, server = self._open.pop(namespace)
        server.close()
        name = _PREFIX + namespace
        for connection in list(self._listening.connections):
            if connection.server == name:
                connection.shutdown()
