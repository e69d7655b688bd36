"""The socket that all workers of a pool connect to.

A worker tells its pid in the handshake; `recognition.py` says which of the launched processes it is. A stranger's
connection is closed and logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import stat
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import StartError
from fastsmtp.goridge.relay import Relay
from fastsmtp.system.patience import Timeout
from fastsmtp.system.process import Identity
from fastsmtp.system.runtimedir import RuntimeDirectory
from fastsmtp.workers.handshake import Answered, Handshake
from fastsmtp.workers.recognition import Awaited, Recognition

_BACKLOG = 512
MAX_UNPROVEN = 16  # connections beside those of the awaited that may wait to be recognised


class _Arrival(Handshake):
    """The handshake with whatever has connected."""

    __slots__ = ("_admits",)

    def __init__(
        self,
        admits: Callable[[Relay], bool],
        done: Callable[[Answered, Relay], None],
        failed: Callable[[Relay, str], None],
    ) -> None:
        super().__init__(done, failed)
        self._admits = admits

    def on_connected(self, relay: Relay) -> None:
        if self._admits(relay):
            super().on_connected(relay)


class RelayListener:
    """The shared socket of a pool, `unix`, `unix://path` or `tcp://host:port` (port 0: any free one)."""

    def __init__(self, relay: str, timeout_s: float, log: FilteringBoundLogger, *, trusting: bool = False) -> None:
        """`trusting`: whatever connects may be the worker that is awaited."""
        self.address = relay  # what workers get as RR_RELAY; final after `start`, for a private socket until `restore`
        self._timeout_s = timeout_s
        self._log = log
        self._awaited: dict[int, Awaited] = {}
        self._recognition = Recognition(self._awaited, trusting=trusting)
        self._arrivals: dict[Relay, Timeout] = {}
        self._server: asyncio.AbstractServer | None = None
        self._private = relay == "unix"
        self._identity = Identity()
        self.refused = 0  # connections of processes that are not workers, as far as can be told
        self._home: RuntimeDirectory | None = None  # of a private socket
        self._path = ""  # of the unix socket, while we listen

    async def start(self, identity: Identity) -> None:
        """Bind and listen; the unix socket is open to `identity` only. Raises StartError."""
        self._identity = self._recognition.identity = identity
        try:
            await self._listen()
        except BaseException:
            self.close()
            raise

    async def restore(self) -> None:
        """Bind and listen again if the unix socket was removed, as cleaners of /tmp do. Raises StartError."""
        if self._path and not os.path.exists(self._path):
            if self._server is not None:
                self._server.close()
            if self._home is not None:
                self._home.remove()
            await self._listen()
            self._log.warning("the workers' socket was removed, created again", address=self.address)

    async def _listen(self) -> None:
        try:
            listening = self._bind_tcp() if self.address.startswith("tcp://") else self._bind_unix(self._identity)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StartError(f'cannot listen for workers on "{self.address}": {reason}') from None
        # Nothing is awaited between the bind and the server being ours to close.
        listening.listen(_BACKLOG)
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if listening.family == socket.AF_UNIX else loop.create_server
        self._server = await create(self._accept, sock=listening, backlog=_BACKLOG, start_serving=False)
        await self._server.start_serving()

    def close(self) -> None:
        """Stop listening, drop connections without a handshake, remove what `start` made in the file system."""
        if self._server is not None:
            self._server.close()
        for relay, timer in self._arrivals.items():
            timer.cancel()
            relay.abort()
        self._arrivals.clear()
        if self._path:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            self._path = ""
        if self._home is not None:
            self._home.remove()

    def expect(self, pid: int, token: str, on_arrival: Callable[[int, Relay], None]) -> None:
        """Call `on_arrival` with the answered pid when the process launched as `pid`, or one of its own, connects.

        It has the `token` in its environment.
        """
        self._awaited[pid] = Awaited(token, on_arrival)

    def forget(self, pid: int) -> None:
        """Expect it no longer."""
        self._awaited.pop(pid, None)

    def _bind_tcp(self) -> socket.socket:
        host, _, port = self.address.removeprefix("tcp://").rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host.strip("[]"), int(port)))
        except BaseException:
            listening.close()
            raise
        self.address = f"tcp://{host}:{listening.getsockname()[1]}"
        return listening

    def _bind_unix(self, identity: Identity) -> socket.socket:
        path = self.address.removeprefix("unix://")
        if self._private:
            # Workers of another user have to get through to their socket.
            self._home = RuntimeDirectory(mode=0o700 if identity.uid is None else 0o711)
            path = os.path.join(self._home.path, "relay.sock")
        else:
            _remove_stale(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        umask = os.umask(0o177)
        try:
            listening.bind(path)
        except BaseException:
            listening.close()
            raise
        finally:
            os.umask(umask)
        self._path = path
        self.address = f"unix://{path}"
        if identity.uid is not None:
            os.chown(path, identity.uid, -1)
        return listening

    def _accept(self) -> Relay:
        relay = Relay(_Arrival(self._admits, self._arrived, self._failed))
        self._arrivals[relay] = Timeout(self._timeout_s, functools.partial(self._expired, relay))
        return relay

    def _admits(self, relay: Relay) -> bool:
        """Whether a handshake with the other side is worth its time; if not, the connection is closed."""
        if self._recognition.hopeless(relay):
            self._refuse(relay, "a process that is not a worker connected, closed")
            return False
        many = len(self._arrivals) > MAX_UNPROVEN + len(self._awaited)
        if many and not self._recognition.proven(relay):
            self._refuse(relay, "too many processes wait on the workers' socket, closed")
            return False
        return True

    def _arrived(self, answered: Answered, relay: Relay) -> None:
        launched = self._recognition.recognise(relay, answered)
        if launched is None:
            self._refuse(relay, "a process that is not a worker connected, closed", answered_pid=answered.pid)
        else:
            self._arrivals.pop(relay).cancel()
            self._awaited.pop(launched).on_arrival(answered.pid, relay)

    def _refuse(self, relay: Relay, event: str, **facts: object) -> None:
        self._arrivals.pop(relay).cancel()
        relay.abort()
        self.refused += 1
        self._log.warning(event, address=self.address, **facts)

    def _failed(self, relay: Relay, reason: str) -> None:
        self._arrivals.pop(relay).cancel()
        self._log.warning("handshake on the workers' socket failed", reason=reason)

    def _expired(self, relay: Relay) -> None:
        relay.abort()
        self._failed(relay, "no answer in time")


def _remove_stale(path: str) -> None:
    """Remove a socket that a server which is gone left behind. Raises OSError when a process listens on it."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return  # bind tells that there is something else
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        else:
            raise OSError("another server listens there")
