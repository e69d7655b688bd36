"""The inbox process: owns the store, takes mails from SMTP processes, answers HTTP.

Its one argument is the number of a descriptor, one end of a socket pair, over which its host calls methods of Goridge
RPC. When the host is gone, it stops.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys

import structlog
from structlog.typing import FilteringBoundLogger

from fastsmtp.config.settings import Config
from fastsmtp.errors import CallError, StartError, StoreError
from fastsmtp.goridge.control import ControlConnection
from fastsmtp.goridge.rpc import Method, RPCServer
from fastsmtp.inbox.api.app import make_app
from fastsmtp.inbox.api.currency import Reach
from fastsmtp.inbox.assignment import InboxAssignment
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.incoming import IncomingFiles
from fastsmtp.inbox.linkserver import LinkServer
from fastsmtp.inbox.names import DEFAULT
from fastsmtp.inbox.opening import open_store
from fastsmtp.inbox.planfile import load_plan
from fastsmtp.inbox.retention import Retention
from fastsmtp.inbox.snapshot import take_snapshot
from fastsmtp.inbox.store import Store
from fastsmtp.ops.counters import Histogram
from fastsmtp.ops.httpserver import HTTPServer
from fastsmtp.ops.log import Logs, configure
from fastsmtp.ops.loopwatch import watch_loop
from fastsmtp.ops.snapshot import InboxSnapshot
from fastsmtp.system.clients import ClientLimits
from fastsmtp.system.loop import run
from fastsmtp.system.loopdelay import LoopDelay
from fastsmtp.system.signals import signal_handlers
from fastsmtp.system.sockets import inherited

_PART = 2  # of all descriptors: the others are for links, segments and the store


def main() -> None:
    """Serve until the host wants no more, or is gone."""
    control = inherited(int(sys.argv[1]))
    raise SystemExit(run(InboxProcess(control).run()))


class InboxProcess:
    """One run of the inbox process."""

    reach: Reach | None = None  # see `make_app`

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._rpc = RPCServer(structlog.get_logger())
        self._rpc.methods = {
            "inbox.Start": Method(self._start, InboxAssignment),
            "inbox.Stop": Method(self._stop),
            "inbox.Reopen": Method(self._reopen),
            "inbox.Snapshot": Method(self._snapshot),
        }
        self._delays = Histogram()  # of our event loop
        self._loop_delay: LoopDelay | None = None
        self._output: Logs | None = None
        self._inbox: Inbox | None = None
        self._links: LinkServer | None = None
        self._incoming: IncomingFiles | None = None
        self._http: HTTPServer | None = None
        self._retaining: asyncio.Future[None] | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Serve; return the exit code."""
        loop = asyncio.get_running_loop()
        with signal_handlers(loop) as handle:
            for number in (signal.SIGINT, signal.SIGTERM):
                handle(number, self._stopping.set)
            handle(signal.SIGHUP, lambda: None)
            handle(signal.SIGUSR1, self._reopen, None)
            await loop.create_unix_connection(
                lambda: ControlConnection(self._rpc, self._stopping.set), sock=self._control
            )
            await self._stopping.wait()
            await self._leave()
        if self._output is not None:
            self._output.close()
        return 0

    async def _start(self, assignment: InboxAssignment) -> str:
        try:
            return await self._serve(assignment)
        except (StartError, StoreError) as error:
            raise CallError(str(error)) from None

    async def _serve(self, assignment: InboxAssignment) -> str:
        """Open the store and listen; return the URL of the API, "" without one."""
        self._output = configure(assignment.config.logs)
        self._rpc.log = structlog.get_logger(channel="rpc").bind()
        log = structlog.get_logger(channel="inbox").bind()
        self._loop_delay = watch_loop(log, self._delays)
        self._loop_delay.start()
        settings = assignment.config.inbox
        assert settings is not None
        store = open_store(assignment.directory, log, settings.durability, settings.retention.max_namespaces)
        incoming = self._incoming = _open_incoming(assignment.incoming, log)
        if incoming is not None and not assignment.again:  # no SMTP process of this server has begun
            incoming.delete(lambda _process: True)
        inbox = self._inbox = await self.make_inbox(store, assignment.config, log)
        if not assignment.again:
            await inbox.leave_processes()
        await self.begin(inbox, assignment.config)
        self._retaining = asyncio.ensure_future(Retention(inbox, settings.retention, log).run())
        self._links = LinkServer(inbox, log, self._loop_delay, self._incoming)
        await self._links.start(inherited(assignment.link_fd))
        if assignment.http_fd < 0:
            return ""
        limits = ClientLimits.within(_PART, connections=2048, wait_s=30.0, backlog=64)
        self._http = HTTPServer("inbox.address", inherited(assignment.http_fd), limits)
        await self._http.serve(make_app(inbox, settings, assignment.config.smtp, log, self.reach))
        return self._http.url

    # what is another one on a cluster

    async def make_inbox(self, store: Store, config: Config, log: FilteringBoundLogger) -> Inbox:
        """Return the inbox of this store. Raises StartError and StoreError."""
        return Inbox(store, log)

    async def begin(self, inbox: Inbox, config: Config) -> None:
        """Let the inbox have what it has from the beginning. Raises StartError and StoreError."""
        await inbox.put(DEFAULT)
        inbox.restore_ports(load_plan(config.smtp))

    async def leave(self) -> None:
        """End what feeds the inbox, which is closed then."""

    async def _snapshot(self, _: object) -> InboxSnapshot:
        delays = (self._delays.counts, self._delays.total)
        if self._inbox is None:
            return InboxSnapshot(delays)
        return await take_snapshot(self._inbox, delays)

    def stop(self) -> None:
        """End; the host starts another one where it has not asked for it."""
        self._stopping.set()

    def _stop(self, _: object) -> bool:
        self.stop()
        return True

    def _reopen(self, _: object) -> bool:
        if self._output is not None:
            self._output.reopen()
        return True

    async def _leave(self) -> None:
        if self._loop_delay is not None:
            self._loop_delay.stop()
        if self._links is not None:
            await self._links.close()
        if self._retaining is not None:
            self._retaining.cancel()
            await asyncio.gather(self._retaining, return_exceptions=True)
        await self.leave()
        if self._inbox is not None:
            await self._inbox.close()
        if self._http is not None:
            await self._http.stop()
        if self._incoming is not None:
            self._incoming.close()


def _open_incoming(path: str, log: FilteringBoundLogger) -> IncomingFiles | None:
    """Return None where there can be no files: large mails come over the link then."""
    incoming = IncomingFiles(path)
    try:
        incoming.open()
    except OSError as error:
        log.warning("large mails go through memory: no files for them", path=path, reason=error.strerror or str(error))
        return None
    return incoming
