"""A child process: a server with its share of everything, which its parent starts, asks and stops.

Its one argument is the number of a descriptor, one end of a socket pair, over which the parent calls methods of Goridge
RPC: those of `rpc.listen`, and `process.*`. When the parent is gone, the child stops, gracefully.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile

import structlog

from fastsmtp.errors import CallError, StartError
from fastsmtp.goridge.control import ControlConnection
from fastsmtp.goridge.rpc import Method, RPCServer
from fastsmtp.ops.log import Logs, configure
from fastsmtp.processes.assignment import END_AT_ONCE, Assignment
from fastsmtp.server.place import ServerPlace
from fastsmtp.server.server import Server
from fastsmtp.system.loop import run, unless
from fastsmtp.system.process import tell_launches, told_launches
from fastsmtp.system.runtimedir import leave, lock
from fastsmtp.system.sharedcount import SharedCount
from fastsmtp.system.signals import signal_handlers
from fastsmtp.system.sockets import inherited

_ORPHAN_GRACE_S = 5.0  # for sessions and workers, when the parent was killed
_MAX_RUNNING = 10_000  # calls that take time: all those of the parent's callers come over one connection


def main() -> None:
    """Serve until the parent wants no more, or is gone."""
    control = inherited(int(sys.argv[1]))
    raise SystemExit(run(Child(control).run()))


class Child:
    """One run of a child process."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._rpc = RPCServer(structlog.get_logger(), _MAX_RUNNING)
        self._rpc.methods = {
            "process.Start": Method(self._start, Assignment),
            "process.Stop": Method(self._stop),
            "process.Reopen": Method(self._reopen),
            "process.TellLaunches": Method(self._tell_launches),
        }
        self._output: Logs | None = None
        self._server: Server | None = None
        self._assignment: Assignment | None = None
        self._home_lock = -1  # of the parent's directory
        self._starting: asyncio.Future[bool] | None = None
        self._orphaned = False  # the parent is gone
        self._stopping = asyncio.Event()
        self._ending = asyncio.Event()  # at once

    async def run(self) -> int:
        """Serve; return the exit code."""
        loop = asyncio.get_running_loop()
        with signal_handlers(loop) as handle:
            for number in (signal.SIGINT, signal.SIGTERM):
                handle(number, self._on_stop_signal, number)
            handle(END_AT_ONCE, self._end)
            handle(signal.SIGHUP, self._reset)
            handle(signal.SIGUSR1, self._reopen, None)
            await self._serve_to_the_end(loop)
        if self._orphaned:
            self._clear()
        if self._output is not None:
            self._output.close()
        return 0

    async def _serve_to_the_end(self, loop: asyncio.AbstractEventLoop) -> None:
        await loop.create_unix_connection(
            lambda: ControlConnection(self._rpc, self._on_parent_gone), sock=self._control
        )
        await self._stopping.wait()
        if not await unless(self._ending, self._leave()) and self._server is not None:
            self._server.abort()

    async def _leave(self) -> None:
        if self._starting is None or self._server is None:
            return
        if not self._starting.done():
            self._starting.cancel()
            await asyncio.wait({self._starting})  # it ignores the cancellation of the task
        elif self._starting.exception() is None:
            await self._server.stop()

    # what the parent calls

    async def _start(self, assignment: Assignment) -> bool:
        self._assignment = assignment
        self._starting = asyncio.ensure_future(self._serve(assignment))
        try:
            return await asyncio.shield(self._starting)
        except StartError as error:
            raise CallError(str(error)) from None

    async def _serve(self, assignment: Assignment) -> bool:
        self._output = configure(assignment.config.logs)
        self._rpc.log = structlog.get_logger(channel="rpc").bind()
        tempfile.tempdir = assignment.directory  # what is left there by a killed process, the parent deletes
        with contextlib.suppress(OSError):  # it was removed by a cleaner
            self._home_lock = lock(os.path.dirname(assignment.directory))  # we may outlive the parent
        if assignment.guard_fd >= 0:
            os.set_inheritable(assignment.guard_fd, False)
            tell_launches(assignment.guard_fd)
        listeners = {name: inherited(fd) for name, fd in assignment.listeners.items()}
        spares = [{name: inherited(fd) for name, fd in spare.items()} for spare in assignment.spares]
        place = ServerPlace(listeners, spares, assignment.rpc, assignment.counting, _shared_count(assignment))
        server = self._server = Server(assignment.config, assignment.save, place)
        server.inbox = assignment.inbox
        await server.start()
        self._rpc.methods = {**server.methods, **self._rpc.methods, **self._more_methods(server)}
        return True

    def _stop(self, _: object) -> bool:
        self._stopping.set()
        return True

    def _more_methods(self, server: Server) -> dict[str, Method]:
        async def renew(_: object) -> bool:
            try:
                await server.renew()
            except StartError as error:
                raise CallError(str(error)) from None
            return True

        async def stopping(_: object) -> bool:
            return await self._stopping.wait()

        def stand_back(missed: int) -> bool:
            server.stand_back(missed)
            return True

        return {
            "process.Snapshot": Method(lambda _: server.snapshot()),
            "process.Renew": Method(renew),
            "process.Stopping": Method(stopping),
            "process.StandIn": Method(server.stand_in, int),
            "process.StandBack": Method(stand_back, int),
        }

    def _tell_launches(self, _: object) -> bool:
        tell_launches(told_launches())
        return True

    def _reopen(self, _: object) -> bool:
        if self._output is not None:
            self._output.reopen()
        return True

    # what else happens

    def _on_stop_signal(self, number: int) -> None:
        """The signal was sent to this process alone: the parent does not stop its children by signals."""
        if self._output is not None and not self._stopping.is_set():
            structlog.get_logger(channel="smtp").info("stopping", reason=signal.Signals(number).name, pid=os.getpid())
        self._stopping.set()

    def _end(self) -> None:
        self._ending.set()
        self._stopping.set()

    def _reset(self) -> None:
        if self._server is not None and not self._stopping.is_set():
            self._server.reset()

    def _on_parent_gone(self) -> None:
        self._orphaned = True
        if self._assignment is not None:
            if not self._stopping.is_set():
                structlog.get_logger(channel="smtp").error("the parent process is gone, stopping")
            # At once: the next server may be about to bind them.
            for file in self._assignment.own_files:
                file.delete()
        self._stopping.set()
        # A little longer, and the guard would kill us.
        asyncio.get_running_loop().call_later(_ORPHAN_GRACE_S, self._end)

    def _clear(self) -> None:
        """Delete what would be left of the parent's directory."""
        if self._assignment is not None:
            shutil.rmtree(self._assignment.directory, ignore_errors=True)
            leave(os.path.dirname(self._assignment.directory), self._home_lock)


def _shared_count(assignment: Assignment) -> SharedCount | None:
    if assignment.count_fd == -1:
        return None
    os.set_inheritable(assignment.count_fd, False)
    return SharedCount(assignment.count_fd, assignment.index)
