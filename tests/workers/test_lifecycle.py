"""The life of a pool with a fake pool, spawner and supervisor: what is asked of them, and in which order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pools import Log
from waits import until

from fastsmtp.config.settings import PoolSettings
from fastsmtp.errors import StartError
from fastsmtp.workers.lifecycle import Lifecycle


class Worker:
    """A worker that ends when it is told to."""

    def __init__(self, house: House, pid: int) -> None:
        self.pid = pid
        self._house = house

    async def gone(self) -> None:
        self._house.did.append(f"{self.pid} is awaited")
        self._house.all.remove(self)


class House:
    """Pool, spawner and supervisor in one, which note what is asked of them."""

    def __init__(self, fault: Exception | None = None, **settings: Any) -> None:
        self.did: list[str] = []
        self.all: list[Worker] = []
        self.log = Log()
        self._fault = fault
        self._pid = 0
        limits = PoolSettings(**settings)
        self.lifecycle = Lifecycle(self, self, self, limits, self.log.logger.bind(channel="pool"))  # type: ignore[arg-type]

    # the pool

    def on_starting(self) -> int:
        return 2

    def on_started(self, workers: list[Worker]) -> None:
        self.did.append(f"started {[worker.pid for worker in workers]}")

    def on_stopping(self) -> None:
        self.did.append("stopping")

    def on_growing(self) -> None:
        self.did.append("growing")

    def on_grown(self, worker: Worker | None) -> None:
        self.did.append(f"grown by {worker.pid if worker is not None else None}")

    def kill(self) -> None:
        self.did.append("kill")

    def stays(self, worker: Worker) -> bool:
        return worker.pid != 2  # which leaves already

    def replace(self, old: Worker, new: Worker) -> None:
        self.did.append(f"{old.pid} is replaced by {new.pid}")

    def on_overdue(self, worker: Worker) -> None:
        self.did.append(f"{worker.pid} is overdue")

    def processes(self) -> list[Worker]:
        return list(self.all)

    # the spawner

    async def open(self) -> None:
        self.did.append("open")

    async def start_worker(self) -> Worker:
        if self._fault is not None:
            raise self._fault
        self._pid += 1
        self.all.append(Worker(self, self._pid))
        return self.all[-1]

    async def start_workers(self, count: int) -> list[Worker]:
        return [await self.start_worker() for _ in range(count)]

    # the supervisor; the spawner has an `end`, too

    def end(self) -> Any:
        self.did.append("end")
        return _Ended()


class _Ended:
    """What `end` of the spawner returns, which may be awaited or not."""

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()


def test_start_and_stop() -> None:
    house = House()

    async def main() -> None:
        await house.lifecycle.start()
        stopping = asyncio.ensure_future(house.lifecycle.stop())
        await until(lambda: "stopping" in house.did)
        for worker in house.processes():
            house.all.remove(worker)
            house.lifecycle.on_exit(worker)  # type: ignore[arg-type]
        house.lifecycle.empty.set()
        await stopping

    asyncio.run(main())
    assert house.did == ["open", "started [1, 2]", "stopping", "kill", "end", "end"]
    assert house.log.records == []


def test_start_fails() -> None:
    """Nothing is left: what was started is killed and awaited, supervisor and spawner end."""
    house = House(StartError("no such command"))
    house.all.append(Worker(house, 9))
    with pytest.raises(StartError, match=r"^no such command$"):
        asyncio.run(house.lifecycle.start())
    assert house.did == ["open", "kill", "9 is awaited", "end", "end"]


def test_stop_takes_too_long() -> None:
    house = House(destroy_timeout_s=0.001)

    async def main() -> None:
        await house.lifecycle.start()
        await house.lifecycle.stop()

    asyncio.run(main())
    assert house.did[2:] == ["stopping", "kill", "1 is awaited", "2 is awaited", "end", "end"]
    assert house.log.records == [
        {"channel": "pool", "level": "warning", "event": "workers did not stop in time, killed", "workers": 2}
    ]


def test_reset() -> None:
    """Each worker that stays is replaced; one that is not gone after `reset_timeout` is overdue, one that is, not."""
    house = House(reset_timeout_s=0.001)

    async def main() -> None:
        await house.lifecycle.start()
        await house.lifecycle.reset()
        assert house.did[2:] == ["1 is replaced by 3"]
        await until(lambda: "1 is overdue" in house.did)
        await house.lifecycle.reset()
        last = house.processes()[-1]
        assert house.did[4:] == [f"{worker} is replaced by {new}" for worker, new in ((1, 4), (3, 5))]
        for worker in house.processes():
            house.lifecycle.on_exit(worker)  # type: ignore[arg-type]
        assert last.pid == 5
        house.lifecycle.on_exit(last)  # type: ignore[arg-type]

    asyncio.run(main())
    assert house.did.count("1 is overdue") == 1


def test_reset_in_debug_mode() -> None:
    house = House(debug=True)

    async def main() -> None:
        await house.lifecycle.start()
        await house.lifecycle.reset()
        await house.lifecycle.add_worker()

    asyncio.run(main())
    assert house.did == ["open", "started [1, 2]", "growing", "grown by None"]


def test_add_worker() -> None:
    house = House()
    asyncio.run(house.lifecycle.add_worker())
    assert house.did == ["growing", "grown by 1"]
