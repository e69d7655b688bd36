"""Runs the inbox process beside the SMTP processes, and starts it again when it has ended.

The host keeps its listening sockets and its directory: a client that connects between two processes waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import Final

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger

from fastsmtp.config.settings import Config
from fastsmtp.errors import CallError, StartError
from fastsmtp.goridge.asyncclient import AsyncRPCClient
from fastsmtp.inbox.assignment import InboxAssignment
from fastsmtp.ops.snapshot import InboxSnapshot
from fastsmtp.system.backoff import Backoff
from fastsmtp.system.process import Identity, Process, own_command
from fastsmtp.system.runtimedir import RuntimeDirectory
from fastsmtp.system.sockets import bind, format_address, listen

INCOMING: Final = "incoming"  # directory of large mails that arrive
_BACKLOG: Final = 64
ANSWER_S: Final = 2.0  # for what metrics show
LEFT_S: Final = 5.0  # for the inbox process of a server that was killed, to end
_LOOK_EVERY_S: Final = 0.05
STOP_S: Final = 30.0  # for what waits to be committed; then it is killed


class InboxHost:
    """The one inbox process of a server."""

    def __init__(self, config: Config, *, any_port: bool = False, module: str = "fastsmtp.inbox.process") -> None:
        """`config.inbox` is not None. With `any_port` a port that is taken is no reason not to start.

        `module` is what the process runs.
        """
        assert config.inbox is not None
        self._module = module
        self._config = config
        self._any_port = any_port
        self._settings = config.inbox
        self._log: FilteringBoundLogger = structlog.get_logger(channel="inbox").bind()
        self._home: RuntimeDirectory | None = None  # of the socket
        self._store = self._settings.path
        self._incoming = ""  # directory of large mails that arrive
        self._lock_fd = -1
        self._link: socket.socket | None = None
        self._http: socket.socket | None = None
        self._process: Process | None = None
        self._caller: AsyncRPCClient | None = None
        self._exited = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._snapshot = InboxSnapshot()  # what was heard last
        self.path = ""  # of the socket for SMTP processes
        self.url = ""  # of the API

    async def prepare(self) -> None:
        """Bind and listen: clients wait until the process serves them. Raises StartError, with nothing left behind."""
        try:
            self._prepare()
            if self._lock_fd >= 0:
                await self._lock_store()
        except BaseException:
            self.abort()
            raise

    async def start(self) -> None:
        """Start the process, wait until it serves. Raises StartError, with nothing left behind."""
        try:
            await self._launch()
        except BaseException:
            self.abort()
            raise
        self._keeping = asyncio.ensure_future(self._keep())

    def _prepare(self) -> None:
        if self._settings.address:
            self._http = self._bind(self._settings.address)
        try:
            self._home = RuntimeDirectory("fsmtp-")
            self.path = os.path.join(self._home.path, "inbox.sock")
            self._link = socket.socket(socket.AF_UNIX)
            self._link.bind(self.path)
            os.chmod(self.path, 0o600)
            self._link.listen(_BACKLOG)
        except OSError as error:
            raise StartError(f"cannot prepare the inbox: {error.strerror}") from None
        self._incoming = os.path.join(self._home.path, INCOMING)
        if self._settings.durability == "memory":
            self._store = ""
        elif self._store:
            self._open_store()
            self._incoming = os.path.join(self._store, INCOMING)
        else:
            self._store = os.path.join(self._home.path, "store")
            os.mkdir(self._store, 0o700)

    def _bind(self, address: str) -> socket.socket:
        try:
            return _listening(address)
        except StartError as error:
            if not self._any_port:
                raise StartError(f"inbox.address: {error}") from None
            self._log.warning("the inbox takes another port", reason=str(error))
            return _listening(f"{address.rpartition(':')[0]}:0")

    def _open_store(self) -> None:
        """Make the directory of the store. Raises StartError."""
        try:
            os.makedirs(self._store, mode=0o700, exist_ok=True)
            self._lock_fd = os.open(
                os.path.join(self._store, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
        except OSError as error:
            raise StartError(f"inbox.path: cannot keep mails in {self._store}: {error.strerror}") from None

    async def _lock_store(self) -> None:
        """Keep others out of the store. Raises StartError.

        The inbox process has the lock, too: that of a server which was killed commits what it has before it ends.
        """
        import fcntl

        loop = asyncio.get_running_loop()
        deadline = loop.time() + LEFT_S
        while True:
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if loop.time() >= deadline:
                    raise StartError(f"inbox.path: another server keeps its mails in {self._store}") from None
                await asyncio.sleep(_LOOK_EVERY_S)
            else:
                return

    async def _launch(self) -> None:
        """Raises StartError."""
        assert self._link is not None
        ours, theirs = socket.socketpair()
        fds = [theirs.fileno(), self._link.fileno()]
        http_fd = -1 if self._http is None else self._http.fileno()
        if http_fd >= 0:
            fds.append(http_fd)
        if self._lock_fd >= 0:
            fds.append(self._lock_fd)
        self._exited.clear()
        with theirs:
            try:
                self._process = Process(
                    own_command(self._module, str(theirs.fileno())),
                    Identity(),
                    os.environ,
                    pipes=False,
                    on_line=lambda line: None,
                    on_change=self._on_change,
                    inherit_output=True,
                    pass_fds=fds,
                )
            except StartError:
                ours.close()
                raise
        caller = self._caller = AsyncRPCClient()
        await asyncio.get_running_loop().create_unix_connection(lambda: caller, sock=ours)
        assignment = InboxAssignment(
            self._config, self._store, self._incoming, self._link.fileno(), self._keeping is not None, http_fd
        )
        try:
            self.url = await caller.call("inbox.Start", assignment, str)
        except CallError as error:
            raise StartError(f"the inbox: {error}") from None
        except ConnectionError:
            raise StartError("the inbox process ended while it started") from None

    def _on_change(self) -> None:
        process = self._process
        if process is not None and process.returncode is not None:
            if self._caller is not None:
                self._caller.abort()
            self._exited.set()

    async def _keep(self) -> None:
        """Start the process again whenever it has ended."""
        loop = asyncio.get_running_loop()
        backoff = Backoff()
        since = loop.time()
        while True:
            await self._exited.wait()
            assert self._process is not None
            delay_s = backoff.after(loop.time() - since)
            self._log.error("the inbox process ended, it is started again", status=self._process.status)
            await asyncio.sleep(delay_s)
            since = loop.time()
            try:
                await self._launch()
            except StartError as error:
                self._log.error("the inbox could not be started again", reason=str(error))
                self._process.kill()
                if self._process.returncode is not None:  # there is no new one whose end is waited for
                    self._exited.set()

    async def snapshot(self) -> InboxSnapshot:
        """Return how the process is; without an answer, what was known before, and that it is not up."""
        self._snapshot = msgspec.structs.replace(self._snapshot, up=False)
        if self._caller is not None:
            with contextlib.suppress(CallError, ConnectionError, asyncio.TimeoutError):
                asked = self._caller.call("inbox.Snapshot", None, InboxSnapshot)
                self._snapshot = await asyncio.wait_for(asked, ANSWER_S)
        return self._snapshot

    def reopen_logs(self) -> None:
        """After our own were."""
        if self._caller is not None:
            answer = self._caller.call("inbox.Reopen")
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def stop(self) -> None:
        """Let the process commit what it has, and end."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
            try:
                await asyncio.wait_for(self._exited.wait(), STOP_S)
            except asyncio.TimeoutError:
                process.kill()
                await self._exited.wait()
        self._clear()

    def abort(self) -> None:
        """End at once."""
        if self._keeping is not None:
            self._keeping.cancel()
        if self._process is not None:
            self._process.end()
        self._clear()

    def _clear(self) -> None:
        for file in (self._link, self._http):
            if file is not None:
                file.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1
        if self._home is not None:
            self._home.remove()


def _listening(address: str) -> socket.socket:
    """A socket that listens: two servers can be bound to one port as long as neither does. Raises StartError."""
    bound = bind(address)
    try:
        listen(bound, _BACKLOG, format_address(bound))
    except StartError:
        bound.close()
        raise
    return bound
