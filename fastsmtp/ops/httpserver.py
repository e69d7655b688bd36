"""An HTTP listener beside the SMTP ones, in the same event loop: aiohttp, with limits for slow and for many clients.

aiohttp has no limit of connections, and not in every version one of the time that the head of a request may take. Here
a connection that waits for its client, for a head or for an answer to be taken, is cut after a while. Where the most
connections are open, a new one takes the place of the one that has waited longest, so that clients which only wait
cannot keep a probe from its answer.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, cast

from aiohttp import web
from aiohttp.http import HttpProcessingError

from fastsmtp.errors import StartError
from fastsmtp.system.patience import Timeout
from fastsmtp.system.sockets import bind, format_address, listen

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BACKLOG = 64  # connections that the loop may accept before it looks at how many there are
_GRACE_S = 1.0  # for answers under way when it stops
_LINGERING_S = 1.0  # for the rest of a request that is answered already

_LOG = logging.getLogger("fastsmtp.http")
# What aiohttp logs with a traceback: a request that is not HTTP is the fault of the client, which is told so.
_LOG.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))


class HTTPLimits(NamedTuple):
    """What the clients of one listener may cost."""

    connections: int = 64  # open at a time
    wait_s: float = 10.0  # for the whole head of a request, and for the client to take an answer


LIMITS = HTTPLimits()


class Connections:
    """A protocol factory for listeners: makes protocols by another one, and keeps their connections within limits."""

    def __init__(self, make_protocol: Callable[[], asyncio.Protocol], limits: HTTPLimits) -> None:
        self._make_protocol = make_protocol
        self._limits = limits
        # In the order in which they began to wait; each with the timer that ends it.
        self._waiting: dict[asyncio.BaseTransport, Timeout] = {}
        self._answering: set[asyncio.BaseTransport] = set()

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of one connection."""
        return _Connection(self, self._make_protocol)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._answering)

    def admit(self, transport: asyncio.Transport) -> bool:
        """Count a new connection, which waits for its client; False where none can make room for it."""
        if len(self) >= self._limits.connections:
            if not self._waiting:
                return False
            self._cut(cast(asyncio.Transport, next(iter(self._waiting))))
        self._wait(transport)
        return True

    def on_request(self, transport: asyncio.BaseTransport) -> None:
        """The head of a request is complete: from now on the client waits for us."""
        timer = self._waiting.pop(transport, None)
        if timer is not None:
            timer.cancel()
            self._answering.add(transport)

    def on_answer(self, transport: asyncio.BaseTransport) -> None:
        """The request is answered: the client has to take the answer, and to send the next request."""
        if transport in self._answering:
            self._answering.remove(transport)
            self._wait(cast(asyncio.Transport, transport))

    def forget(self, transport: asyncio.BaseTransport) -> None:
        """The connection is closed. May be called twice."""
        timer = self._waiting.pop(transport, None)
        if timer is not None:
            timer.cancel()
        self._answering.discard(transport)

    def abort(self) -> None:
        """Cut all connections."""
        for transport in [*self._waiting, *self._answering]:
            self._cut(cast(asyncio.Transport, transport))

    def _wait(self, transport: asyncio.Transport) -> None:
        self._waiting[transport] = Timeout(self._limits.wait_s, functools.partial(self._cut, transport))

    def _cut(self, transport: asyncio.Transport) -> None:
        self.forget(transport)
        transport.abort()


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
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


class HTTPServer:
    """Bound when made, so that a taken port is told early; listens from `start` to `stop`."""

    def __init__(self, key: str, address: str | socket.socket, limits: HTTPLimits = LIMITS) -> None:
        """`key` is the setting that asks for it; `address` may be a socket that is bound. Raises StartError."""
        self._key = key
        self._limits = limits
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
        return 1 + self._limits.connections + BACKLOG

    async def start(self, routes: Iterable[web.AbstractRouteDef]) -> None:
        """Answer requests by these routes. Raises StartError."""
        app = web.Application()
        app.add_routes(routes)
        await self.serve(app)

    async def serve(self, app: web.Application) -> None:
        """Answer requests by an application that is not used yet. Raises StartError."""
        listen(self._socket, BACKLOG, f"{format_address(self._socket)} ({self._key})")
        app.middlewares.insert(0, self._tell_connections)
        app.on_response_prepare.append(_say_no_versions)
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,
            access_log=None,
            logger=_LOG,
            keepalive_timeout=self._limits.wait_s,
            lingering_time=_LINGERING_S,
            shutdown_timeout=_GRACE_S,
        )
        await self._runner.setup()
        assert self._runner.server is not None
        self._connections = Connections(self._runner.server, self._limits)
        # What SockSite does, but for the protocols: those of aiohttp would come without limits.
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._connections, sock=self._socket, backlog=BACKLOG)

    @web.middleware
    async def _tell_connections(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        assert self._connections is not None
        transport = request.transport
        if transport is None:  # closed between the request and its turn
            return await handler(request)
        self._connections.on_request(transport)
        try:
            return await handler(request)
        finally:
            self._connections.on_answer(transport)

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


async def _say_no_versions(_request: web.Request, response: web.StreamResponse) -> None:
    """Take out what aiohttp and Python tell of themselves."""
    response.headers.pop("Server", None)
