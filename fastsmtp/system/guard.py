"""The guard of a server: a process that kills what is left of it some seconds after it was killed.

PR_SET_PDEATHSIG would not do: it kills at once, when the thread that forked ends, no grandchildren, and is lost where a
worker has another user. The guard knows every process that `process.py` has launched, here and in the children that
have `descriptor`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import StartError
from fastsmtp.system import guardprocess, process
from fastsmtp.system.process import Identity, Process

GRACE_S = 7.0  # after the end of the server; its children have less to end by themselves


@contextlib.contextmanager
def guarded(log: FilteringBoundLogger) -> Iterator[None]:
    """Have a guard for what this process launches as long as the block runs, where the system has pidfds."""
    guard = None
    try:
        if hasattr(os, "pidfd_open"):
            guard = Guard(log)
        yield
    finally:
        if guard is not None:
            guard.close()


class Guard:
    """One guard process, and what it hears of us by: pids, and the end."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        """Start it, in the running loop. That it is missing is logged."""
        self._log = log
        self._closed = False
        self._process: Process | None = None
        source, self._pids = os.pipe()
        life, self._life = os.pipe()  # it has no other copy of our end
        os.set_blocking(self._pids, False)  # a guard that is stopped stops no server
        try:
            self._process = self._start(source, life)
        except StartError as error:
            self._warn(str(error))
        finally:
            os.close(source)
            os.close(life)
        process.tell_launches(self._pids)

    def close(self) -> None:
        """This is the end, and no violent one."""
        self._closed = True
        process.tell_launches(-1)
        os.close(self._pids)
        os.close(self._life)
        if self._process is not None and set(process.launched()) <= {self._process.pid}:
            self._process.end()  # there is nothing left for it to do

    def _start(self, source: int, life: int) -> Process:
        command = (sys.executable, "-I", "-S", guardprocess.__file__, str(source), str(life), str(GRACE_S))
        return Process(
            command,
            Identity(),
            os.environ,
            pipes=False,
            on_line=self._log.warning,
            on_change=self._on_change,
            pass_fds=(source, life),
        )

    def _on_change(self) -> None:
        if self._process is not None and self._process.returncode is not None and not self._closed:
            self._warn(self._process.status)

    def _warn(self, reason: str) -> None:
        self._log.warning("no guard: workers that hang would outlive a server that is killed", reason=reason)
