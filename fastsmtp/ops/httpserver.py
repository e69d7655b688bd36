"""An HTTP listener beside the SMTP ones, in the same event loop: aiohttp, with limits for slow and for many clients.

aiohttp has no limit of connections, and not in every version one of the time that a request may take to arrive. Here a
connection that waits for its client, for the head or the body of a request or for an answer to be taken, is cut after a
while, and the most connections are those of `clients.py`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import cast

from aiohttp import web
from aiohttp.http import HttpProcessingError

from fastsmtp.errors import StartError
from fastsmtp.system.clients import ClientLimits, Clients
from fastsmtp.system.sockets import bind, format_address, listen

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_GRACE_S = 1.0  # for answers under way when it stops
_LINGERING_S = 1.0  # for the rest of a request that is answered already
_PART = 16  # of all descriptors
_LINE_BYTES = 64 * 1024  # of a request's first line: queries may carry long conditions

_LOG = logging.getLogger("fastsmtp.http")
# What aiohttp logs with a traceback: a request that is not HTTP is the fault of the client, which is told so.
_LOG.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))


def usual_limits() -> ClientLimits:
    """Return the limits of a listener beside SMTP."""
    return ClientLimits.within(_PART, connections=64, wait_s=10.0, backlog=64)


class Connections:
    """A protocol factory for listeners: makes protocols by another one, and keeps their connections within limits."""

    def __init__(self, make_protocol: Callable[[], asyncio.Protocol], limits: ClientLimits) -> None:
        self._make_protocol = make_protocol
        self._clients = Clients(limits)
        self._answering: set[asyncio.Transport] = set()
        self._blocked: set[asyncio.Transport] = set()  # their clients do not take what was sent

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of one connection."""
        return _Connection(self, self._make_protocol)

    def __len__(self) -> int:
        return len(self._clients)

    def admit(self, transport: asyncio.Transport) -> bool:
        """Count a new connection, which waits for its client; False where none can make room for it."""
        return self._clients.admit(transport, timed=True)

    def on_request(self, transport: asyncio.Transport) -> None:
        """The request is there, head and body: from now on the client waits for us."""
        self._answering.add(transport)
        if transport not in self._blocked:
            self._clients.on_serving(transport)

    def on_answer(self, transport: asyncio.Transport) -> None:
        """The request is answered: the client has to take the answer, and to send the next request."""
        self._answering.discard(transport)
        self._clients.on_awaited(transport)

    def on_blocked(self, transport: asyncio.Transport) -> None:
        """The client has to take some of what was sent."""
        self._blocked.add(transport)
        self._clients.on_awaited(transport)

    def on_unblocked(self, transport: asyncio.Transport) -> None:
        """It has done so."""
        self._blocked.discard(transport)
        if transport in self._answering:
            self._clients.on_serving(transport)

    def forget(self, transport: asyncio.Transport) -> None:
        """The connection is closed. May be called twice."""
        self._clients.forget(transport)
        self._answering.discard(transport)
        self._blocked.discard(transport)

    def abort(self) -> None:
        """Cut all connections."""
        self._clients.abort()


class _Connection(asyncio.Protocol):
    """Passes on what the transport of an admitted connection says."""

    def __init__(self, connections: Connections, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._connections = connections
        self._make_protocol = make_protocol
        self._protocol = asyncio.Protocol()  # says nothing, for a connection that is refused
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._connections.admit(self._transport):
            self._protocol = self._make_protocol()
            self._protocol.connection_made(transport)
        else:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        assert self._transport is not None
        self._connections.forget(self._transport)
        self._protocol.connection_lost(error)

    def data_received(self, octets: bytes) -> None:
        self._protocol.data_received(octets)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        assert self._transport is not None
        self._connections.on_blocked(self._transport)
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        assert self._transport is not None
        self._connections.on_unblocked(self._transport)
        self._protocol.resume_writing()


class HTTPServer:
    """Bound when made, so that a taken port is told early; listens from `start` to `stop`."""

    def __init__(self, key: str, address: str | socket.socket, limits: ClientLimits | None = None) -> None:
        """`key` is the setting that asks for it; `address` may be a socket that is bound. Raises StartError.

        Without `limits` they are the usual ones.
        """
        self._key = key
        self._limits = limits or usual_limits()
        try:
            self._socket: socket.socket = bind(address) if isinstance(address, str) else address
        except StartError as error:
            raise StartError(f"{key}: {error}") from None
        self.url = f"http://{format_address(self._socket)}"
        self._connections: Connections | None = None
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.AbstractServer | None = None

    @property
    def max_descriptors(self) -> int:
        """How many files it may have open: itself, its connections, and those that the loop has yet to refuse."""
        return self._limits.max_descriptors

    async def start(self, routes: Iterable[web.AbstractRouteDef]) -> None:
        """Answer requests by these routes. Raises StartError."""
        app = web.Application()
        app.add_routes(routes)
        await self.serve(app)

    async def serve(self, app: web.Application) -> None:
        """Answer requests by an application that is not used yet. Raises StartError."""
        listen(self._socket, self._limits.backlog, f"{format_address(self._socket)} ({self._key})")
        app.middlewares.insert(0, self._tell_connections)
        app.on_response_prepare.append(_say_no_versions)
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,
            access_log=None,
            logger=_LOG,
            max_line_size=_LINE_BYTES,
            keepalive_timeout=self._limits.wait_s,
            lingering_time=_LINGERING_S,
            shutdown_timeout=_GRACE_S,
        )
        await self._runner.setup()
        assert self._runner.server is not None
        self._connections = Connections(self._runner.server, self._limits)
        # What SockSite does, but for the protocols: those of aiohttp would come without limits.
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._connections, sock=self._socket, backlog=self._limits.backlog)

    @web.middleware
    async def _tell_connections(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        assert self._connections is not None
        if request.transport is None:  # closed between the request and its turn
            return await handler(request)
        arrival = _Arrival(self._connections, request.transport)
        request.content.on_eof(arrival.on_whole)  # at once, where there is no body
        try:
            return await handler(request)
        finally:
            arrival.on_answer()

    async def stop(self) -> None:
        """Let requests under way end, then close."""
        self._close_listener()
        if self._runner is not None:
            await self._runner.cleanup()
        self.abort()

    def abort(self) -> None:
        """End at once."""
        self._close_listener()
        if self._connections is not None:
            self._connections.abort()

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._socket.close()


class _Arrival:
    """One request, whose body may still be on its way when it is answered."""

    def __init__(self, connections: Connections, transport: asyncio.Transport) -> None:
        self._connections = connections
        self._transport = transport
        self._answered = False

    def on_whole(self) -> None:
        if not self._answered:
            self._connections.on_request(self._transport)

    def on_answer(self) -> None:
        self._answered = True
        self._connections.on_answer(self._transport)


async def _say_no_versions(_request: web.Request, response: web.StreamResponse) -> None:
    """Take out what aiohttp and Python tell of themselves."""
    response.headers.pop("Server", None)
