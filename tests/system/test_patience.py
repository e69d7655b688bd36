"""Timeouts and sweeps in a loop whose time stands still, and in real loops that stand still."""

from __future__ import annotations

import asyncio
import gc
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from pools import LOOPS
from transports import StoppedLoop

from fastsmtp.system.patience import SLICE_S, TOLERANCE_S, Sweep, Timeout, moved, wait_for

BEGAN = 1000.0


@pytest.fixture
def loop() -> Iterator[StoppedLoop]:
    loop = StoppedLoop()
    yield loop
    loop.close()


class Timed:
    """A timeout, and when it was over."""

    def __init__(self, loop: StoppedLoop, timeout_s: float) -> None:
        self.over: list[float] = []
        self.loop = loop
        loop.run_until_complete(self._begin(timeout_s))

    async def _begin(self, timeout_s: float) -> None:
        self.timeout = Timeout(timeout_s, lambda: self.over.append(self.loop.now - BEGAN))


@pytest.mark.parametrize("timeout_s", [0.01, SLICE_S, 3.7, 60.0])
def test_a_timeout_is_over_when_its_time_is(loop: StoppedLoop, timeout_s: float) -> None:
    timed = Timed(loop, timeout_s)
    loop.advance(timeout_s - 0.009)
    assert timed.over == []
    loop.advance(0.1)
    assert timed.over == pytest.approx([timeout_s], rel=0.02, abs=0.06)
    loop.advance(10.0)
    assert len(timed.over) == 1


def test_a_timeout_that_is_not_wanted_any_more(loop: StoppedLoop) -> None:
    timed = Timed(loop, 2.0)
    loop.advance(1.9)
    timed.timeout.cancel()
    timed.timeout.cancel()
    loop.advance(10.0)
    assert timed.over == []


def test_time_that_the_process_stood_still_is_no_time(loop: StoppedLoop) -> None:
    timed = Timed(loop, 2.0)
    loop.advance(1.0)
    for _ in range(3):
        loop.stall(100.0)
    loop.advance(0.2)
    assert timed.over == []
    loop.advance(1.0)
    assert len(timed.over) == 1


def test_a_timeout_that_is_due_in_a_stall_waits_for_what_is_to_be_read(loop: StoppedLoop) -> None:
    timed = Timed(loop, 0.01)
    ours, theirs = socket.socketpair()
    loop.add_reader(ours, timed.timeout.cancel)
    theirs.send(b"x")
    loop.stall(100.0)
    loop.advance(1.0)
    assert timed.over == []
    loop.remove_reader(ours)
    ours.close()
    theirs.close()


class Swept:
    """A sweep every second, and what it told."""

    def __init__(self, loop: StoppedLoop) -> None:
        self.looks: list[tuple[float, float]] = []
        self.sweep = Sweep(1.0, lambda now, stalled_s: self.looks.append((now - BEGAN, stalled_s)))
        self.sweep.stop()
        loop.run_until_complete(self._start())

    async def _start(self) -> None:
        self.sweep.start()


def test_a_sweep_tells_how_long_the_process_stood_still(loop: StoppedLoop) -> None:
    swept = Swept(loop)
    loop.advance(1.5)
    loop.stall(7.0)
    loop.advance(1.2)
    assert swept.looks == [
        (pytest.approx(1.0, abs=0.06), 0.0),
        (pytest.approx(8.5), pytest.approx(6.5, abs=0.06)),
        (pytest.approx(9.5, abs=0.06), 0.0),
    ]
    swept.sweep.stop()
    swept.sweep.stop()
    loop.advance(5.0)
    assert len(swept.looks) == 3


def test_what_is_read_is_read_before_the_look(loop: StoppedLoop) -> None:
    swept = Swept(loop)
    ours, theirs = socket.socketpair()
    read: list[tuple[bytes, int]] = []
    loop.add_reader(ours, lambda: read.append((ours.recv(1), len(swept.looks))))
    theirs.send(b"x")
    loop.stall(5.0)
    assert (read, len(swept.looks)) == ([(b"x", 0)], 1)
    loop.remove_reader(ours)
    ours.close()
    theirs.close()


def test_a_look_that_fails_is_not_the_last(loop: StoppedLoop) -> None:
    faults: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: faults.append(context))

    def judge(_now: float, _stalled_s: float) -> None:
        raise ValueError

    async def start() -> None:
        Sweep(1.0, judge).start()

    loop.run_until_complete(start())
    loop.advance(2.5)
    assert [type(fault["exception"]) for fault in faults] == [ValueError] * 2


def test_a_beginning_is_moved_by_the_stall_but_not_beyond_now() -> None:
    assert moved(10.0, 6.0, 20.0) == 16.0
    assert moved(18.0, 6.0, 20.0) == 20.0
    assert moved(21.0, 6.0, 20.0) == 21.0  # it began while what had come was read


# Real loops


both_loops = pytest.mark.parametrize("name", LOOPS)


def run(name: str, main: Any) -> Any:
    loop = LOOPS[name]()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


@both_loops
def test_an_answer_that_came_while_the_process_stood_still(name: str) -> None:
    async def main() -> bytes:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            waiting = asyncio.ensure_future(wait_for(asyncio.get_running_loop().sock_recv(ours, 1), 0.05))
            await asyncio.sleep(0)
            theirs.send(b"x")
            select.select([], [], [], 0.3)  # the loop stands still
            return await waiting

    assert run(name, main()) == b"x"


@both_loops
def test_no_answer(name: str) -> None:
    async def main() -> None:
        never = asyncio.ensure_future(asyncio.Event().wait())
        with pytest.raises(asyncio.TimeoutError):
            await wait_for(never, 0.01)
        assert never.cancelled()

    run(name, main())


@both_loops
def test_results_faults_and_cancellations_are_those_of_what_is_awaited(name: str) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    async def fail_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("broken, too")

    async def main() -> None:
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        done.set_result("done")
        assert await wait_for(done, None) == "done"
        assert await wait_for(done, 0) == "done"
        with pytest.raises(ValueError, match=r"^broken$"):
            await wait_for(fail(), 10)
        with pytest.raises(ValueError, match=r"^broken, too$"):
            await wait_for(fail_when_cancelled(), 0.01)
        never = asyncio.ensure_future(asyncio.Event().wait())
        waiting = asyncio.ensure_future(wait_for(never, 10))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert (waiting.cancelled(), never.cancelled()) == (True, True)

    run(name, main())


@both_loops
def test_a_fault_that_comes_with_the_cancellation_is_not_told(name: str) -> None:
    """asyncio tells a fault that no one has looked at, with its traceback, when the future is collected."""

    async def main() -> list[object]:
        loop, told = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _, context: told.append(context))
        failing = loop.create_future()
        waiting = asyncio.ensure_future(wait_for(failing, 10))
        await asyncio.sleep(0)
        failing.set_exception(ValueError("broken"))
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        del failing
        gc.collect()
        return told

    assert run(name, main()) == []


def test_the_usual_delay_of_a_timer_is_none() -> None:
    assert TOLERANCE_S < SLICE_S
