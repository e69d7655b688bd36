"""Timeouts that leave out the time in which this process stood still.

A process may be stopped for seconds: with the virtual machine it runs in, by a debugger, or because something else has
all processors. When it goes on, its timers are due at once, while what it waited for lies unread in its sockets; and a
signal that ends the stop also ends the loop's wait for sockets, so that timers may well run first. Hence two rules for
everything here: the delay that a timer shows is taken out of the time that it measures, and it is not over before all
sockets that were ready have been read once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

TOLERANCE_S: Final = 0.1  # a timer that is late by less is as good as punctual
SLICE_S: Final = 0.25  # of a long timeout: a delay is seen at the end of the slice in which it began
_WAKING_TURNS: Final = 5

_T = TypeVar("_T")


def delay_s(due: float, now: float) -> float:
    """How long the loop stood still before a timer that was due at `due` ran at `now`; 0.0 for the usual delay."""
    late = now - due
    return late if late > TOLERANCE_S else 0.0


class _Read:
    """Calls back when all sockets that are ready now have been read once, unless it is cancelled.

    A callback of the next turn may run before the sockets of that turn are read, one of the turn after it cannot.
    """

    __slots__ = ("_callback", "_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.Handle = loop.call_soon(self._next)

    def _next(self) -> None:
        self._handle = self._loop.call_soon(self._callback)

    def cancel(self) -> None:
        self._handle.cancel()


class Timeout:
    """One timeout: `on_timeout` is called when the process has had `timeout_s` to see that it is not wanted."""

    __slots__ = ("_due", "_handle", "_left_s", "_loop", "_on_timeout")

    def __init__(self, timeout_s: float, on_timeout: Callable[[], object]) -> None:
        """Begins at once, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._left_s = timeout_s
        self._on_timeout = on_timeout
        self._due = 0.0
        self._handle: asyncio.TimerHandle | _Read
        self._begin_slice()

    def cancel(self) -> None:
        """It is not wanted any more. May be called twice."""
        self._handle.cancel()

    def _begin_slice(self) -> None:
        seconds = min(self._left_s, SLICE_S)
        self._left_s -= seconds
        self._due = self._loop.time() + seconds
        self._handle = self._loop.call_later(seconds, self._end_slice)

    def _end_slice(self) -> None:
        if self._left_s > 0:
            self._begin_slice()  # a delay is left out: the next slice begins now
        else:
            self._handle = _Read(self._loop, self._on_timeout)


class Sweep:
    """A look at everything that is limited in time, about every `interval_s`, instead of a timer for each.

    `judge(now, stalled_s)` gets the time at which the timer ran; what is read from the sockets after it, and before the
    call, is later than that. `stalled_s` is how long the process stood still before, mostly 0.0: beginnings that
    timeouts are measured from are to be moved by that, by `moved`.
    """

    __slots__ = ("_due", "_handle", "_interval_s", "_judge")

    def __init__(self, interval_s: float, judge: Callable[[float, float], object]) -> None:
        self._interval_s = interval_s
        self._judge = judge
        self._due = 0.0
        self._handle: asyncio.TimerHandle | _Read | None = None

    def start(self) -> None:
        """Begin, in the running loop."""
        self._schedule(asyncio.get_running_loop())

    def stop(self) -> None:
        """Look no more. May be called twice, and without a start."""
        if self._handle is not None:
            self._handle.cancel()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + self._interval_s
        self._handle = loop.call_later(self._interval_s, self._on_timer, loop)

    def _on_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        stalled_s = delay_s(self._due, now)
        self._handle = _Read(loop, lambda: self._look(loop, now, stalled_s))

    def _look(self, loop: asyncio.AbstractEventLoop, now: float, stalled_s: float) -> None:
        self._schedule(loop)
        self._judge(now, stalled_s)


def moved(since: float, stalled_s: float, now: float) -> float:
    """The beginning `since` without the time stood still: later by that, but not later than `now`."""
    return max(since, min(since + stalled_s, now))


async def wait_for(awaitable: Awaitable[_T], timeout_s: float | None) -> _T:
    """`asyncio.wait_for` with a patient timeout; None = no limit. Raises asyncio.TimeoutError, as that does."""
    task: asyncio.Future[_T] = asyncio.ensure_future(awaitable)
    over = asyncio.Event()
    late = asyncio.ensure_future(over.wait())
    timeout = None if timeout_s is None else Timeout(timeout_s, over.set)
    either: set[asyncio.Future[Any]] = {task, late}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        for _ in range(_WAKING_TURNS):  # what was read may have to wake a few tasks before this one is done
            if not task.done():
                await asyncio.sleep(0)
    finally:
        late.cancel()
        if timeout is not None:
            timeout.cancel()
        cancelled = not task.done() and task.cancel()
        if cancelled:
            await asyncio.wait({task})
        if task.done() and not task.cancelled():
            task.exception()  # asyncio does not tell it as a fault if we are cancelled ourselves
    if cancelled and task.cancelled():
        raise asyncio.TimeoutError
    return task.result()
