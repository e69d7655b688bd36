"""The spawner: starts workers, all at once in the beginning, later those that are missing.

After a worker that did not start or was of no use it starts one at a time, and waits before it does, longer each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import StartError
from fastsmtp.system.process import Identity
from fastsmtp.workers.launch import Launch, run_on_init
from fastsmtp.workers.listener import RelayListener
from fastsmtp.workers.worker import State, WorkerOwner, WorkerProcess

FIRST_RETRY_S = 0.1  # before a worker is started again after one that was of no use, doubled each time ...
LAST_RETRY_S = 5.0  # ... up to this: that soon is the pool well again once the cause is gone
FORGIVEN_S = 60.0  # a failed start this long ago does not count


class SpawnerOwner(WorkerOwner, Protocol):
    """Who needs workers, and owns them from their launch on."""

    def missing(self) -> int:
        """How many more workers are wanted in service now; those being started are not subtracted."""

    def on_launched(self, worker: WorkerProcess) -> None:
        """There is a process; until it has shaken hands it is of no use."""

    def add(self, worker: WorkerProcess) -> None:
        """Put a worker that was missing, and has shaken hands, in service."""

    def on_start_failure(self) -> None:
        """A worker that was missing did not start."""


class Spawner:
    """Starts the workers of one pool."""

    def __init__(self, employer: SpawnerOwner, launch: Launch, log: FilteringBoundLogger, *, delays: bool) -> None:
        """Without `delays` failures do not slow it down."""
        self._employer = employer
        self._launch = launch
        self._log = log
        self._delays = delays
        self._identity = Identity()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed_at = 0.0
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False
        self.listener: RelayListener | None = None  # None: workers have pipes
        self.failed_starts = 0  # in a row; set to 0 by the employer when a worker is of use

    @property
    def starting(self) -> int:
        """Workers being started because they were missing."""
        return len(self._tasks)

    async def open(self) -> None:
        """Prepare: `on_init`, and the socket workers connect to. Raises StartError."""
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._identity = Identity(self._launch.user, self._launch.group)
        await run_on_init(self._launch.on_init, self._log)
        if self._launch.relay != "pipes":
            self.listener = RelayListener(
                self._launch.relay, self._launch.relay_timeout_s, self._log, trusting=self._launch.trust_relay
            )
            await self.listener.start(self._identity)

    def close(self) -> None:
        """Break off what `fill` has begun. May be called twice."""
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for task in self._tasks:
            task.cancel()

    def stop_listening(self) -> None:
        """Remove the workers' socket. May be called twice."""
        if self.listener is not None:
            self.listener.close()

    async def end(self) -> None:
        """Give back what `open` took and wait for what `close` broke off."""
        self.stop_listening()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def start_workers(self, count: int) -> list[WorkerProcess]:
        """Return `count` workers that have shaken hands; all or none. Raises StartError."""
        return await _all_or_none(self.start_worker() for _ in range(count))

    async def start_worker(self) -> WorkerProcess:
        """Return a worker that has shaken hands. Raises StartError."""
        if self.listener is None and self._launch.relay != "pipes":
            raise StartError("the pool is not started")
        if self.listener is not None:
            await self.listener.restore()
        worker = WorkerProcess(self._employer, self._launch, self._identity, self.listener, self._log)
        self._employer.on_launched(worker)
        await worker.start()
        if worker.state is not State.READY:
            raise StartError(f'worker "{self._launch}" ended right after the handshake; {worker.status}')
        return worker

    def count_failure(self) -> None:
        """A worker was of no use: it did not start, or ended or left before its first email."""
        assert self._loop is not None
        now = self._loop.time()
        self.failed_starts = 1 if now - self._failed_at > FORGIVEN_S else self.failed_starts + 1
        self._failed_at = now

    def fill(self) -> None:
        """Start the workers that are missing; after failures one at a time, and not too soon."""
        assert self._loop is not None
        missing = self._employer.missing() - len(self._tasks)
        if missing <= 0 or self._retry is not None:
            return
        if self.failed_starts and self._delays:
            if self._tasks:
                return
            wait = self._failed_at + retry_delay(self.failed_starts) - self._loop.time()
            if wait > 0:
                self._retry = self._loop.call_later(wait, self._on_retry)
                return
            missing = 1
        for _ in range(missing):
            task = self._loop.create_task(self._bring_up())
            self._tasks.add(task)

    def _on_retry(self) -> None:
        self._retry = None
        self.fill()

    async def _bring_up(self) -> None:
        worker = None
        try:
            worker = await self.start_worker()
        except StartError as error:
            if not self._closed:
                self._fail(str(error))
        except Exception as error:
            self._log.exception("starting a worker failed")
            self._fail(repr(error))
        finally:
            self._tasks.discard(asyncio.current_task())
        if worker is not None:
            self._employer.add(worker)
        self.fill()

    def _fail(self, reason: str) -> None:
        self.count_failure()
        self._log.error("a worker cannot be started", reason=reason, in_a_row=self.failed_starts)
        self._employer.on_start_failure()


def retry_delay(failed_starts: int) -> float:
    """How long to wait after so many failed starts in a row."""
    return min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(failed_starts - 1, 20))


async def _all_or_none(starts: Iterable[Coroutine[None, None, WorkerProcess]]) -> list[WorkerProcess]:
    """Run all starts at the same time and return their workers; the first that fails ends the others."""
    tasks = [asyncio.ensure_future(start) for start in starts]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
