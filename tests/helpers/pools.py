"""Real pools of real PHP workers, their log, and emails that remember their verdict."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop
from leftovers import children, kill_children
from once import Once
from procs import descriptors
from waits import until

from fastsmtp.capture.handling import Handling
from fastsmtp.config.settings import PoolSettings
from fastsmtp.smtp.events import Verdict
from fastsmtp.workers.launch import Launch
from fastsmtp.workers.pool import Pool

WORKERS = Path(__file__).parents[1] / "php"
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
UNWIND_S = 5.0  # what a test that failed may take to end its tasks, and its loop to hear of killed workers
on_both_loops = pytest.mark.parametrize("run_loop", LOOPS, indirect=True)
RELAYS = ["unix", "pipes", "tcp://127.0.0.1:0"]

Run = Callable[[Coroutine[Any, Any, None]], None]


def run(make_loop: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, None]) -> None:
    """Run `main` in debug mode; nothing may end up in the loop's exception handler, no descriptor may stay open."""
    loop = make_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 60
    complaints: list[dict[str, Any]] = []
    spared = children()

    def complain(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        complaints.append(context)
        # The time limit of the test is raised by a signal: asyncio lets it through, uvloop brings it here and goes on.
        if isinstance(context.get("exception"), pytest.fail.Exception):
            loop.stop()

    loop.set_exception_handler(complain)
    try:
        loop.run_until_complete(_leaving_nothing(main))
    except BaseException:
        limits = [c["exception"] for c in complaints if isinstance(c.get("exception"), pytest.fail.Exception)]
        _unwind(loop, spared)
        if limits:
            raise limits[0] from None
        raise
    loop.close()
    assert complaints == []


def _unwind(loop: asyncio.AbstractEventLoop, spared: list[int]) -> None:
    """Kill the workers that a failed test left, end its tasks, close the loop."""

    async def unwind() -> None:
        kill_children(spared)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=UNWIND_S)
        kill_children(spared)  # those started meanwhile
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(until(lambda: children() == spared), UNWIND_S)
        await asyncio.sleep(0)  # transports close in the next turns
        await asyncio.sleep(0)

    loop.run_until_complete(unwind())
    with warnings.catch_warnings():
        # uvloop warns of a server that is still open; as an error that keeps its `close` from ever coming back.
        warnings.simplefilter("ignore", ResourceWarning)
        loop.close()


async def _leaving_nothing(main: Coroutine[Any, Any, None]) -> None:
    await asyncio.sleep(0)  # uvloop opens its own descriptors with the first turn
    before, spared = descriptors(), children()  # servers that several tests share are ours, too
    await main
    for _ in range(1000):  # transports close theirs with one of the next turns
        await asyncio.sleep(0)
        left = Counter(descriptors()) - Counter(before)
        if not left:
            break
    assert left == Counter()  # what an earlier test has left may be closed meanwhile
    assert children() == spared


class Log:
    """A structlog logger that keeps its records."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(None, processors=[self._keep])

    def _keep(self, _: object, level: str, record: MutableMapping[str, Any]) -> str:
        self.records.append({"level": level, **record})
        raise structlog.DropEvent

    def events(self, *levels: str) -> list[str]:
        """The texts of the pool's records with these levels."""
        return [r["event"] for r in self.records if r["level"] in levels and r["channel"] == "pool"]

    def record(self, event: str) -> dict[str, Any]:
        """The only record with this text, without its level, channel and pid."""
        (found,) = [record for record in self.records if record["event"] == event]
        return {key: value for key, value in found.items() if key not in ("level", "channel", "pid", "event")}

    def lines(self) -> list[str]:
        """What the workers printed."""
        return [record["event"] for record in self.records if record["channel"] == "worker"]


class Email:
    """A job that is told its verdict exactly once, and never from within `send`."""

    def __init__(
        self, context: Sequence[bytes | bytearray] = (b"CONTINUE",), body: Sequence[bytes | bytearray] = ()
    ) -> None:
        self._context = context
        self._body = body
        self.told = Once[Verdict]()
        self.handling: Handling | None = None
        self.taken = 0

    def take_payload(self) -> tuple[Sequence[bytes | bytearray], Sequence[bytes | bytearray]]:
        self.taken += 1
        return self._context, self._body

    def on_verdict(self, verdict: Verdict, waited_s: float, handling: Handling | None = None) -> None:
        self.handling = handling
        self.told(verdict)

    async def verdict(self) -> Verdict:
        return await self.told.wait()


def send(pool: Pool, *emails: Email) -> None:
    """Hand emails to the pool, one after the other."""
    for email in emails:
        with email.told.being_given():
            pool.exec(email)


def launch(worker: str, relay: str = "unix", wrap: bool = False, **more: Any) -> Launch:
    wrapper = (str(WORKERS / "wrapper.sh"),) if wrap else ()
    return Launch((*wrapper, "php", str(WORKERS / f"{worker}.php")), relay, **more)


@contextlib.asynccontextmanager
async def running(pool: Pool) -> AsyncIterator[Pool]:
    await pool.start()
    try:
        yield pool
    except BaseException:
        pool.kill()
        raise
    finally:
        await pool.stop()


def make_pool(worker: str, log: Log, relay: str = "unix", env: dict[str, str] | None = None, **settings: Any) -> Pool:
    settings.setdefault("num_workers", 1)
    return Pool(PoolSettings(**settings), launch(worker, relay, env=env or {}), log.logger)


async def verdict(pool: Pool, context: bytes = b"CONTINUE") -> Verdict:
    """Send one email through the pool."""
    email = Email([context])
    send(pool, email)
    return await email.verdict()


async def replaced(pool: Pool, pid: int) -> int:
    """Wait until an idle worker with another pid than `pid`, and no other worker, is there; return its pid."""
    await until(lambda: [w.status_text for w in pool.workers()] == ["ready"] and pool.workers()[0].pid != pid)
    return pool.workers()[0].pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
