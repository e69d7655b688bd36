"""The pool: lends a worker for exactly one email, and knows which are in service, which leave and are missing.

The way of an email costs no task, future or timer: `exec` takes the worker used last (its memory is warm) or queues the
job, first come first served; the answer calls the job back. The spawner starts workers, the supervisor watches them.

| what the worker does                              | verdict                  | the worker    |
|---------------------------------------------------|--------------------------|---------------|
| context CONTINUE, empty, or unknown (logged)      | ACCEPT                   | back          |
| context CLOSE                                     | ACCEPT_AND_CLOSE         | back          |
| ERROR frame (logged)                              | ACCEPT                   | back          |
| context {"stop":true}                             | that of another worker   | replaced      |
| ends, closes, sends what is not an answer         | WORKER_FAILED            | replaced      |
| no answer in `exec_ttl`                           | WORKER_FAILED            | killed        |
| (no worker free in `allocate_timeout`)            | NO_WORKER                | -             |
| (`max_queue_size` emails wait already)            | NO_WORKER, at once       | -             |
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.config.rules import MAX_WORKERS
from fastsmtp.config.settings import PoolSettings
from fastsmtp.errors import StartError, WorkerError
from fastsmtp.goridge.frame import Frame
from fastsmtp.workers.allocator import DynamicAllocator
from fastsmtp.workers.answer import Answer, ReadBody, describe_answer, read_answer
from fastsmtp.workers.launch import Launch
from fastsmtp.workers.lifecycle import Lifecycle
from fastsmtp.workers.queue import Job, JobQueue, QueuedJob
from fastsmtp.workers.spawner import Spawner
from fastsmtp.workers.supervisor import Supervisor
from fastsmtp.workers.worker import State, WorkerInfo, WorkerProcess

__all__ = ["Job", "Pool", "ReadBody", "WorkerInfo"]

MAX_JOBS_JITTER_PERCENT: Final = 15  # as in RoadRunner: workers started together are not replaced together
MAX_STOPPING: Final = (
    8  # workers, beside as many as the pool has, that may take their time to stop; the oldest is killed
)

_SHOWN_CHARS: Final = 2000  # of a worker's error text, in the log


class Pool:
    """A pool of workers. The counters are plain integers that only grow."""

    def __init__(
        self, settings: PoolSettings, launch: Launch, log: FilteringBoundLogger, read_body: ReadBody | None = None
    ) -> None:
        """With `read_body` an answer without a context is in the body."""
        self._settings = settings
        self._launch = launch
        self._log = log.bind(channel="pool")
        self._read_body = read_body
        self._num_workers = settings.num_workers
        self._allocator: DynamicAllocator | None = None
        if settings.dynamic_allocator is not None and not settings.debug:
            self._allocator = DynamicAllocator(settings.dynamic_allocator, settings.num_workers)
        self._loop: asyncio.AbstractEventLoop | None = None

        self._processes: dict[WorkerProcess, None] = {}  # every worker not yet STOPPED, oldest first
        self._workers: dict[WorkerProcess, int] = {}  # those in service: READY or WORKING -> emails left, 0 = no limit
        self._retiring: set[WorkerProcess] = set()  # those in service that leave after their present email
        self._idle: list[WorkerProcess] = []
        self._jobs: dict[WorkerProcess, QueuedJob] = {}
        self._lost: set[WorkerProcess] = set()  # those not yet STOPPED that were lost: how they end is worth telling
        self._queue = JobQueue(settings, self._log)

        self._spawner = Spawner(self, launch, self._log, delays=not settings.debug)
        self._supervisor = Supervisor(self, self._processes.keys(), settings, self._log)
        self._lifecycle = Lifecycle(self, self._spawner, self._supervisor, settings, self._log)
        self._running = False

        self.execs = 0  # emails sent to a worker
        self.errors = 0  # answers that were errors
        self.unknown_answers = 0
        self.exec_timeouts = 0  # workers killed for exec_ttl
        self.starts = 0  # workers that came in service
        self.start_failures = 0  # later ones; that of `start` is raised

    # life

    def start(self) -> Coroutine[Any, Any, None]:
        """Start all workers. Raises StartError when one does not start; then nothing is left running."""
        return self._lifecycle.start()

    def on_starting(self) -> int:
        """Called by the lifecycle: return how many workers to start. Raises StartError."""
        self._loop = asyncio.get_running_loop()
        if not self._launch.command:
            raise StartError("no worker command")
        # In debug mode one is started to see that the command works.
        return 1 if self._settings.debug else self._num_workers

    def on_started(self, workers: list[WorkerProcess]) -> None:
        """Called by the lifecycle."""
        self._running = True
        self._supervisor.start()
        for worker in workers:
            self.add(worker)

    def stop(self) -> Coroutine[Any, Any, None]:
        """End gracefully: workers finish their email and are asked to stop, after `destroy_timeout` they are killed.

        Jobs that wait for a worker get NO_WORKER, as do later ones.
        """
        return self._lifecycle.stop()

    def on_stopping(self) -> None:
        """Called by the lifecycle."""
        self._close_door()
        for worker in list(self._workers):
            self._retire(worker)

    def kill(self) -> None:
        """End at once; `stop` still has to be awaited, but does not take long any more."""
        self._close_door()
        for worker in list(self._processes):
            queued = self._jobs.pop(worker, None)
            worker.kill()
            self._remove(worker)
            if queued is not None:
                self._queue.worker_failed(queued)
        self._spawner.stop_listening()

    def reset(self) -> Coroutine[Any, Any, None]:
        """Replace all workers, one by one: a new one is in service before its predecessor leaves after its email.

        Raises StartError when a new one does not start; the old ones not yet replaced then stay.
        """
        return self._lifecycle.reset()

    def stays(self, worker: WorkerProcess) -> bool:
        """Called by the lifecycle: whether the worker is in service, and is not leaving after its email."""
        return worker in self._workers and worker not in self._retiring

    def replace(self, old: WorkerProcess, new: WorkerProcess) -> None:
        """Called by the lifecycle: put `new` in service; the old worker leaves."""
        # Was it lost meanwhile? Then it has a successor, and this one is one too many.
        leaving = old if old in self._workers else new
        self.add(new)
        if leaving in self._workers:  # the pool may have begun to stop: then it is leaving already
            self._retire(leaving)

    def on_overdue(self, worker: WorkerProcess) -> None:
        """Called by the lifecycle: the worker was replaced by a reset, and `reset_timeout` is over since."""
        if worker in self._jobs:
            worker.fail(f"still with an email {self._settings.reset_timeout_s:g} s after a reset (reset_timeout)")

    def add_worker(self) -> Coroutine[Any, Any, None]:
        """Make the pool larger by one. Raises StartError."""
        return self._lifecycle.add_worker()

    def on_growing(self) -> None:
        """Called by the lifecycle. Raises StartError when the pool cannot grow."""
        if not self._running:
            raise StartError("the pool is not running")
        if self._num_workers >= MAX_WORKERS:
            raise StartError(f"the pool has its maximum of {MAX_WORKERS} workers")

    def on_grown(self, worker: WorkerProcess | None) -> None:
        """Called by the lifecycle; in debug mode there is no worker until there is an email."""
        if worker is not None:
            self.add(worker)
        self._num_workers += 1

    def remove_worker(self) -> bool:
        """Make the pool smaller by one, an idle worker before a busy one; the last one stays: False."""
        if self._num_workers == 1:
            return False
        self._num_workers -= 1
        candidates = [*self._idle, *[worker for worker in self._workers if worker not in self._retiring]]
        if candidates and not self._settings.debug:
            self._retire(candidates[0])
        return True

    # what it is doing

    @property
    def num_workers(self) -> int:
        """How many workers the pool keeps, with those that it has because emails wait."""
        return self._num_workers + (self._allocator.additional if self._allocator is not None else 0)

    @property
    def idle(self) -> int:
        """Workers free now."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """Workers with an email now."""
        return len(self._jobs)

    @property
    def waiting(self) -> int:
        """Jobs that wait for a worker now."""
        return len(self._queue.waiting)

    @property
    def worker_failures(self) -> int:
        """Jobs that were lost with their worker, so far."""
        return self._queue.worker_failures

    @property
    def allocate_timeouts(self) -> int:
        """Jobs that waited for a worker in vain, so far."""
        return self._queue.allocate_timeouts

    @property
    def queue_overflows(self) -> int:
        """Jobs refused at once because so many waited, so far."""
        return self._queue.overflows

    def processes(self) -> list[WorkerProcess]:
        """Called by the lifecycle: every worker process there is, oldest first."""
        return list(self._processes)

    def workers(self) -> list[WorkerInfo]:
        """Describe every worker process there is, oldest first."""
        return [worker.describe() for worker in self._processes]

    # the way of an email

    def exec(self, job: Job) -> None:
        """Hand the email to a worker, as soon as one is free; `job.on_verdict` tells how it ended."""
        loop, queue = self._loop, self._queue
        assert loop is not None
        queued = QueuedJob(loop.time(), job)
        if not self._running:
            queue.refuse(queued, loop)
        elif not queue.waiting and (worker := self._take_idle()) is not None:
            queued.waited_s = 0.0
            if not self._lend(worker, queued):
                self._release(worker)
        elif queue.append(queued, loop) and (
            self._settings.debug or (self._allocator is not None and self._allocator.grow(queued.since))
        ):
            self._spawner.fill()

    def _take_idle(self) -> WorkerProcess | None:
        """Take out the worker used last that can be lent; those that cannot are lost by that."""
        while self._idle:
            worker = self._idle.pop()
            if worker.lendable():
                return worker
        return None

    def _lend(self, worker: WorkerProcess, queued: QueuedJob) -> bool:
        """Send the email to a worker; False when there is nothing to send: the worker is still free."""
        assert self._loop is not None
        now = self._loop.time()
        queued.end_wait()
        try:
            context, body = queued.job.take_payload()
        except Exception:
            self._log.exception("an email cannot be handed to a worker")
            self._loop.call_soon(self._queue.worker_failed, queued)
            return False
        self._jobs[worker] = queued
        self.execs += 1
        try:
            worker.exec(context, body, now)
        except Exception:
            self._log.exception("an email cannot be sent to a worker")
            # Later, for no verdict may be told from within `exec`. What has left already is unknown.
            self._loop.call_soon(worker.fail, "an email could not be sent to it")
        return True

    def _release(self, worker: WorkerProcess) -> None:
        """Give the free worker to the job that waits longest, or put it back; or let it go."""
        fresh = worker.execs == 0
        waiting = self._queue.waiting
        while waiting and worker not in self._retiring and (fresh or not self._settings.debug):
            if not worker.lendable():
                return
            if self._lend(worker, waiting.popleft()):
                return
        if worker in self._retiring or self._settings.debug:
            self._retire(worker)
        else:
            self._idle.append(worker)

    def on_answer(self, worker: WorkerProcess, frame: Frame) -> None:
        """Called by a worker."""
        try:
            answer = read_answer(frame, self._read_body)
        except WorkerError as error:
            if worker.state is State.READY:
                worker.fail(str(error))
            return
        verdict = answer.verdict
        if answer.error is not None or answer.unknown is not None:
            self._count_complaint(worker, answer)
        queued = self._jobs.pop(worker)
        limit = self._workers[worker]
        if verdict is None or (limit and worker.execs >= limit):
            self._retiring.add(worker)
        if verdict is None:
            self._pass_on(worker, queued)
            return
        self._spawner.failed_starts = 0
        queued.handling = worker.handled(*describe_answer(answer), queued.waited_s)
        if worker.state is State.READY:
            self._release(worker)
        self._queue.settle(queued, verdict)

    def _pass_on(self, worker: WorkerProcess, queued: QueuedJob) -> None:
        """`worker` asked for its restart instead of taking the email: another one shall, in the place it had."""
        assert self._loop is not None
        if worker.execs == 1:
            self._spawner.count_failure()  # it never took one: not a busy loop if its successors do the same
        if not self._running or self._queue.overdue(queued, self._loop.time()):
            self._queue.no_worker(queued)
        elif (other := self._take_idle()) is not None:
            if not self._lend(other, queued):
                self._release(other)
        else:
            self._queue.waiting.appendleft(queued)
        if worker.state is State.READY:
            self._retire(worker)

    def _count_complaint(self, worker: WorkerProcess, answer: Answer) -> None:
        if answer.error is not None:
            self.errors += 1
            self._log.warning("a worker answered with an error", pid=worker.pid, error=answer.error[:_SHOWN_CHARS])
        elif answer.unknown is not None:
            self.unknown_answers += 1
            shown = answer.unknown[:256]
            self._log.warning("a worker gave an unknown answer, taken as CONTINUE", pid=worker.pid, answer=shown)

    # workers come and go

    def missing(self) -> int:
        """Called by the spawner."""
        if not self._running:
            return 0
        missing = self.num_workers - len(self._workers)
        return min(missing, len(self._queue.waiting)) if self._settings.debug else missing

    def on_launched(self, worker: WorkerProcess) -> None:
        """Called by the spawner."""
        self._processes[worker] = None

    def on_start_failure(self) -> None:
        """Called by the spawner."""
        self.start_failures += 1
        if self._settings.debug and self._queue.waiting:
            # No other worker will come for this email; the next email tries again.
            self._queue.worker_failed(self._queue.waiting.popleft())

    def add(self, worker: WorkerProcess) -> None:
        """Put a started worker in service. Called by the spawner too."""
        self.starts += 1
        self._workers[worker] = with_jitter(self._settings.max_jobs)
        self._log.debug("worker is in service", pid=worker.pid, max_jobs=self._workers[worker])
        if not self._running:
            self._retiring.add(worker)
        self._release(worker)

    def _remove(self, worker: WorkerProcess) -> None:
        """Take a worker out of service."""
        self._workers.pop(worker, None)
        self._retiring.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        self._spawner.fill()

    def _retire(self, worker: WorkerProcess) -> None:
        """Replace a worker, after its email if it has one."""
        if worker.state is State.WORKING:
            self._retiring.add(worker)
            return
        worker.stop()
        self._remove(worker)
        stopping = [other for other in self._processes if other.state is State.STOPPING]
        # Workers that ignore the stop frame must not pile up behind their successors.
        for other in stopping[: -(self.num_workers + MAX_STOPPING)]:
            self._log.warning("too many workers are stopping, the oldest is killed", pid=other.pid)
            other.kill()

    def on_lost(self, worker: WorkerProcess, reason: str) -> None:
        """Called by a worker."""
        if worker not in self._workers:
            return  # the spawner hears it from `WorkerProcess.start`
        queued = self._jobs.pop(worker, None)
        self._lost.add(worker)
        self._log.error("worker lost", pid=worker.pid, reason=reason, with_email=queued is not None)
        if queued is None and worker.execs == 0:
            self._spawner.count_failure()
        self._remove(worker)
        if queued is not None:
            queued.handling = worker.handled("LOST", reason, queued.waited_s)
            self._queue.worker_failed(queued)

    def on_exit(self, worker: WorkerProcess) -> None:
        """Called by a worker."""
        self._processes.pop(worker, None)
        self._lifecycle.on_exit(worker)
        log = self._log.info if worker in self._lost else self._log.debug
        log("worker has ended", pid=worker.pid, status=worker.status, execs=worker.execs)
        self._lost.discard(worker)
        if not self._processes:
            self._lifecycle.empty.set()

    def on_exec_timeout(self) -> None:
        """Called by the supervisor."""
        self.exec_timeouts += 1

    def on_worn_out(self, worker: WorkerProcess, reason: str) -> None:
        """Called by the supervisor."""
        if worker in self._workers and worker not in self._retiring:
            self._log.info("worker is replaced", pid=worker.pid, reason=reason)
            self._retire(worker)

    def on_sweep(self, now: float, stalled_s: float) -> None:
        """Called by the supervisor: no email waits for a worker longer than `allocate_timeout`."""
        self._queue.sweep(now, stalled_s)
        if self._allocator is not None and self._running:
            self._allocate(self._allocator, now)

    def _allocate(self, allocator: DynamicAllocator, now: float) -> None:
        """Have more workers where emails wait, or fewer where none has for a while."""
        if self._queue.waiting:
            if allocator.grow(now):
                self._spawner.fill()
            return
        # Those used longest ago: the memory of the others is warm.
        count = allocator.shrink(now, len(self._idle))  # QUIRK: in the slice, mypyc would call it twice
        leaving = self._idle[:count]
        for worker in leaving:
            self._retire(worker)
        if leaving:
            self._log.debug("workers leave, no email has waited for them", count=len(leaving))

    # the end

    def _close_door(self) -> None:
        self._running = False
        self._spawner.close()
        self._supervisor.retire()
        self._queue.give_up()


def with_jitter(max_jobs: int) -> int:
    """How many emails one worker takes where `max_jobs` are wanted; 0: no limit."""
    return max_jobs + max_jobs * random.randrange(MAX_JOBS_JITTER_PERCENT) // 100
