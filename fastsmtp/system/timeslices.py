"""Work that takes long, a slice in each turn of the event loop: between two slices everything else is served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from time import monotonic
from typing import Final, TypeAlias, TypeVar

T = TypeVar("T")
Step: TypeAlias = Callable[[], bool]  # does some milliseconds of work; whether there is more. Does not raise.

SLICE_S: Final = 0.005  # of each turn of the loop


class TimeSlices:
    """Takes turns with all that is added: the step of one, then that of the next, until each has nothing more to do."""

    __slots__ = ("_loop", "_scheduled", "_steps")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._steps: deque[Step] = deque()
        self._scheduled = False

    def add(self, step: Step) -> None:
        """Call `step` again and again, from the next turn of the loop on, until it returns False."""
        self._steps.append(step)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        ends = monotonic() + SLICE_S
        while self._steps:
            step = self._steps.popleft()
            if step():
                self._steps.append(step)
            if monotonic() >= ends:
                break
        if self._steps:
            self._loop.call_soon(self._run)
        else:
            self._scheduled = False


async def in_slices(steps: Generator[None, None, T]) -> T:
    """Return what the steps lead to, taken a slice in each turn of the loop."""
    while True:
        ends = monotonic() + SLICE_S
        while monotonic() < ends:
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
        await asyncio.sleep(0)
