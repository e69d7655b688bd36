"""The supervisor: one periodic sweep for all limits, so that no email and no worker has a timer of its own.

Each sweep looks at what is limited in time: answers (`exec_ttl`), ends (`destroy_timeout`), and by way of `on_sweep`
whatever the owner limits itself. Age, idle time and memory need not be exact: they are looked at every `watch_tick`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from fastsmtp.config.settings import PoolSettings
from fastsmtp.system.patience import Sweep, moved
from fastsmtp.workers.worker import State, WorkerProcess

_MB = 1024 * 1024


class Supervised(Protocol):
    """Whose workers are watched."""

    def on_sweep(self, now: float, stalled_s: float) -> None:
        """Time has passed: `now` is that of the loop, which stood still for `stalled_s` of it."""

    def on_exec_timeout(self) -> None:
        """A worker gave no answer within `exec_ttl`; it is killed, and lost, after that."""

    def on_worn_out(self, worker: WorkerProcess, reason: str) -> None:
        """The worker, READY or WORKING, is beyond a limit named `reason`. Told at each look until it is gone."""


class Supervisor:
    """Watches the workers of one pool."""

    def __init__(
        self, owner: Supervised, processes: Collection[WorkerProcess], settings: PoolSettings, log: FilteringBoundLogger
    ) -> None:
        """`processes` are all workers there are at any time: the owner changes them, the supervisor never does."""
        self._owner = owner
        self._processes = processes
        self._limits = settings.supervisor
        self._destroy_timeout_s = settings.destroy_timeout_s
        self._log = log
        self._sweep = Sweep(_sweep_interval(settings), self._on_sweep)
        self._next_watch = 0.0
        self._retired = False

    def start(self) -> None:
        """Begin to sweep."""
        self._retired = False
        self._next_watch = asyncio.get_running_loop().time() + self._limits.watch_tick_s
        self._sweep.start()

    def retire(self) -> None:
        """The pool is ending and asks all workers to stop, with a time limit of its own; only `exec_ttl` goes on."""
        self._retired = True

    def end(self) -> None:
        """Sweep no more."""
        self._sweep.stop()

    def _on_sweep(self, now: float, stalled_s: float) -> None:
        for worker in list(self._processes):
            if stalled_s:
                worker.since = moved(worker.since, stalled_s, now)
            self._check_time(worker, now)
        self._owner.on_sweep(now, stalled_s)
        if now >= self._next_watch and self._limits.watch_tick_s and not self._retired:
            self._next_watch = now + self._limits.watch_tick_s
            for worker in list(self._processes):
                if worker.state in (State.READY, State.WORKING):
                    self._watch(worker, now)

    def _check_time(self, worker: WorkerProcess, now: float) -> None:
        passed = now - worker.since
        exec_ttl, destroy_timeout = self._limits.exec_ttl_s, self._destroy_timeout_s
        if worker.state is State.WORKING and exec_ttl and passed >= exec_ttl:
            self._owner.on_exec_timeout()
            worker.fail(f"no answer in {exec_ttl:g} s (exec_ttl)")
        elif worker.state is State.STOPPING and passed >= destroy_timeout and not self._retired:
            self._log.warning("worker did not stop in time, killed", pid=worker.pid, destroy_timeout=destroy_timeout)
            worker.kill()

    def _watch(self, worker: WorkerProcess, now: float) -> None:
        limits = self._limits
        idle = now - worker.since if worker.execs and worker.state is State.READY else 0.0
        if limits.ttl_s and now - worker.created >= limits.ttl_s:
            self._owner.on_worn_out(worker, "ttl")
        elif limits.max_worker_memory and worker.memory_bytes >= limits.max_worker_memory * _MB:
            self._owner.on_worn_out(worker, "max_worker_memory")
        elif limits.idle_ttl_s and idle >= limits.idle_ttl_s:
            self._owner.on_worn_out(worker, "idle_ttl")


def _sweep_interval(settings: PoolSettings) -> float:
    limits = (
        settings.allocate_timeout_s,
        settings.destroy_timeout_s,
        settings.supervisor.exec_ttl_s,
        settings.supervisor.watch_tick_s,
        settings.dynamic_allocator.idle_timeout_s if settings.dynamic_allocator is not None else 0.0,
    )
    return min(1.0, max(0.01, min((limit for limit in limits if limit), default=1.0) / 10))
