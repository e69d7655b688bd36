"""A timer of the kernel in an event loop: it rings once for each time it is set, and not before its time."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest
from pools import LOOPS, run

from fastsmtp.bench.alarm import Alarm

both_loops = pytest.mark.parametrize("make_loop", LOOPS.values(), ids=LOOPS)


class Bell:
    """An alarm, and the times at which it rang."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.rung = asyncio.Event()
        self.alarm = Alarm(asyncio.get_running_loop(), self._ring)

    def _ring(self) -> None:
        self.times.append(monotonic())
        self.rung.set()

    async def wait(self) -> None:
        await asyncio.wait_for(self.rung.wait(), 20.0)
        self.rung.clear()


@both_loops
@pytest.mark.parametrize("seconds", [0.02, 0.0, -3.0], ids=["later", "now", "overdue"])
def test_rings_once(make_loop: type[asyncio.AbstractEventLoop], seconds: float) -> None:
    async def main() -> None:
        bell = Bell()
        assert not bell.alarm.set
        began = monotonic()
        bell.alarm.arm(seconds)
        assert bell.alarm.set
        await bell.wait()
        assert bell.times[0] - began >= seconds
        assert (len(bell.times), bell.alarm.set) == (1, False)
        bell.alarm.close()

    run(make_loop, main())


@both_loops
def test_set_again(make_loop: type[asyncio.AbstractEventLoop]) -> None:
    """What is set later takes the place of what was set before, also after the alarm rang."""

    async def main() -> None:
        bell = Bell()
        bell.alarm.arm(3600.0)
        bell.alarm.arm(0.001)
        await bell.wait()
        bell.alarm.arm(0.001)
        await bell.wait()
        assert len(bell.times) == 2
        bell.alarm.close()

    run(make_loop, main())


@both_loops
def test_closed(make_loop: type[asyncio.AbstractEventLoop]) -> None:
    """An alarm that is closed while it is set never rings, and its descriptor is closed: `run` looks for it."""

    async def main() -> None:
        silent, bell = Bell(), Bell()
        silent.alarm.arm(0.0)
        silent.alarm.close()
        bell.alarm.arm(0.005)
        await bell.wait()
        assert (silent.times, len(bell.times)) == ([], 1)
        bell.alarm.close()

    run(make_loop, main())
