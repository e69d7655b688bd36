"""Workers of a child process that was killed: they become children of the parent, which waits for them to end.

A worker that reads sees the end of its relay and leaves. One that hangs, or is busy with an email whose client has lost
its connection, is killed after a while: its successor has taken its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Collection, Iterable

from structlog.typing import FilteringBoundLogger

from fastsmtp.system.reaper import children

GRACE_S = 5.0

_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


def adopt_orphans() -> None:
    """Make this process the parent of descendants that lose theirs; without Linux, init stays that."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Orphans:
    """Reaps adopted processes, and kills those that do not leave."""

    def __init__(self, own: Callable[[], Collection[int]], log: FilteringBoundLogger) -> None:
        """`own` are the children that other code looks after."""
        self._own = own
        self._log = log
        self._expected: dict[asyncio.TimerHandle, set[int]] = {}  # sessions of workers that are to leave
        self._known: set[int] = set()  # the adopted ones there were at the last look

    def reap(self) -> None:
        """Called now and then."""
        own = self._own()
        for pid in children():
            if pid not in own:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        self._known = {pid for pid in children() if pid not in own}

    def expect(self, workers: Iterable[int]) -> None:
        """A process was killed; these were its workers when it was asked last. Give them a while to leave."""
        own = self._own()
        adopted = {pid for pid in children() if pid not in own}
        # Each worker was launched in a session of its own, whose number is its pid. Who leads one, and was not ours
        # before, was its child: it may have been launched since.
        sessions = {*workers, *(pid for pid in adopted - self._known if _session_of(pid) == pid)}
        if sessions:
            loop = asyncio.get_running_loop()
            self._expected = {timer: more for timer, more in self._expected.items() if timer.when() > loop.time()}
            self._expected[loop.call_later(GRACE_S, self._kill, sessions)] = sessions
        self.reap()

    def end(self) -> None:
        """Wait no longer: processes that have not left are killed. May be called twice."""
        for timer in self._expected:
            timer.cancel()
        sessions = set().union(*self._expected.values())
        self._expected.clear()
        if sessions:
            self._kill(sessions)

    def _kill(self, sessions: set[int]) -> None:
        self.reap()  # those that have left by now
        own = self._own()
        for pid in children():
            if pid not in own and _session_of(pid) in sessions:
                self._log.warning("a worker outlived its process, killed", pid=pid)
                for kill in (os.killpg, os.kill):
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        kill(pid, signal.SIGKILL)


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0
