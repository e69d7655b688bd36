"""The inbox process of a node of a cluster: its mails come from the streams, and it tells what the cluster has.

Before a request is answered, all is here that got its 250 before: the leader of the stream is asked what it has.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.feeds import Feeds, StreamMaking
from fastsmtp.cluster.nodes import Nodes
from fastsmtp.cluster.orders import OrderBook
from fastsmtp.cluster.planlog import PlanLog
from fastsmtp.cluster.publisher import Publisher
from fastsmtp.cluster.publishing import start_publisher
from fastsmtp.cluster.replicatedinbox import ReplicatedInbox
from fastsmtp.cluster.replicatedplans import ReplicatedPlans
from fastsmtp.cluster.streamreader import StreamState, ask_state
from fastsmtp.cluster.streams import Streams
from fastsmtp.config.settings import Config
from fastsmtp.errors import StartError, StoreError
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.names import DEFAULT
from fastsmtp.inbox.process import InboxProcess
from fastsmtp.inbox.store import Store
from fastsmtp.system.loop import run
from fastsmtp.system.sockets import inherited

_WATCH_S: Final = 10.0


def main() -> None:
    """Serve until the host wants no more, or is gone."""
    control = inherited(int(sys.argv[1]))
    raise SystemExit(run(ClusterInboxProcess(control).run()))


class ClusterInboxProcess(InboxProcess):
    """One run of it."""

    def __init__(self, control: socket.socket) -> None:
        super().__init__(control)
        self._connection: NATSConnection | None = None
        self._publisher: Publisher | None = None
        self._feeds: Feeds | None = None
        self._orders: OrderBook | None = None
        self._plans: PlanLog | None = None
        self._nodes: Nodes | None = None
        self._watching: asyncio.Future[None] | None = None
        self.reach = self._reach

    async def make_inbox(self, store: Store, config: Config, log: FilteringBoundLogger) -> Inbox:
        """See `InboxProcess.make_inbox`."""
        cluster = config.cluster
        assert cluster is not None
        node = cluster.node or socket.gethostname()
        connection = self._connection = NATSConnection(cluster, f"fastsmtp {node} inbox", log)
        await connection.open()
        streams = Streams(connection, cluster, log)
        await streams.prepare()
        names, partitions = streams.names(), cluster.stream.partitions
        feeds = self._feeds = Feeds(connection, names, [await _state(connection, name) for name in names])
        store.epoch_of = feeds.epoch_of
        _end_strangers(store, feeds)
        self._publisher = await start_publisher(connection, cluster, log)
        orders = self._orders = OrderBook(connection, partitions)
        inbox = ReplicatedInbox(store, log, orders=orders, publisher=self._publisher, partitions=partitions, node=node)
        inbox.feeds_behind = feeds.behind
        plans = self._plans = PlanLog(connection, cluster.stream.prefix, log)
        nodes = self._nodes = Nodes(connection, cluster.stream.prefix, node, ["inbox"], log)
        inbox.plans = ReplicatedPlans(inbox, plans, nodes)
        return inbox

    async def begin(self, inbox: Inbox, config: Config) -> None:
        """See `InboxProcess.begin`."""
        assert isinstance(inbox, ReplicatedInbox)
        assert self._feeds is not None
        assert self._plans is not None
        assert self._nodes is not None
        assert config.inbox is not None
        await inbox.put_in_store(DEFAULT, None)
        positions = await inbox.run(lambda store: dict(store.positions))
        self._feeds.start(inbox, positions, inbox.log)
        self._plans.start()
        self._nodes.start()
        self._watching = asyncio.ensure_future(self._watch(inbox, self._feeds, config.inbox.retention.namespace_ttl_s))

    async def _watch(self, inbox: ReplicatedInbox, feeds: Feeds, ttl_s: float) -> None:
        """See to what other nodes have to know, and that the streams are still the same."""
        while True:
            await asyncio.sleep(_WATCH_S)
            try:
                await feeds.check()
                await inbox.tell_uses(ttl_s)
            except StreamMaking as error:
                inbox.log.error("a stream was made again, and so the inbox begins again", stream=str(error))
                self.stop()
                return
            except StoreError as error:
                inbox.log.warning("other inboxes do not know which namespaces are in use", reason=str(error))

    async def leave(self) -> None:
        """See `InboxProcess.leave`."""
        if self._watching is not None:
            self._watching.cancel()
        if self._orders is not None:
            self._orders.close()
        if self._plans is not None:
            await self._plans.stop()
        if self._nodes is not None:
            await self._nodes.stop()
        if self._feeds is not None:
            await self._feeds.stop()
        if self._publisher is not None:
            self._publisher.close()
        if self._connection is not None:
            await self._connection.close()

    async def _reach(self, path: str, namespace: str) -> None:
        """Return when all is here that the cluster has when a request comes. Raises ClusterAwayError."""
        assert self._feeds is not None
        assert self._plans is not None
        await self._feeds.reach(namespace)
        if path.endswith("/faults"):
            await self._plans.catch_up()


async def _state(connection: NATSConnection, stream: str) -> StreamState:
    """Raises StartError."""
    try:
        return await ask_state(connection, stream)
    except Exception as error:  # those of nats-py have no common base but this
        raise StartError(f"stream {stream} cannot be looked at: {error or type(error).__name__}") from None


def _end_strangers(store: Store, feeds: Feeds) -> None:
    """Delete namespaces of streams that are no more: in those of the same name numbers begin at 1 again."""
    for name, namespace in list(store.namespaces.items()):
        if namespace.epoch != feeds.epoch_of(name):
            store.end(name)
