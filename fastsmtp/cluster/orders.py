"""What clients want of the inboxes of a cluster, in the stream of its namespace: every node carries it out there.

A client's node publishes the order, and answers when it has carried it out itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from fastsmtp.capture.identifier import uuid7
from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import MESSAGE_ID
from fastsmtp.cluster.publisher import Confirmation
from fastsmtp.cluster.subjects import ORDER, subjects_of
from fastsmtp.errors import ClusterAwayError, StoreError
from fastsmtp.inbox.namespaces import NamespaceSettings

T = TypeVar("T")

PATIENCE_S: Final = 20.0  # for an order to be carried out here: longer than an election
_AGAIN_S: Final = 0.2


class PutOrder(msgspec.Struct, frozen=True, tag_field="do", tag="put"):
    """Make a namespace, or change its settings; None: they stay as they are."""

    order: str
    settings: NamespaceSettings | None = None


class EndOrder(msgspec.Struct, frozen=True, tag_field="do", tag="end"):
    """Delete a namespace; with `at`, only if its newest mail has this number still."""

    order: str
    at: int = -1


class EmptyOrder(msgspec.Struct, frozen=True, tag_field="do", tag="empty"):
    """Delete all mails of a namespace."""

    order: str


class DeleteOrder(msgspec.Struct, frozen=True, tag_field="do", tag="delete"):
    """Delete mails."""

    order: str
    uuids: list[str]


class MarkOrder(msgspec.Struct, frozen=True, tag_field="do", tag="mark"):
    """Mark mails; None: that is left as it is."""

    order: str
    uuids: list[str]
    read: bool | None = None
    tags: tuple[str, ...] | None = None


class UseOrder(msgspec.Struct, frozen=True, tag_field="do", tag="use"):
    """The namespace is in use: it was called at this time, Unix time in milliseconds."""

    order: str
    at_ms: int


Order = PutOrder | EndOrder | EmptyOrder | DeleteOrder | MarkOrder | UseOrder
_DECODER: Final = msgspec.json.Decoder(Order)


def new_order() -> str:
    """What names an order: its node knows by it that it is carried out."""
    return uuid7()


class OrderBook:
    """OrderBook that are published here, until they are carried out here."""

    def __init__(self, connection: NATSConnection, partitions: int) -> None:
        self._connection: Final = connection
        self._partitions: Final = partitions
        self._mine: dict[str, asyncio.Future[object]] = {}

    async def give(self, namespace: str, order: Order) -> object:
        """Return what carrying it out here returned. Raises what it raised, and ClusterAwayError."""
        done = self._mine[order.order] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._publish(namespace, order), PATIENCE_S)
            return await asyncio.wait_for(done, PATIENCE_S)
        except asyncio.TimeoutError:
            raise ClusterAwayError("the cluster does not answer; what was asked for may be done later") from None
        finally:
            del self._mine[order.order]

    def close(self) -> None:
        """What is not carried out here yet is not waited for any more."""
        for done in self._mine.values():
            if not done.done():
                done.set_exception(ClusterAwayError("the inbox ends; what was asked for may be done later"))

    async def carry_out(self, octets: bytes, do: Callable[[Order], Awaitable[object]]) -> None:
        """Do what an order says, and tell the caller if it is ours. Raises ValueError for what is not an order."""
        order = _DECODER.decode(octets)
        mine = self._mine.get(order.order)
        try:
            result = await do(order)
        except StoreError as error:
            if mine is not None and not mine.done():
                mine.set_exception(error)
        else:
            if mine is not None and not mine.done():
                mine.set_result(result)

    async def _publish(self, namespace: str, order: Order) -> None:
        """Publish it until the servers have it. Raises StoreError where they do not take it."""
        subject = subjects_of(namespace, self._partitions, ORDER).mail
        body, headers = msgspec.json.encode(order), {MESSAGE_ID: order.order}
        while True:
            try:
                told = msgspec.json.decode(
                    (await self._connection.request(subject, body, headers)).body, type=Confirmation
                )
            except Exception:  # those of nats-py have no common base but this: there is no server at the moment
                told = Confirmation()
            if told.error is not None and told.error.code != _UNAVAILABLE:
                raise StoreError(f"the cluster does not take it: {told.error.description}")
            if told.stream:
                return
            await asyncio.sleep(_AGAIN_S * random.uniform(0.5, 1.0))


_UNAVAILABLE: Final = 503
