"""A wait or an expectation under way: mails are judged in the order of their numbers, and nothing else waits for that.

What is cheap to judge is judged in the event loop, some milliseconds in each of its turns, and the rest in a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Final

from fastsmtp.errors import FastSMTPError
from fastsmtp.inbox.expectation import Expectation, ExpectationState, Seen
from fastsmtp.inbox.rows import Row
from fastsmtp.inbox.search import load_mail
from fastsmtp.inbox.store import Store
from fastsmtp.inbox.watchers import Committed
from fastsmtp.system.timeslices import SLICE_S, TimeSlices, Turnstile, next_slice

LIGHT: Final = 256 * 1024  # octets of a payload, times the patterns that are looked for in it
_JOB_S: Final = 0.05  # after which a thread is left to others

Aside = Callable[..., Awaitable[Any]]  # calls a function with arguments in a thread


class GoneError(FastSMTPError):
    """A cursor is of a namespace that was deleted, or the namespace was deleted meanwhile."""


class Observation:
    """One expectation under way. `on_mail` and `on_ended` are for a `Watcher`."""

    def __init__(
        self,
        expectation: Expectation,
        backlog_end: int,
        slices: TimeSlices,
        turnstile: Turnstile,
        aside: Aside,
    ) -> None:
        """Mails up to number `backlog_end` are read from the store, later ones are told."""
        self.expectation: Final = expectation
        self.backlog_end: Final = backlog_end
        self._slices: Final = slices
        self._turnstile: Final = turnstile
        self._aside: Final = aside
        self._loop: Final = asyncio.get_running_loop()
        self._started: Final = self._loop.time()
        self._started_at: Final = time.time()
        self._told: deque[Committed] = deque()  # that are not judged yet
        self._held = True  # they wait for the backlog, or are judged in a thread
        self._changed = asyncio.Event()
        self._ended = False

    @property
    def elapsed_s(self) -> float:
        """How long it has been going on."""
        return self._loop.time() - self._started

    def on_mail(self, committed: Committed) -> None:
        """Take a mail that has just become visible; it is judged when it is its turn."""
        if committed.seq > self.backlog_end:
            self._told.append(committed)
            if not self._held:
                self._slices.add(self._step)

    def on_ended(self) -> None:
        """The namespace or the inbox ends."""
        self._ended = True
        self._changed.set()

    def _step(self) -> bool:
        """Judge the next mail if that costs little; its task is woken only where something may be decided."""
        if self._told and not self._held:
            if self._is_light(self._told[0]):
                self._take(self._told.popleft())
                if self.expectation.met or self.expectation.violated:
                    self._changed.set()
            else:
                self._changed.set()
        return False

    def _is_light(self, committed: Committed) -> bool:
        return committed.octets * max(1, self.expectation.patterns) <= LIGHT

    def _take(self, committed: Committed) -> None:
        seen = Seen(committed.seq, committed.received_at / 1000 - self._started_at, committed.mail)
        self.expectation.take(seen)

    async def take_rows(self, store: Store, rows: Sequence[Row]) -> None:
        """Judge mails of the backlog; it ends with the first that decides against the expectation."""
        start = 0
        while start < len(rows) and not self.expectation.violated:
            start = await self._aside(self._take_rows, store, rows, start)

    def _take_rows(self, store: Store, rows: Sequence[Row], start: int) -> int:
        ends = monotonic() + _JOB_S
        for index in range(start, len(rows)):
            row = rows[index]
            mail = load_mail(store, row)
            self.expectation.take(Seen(row.seq, row.received_at / 1000 - self._started_at, mail))
            if self.expectation.violated or monotonic() >= ends:
                return index + 1
        return len(rows)

    async def decided(self, within_s: float) -> ExpectationState:
        """Wait until the expectation is met or violated, or the time is over. The backlog is judged by then."""
        while True:
            self._changed.clear()
            if self._ended:
                raise GoneError("the namespace was deleted meanwhile")
            now_s = self.elapsed_s
            await self._catch_up()
            state = self.expectation.state(now_s, over=now_s >= within_s)
            if state is not ExpectationState.OPEN or now_s >= within_s:
                return state
            if not self._told:
                await self._wait_until(within_s)
                await self._turnstile.passed()

    async def _catch_up(self) -> None:
        """Judge what was told until now, in order."""
        self._held = True
        ends = monotonic() + SLICE_S
        for _ in range(len(self._told)):
            committed = self._told.popleft()
            if self._is_light(committed):
                self._take(committed)
            else:
                await self._aside(self._take, committed)
            if monotonic() >= ends:
                ends = await next_slice()
        self._held = False

    async def _wait_until(self, within_s: float) -> None:
        now_s = self.elapsed_s
        until_s = within_s
        if self.expectation.met:
            until_s = min(until_s, self.expectation.ends_at(now_s))
        try:
            await asyncio.wait_for(self._changed.wait(), max(0.0, until_s - now_s))
        except asyncio.TimeoutError:
            pass
