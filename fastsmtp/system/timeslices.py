"""Work that takes long, a slice in each turn of the event loop: between two slices everything else is served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from time import monotonic
from typing import Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
Step: TypeAlias = Callable[[], bool]  # does some milliseconds of work; whether there is more. Does not raise.

SLICE_S: Final = 0.005  # of each turn of the loop
FIRST_S: Final = 0.001  # of work that may turn out to be little
_PASSES: Final = 8  # of tasks in each turn of the loop: each may do a millisecond of work before it waits again


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


class Turnstile:
    """Lets tasks pass that were woken together, a few in each turn of the loop: all else is served in between."""

    __slots__ = ("_passes", "_scheduled", "_waiting")

    def __init__(self, passes: int = _PASSES) -> None:
        self._passes = passes
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._scheduled = False

    async def passed(self) -> None:
        """Wait for another turn of the loop, in which few pass."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._next_turn)
        await turn

    def _next_turn(self) -> None:
        left = self._passes
        while left and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # its task may be cancelled
                turn.set_result(None)
                left -= 1
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next_turn)
        else:
            self._scheduled = False


async def in_slices(steps: Generator[None, None, T]) -> T:
    """Return what the steps lead to, taken a slice in each turn of the loop, in which others have none."""
    ends = monotonic() + FIRST_S
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if monotonic() >= ends:
            ends = await next_slice()


async def gathered(items: Iterable[T | None]) -> list[T]:
    """Return the items that are not None, taken as `in_slices` does."""

    def steps() -> Generator[None, None, list[T]]:
        found: list[T] = []
        for item in items:
            if item is not None:
                found.append(item)
            yield
        return found

    return await in_slices(steps())


async def joined(pieces: Iterable[bytes], octets: int) -> AsyncIterator[bytes]:
    """Yield what is made of pieces in a slice, or when there are so many octets; others have their turn in between."""
    made: list[bytes] = []
    size, ends = 0, monotonic() + FIRST_S
    for piece in pieces:
        made.append(piece)
        size += len(piece)
        if size >= octets or monotonic() >= ends:
            yield b"".join(made)
            made, size = [], 0
            if monotonic() >= ends:
                ends = await next_slice()
    yield b"".join(made)


_TURNSTILES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Turnstile]] = WeakKeyDictionary()


async def next_slice() -> float:
    """Wait for a turn of the loop in which no other task has a slice; return when the slice ends."""
    loop = asyncio.get_running_loop()
    turnstile = _TURNSTILES.get(loop)
    if turnstile is None:
        turnstile = _TURNSTILES[loop] = Turnstile(1)
    await turnstile.passed()
    return monotonic() + SLICE_S
