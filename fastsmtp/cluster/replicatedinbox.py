"""An inbox of a cluster: mails come from the streams, and what clients want goes there first.

Each node carries it out in the order of the stream, so that all of them have the same mails under the same cursors.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.destination import Publishing
from fastsmtp.cluster.message import MailHeader, Outgoing
from fastsmtp.cluster.orders import (
    PATIENCE_S,
    DeleteOrder,
    EmptyOrder,
    EndOrder,
    MarkOrder,
    Order,
    OrderBook,
    PutOrder,
    UseOrder,
    new_order,
)
from fastsmtp.cluster.subjects import COPY, subjects_of
from fastsmtp.delivery.destination import ACCEPTED
from fastsmtp.errors import ClusterAwayError, StoreError
from fastsmtp.inbox.group import Arrival, Filed
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.namespaces import Namespace, NamespaceSettings
from fastsmtp.inbox.rows import Row
from fastsmtp.inbox.store import Store
from fastsmtp.inbox.storethread import Answer
from fastsmtp.smtp.events import Verdict
from fastsmtp.text import timestamp

_ROWS: Final = 1000  # of one order
_SHOWN_CHARS: Final = 200


class ReplicatedInbox(Inbox):
    """One node's inbox. `carry_out` and `take` are for its feeds."""

    def __init__(
        self,
        store: Store,
        log: FilteringBoundLogger,
        *,
        orders: OrderBook,
        publisher: Publishing,
        partitions: int,
        node: str,
    ) -> None:
        super().__init__(store, log)
        self._orders: Final = orders
        self._publisher: Final = publisher
        self._partitions: Final = partitions
        self._node: Final = node
        self._awaited: dict[str, Answer] = {}  # mails of the API that are published, by uuid
        self.feeds_behind: Callable[[], str] = lambda: ""  # see `Inbox.behind`
        self._uses: dict[str, int] = {}  # when a namespace was used, as other nodes know

    @property
    def behind(self) -> str:
        """See `Inbox.behind`."""
        return self.feeds_behind()

    # what clients want

    async def put(self, name: str, settings: NamespaceSettings | None = None) -> Namespace:
        """See `Inbox.put`."""
        namespace = self.namespace(name)
        if namespace is not None and settings is None:
            return namespace
        await self._orders.give(name, PutOrder(new_order(), settings))
        namespace = self.namespace(name)
        if namespace is None:  # another client was quicker
            raise StoreError(f"the namespace {name} was deleted meanwhile")
        await self.plans.set_magic(namespace)
        return namespace

    async def end(self, name: str) -> Namespace | None:
        """See `Inbox.end`."""
        namespace = self.namespace(name)
        if namespace is not None:
            await self._orders.give(name, EndOrder(new_order()))
            await self.plans.remove(name)
        return namespace

    async def end_unused(self, namespace: Namespace) -> None:
        """See `Inbox.end_unused`. A mail that comes meanwhile is a use."""
        await self._orders.give(namespace.name, EndOrder(new_order(), namespace.seq))

    async def empty(self, namespace: Namespace) -> int:
        """See `Inbox.empty`."""
        count = await self._orders.give(namespace.name, EmptyOrder(new_order()))
        return count if isinstance(count, int) else 0

    async def delete(self, rows: Sequence[Row]) -> None:
        """See `Inbox.delete`."""
        for namespace, uuids in self._by_namespace(rows):
            await self._orders.give(namespace, DeleteOrder(new_order(), uuids))

    async def mark(self, rows: Sequence[Row], **marks: Any) -> list[Row]:
        """See `Inbox.mark`."""
        wanted = {name: value for name, value in marks.items() if value is not None}
        changed = [(row, row._replace(**wanted)) for row in rows]
        changed = [(old, new) for old, new in changed if old != new]
        for namespace, uuids in self._by_namespace([old for old, _new in changed]):
            await self._orders.give(namespace, MarkOrder(new_order(), uuids, **wanted))
        return [new for _old, new in changed]

    def _by_namespace(self, rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
        """The uuids of mails by namespace, at most so many together."""
        found: dict[int, list[str]] = {}
        for row in rows:
            found.setdefault(row.namespace, []).append(row.uuid)
        spaces = [(space, uuids) for number, uuids in found.items() if (space := self.namespace_of(number)) is not None]
        return [
            (space.name, uuids[start : start + _ROWS])
            for space, uuids in spaces
            for start in range(0, len(uuids), _ROWS)
        ]

    async def tell_uses(self, ttl_s: float) -> None:
        """Let other nodes know which namespaces are in use here, so that none of them is ended. Raises StoreError."""
        for namespace in self.namespaces():
            rest_ms = (namespace.settings.ttl or ttl_s) * 250  # a quarter
            known = self._uses.get(namespace.name, namespace.last_mail_at or namespace.created_at)
            if rest_ms and namespace.used_at > known + rest_ms:
                self._uses[namespace.name] = namespace.used_at
                await self._orders.give(namespace.name, UseOrder(new_order(), namespace.used_at))

    # mails of the API

    def file(self, arrival: Arrival, answer: Answer) -> None:
        """Publish a mail for all inboxes; see `Inbox.file`."""
        loop = asyncio.get_running_loop()
        header = MailHeader(
            uuid=arrival.uuid,
            node=self._node,
            received=timestamp(arrival.received_at // 1000),
            from_=arrival.summary["envelope"]["from"][:_SHOWN_CHARS],
            to=[path[:_SHOWN_CHARS] for path in arrival.summary["envelope"]["to"][:1]],
            recipients=len(arrival.summary["envelope"]["to"]),
            namespaces=list(arrival.namespaces),
            size=arrival.size,
            subject=(arrival.summary["subject"] or "")[:_SHOWN_CHARS],
            outline=len(arrival.payload),
            at_ms=arrival.received_at,
            outcome=arrival.outcome,
        )
        assert not isinstance(arrival.raw, str)
        body = [bytes(arrival.payload), bytes(arrival.raw)]
        subjects = subjects_of(arrival.namespaces[0], self._partitions, COPY)
        over = loop.call_later(PATIENCE_S, self._on_time_over, arrival.uuid)

        def answered(filed: list[Filed] | StoreError) -> None:
            over.cancel()
            answer(filed)

        self._awaited[arrival.uuid] = answered
        outgoing = Outgoing(subjects, arrival.uuid, header, body, sum(map(len, body)))
        self._publisher.publish(outgoing, functools.partial(self._on_published, arrival.uuid))

    def _on_published(self, uuid: str, verdict: Verdict) -> None:
        if verdict not in ACCEPTED:
            self._answer(uuid, ClusterAwayError(f"the cluster does not take the mail: {verdict.value}"))

    def _on_time_over(self, uuid: str) -> None:
        self._answer(uuid, ClusterAwayError("the mail is in the cluster, and not here yet"))

    def _answer(self, uuid: str, filed: list[Filed] | StoreError) -> None:
        answer = self._awaited.pop(uuid, None)
        if answer is not None:
            answer(filed)

    # what comes from the streams

    def take(self, arrival: Arrival, answer: Answer) -> None:
        """Commit a mail that came from a stream; see `Inbox.file`."""

        def filed(places: list[Filed] | StoreError) -> None:
            answer(places)
            if not isinstance(places, StoreError):
                self._answer(arrival.uuid, places)

        super().file(arrival, filed)

    async def carry_out(self, namespace: str, seq: int, octets: bytes) -> None:
        """Do what an order says, which is message `seq` of its stream. Raises ValueError for what is not an order."""
        await self._orders.carry_out(octets, functools.partial(self._do, namespace, seq))

    async def _do(self, name: str, seq: int, order: Order) -> object:
        """Raises StoreError."""
        if isinstance(order, PutOrder):
            return await self.put_in_store(name, order.settings)
        namespace = self.namespace(name)
        if namespace is None:
            return None
        if isinstance(order, EndOrder):
            if order.at in (-1, namespace.seq):
                await self.run(lambda store: store.note_deletion(name, seq))
                await super().end(name)
            return None
        if isinstance(order, EmptyOrder):
            return await super().empty(namespace)
        if isinstance(order, UseOrder):
            namespace.used_at = max(namespace.used_at, order.at_ms)
            return None
        return await self._do_to_mails(namespace, order)

    async def _do_to_mails(self, namespace: Namespace, order: DeleteOrder | MarkOrder) -> object:
        uuids = order.uuids
        found = await self.run(lambda store: [store.mails.find(uuid, namespace) for uuid in uuids])
        rows = [row for row in found if row is not None]
        if isinstance(order, DeleteOrder):
            await super().delete(rows)
            return None
        marks = {name: value for name in ("read", "tags") if (value := getattr(order, name)) is not None}
        return await super().mark(rows, **marks)
