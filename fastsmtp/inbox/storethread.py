"""The one thread that works with the store, and the groups in which mails are committed.

The event loop hands over arrivals and questions; what comes while a group is committed makes the next one. A mail that
comes alone is committed at once. Where mails come together, the next group waits for more until 5 ms after its first
mail: a commit costs as much as ten mails, so that they cost half as much in groups of 20 as in groups of 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar

from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import StoreError
from fastsmtp.inbox.group import Arrival, Coming, Filed
from fastsmtp.inbox.ledger import Report
from fastsmtp.inbox.store import Store

_GROUP: Final = 500  # mails of one commit
_GROUP_BYTES: Final = 32 * 1024 * 1024  # octets of one commit, so that a large mail is not waited for by many
_GATHER_S: Final = 0.005  # for which a group waits for more mails
_TELL_S: Final = 0.05  # for which reports for the ledger wait for mails
_MAX_WAL_BYTES: Final = 64 * 1024 * 1024

P = ParamSpec("P")
T = TypeVar("T")
# What happened to a mail: where it is filed, or what the store said.
Answer = Callable[["list[Filed] | StoreError"], None]


class StoreThread:
    """Runs the methods of a store, one after the other, while the event loop goes on."""

    def __init__(
        self,
        store: Store,
        on_committed: Callable[[list[Coming], list[list[Filed]]], None],
        log: FilteringBoundLogger,
    ) -> None:
        """`on_committed` is called in the event loop, before the answers, after each group that was committed."""
        self._store = store
        self._on_committed = on_committed
        self._log = log
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._waiting: list[tuple[Coming, Answer]] = []
        self._committing: asyncio.Future[Any] | None = None
        self._gathering: asyncio.TimerHandle | None = None  # the group that is waited for
        self._telling: asyncio.TimerHandle | None = None  # reports that no mail has taken along yet
        self._together = False  # whether the last group had several mails
        self._closing = False
        self._come = self._decided = 0  # mails
        self.commits = 0
        self.trouble = ""  # why the last mails could not be committed

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `call` does in the thread; it may raise StoreError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: call(*args, **kwargs))

    def commit(self, arrival: Arrival, answer: Answer) -> None:
        """Commit a mail with others; `answer` is called in the event loop, never from within this call."""
        self._waiting.append((arrival, answer))
        self._come += 1
        if self._committing is None:
            self._begin()

    def tell(self, report: Report, answer: Answer) -> None:
        """Commit what was told for the ledger, with the next mails, or soon."""
        self._waiting.append((report, answer))
        self._come += 1
        if self._committing is None and self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELL_S, self._start_telling)

    def _start_telling(self) -> None:
        self._telling = None
        if self._committing is None and self._waiting:
            self._start()

    @property
    def waiting(self) -> int:
        """How many mails are not committed yet, those under way not counted."""
        return len(self._waiting)

    async def settle(self) -> None:
        """Wait until all mails are committed, or refused, that have come until now."""
        come = self._come
        while self._decided < come:
            if self._committing is None:
                self._start()
            assert self._committing is not None
            await asyncio.wait([self._committing])
            await asyncio.sleep(0)  # its callback starts the next

    def _begin(self) -> None:
        """Commit what waits, now or when there may be more of it."""
        if not self._together or self._closing or len(self._waiting) >= _GROUP:
            self._start()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(_GATHER_S, self._start)

    def _start(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        group: list[tuple[Coming, Answer]] = []
        octets = mails = 0
        for arrival, answer in self._waiting[:_GROUP]:
            group.append((arrival, answer))
            if isinstance(arrival, Arrival):
                octets += arrival.octets
                mails += 1
                if octets >= _GROUP_BYTES:
                    break
        del self._waiting[: len(group)]
        self._together = mails > 1
        arrivals = [arrival for arrival, _answer in group]
        loop = asyncio.get_running_loop()
        self._committing = loop.run_in_executor(self._executor, self._commit, arrivals)
        self._committing.add_done_callback(lambda done: self._on_done(group, done))

    def _commit(self, arrivals: list[Coming]) -> list[list[Filed]]:
        filed = self._store.commit(arrivals)
        if self._store.wal_bytes() > _MAX_WAL_BYTES:
            self._store.checkpoint()
        return filed

    def _on_done(self, group: list[tuple[Coming, Answer]], done: asyncio.Future[list[list[Filed]]]) -> None:
        self._committing = None
        self._decided += len(group)
        error = done.exception()
        if error is not None:
            if not isinstance(error, StoreError):  # a fault of ours; the senders wait for an answer all the same
                self._log.error("the store failed", exc_info=error)
                error = StoreError("the store failed; the log says why")
            self.trouble = str(error)
            for _arrival, answer in group:
                answer(error)
        else:
            self.commits += 1
            self.trouble = ""
            filed = done.result()
            self._on_committed([arrival for arrival, _answer in group], filed)
            for (_arrival, answer), places in zip(group, filed, strict=True):
                answer(places)
        if self._waiting and self._committing is None:
            self._begin()

    async def close(self) -> None:
        """Commit what waits, then close the store."""
        self._closing = True
        if self._waiting and self._committing is None:
            self._start()
        while self._committing is not None:
            await asyncio.wait([self._committing])
            await asyncio.sleep(0)  # its callback starts the next
        await self.run(self._store.close)
        self._executor.shutdown()
