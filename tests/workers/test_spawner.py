"""The spawner with an owner that is not a pool: how many workers it starts, and what it waits for."""

from __future__ import annotations

import asyncio

import pytest
from pools import WORKERS, Log, Run, launch
from waits import until

from fastsmtp.errors import StartError
from fastsmtp.goridge.frame import Frame
from fastsmtp.workers.launch import Launch
from fastsmtp.workers.spawner import Spawner, retry_delay
from fastsmtp.workers.worker import WorkerProcess


class Owner:
    """Wants `wanted` workers in service."""

    def __init__(self, wanted: int = 0) -> None:
        self.wanted = wanted
        self.launched: list[WorkerProcess] = []
        self.in_service: list[WorkerProcess] = []
        self.failures = 0

    def missing(self) -> int:
        return self.wanted - len(self.in_service)

    def on_launched(self, worker: WorkerProcess) -> None:
        self.launched.append(worker)

    def add(self, worker: WorkerProcess) -> None:
        self.in_service.append(worker)

    def on_start_failure(self) -> None:
        self.failures += 1

    def on_answer(self, worker: WorkerProcess, frame: Frame) -> None:
        raise AssertionError("there was no email")

    def on_lost(self, worker: WorkerProcess, reason: str) -> None:
        pass

    def on_exit(self, worker: WorkerProcess) -> None:
        pass


async def end(spawner: Spawner, owner: Owner) -> None:
    spawner.close()
    spawner.close()
    for worker in owner.launched:
        worker.kill()
        await worker.gone()
    await spawner.end()


def test_what_is_missing_is_started_at_once(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        owner = Owner(3)
        spawner = Spawner(owner, launch("accepts", relay), log.logger, delays=True)
        await spawner.open()
        spawner.fill()
        spawner.fill()
        assert spawner.starting == 3
        await until(lambda: len(owner.in_service) == 3)
        assert (spawner.starting, len(owner.launched)) == (0, 3)
        await end(spawner, owner)

    run_loop(main())


def test_after_a_failure_workers_are_started_one_at_a_time(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        owner = Owner(3)
        spawner = Spawner(owner, launch("accepts"), log.logger, delays=True)
        await spawner.open()
        spawner.count_failure()
        since = asyncio.get_running_loop().time()
        spawner.fill()
        assert spawner.starting == 0
        await until(lambda: spawner.starting)
        assert asyncio.get_running_loop().time() - since >= retry_delay(1)
        assert spawner.starting == 1
        await until(lambda: owner.in_service)
        assert spawner.starting == 1  # the next one, without a further delay
        spawner.failed_starts = 0
        await until(lambda: len(owner.in_service) == 3)
        await end(spawner, owner)

    run_loop(main())


@pytest.mark.parametrize("delays", [True, False])
def test_failures_are_counted_and_told(run_loop: Run, log: Log, delays: bool) -> None:
    async def main() -> None:
        owner = Owner(1)
        spawner = Spawner(owner, Launch(("php", "nowhere.php"), "pipes"), log.logger, delays=delays)
        await spawner.open()
        spawner.fill()
        await until(lambda: owner.failures == 2)
        owner.wanted = 0
        await until(lambda: spawner.starting == 0)
        assert spawner.failed_starts == owner.failures
        failed = [record for record in log.records if record["event"] == "a worker cannot be started"]
        assert [record["in_a_row"] for record in failed] == list(range(1, owner.failures + 1))
        await end(spawner, owner)

    run_loop(main())


def test_all_or_none(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        owner = Owner()
        spawner = Spawner(owner, launch("dies_in_handshake", relay), log.logger, delays=True)
        await spawner.open()
        with pytest.raises(StartError) as caught:
            await spawner.start_workers(3)
        assert str(caught.value) == (
            f'worker "php {WORKERS}/dies_in_handshake.php" did not start: ended without a handshake; exit status 7'
        )
        assert owner.in_service == []
        await end(spawner, owner)

    run_loop(main())


def test_a_spawner_that_is_not_open_starts_no_worker(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        owner = Owner()
        with pytest.raises(StartError, match=r"^the pool is not started$"):
            await Spawner(owner, launch("accepts"), log.logger, delays=True).start_worker()
        assert owner.launched == []

    run_loop(main())
