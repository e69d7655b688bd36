"""The inbox: mails are filed in namespaces, found, awaited, marked and deleted here.

This is the event loop's side of the store.

What a method has returned is what every later one sees: a mail is visible before its sender is told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar

from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import StoreError
from fastsmtp.faults.plan import FaultPlan
from fastsmtp.inbox.documents import load_now
from fastsmtp.inbox.events import Events
from fastsmtp.inbox.expectation import Expectation, ExpectationState
from fastsmtp.inbox.frames import Gauges
from fastsmtp.inbox.group import Arrival, Coming, Filed
from fastsmtp.inbox.ledger import Report, make_ledger
from fastsmtp.inbox.names import DEFAULT, Cursor
from fastsmtp.inbox.namespaces import ACCEPTED, Namespace, NamespaceCounters, NamespaceSettings
from fastsmtp.inbox.observation import GoneError, Observation
from fastsmtp.inbox.plans import FaultPlans
from fastsmtp.inbox.ports import Ports
from fastsmtp.inbox.rows import Row
from fastsmtp.inbox.search import Slice, fitting, payload_at, search, search_all
from fastsmtp.inbox.store import Store
from fastsmtp.inbox.storethread import Answer, StoreThread
from fastsmtp.inbox.summary import addresses
from fastsmtp.inbox.watchers import Committed, Watcher, Watchers
from fastsmtp.inbox.where import Candidate, Condition
from fastsmtp.system.timeslices import TimeSlices, Turnstile

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["GoneError", "Inbox"]

_SLICE: Final = 500  # mails of a bulk call that are changed at a time
_LOOKED_AT: Final = 200  # mails that a condition looks at in one go
_THREADS: Final = 2  # for what takes long: each may hold the interpreter for 5 ms when the event loop wants it
_KEPT: Final = 16 * 1024  # octets of a payload that those who wait keep in memory; larger ones are read again


class Inbox:
    """One store and all who use it. To be used from one event loop."""

    def __init__(self, store: Store, log: FilteringBoundLogger) -> None:
        self._store: Final = store
        self.log: Final = log
        self._thread: Final = StoreThread(store, self._on_committed, log)
        self._loop: Final = asyncio.get_running_loop()
        self._slices: Final = TimeSlices(self._loop)
        self._turnstile: Final = Turnstile()
        self._threads: Final = ThreadPoolExecutor(_THREADS, thread_name_prefix="aside")
        self.watchers: Final = Watchers()
        self.events: Final = Events(self._slices)
        self.ports: Final = Ports(log)
        self.plans = FaultPlans(self.ports, self.events)
        self.gauges: Final[dict[object, Gauges]] = {}  # of the SMTP processes that are connected
        self._withdrawing: asyncio.Future[None] | None = None
        # The number of the newest mail of each namespace that has been told to watchers; the store may be ahead.
        self._told: dict[int, int] = {namespace.id: namespace.seq for namespace in store.namespaces.values()}

    def restore_ports(self, plan: FaultPlan | None = None) -> None:
        """Let namespaces have the ports that they had, and `default` this plan."""
        for namespace in self._store.namespaces.values():
            settings = namespace.settings
            self.plans.restore(namespace, plan if namespace.name == DEFAULT else None)
            self.ports.restore(namespace.name, settings.listen, counting=settings.keep == "count")

    async def close(self) -> None:
        """End all watchers, commit what waits, close the store."""
        self.ports.close_all()
        self.watchers.end_all()
        self.events.end_all()
        await self._thread.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def commits(self) -> int:
        """How many groups of mails have been committed."""
        return self._thread.commits

    async def trouble(self) -> str:
        """Return why mails cannot be stored, "" where they can be.

        It is tried: no mail may come any more while others are told that there is trouble.
        """
        try:
            await self.run(Store.try_commit if self._thread.trouble else Store.try_room)
        except StoreError as error:
            self._thread.trouble = str(error)
        else:
            self._thread.trouble = ""
        return self._thread.trouble

    @property
    def behind(self) -> str:
        """Why not all mails are here that should be, "" where all are. On one machine all are."""
        return ""

    async def run(self, call: Callable[[Store], T]) -> T:
        """Return what `call` does with the store, in its thread. Raises StoreError."""
        return await self._thread.run(call, self._store)

    async def aside(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `call` does in a thread of a few: work that takes long, and waits for nothing."""
        return await self._loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))

    # mails that come

    def file(self, arrival: Arrival, answer: Answer) -> None:
        """Commit a mail; `answer` is called once it is visible, or with the StoreError, never from within this call."""
        self._thread.commit(arrival, answer)

    def tell(self, report: Report, answer: Answer = lambda _filed: None) -> None:
        """Commit what an SMTP process has told for the ledger; see `file`."""
        self._thread.tell(report, answer)

    async def leave_processes(self, still_there: Collection[str] = ()) -> None:
        """SMTP processes that the ledger knows are gone, but for these: nothing is in flight in them any more."""
        for process in self._store.ledger.books.keys() - set(still_there):
            self.tell(Report(process, left=True))
        await self._thread.settle()

    async def ledger(self, namespace: Namespace | None = None) -> dict[str, Any]:
        """Return the ledger of a namespace or of all, as `make_ledger` has it, with all that was told until now."""
        await self._thread.settle()
        name = None if namespace is None else namespace.name
        return await self.run(lambda store: _ledger(store, name))

    def told(self, namespace: Namespace) -> dict[str, int]:
        """Return what SMTP processes have told of a namespace, as far as it is committed, and what is in flight."""
        ledger = self._store.ledger
        return {**ledger.of(namespace.name), "in_flight": ledger.in_flight(namespace.name)[0]}

    def _on_committed(self, coming: list[Coming], filed: list[list[Filed]]) -> None:
        self._forget_evicted()
        for arrival, places in zip(coming, filed, strict=True):
            if isinstance(arrival, Report):
                continue
            for place in places:
                if place.namespace is not None and place.seq and not place.known:
                    self._told[place.namespace.id] = place.seq
                    self._tell(arrival, place.namespace, place)

    def _tell(self, arrival: Arrival, namespace: Namespace, place: Filed) -> None:
        namespace.last_mail_at = arrival.received_at
        self.events.on_mail(namespace, place.seq, arrival)
        if arrival.outcome == ACCEPTED and self.watchers.watches(namespace.id):
            committed = Committed(place.seq, arrival.received_at, self._candidate(arrival, place), len(arrival.payload))

            def tell() -> bool:
                self.watchers.tell(namespace.id, committed, addresses(arrival.summary))
                return False

            self._slices.add(tell)

    def _candidate(self, arrival: Arrival, place: Filed) -> Candidate:
        """The mail for those who wait. Some keep a thousand: they hold little of each."""
        if len(arrival.payload) <= _KEPT:
            document = bytes(arrival.payload)
            return Candidate(arrival.summary, lambda: load_now(document), arrival.tags)
        return Candidate(
            arrival.summary,
            lambda: arrival.loaded or load_now(arrival.payload),
            arrival.tags,
            again=payload_at(self._store, place.place),
        )

    def withdraw(self, uuids: Sequence[str], process: str = "") -> None:
        """These mails were refused after all, though they may have been committed: their clients were told no."""
        self._withdrawing = asyncio.ensure_future(self._withdraw(uuids, process))

    async def _withdraw(self, uuids: Sequence[str], process: str) -> None:
        await self._thread.settle()  # one of them may wait to be committed
        for row in await self.run(lambda store: store.changes.withdraw(uuids, process)):
            namespace = self._store.by_id.get(row.namespace)
            if namespace is not None:
                self.events.on_deleted(row, namespace)

    # namespaces

    def namespace(self, name: str) -> Namespace | None:
        """Return the live namespace of this name."""
        return self._store.namespaces.get(name)

    def namespace_of(self, number: int) -> Namespace | None:
        """Return the live namespace with this number, as rows have it."""
        return self._store.by_id.get(number)

    def namespaces(self, prefix: str = "") -> list[Namespace]:
        """Return the live namespaces whose names begin so, by name."""
        return sorted(
            (space for name, space in self._store.namespaces.items() if name.startswith(prefix)),
            key=lambda space: space.name,
        )

    async def put(self, name: str, settings: NamespaceSettings | None = None) -> Namespace:
        """Return the namespace, made where there is none. Raises StoreError: CrowdedError where there are too many."""
        namespace = await self.put_in_store(name, settings)
        await self.ports.count_only(name, wanted=namespace.settings.keep == "count")
        await self.plans.set_magic(namespace)
        return namespace

    async def put_in_store(self, name: str, settings: NamespaceSettings | None) -> Namespace:
        """What `put` does, of which SMTP processes are told nothing."""
        namespace = await self.run(lambda store: store.put(name, settings))
        self._forget_evicted()
        self._told.setdefault(namespace.id, namespace.seq)
        return namespace

    async def end(self, name: str) -> Namespace | None:
        """Delete a namespace with all it holds; None where there is none. Raises StoreError."""
        namespace = await self.run(lambda store: store.end(name))
        if namespace is not None:
            self._forget(namespace)
            await self.ports.close(name)
        return namespace

    async def end_unused(self, namespace: Namespace) -> None:
        """Delete a namespace that was not used for long. Raises StoreError."""
        await self.end(namespace.name)

    def _forget(self, namespace: Namespace) -> None:
        self._told.pop(namespace.id, None)
        self.watchers.end(namespace.id)
        self.events.on_ended(namespace)
        self.ports.forget(namespace.name)
        self.plans.forget(namespace.name)

    def _forget_evicted(self) -> None:
        """Some have made room for others."""
        for namespace in self._store.take_evicted():
            self._forget(namespace)

    def cursor(self, namespace: Namespace) -> Cursor:
        """Return the place behind the newest mail that is visible."""
        return Cursor(namespace.epoch, self._told.get(namespace.id, namespace.begun))

    def position(self, namespace: Namespace, cursor: str) -> int:
        """Return the number a cursor says, "" for the start.

        Raises ValueError for what is not a cursor, GoneError for one of a namespace of this name that was deleted.
        """
        if not cursor:
            return 0
        parsed = Cursor.parse(cursor)
        if parsed.epoch != namespace.epoch or parsed.seq < namespace.begun:
            raise GoneError("the cursor is of a namespace that was deleted")
        return parsed.seq

    # mails that are there

    async def find(
        self,
        namespace: Namespace,
        where: Condition | None = None,
        *,
        limit: int = 50,
        **bounds: Any,
    ) -> Slice:
        """Return up to `limit` mails that `search` finds and that meet the condition, and the number to go on from.

        Raises StoreError.
        """
        found: list[Row] = []
        edge = "before" if bounds.get("newest_first", True) else "after"
        if where:
            bounds.setdefault("recipient", where.recipient)
        while True:
            wanted = limit - len(found)
            most = _LOOKED_AT if where else wanted
            part = await self._thread.run(search, self._store, namespace, limit=most, **bounds)
            rows, following = part
            if where and rows:
                rows, looked = await self.aside(fitting, self._store, part.rows, where, wanted)
                following = part.following if looked == len(part.rows) else part.rows[looked - 1].seq
            found += rows
            if following is None or len(found) >= limit:
                return Slice(found, following)
            bounds[edge] = following

    async def slices(
        self,
        namespace: Namespace,
        where: Condition | None,
        outcomes: Sequence[str] | None = (ACCEPTED,),
        *,
        newest_first: bool = True,
    ) -> AsyncIterator[list[Row]]:
        """Return all mails that are there now and meet the condition, some at a time. Raises StoreError."""
        after, before = 0, self.cursor(namespace).seq + 1
        while True:
            part = await self.find(
                namespace, where, limit=_SLICE, after=after, before=before, newest_first=newest_first, outcomes=outcomes
            )
            if part.rows:
                yield part.rows
            if part.following is None:
                return
            if newest_first:
                before = part.following
            else:
                after = part.following

    async def slices_of_all(
        self, where: Condition | None, outcomes: Sequence[str] | None = (ACCEPTED,)
    ) -> AsyncIterator[list[Row]]:
        """Return the mails of all namespaces, each once, the newest first, some at a time. Raises StoreError."""
        before: int | None = None
        while True:
            part = await self._thread.run(search_all, self._store, before=before, limit=_SLICE, outcomes=outcomes)
            before = part.following
            rows = part.rows
            while where and rows:
                found, looked = await self.aside(fitting, self._store, rows, where, len(rows))
                if found:
                    yield found
                rows = rows[looked:]
            if rows:
                yield rows
            if before is None:
                return

    async def delete(self, rows: Sequence[Row]) -> None:
        """Delete mails. Raises StoreError."""
        await self.run(lambda store: store.changes.delete(rows))
        for row in rows:
            namespace = self._store.by_id.get(row.namespace)
            if namespace is not None:
                self.events.on_deleted(row, namespace)

    async def mark(self, rows: Sequence[Row], **marks: Any) -> list[Row]:
        """Mark mails, see `MailChanges.mark`; return those that changed. Raises StoreError."""
        changed = await self.run(lambda store: store.changes.mark(rows, **marks))
        for row in changed:
            namespace = self._store.by_id.get(row.namespace)
            if namespace is not None:
                self.events.on_marked(row, namespace)
        return changed

    async def empty(self, namespace: Namespace) -> int:
        """Delete all mails of a namespace and return how many. Raises StoreError."""
        count = await self.run(lambda store: store.empty(namespace.name))
        self.events.on_purged(namespace)
        return count

    # waiting

    async def observe(
        self,
        namespace: Namespace,
        expectation: Expectation,
        *,
        after: int,
        within_s: float,
        recipient: str | None = None,
    ) -> tuple[ExpectationState, float]:
        """Feed the mails behind `after` to an expectation until it is decided; return how it ended, and when.

        What is there and what comes are one: the watcher is set before the first mail is read, and a mail is seen once.
        `recipient` is the only one that matters, if there is one. Raises StoreError, TooManyWatchers, and GoneError
        when the namespace ends.
        """
        observation = Observation(
            expectation, self._told.get(namespace.id, 0), self._slices, self._turnstile, self.aside
        )
        watcher = Watcher(namespace.id, recipient, observation.on_mail, observation.on_ended)
        self.watchers.add(watcher)
        try:
            async for rows in self._backlog(namespace, after, observation.backlog_end, recipient):
                await observation.take_rows(self._store, rows)
                if expectation.violated:
                    break
            state = await observation.decided(within_s)
        finally:
            self.watchers.remove(watcher)
        return state, observation.elapsed_s

    async def _backlog(
        self, namespace: Namespace, after: int, last: int, recipient: str | None
    ) -> AsyncIterator[list[Row]]:
        while after < last:
            part = await self._thread.run(
                search,
                self._store,
                namespace,
                after=after,
                before=last + 1,
                newest_first=False,
                limit=200,
                recipient=recipient,
            )
            if part.rows:
                yield part.rows
            if part.following is None:
                return
            after = part.following


def _ledger(store: Store, name: str | None) -> dict[str, Any]:
    ledger = store.ledger
    if name is None:
        return make_ledger(ledger.of_all(), ledger.in_flight(), store.totals())
    namespace = store.namespaces.get(name)
    counters = NamespaceCounters() if namespace is None else namespace.counters
    return make_ledger(ledger.of(name), ledger.in_flight(name), counters)
