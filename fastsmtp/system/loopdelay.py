"""How late the event loop is: how long a client, a worker or a timer waits because something else takes so long.

A timer looks ten times a second, so that a mail costs nothing more. The delay that it finds is at most 0.1 s shorter
than the time in which nothing else ran. Which mail that was is told by what works on mails, where a piece of work took
longer than BUSY_S.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import thread_time
from typing import Final, NamedTuple

INTERVAL_S: Final = 0.1
BUSY_S: Final = 0.05  # of work in one piece


class Delay(NamedTuple):
    """What a look has found, in seconds. `cpu_s` is what the thread has used since the look before.

    `mail` is the uuid of the mail that took the longest meanwhile, "" where none took longer than BUSY_S.
    """

    late_s: float
    cpu_s: float
    mail: str


class LoopDelay:
    """Calls `observe` with each delay, from `start` to `stop`."""

    __slots__ = ("_cpu_s", "_due", "_handle", "_longest_s", "_mail", "_observe")

    def __init__(self, observe: Callable[[Delay], object]) -> None:
        self._observe = observe
        self._due = 0.0
        self._cpu_s = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self._mail = ""
        self._longest_s = BUSY_S

    def start(self) -> None:
        """Begin, in the running loop."""
        self._cpu_s = thread_time()
        self._schedule(asyncio.get_running_loop())

    def stop(self) -> None:
        """Look no more. May be called twice, and without a start."""
        if self._handle is not None:
            self._handle.cancel()

    def worked(self, mail: str, seconds: float) -> None:
        """So long one piece of work on the mail with this uuid has taken."""
        if seconds > self._longest_s:
            self._mail, self._longest_s = mail, seconds

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + INTERVAL_S
        self._handle = loop.call_later(INTERVAL_S, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        cpu_s = thread_time()
        self._observe(Delay(max(0.0, loop.time() - self._due), cpu_s - self._cpu_s, self._mail))
        self._cpu_s, self._mail, self._longest_s = cpu_s, "", BUSY_S
        self._schedule(loop)
