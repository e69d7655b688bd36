"""The listening sockets of one process: its own, and those of other processes while they are missed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, cast

from fastsmtp.server.listening import Listening
from fastsmtp.server.place import ServerPlace
from fastsmtp.server.protocol import SMTPProtocol
from fastsmtp.system.sockets import bind, format_address, listen

_BACKLOG: Final = 4096  # the kernel cuts it to net.core.somaxconn


class Listeners:
    """The listening sockets of one process, each by the name of its listener, and the servers of SMTP at them."""

    def __init__(self, place: ServerPlace | None) -> None:
        """With a `place` the sockets are the parent's: they are bound, and their paths are not ours to remove."""
        self._place: Final = place
        self._bound: dict[str, socket.socket] = {}
        self._listenings: dict[str, Listening] = {}
        self._servers: list[asyncio.AbstractServer] = []
        self._stood_in: dict[int, list[asyncio.AbstractServer]] = {}  # by number of the process that is missed
        self._sockets: list[socket.socket] = []
        self._unix_paths: list[str] = []
        self.addresses: dict[str, list[str]] = {}  # by listener, those at which clients are accepted by now

    def bind(self, addresses: Mapping[str, str]) -> None:
        """Have a bound socket for each listener. Raises StartError; `close` closes what was bound."""
        for name, address in addresses.items():
            self._bound[name] = self._bind(name, address)

    def _bind(self, name: str, address: str) -> socket.socket:
        if self._place is not None:
            bound = self._place.listeners[name]
            self._sockets += [bound, *(spares[name] for spares in self._place.spares if name in spares)]
            return bound
        bound = bind(address)
        self._sockets.append(bound)
        if bound.family == socket.AF_UNIX:
            self._unix_paths.append(bound.getsockname())
        return bound

    async def open(self, listening: Listening) -> None:
        """Accept clients at the socket that was bound for this listener. Raises StartError."""
        name = listening.server
        self._listenings[name] = listening
        self._servers.append(await listen_at(self._bound[name], listening))
        self.addresses[name] = [format_address(self._bound[name])]

    @property
    def first(self) -> Listening:
        """What the connections of the listener that was opened first share."""
        return next(iter(self._listenings.values()))

    async def stand_in(self, missed: int) -> None:
        """Take the clients of another process, too. May be called twice."""
        assert self._place is not None
        if missed in self._stood_in:
            return
        servers = self._stood_in[missed] = []
        for name, spare in self._place.spares[missed].items():
            servers.append(await listen_at(spare.dup(), self._listenings[name]))

    def stand_back(self, missed: int) -> None:
        """The process is there again. Sessions of its clients stay here to their end."""
        for server in self._stood_in.pop(missed, []):
            server.close()

    def close(self) -> None:
        """Accept no client any more, and remove the sockets that are ours from the file system."""
        for missed in list(self._stood_in):
            self.stand_back(missed)
        for server in self._servers:
            server.close()
        for bound in self._sockets:
            bound.close()
        for path in self._unix_paths:
            with contextlib.suppress(OSError):
                os.unlink(path)
        self._servers.clear()
        self._sockets.clear()
        self._unix_paths.clear()


async def listen_at(bound: socket.socket, listening: Listening) -> asyncio.AbstractServer:
    """Accept clients at a bound socket; their connections are as those of `listening`. Raises StartError."""
    listen(bound, _BACKLOG, format_address(bound))
    loop = asyncio.get_running_loop()
    create = cast(
        Callable[..., Awaitable[asyncio.AbstractServer]],
        loop.create_unix_server if bound.family == socket.AF_UNIX else loop.create_server,
    )
    options: dict[str, object] = {}
    if bound.family == socket.AF_UNIX and sys.version_info >= (3, 13):
        options["cleanup_socket"] = False  # `Listeners.close` does it, where it is ours
    make = partial(SMTPProtocol, listening, loop)
    return await create(make, sock=bound, backlog=_BACKLOG, **options)
