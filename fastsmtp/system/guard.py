"""The guard of a server: a process that kills what is left of it some seconds after it was killed.

PR_SET_PDEATHSIG would not do: it kills at once, when the thread that forked ends, no grandchildren, and is lost where a
worker has another user. The guard knows every process that `process.py` has launched, here and in the children that
have `descriptor`. It is no child of ours: those that look at our children see workers, and signals to all of them do
not reach it. One that was killed is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Callable

from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import StartError
from fastsmtp.system import guardprocess, process
from fastsmtp.system.backoff import Backoff
from fastsmtp.system.patience import wait_for
from fastsmtp.system.process import Identity, Process

GRACE_S = 7.0  # after the end of the server; its children have less to end by themselves
_READ_BYTES = 65536
_START_S = 1.0  # that the start of a server waits for it


@contextlib.asynccontextmanager
async def guarded(log: FilteringBoundLogger, tell_again: Callable[[], None]) -> AsyncIterator[None]:
    """Have a guard for what this process launches as long as the block runs, where the system has pidfds.

    It has left our children when the block begins: a process that adopts orphans would get it back.
    `tell_again` is called when a new guard knows nothing yet, and has our children tell what they have launched.
    """
    guard = None
    try:
        if hasattr(os, "pidfd_open"):
            guard = Guard(log, tell_again)
            await guard.started()
        yield
    finally:
        if guard is not None:
            guard.close()


class Guard:
    """One guard process at a time, and what it hears of us by: pids, and the end."""

    def __init__(self, log: FilteringBoundLogger, tell_again: Callable[[], None]) -> None:
        """Start it, in the running loop. That it is missing is logged."""
        self._log = log
        self._tell_again = tell_again
        self._loop = asyncio.get_running_loop()
        self._backoff = Backoff()
        self._retry: asyncio.TimerHandle | None = None
        self._since = 0.0  # loop time of the last start
        self._starts = 0
        self._process: Process | None = None  # the last that was launched: the guard is its child
        self._hello = -1  # from which the pid of a guard that starts is read
        self._pidfd = -1  # of the guard that watches
        self._greeted = asyncio.Event()  # it watches, or is known to have failed
        self._source, self._pids = os.pipe()
        self._life, self._our_life = os.pipe()  # no guard has our end
        os.set_blocking(self._pids, False)  # a guard that is stopped stops no server
        process.tell_launches(self._pids)
        self._start()

    async def started(self) -> None:
        """Wait until it watches, or has failed, but not for long."""
        with contextlib.suppress(asyncio.TimeoutError):
            await wait_for(self._greeted.wait(), _START_S)

    def close(self) -> None:
        """This is the end, and no violent one."""
        process.tell_launches(-1)
        if self._retry is not None:
            self._retry.cancel()
        if self._pidfd >= 0 and not process.launched():
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)  # there is nothing left for it to do
            _is_readable(self._pidfd, None)
        if self._process is not None:
            self._process.end()
            self._process.cut_off()
        for descriptor in (self._hello, self._pidfd):
            self._forget(descriptor)
        for descriptor in (self._source, self._pids, self._life, self._our_life):
            os.close(descriptor)

    def _start(self) -> None:
        self._since = self._loop.time()
        self._starts += 1
        self._hello, theirs = os.pipe()
        self._loop.add_reader(self._hello, self._greet)
        try:
            self._launch(theirs)
        except StartError as error:
            self._log.warning("the guard could not be started", reason=str(error))
        finally:
            os.close(theirs)  # where it was not started, `_greet` sees the end

    def _launch(self, hello: int) -> None:
        descriptors = (self._source, self._life, hello)
        arguments = (*map(str, descriptors), str(GRACE_S), str(os.getpid()))
        self._process = Process(
            (sys.executable, "-I", "-S", guardprocess.__file__, *arguments),
            Identity(),
            os.environ,
            pipes=False,
            on_line=self._log.warning,
            on_change=lambda: None,  # it ends as soon as the guard has left it
            pass_fds=descriptors,
        )

    def _greet(self) -> None:
        """The guard watches, and says its pid; or it has ended before."""
        pid = os.read(self._hello, _READ_BYTES)
        self._forget(self._hello)
        self._hello = -1
        self._greeted.set()
        try:
            self._pidfd = os.pidfd_open(int(pid or b"0"))
        except (OSError, ValueError):
            self._on_lost()
            return
        self._loop.add_reader(self._pidfd, self._on_end)
        if self._starts > 1:
            self._log.info("guard started again", pid=int(pid))
            process.tell_launches(self._pids)
            self._tell_again()

    def _on_end(self) -> None:
        self._forget(self._pidfd)
        self._pidfd = -1
        self._on_lost()

    def _on_lost(self) -> None:
        delay_s = self._backoff.after(self._loop.time() - self._since)
        self._log.warning("no guard: workers that hang would outlive a server that is killed", delay=f"{delay_s:g}s")
        self._retry = self._loop.call_later(delay_s, self._restart)

    def _restart(self) -> None:
        # A number that was told to the last guard, or to none, may be another process's by now.
        while _is_readable(self._source, 0.0):
            os.read(self._source, _READ_BYTES)
        self._start()

    def _forget(self, descriptor: int) -> None:
        if descriptor >= 0:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)


def _is_readable(descriptor: int, timeout_ms: float | None) -> bool:
    """Wait for it; None = for ever."""
    poll = select.poll()  # `select.select` takes no high numbers
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_ms))
