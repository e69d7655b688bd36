"""The life of a pool: its start, its resets, its growth, its end.

Whatever a pool waits for is awaited here. The pool itself is compiled, and this module is not; `setup.py` says why.
"""

from __future__ import annotations

import asyncio
import functools
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from fastsmtp.config.settings import PoolSettings
from fastsmtp.system.patience import Timeout, wait_for
from fastsmtp.workers.spawner import Spawner
from fastsmtp.workers.supervisor import Supervisor
from fastsmtp.workers.worker import LINGER_S, WorkerProcess


class LifecycleOwner(Protocol):
    """The pool whose life it is; `Pool` says what its methods do."""

    def on_starting(self) -> int: ...
    def on_started(self, workers: list[WorkerProcess]) -> None: ...
    def on_stopping(self) -> None: ...
    def on_growing(self) -> None: ...
    def on_grown(self, worker: WorkerProcess | None) -> None: ...
    def kill(self) -> None: ...
    def stays(self, worker: WorkerProcess) -> bool: ...
    def replace(self, old: WorkerProcess, new: WorkerProcess) -> None: ...
    def on_overdue(self, worker: WorkerProcess) -> None: ...
    def processes(self) -> list[WorkerProcess]: ...


class Lifecycle:
    """Starts, resets, enlarges and ends one pool."""

    def __init__(
        self,
        pool: LifecycleOwner,
        spawner: Spawner,
        supervisor: Supervisor,
        settings: PoolSettings,
        log: FilteringBoundLogger,
    ) -> None:
        self._pool = pool
        self._spawner = spawner
        self._supervisor = supervisor
        self._settings = settings
        self._log = log
        self._resetting = asyncio.Lock()
        self._limited: dict[WorkerProcess, Timeout] = {}  # workers that a reset has replaced
        self.empty = asyncio.Event()  # set by the pool when its last process has ended

    async def start(self) -> None:
        """Start all workers. Raises StartError when one does not start; then nothing is left running."""
        count = self._pool.on_starting()
        await self._spawner.open()
        try:
            workers = await self._spawner.start_workers(count)
        except BaseException:
            await self._end()
            raise
        self._pool.on_started(workers)

    async def stop(self) -> None:
        """Ask all workers to stop, and kill those that take longer than `destroy_timeout`."""
        self._pool.on_stopping()
        if self._pool.processes():
            self.empty.clear()
            try:
                await wait_for(self.empty.wait(), self._settings.destroy_timeout_s)
            except asyncio.TimeoutError:
                workers = len(self._pool.processes())
                self._log.warning("workers did not stop in time, killed", workers=workers)
        await self._end()

    async def reset(self) -> None:
        """Replace all workers one by one; one reset waits for another. Raises StartError."""
        async with self._resetting:
            for old in self._pool.processes():
                if self._pool.stays(old) and not self._settings.debug:
                    self._pool.replace(old, await self._spawner.start_worker())
                    if old in self._pool.processes():
                        self._limit(old)

    def _limit(self, old: WorkerProcess) -> None:
        """A worker that was replaced has as long as `reset_timeout` to finish its email."""
        timeout = Timeout(self._settings.reset_timeout_s, functools.partial(self._on_reset_timeout, old))
        self._limited[old] = timeout

    def _on_reset_timeout(self, old: WorkerProcess) -> None:
        del self._limited[old]
        self._pool.on_overdue(old)

    def on_exit(self, worker: WorkerProcess) -> None:
        """Called by the pool: nothing is left of the worker."""
        timeout = self._limited.pop(worker, None)
        if timeout is not None:
            timeout.cancel()

    async def add_worker(self) -> None:
        """Make the pool larger by one. Raises StartError."""
        self._pool.on_growing()
        self._pool.on_grown(None if self._settings.debug else await self._spawner.start_worker())

    async def _end(self) -> None:
        """Kill what is left, wait until it is gone, give everything back."""
        self._pool.kill()
        for worker in self._pool.processes():
            try:
                await wait_for(worker.gone(), 2 * LINGER_S)
            except asyncio.TimeoutError:
                self._log.error("a killed worker does not end", pid=worker.pid)
        self._supervisor.end()
        await self._spawner.end()
