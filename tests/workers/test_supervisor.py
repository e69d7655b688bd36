"""The supervisor over fake workers, in a loop whose time stands still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pools import Log
from transports import StoppedLoop

from fastsmtp.config.settings import PoolSettings, SupervisorSettings
from fastsmtp.workers.supervisor import Supervisor
from fastsmtp.workers.worker import State

BEGAN = 1000.0  # where the clock stands
MB = 1024 * 1024


@dataclass(eq=False)
class Worker:
    """What the supervisor looks at."""

    state: State = State.READY
    pid: int = 7
    created: float = BEGAN
    since: float = BEGAN
    execs: int = 1
    memory_bytes: int = 50 * MB
    did: list[str] = field(default_factory=list)

    def fail(self, reason: str) -> None:
        self.did.append(reason)
        self.state = State.ERRORED

    def kill(self) -> None:
        self.did.append("killed")
        self.state = State.ERRORED


class Watch:
    """A supervisor, its workers, and what its owner is told."""

    def __init__(self, loop: StoppedLoop, *workers: Worker, **settings: Any) -> None:
        self.told: list[object] = []
        self.sweeps: list[tuple[float, float]] = []
        self.log = Log()
        limits = SupervisorSettings(**settings.pop("supervisor", {}))
        pool = PoolSettings(supervisor=limits, **settings)
        processes = dict.fromkeys(workers)
        self.supervisor = Supervisor(self, processes.keys(), pool, self.log.logger)  # type: ignore[arg-type]
        self.loop = loop
        loop.run_until_complete(self._start())

    async def _start(self) -> None:
        self.supervisor.start()

    def on_sweep(self, now: float, stalled_s: float) -> None:
        self.sweeps.append((now - BEGAN, stalled_s))

    def on_exec_timeout(self) -> None:
        self.told.append("exec_timeout")

    def on_worn_out(self, worker: Worker, reason: str) -> None:
        self.told.append((worker.pid, reason))


@pytest.fixture
def loop() -> Iterator[StoppedLoop]:
    loop = StoppedLoop()
    yield loop
    loop.close()


@pytest.mark.parametrize(
    ("settings", "interval_s"),
    [
        ({"allocate_timeout_s": 60.0, "destroy_timeout_s": 60.0, "supervisor": {"watch_tick_s": 5.0}}, 0.5),
        (
            {
                "allocate_timeout_s": 0.0,
                "destroy_timeout_s": 0.0,
                "supervisor": {"watch_tick_s": 0.0, "exec_ttl_s": 0.0},
            },
            0.1,
        ),
        ({"allocate_timeout_s": 100.0, "destroy_timeout_s": 100.0, "supervisor": {"watch_tick_s": 100.0}}, 1.0),
        ({"supervisor": {"watch_tick_s": 5.0, "exec_ttl_s": 0.001}}, 0.01),
    ],
    ids=["a tenth of the shortest limit", "no limits", "at most", "at least"],
)
def test_how_often_it_sweeps(loop: StoppedLoop, settings: dict[str, Any], interval_s: float) -> None:
    watch = Watch(loop, **settings)
    loop.advance(interval_s * 0.99)
    assert watch.sweeps == []
    for _ in range(3):
        loop.advance(interval_s)
    assert [now for now, _ in watch.sweeps] == pytest.approx([interval_s * turns for turns in (1, 2, 3)], rel=0.5)
    assert {stalled_s for _, stalled_s in watch.sweeps} == {0.0}
    watch.supervisor.end()
    loop.advance(10 * interval_s)
    assert len(watch.sweeps) == 3


def test_time_that_the_process_stood_still_is_charged_to_no_worker(loop: StoppedLoop) -> None:
    late, stopping = Worker(State.WORKING), Worker(State.STOPPING)
    watch = Watch(loop, late, stopping, destroy_timeout_s=3.0, supervisor={"exec_ttl_s": 2.0})
    loop.advance(1.0)
    loop.stall(50.0)
    assert watch.sweeps[-1][1] == pytest.approx(50.0, abs=0.2)
    loop.advance(0.8)
    assert (late.did, stopping.did, watch.told) == ([], [], [])
    loop.advance(0.5)
    assert (late.did, stopping.did, watch.told) == (["no answer in 2 s (exec_ttl)"], [], ["exec_timeout"])
    loop.advance(1.0)
    assert stopping.did == ["killed"]


def test_a_worker_that_gives_no_answer_in_time_is_failed(loop: StoppedLoop) -> None:
    late, idle = Worker(State.WORKING), Worker(State.READY)
    watch = Watch(loop, late, idle, supervisor={"exec_ttl_s": 2.0})
    loop.advance(1.9)
    assert (late.did, watch.told) == ([], [])
    loop.advance(0.3)
    loop.advance(0.3)
    assert (late.did, idle.did, watch.told) == (["no answer in 2 s (exec_ttl)"], [], ["exec_timeout"])


def test_a_worker_that_does_not_stop_in_time_is_killed(loop: StoppedLoop) -> None:
    worker = Worker(State.STOPPING)
    watch = Watch(loop, worker, destroy_timeout_s=2.0)
    loop.advance(1.9)
    assert worker.did == []
    loop.advance(0.3)
    assert worker.did == ["killed"]
    assert watch.log.record("worker did not stop in time, killed") == {"destroy_timeout": 2.0}


@pytest.mark.parametrize(
    ("worker", "limits", "reason"),
    [
        (Worker(created=BEGAN - 100), {"ttl_s": 100.0}, "ttl"),
        (Worker(created=BEGAN - 80), {"ttl_s": 100.0}, None),
        (Worker(memory_bytes=100 * MB), {"max_worker_memory": 100}, "max_worker_memory"),
        (Worker(memory_bytes=100 * MB - 1), {"max_worker_memory": 100}, None),
        (Worker(since=BEGAN - 100), {"idle_ttl_s": 100.0}, "idle_ttl"),
        (Worker(since=BEGAN - 100, execs=0), {"idle_ttl_s": 100.0}, None),
        (Worker(State.WORKING, since=BEGAN - 100), {"idle_ttl_s": 100.0}, None),
        (Worker(State.STOPPING, created=BEGAN - 100), {"ttl_s": 100.0}, None),
        (Worker(created=0.0, since=0.0, memory_bytes=10**12), {}, None),
    ],
    ids=["old", "young", "large", "small", "idle", "unused", "busy", "stopping", "no limits"],
)
def test_a_worker_that_is_worn_out_is_told_at_each_look(
    loop: StoppedLoop, worker: Worker, limits: dict[str, Any], reason: str | None
) -> None:
    limits = {"watch_tick_s": 5.0, "exec_ttl_s": 0.0, **limits}
    watch = Watch(loop, worker, destroy_timeout_s=1000.0, supervisor=limits)
    loop.advance(4.9)
    assert watch.told == []
    loop.advance(0.5)
    loop.advance(0.5)
    assert watch.told == ([(7, reason)] if reason else [])
    loop.advance(5.5)
    assert watch.told == ([(7, reason)] * 2 if reason else [])


def test_while_the_pool_ends_only_answers_are_limited(loop: StoppedLoop) -> None:
    stopping, old, late = Worker(State.STOPPING), Worker(created=0.0), Worker(State.WORKING)
    limits = {"exec_ttl_s": 9.0, "ttl_s": 1.0}
    watch = Watch(loop, stopping, old, late, destroy_timeout_s=2.0, supervisor=limits)
    watch.supervisor.retire()
    loop.advance(10.0)
    assert (stopping.did, old.did, late.did) == ([], [], ["no answer in 9 s (exec_ttl)"])
    assert watch.told == ["exec_timeout"]
