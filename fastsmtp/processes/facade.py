"""One facade for several processes: the methods of `rpc.listen`, the sums for metrics, the answers for status."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from structlog.typing import FilteringBoundLogger

from fastsmtp.config.settings import Config
from fastsmtp.errors import CallError, NoAnswerError
from fastsmtp.goridge.rpc import Method
from fastsmtp.ops.appmetrics import AppMetrics
from fastsmtp.ops.counters import PARENT, Histogram
from fastsmtp.ops.endpoints import Watched
from fastsmtp.ops.methods import common_methods, pool_stats
from fastsmtp.ops.snapshot import CLUSTER_AWAY, InboxSnapshot, Snapshot
from fastsmtp.processes.slot import ANSWER_TIMEOUT_S, Slot
from fastsmtp.text import timestamp

_POOL = "smtp"


class Facade:
    """Asks the children for what a caller wants to know or have done. A child that is gone has nothing to say."""

    def __init__(self, config: Config, slots: Sequence[Slot], log: FilteringBoundLogger) -> None:
        self._config = config
        self._slots = slots
        self._log = log
        self._started = time.time()
        self.ask_inbox: Callable[[], Awaitable[InboxSnapshot]] | None = None  # how it is, where there is one
        self._inbox_snapshot: InboxSnapshot | None = None  # what it has answered last
        self.loop_delays = Histogram()  # of our own loop
        self._past = Snapshot()  # what remains of those that are gone
        self._app_metrics = AppMetrics(config.metrics)
        self._asked: set[asyncio.Future[None]] = set()  # snapshots under way

    def methods(self) -> dict[str, Method]:
        """Return the methods by name, those of `Control`."""
        return {
            "smtp.ListConnections": Method(self._list_connections),
            "smtp.CloseConnection": Method(self._close_connection, str),
            "smtp.Stats": Method(self._stats),
            "informer.List": Method(lambda _: [_POOL]),
            "informer.Workers": Method(self._list_workers, str),
            "informer.AddWorker": Method(self._add_worker, str),
            "informer.RemoveWorker": Method(self._remove_worker, str),
            "resetter.List": Method(lambda _: [_POOL]),
            "resetter.Reset": Method(self._reset, str),
            **common_methods(self._config, self._log, self._app_metrics),
        }

    # what all of them did

    async def refresh(self) -> None:
        """Ask each process for its snapshot, and the inbox for its own."""
        await asyncio.gather(*(slot.refresh() for slot in self._slots))
        if self.ask_inbox is not None:
            self._inbox_snapshot = await self.ask_inbox()

    async def look(self, idle_only: bool) -> None:
        """Ask each process for its snapshot, and wait until one of them can work, or all have answered in time."""
        timeout_s = min(self._config.status.check_timeout_s, ANSWER_TIMEOUT_S)
        asked = {asyncio.ensure_future(slot.refresh(timeout_s)): slot for slot in self._slots}
        self._asked.update(asked)  # those that are not waited for may still find out that one is stuck
        pending = set(asked)
        for answer in asked:
            answer.add_done_callback(self._asked.discard)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if any(self._can_work(asked[answer], idle_only) for answer in done):
                return

    def forget(self, slot: Slot) -> None:
        """Its child is gone; its counters still count, as far as they are known."""
        snapshot, slot.snapshot = slot.snapshot, None
        if snapshot is not None:
            self._past.add_counters(snapshot)

    def total(self) -> Snapshot:
        """The sum of what was heard last from each."""
        total = Snapshot()
        total.add_counters(self._past)
        for slot in self._slots:
            if slot.snapshot is not None:
                total.add(slot.snapshot)
        total.set_loop_delay(PARENT, self.loop_delays.counts, self.loop_delays.total)
        if self._inbox_snapshot is not None:
            total.set_inbox(self._inbox_snapshot)
        return total

    def pids(self) -> list[int]:
        """Ours, and that of each child."""
        return [os.getpid(), *(slot.pid for slot in self._slots if slot.pid)]

    # smtp

    async def _ask_all(self, method: str, argument: object = None) -> list[Any]:
        """The answers of those that are there and answer. Raises CallError."""
        answers = await asyncio.gather(*(slot.call(method, argument) for slot in self._slots), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, (ConnectionError, NoAnswerError)):
                raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    def _stuck(self) -> list[int]:
        """The pids of those that did not answer when they were asked last."""
        return [slot.pid for slot in self._slots if slot.serving and slot.stuck]

    async def _list_connections(self, _: object) -> list[object]:
        return [connection for listed in await self._ask_all("smtp.ListConnections") for connection in listed]

    async def _close_connection(self, uuid: str) -> bool:
        asked = [asyncio.ensure_future(slot.call("smtp.CloseConnection", uuid)) for slot in self._slots]
        try:
            for answer in asyncio.as_completed(asked):
                with contextlib.suppress(CallError, ConnectionError):
                    if await answer:
                        return True
        finally:
            for answer in asked:
                answer.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        stuck = self._stuck()
        raise CallError(f"no such connection: {uuid}" + (f"; {_no_answer(stuck)}" if stuck else ""))

    async def _stats(self, _: object) -> dict[str, object]:
        await self.refresh()
        total = self.total()
        return {
            "started": timestamp(int(self._started)),
            "connections": total.connections,
            "inflight_bytes": total.inflight_bytes,
            "pools": {_POOL: pool_stats(total)},
            "processes": [
                {
                    "pid": slot.pid,
                    "serving": slot.serving,
                    "stuck": slot.serving and slot.stuck,
                    "workers": slot.num_workers,
                    "starts": slot.starts,
                }
                for slot in self._slots
            ],
        }

    # informer, resetter

    async def _list_workers(self, name: str) -> dict[str, object]:
        if name != _POOL:
            return {"workers": None}
        answers = await self._ask_all("informer.Workers", name)
        stuck = self._stuck()
        workers = [worker for answer in answers for worker in answer["workers"]]
        return {"workers": workers, "stuck": stuck} if stuck else {"workers": workers}

    async def _add_worker(self, name: str) -> bool:
        _check(name)
        slots = sorted(await self._answering(), key=lambda slot: slot.num_workers)
        return await self._change_workers(slots, "informer.AddWorker", 1)

    async def _remove_worker(self, name: str) -> bool:
        _check(name)
        slots = sorted(await self._answering(), key=lambda slot: -slot.num_workers)
        if slots and slots[0].num_workers == 1:
            raise CallError("the last worker of each process stays")
        return await self._change_workers(slots, "informer.RemoveWorker", -1)

    async def _answering(self) -> list[Slot]:
        """Those that serve, and answer."""
        await self.refresh()
        return [slot for slot in self._slots if slot.serving and not slot.stuck]

    async def _change_workers(self, slots: Sequence[Slot], method: str, change: int) -> bool:
        """Do it at the first of them that is still there when it is asked."""
        for slot in slots:
            slot.num_workers += change  # before the answer: the next caller shall find another
            try:
                await slot.work(method, _POOL)
            except ConnectionError:
                slot.num_workers -= change
                continue
            except NoAnswerError:  # it does what it was told when it goes on
                raise
            except BaseException:
                slot.num_workers -= change
                raise
            return True
        raise CallError("no process is there to do it")

    async def _reset(self, name: str) -> bool:
        _check(name)
        try:
            await self.renew()
        except CallError as error:
            raise CallError(f"workers could not be replaced: {error}") from None
        self._log.info("workers were replaced by RPC", pool=name)
        return True

    async def renew(self) -> None:
        """Replace all workers, one process after the other.

        Raises CallError where a new one does not start, and, after all others, for a process that does not answer.
        """
        await self.refresh()
        stuck = self._stuck()
        for slot in self._slots:
            if slot.pid in stuck:
                continue
            try:
                await slot.work("process.Renew")
            except ConnectionError:
                continue  # its successor has new ones
            except NoAnswerError:
                stuck.append(slot.pid)
        if stuck:
            raise NoAnswerError(f"only those of other processes were replaced, {_no_answer(stuck)}")

    # endpoints

    def watched(self, stopping: Callable[[], bool]) -> Watched:
        """All processes, as `Endpoints` show them."""
        return Watched(
            self.total,
            self.pids,
            self._complaint,
            stopping,
            self.refresh,
            self.look,
            self._app_metrics,
            self.ask_inbox,
        )

    def _complaint(self, idle_only: bool) -> str:
        """What keeps all of them from their work; one that can do it is enough."""
        if not any(_answers(slot) for slot in self._slots):
            return "no process is serving"
        if any(self._can_work(slot, idle_only) for slot in self._slots):
            return ""
        if self._config.cluster is not None and not any(map(_reaches_cluster, self._slots)):
            return CLUSTER_AWAY
        return "no worker available"

    def _can_work(self, slot: Slot, idle_only: bool) -> bool:
        """Whether it has a worker for an email, and, with `idle_only`, at this moment; or a cluster that takes it."""
        found = slot.snapshot
        if found is None or not _answers(slot) or (self._config.cluster is not None and not _reaches_cluster(slot)):
            return False
        if not self._config.is_relay:
            return True
        return bool(self._config.smtp.pool.debug or found.idle or (found.busy and not idle_only))


def _reaches_cluster(slot: Slot) -> bool:
    """Whether a process of a node has a connection with its cluster."""
    found = slot.snapshot
    return found is not None and found.cluster is not None and bool(found.cluster.connected)


def _no_answer(pids: Sequence[int]) -> str:
    """What is told of processes that do not answer."""
    return ", ".join(f"the process {pid} gives no answer" for pid in pids)


def _answers(slot: Slot) -> bool:
    return slot.serving and slot.snapshot is not None and not slot.stuck


def _check(name: str) -> None:
    if name != _POOL:
        raise CallError(f"no such plugin: {name}")
