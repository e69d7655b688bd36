"""The queue of a pool with fake jobs: what each of them is told, when, and how often."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest
from pools import Log

from fastsmtp.capture.handling import Handling
from fastsmtp.config.settings import PoolSettings
from fastsmtp.goridge.relay import Segments
from fastsmtp.smtp.events import Verdict
from fastsmtp.workers.queue import JobQueue, QueuedJob


class FakeJob:
    """Keeps what it is told, and fails then if it shall."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.told: list[tuple[Verdict, float]] = []
        self._fault = fault

    def take_payload(self) -> tuple[Segments, Segments]:
        raise AssertionError("the queue sends nothing")

    def on_verdict(self, verdict: Verdict, waited_s: float, handling: Handling | None = None) -> None:
        self.told.append((verdict, waited_s))
        if self._fault is not None:
            raise self._fault


@pytest.fixture
def log() -> Log:
    return Log()


def waiting(queue: JobQueue, loop: asyncio.AbstractEventLoop, *times: float) -> list[FakeJob]:
    """Jobs that wait in the queue, since these times."""
    jobs = [FakeJob() for _ in times]
    for since, job in zip(times, jobs, strict=True):
        assert queue.append(QueuedJob(since, job), loop)
    return jobs


def test_gives_up_what_waits_too_long(log: Log) -> None:
    queue = JobQueue(PoolSettings(allocate_timeout_s=10.0), log.logger.bind(channel="pool"))
    loop = asyncio.new_event_loop()
    first, second = waiting(queue, loop, 100.0, 103.0)
    queue.sweep(109.9, 0.0)
    assert (first.told, second.told, queue.allocate_timeouts) == ([], [], 0)
    queue.sweep(110.0, 0.0)
    assert ([verdict for verdict, _ in first.told], second.told) == ([Verdict.NO_WORKER], [])
    assert (queue.allocate_timeouts, len(queue.waiting)) == (1, 1)
    assert log.records == [
        {
            "channel": "pool",
            "level": "error",
            "event": "no worker was free for an email",
            "allocate_timeout": 10.0,
            "waiting": 2,
        }
    ]
    loop.close()


def test_a_stall_does_not_count(log: Log) -> None:
    queue = JobQueue(PoolSettings(allocate_timeout_s=10.0), log.logger.bind(channel="pool"))
    loop = asyncio.new_event_loop()
    (job,) = waiting(queue, loop, 100.0)
    queue.sweep(115.0, 8.0)
    assert (job.told, queue.waiting[0].since) == ([], 108.0)
    queue.sweep(118.0, 0.0)
    assert [verdict for verdict, _ in job.told] == [Verdict.NO_WORKER]
    loop.close()


@pytest.mark.parametrize("settings", [PoolSettings(allocate_timeout_s=0.0), PoolSettings(debug=True, max_queue_size=1)])
def test_no_limit(settings: PoolSettings, log: Log) -> None:
    queue = JobQueue(settings, log.logger.bind(channel="pool"))
    loop = asyncio.new_event_loop()
    jobs = waiting(queue, loop, 1.0, 2.0, 3.0)
    queue.sweep(3.0, 0.0)
    assert ([job.told for job in jobs], len(queue.waiting)) == ([[], [], []], 3)
    loop.close()


def test_is_full(log: Log) -> None:
    """The job that finds the queue full is told so by the loop, not from within `append`."""
    queue = JobQueue(PoolSettings(max_queue_size=2), log.logger.bind(channel="pool"))
    refused = FakeJob()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        waiting(queue, loop, 1.0, 2.0)
        assert not queue.append(QueuedJob(3.0, refused), loop)
        assert refused.told == []
        await asyncio.sleep(0)

    asyncio.run(main())
    assert refused.told == [(Verdict.NO_WORKER, 0.0)]
    assert (queue.overflows, queue.allocate_timeouts, len(queue.waiting)) == (1, 0, 2)
    assert log.events("error") == ["too many emails wait for a worker"]


def test_gives_up_all(log: Log) -> None:
    queue = JobQueue(PoolSettings(), log.logger.bind(channel="pool"))
    loop = asyncio.new_event_loop()
    jobs = waiting(queue, loop, 1.0, 2.0)
    queue.give_up()
    assert [[verdict for verdict, _ in job.told] for job in jobs] == 2 * [[Verdict.NO_WORKER]]
    assert (queue.allocate_timeouts, len(queue.waiting)) == (2, 0)
    loop.close()


def test_the_wait_ends_with_the_first_worker(log: Log) -> None:
    queue = JobQueue(PoolSettings(), log.logger.bind(channel="pool"))
    job = FakeJob()
    queued = QueuedJob(1.0, job)
    queued.began = monotonic() - 3600.0
    queued.end_wait()
    waited_s = queued.waited_s
    assert waited_s >= 3600.0
    queue.worker_failed(queued)
    assert (job.told, queue.worker_failures) == ([(Verdict.WORKER_FAILED, waited_s)], 1)


def test_a_job_that_fails(log: Log) -> None:
    """A fault in what a job does with its verdict is logged, and goes no further."""
    queue = JobQueue(PoolSettings(), log.logger.bind(channel="pool"))
    queue.settle(QueuedJob(1.0, FakeJob(RuntimeError("no"))), Verdict.ACCEPT)
    assert log.events("error") == ["the verdict on an email could not be told"]
