"""The jobs of a pool: those that wait for a worker, first come, first served, and what each of them is told.

A job waits `allocate_timeout` at the most, and `max_queue_size` jobs at the most wait at a time; beyond, NO_WORKER.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.handling import Handling
from fastsmtp.config.settings import PoolSettings
from fastsmtp.goridge.relay import Segments
from fastsmtp.smtp.events import Verdict
from fastsmtp.system.patience import moved


class Job(Protocol):
    """One email on its way to a worker."""

    def take_payload(self) -> tuple[Segments, Segments]:
        """Return context and body in segments, unchanged until `on_verdict`. Called again for another worker."""

    def on_verdict(self, verdict: Verdict, waited_s: float, handling: Handling | None = None) -> None:
        """Called exactly once, and never from within the `exec` of the same job.

        `waited_s` is how long the job waited for a worker, 0.0 where one was free; `handling` what the worker did,
        None where none had the email.
        """


class QueuedJob:
    """A job from the moment the pool has it, `since` on the loop's clock."""

    __slots__ = ("began", "handling", "job", "since", "waited_s")

    def __init__(self, since: float, job: Job) -> None:
        self.since = since
        self.job = job
        self.began = 0.0  # to wait, on the monotonic clock, which is finer than the loop's
        self.waited_s = -1.0  # for its first worker; below 0 = it waits
        self.handling: Handling | None = None  # what its worker did

    def end_wait(self) -> None:
        """Note how long the job waited, when it is given to its first worker."""
        if self.waited_s < 0:
            self.waited_s = monotonic() - self.began


class JobQueue:
    """Holds the jobs that wait, and tells every job of the pool its verdict. The counters only grow."""

    def __init__(self, settings: PoolSettings, log: FilteringBoundLogger) -> None:
        self._log = log
        self._timeout_s = settings.allocate_timeout_s
        self._max_waiting = settings.max_queue_size if not settings.debug else 0  # 0 = no limit
        self.waiting: deque[QueuedJob] = deque()
        self.worker_failures = 0  # verdicts WORKER_FAILED
        self.allocate_timeouts = 0  # verdicts NO_WORKER
        self.overflows = 0  # verdicts NO_WORKER, at once, because so many waited already

    def append(self, queued: QueuedJob, loop: asyncio.AbstractEventLoop) -> bool:
        """Let a new job wait; False where too many do already: it gets its verdict with the loop's next turn."""
        if self._max_waiting and len(self.waiting) >= self._max_waiting:
            self._log.error("too many emails wait for a worker", max_queue_size=self._max_waiting)
            self.overflows += 1
            self.refuse(queued, loop)
            return False
        queued.began = monotonic()
        self.waiting.append(queued)
        return True

    def refuse(self, queued: QueuedJob, loop: asyncio.AbstractEventLoop) -> None:
        """Tell a job that never waited NO_WORKER, not from within `exec`."""
        queued.waited_s = 0.0
        loop.call_soon(self.settle, queued, Verdict.NO_WORKER)

    def overdue(self, queued: QueuedJob, now: float) -> bool:
        """Whether a job has waited as long as it may."""
        return bool(self._timeout_s) and now - queued.since >= self._timeout_s

    def sweep(self, now: float, stalled_s: float) -> None:
        """Give up what waits longer than `allocate_timeout`; time in which this process stood still does not count."""
        waiting = self.waiting
        if stalled_s:
            for queued in waiting:
                queued.since = moved(queued.since, stalled_s, now)
        while waiting and self.overdue(waiting[0], now):
            self._log.error("no worker was free for an email", allocate_timeout=self._timeout_s, waiting=len(waiting))
            self.no_worker(waiting.popleft())

    def give_up(self) -> None:
        """Tell every job that waits NO_WORKER."""
        while self.waiting:
            self.no_worker(self.waiting.popleft())

    def no_worker(self, queued: QueuedJob) -> None:
        """Tell a job that no worker took it."""
        self.allocate_timeouts += 1
        self.settle(queued, Verdict.NO_WORKER)

    def worker_failed(self, queued: QueuedJob) -> None:
        """Tell a job that it was lost with its worker."""
        self.worker_failures += 1
        self.settle(queued, Verdict.WORKER_FAILED)

    def settle(self, queued: QueuedJob, verdict: Verdict) -> None:
        """Tell a job its verdict. Never raises."""
        queued.end_wait()
        try:
            queued.job.on_verdict(verdict, queued.waited_s, queued.handling)
        except Exception:
            self._log.exception("the verdict on an email could not be told")
