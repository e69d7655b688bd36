"""What a server has of the cluster: a destination where it is a front, mails for its pool where it is a relay."""

from __future__ import annotations

import dataclasses
import socket
from typing import Final

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.acknowledged import AcknowledgedMails
from fastsmtp.cluster.amqp import AMQPOutput
from fastsmtp.cluster.bodies import WorkerShape
from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.destination import ClusterAway, ClusterDestination
from fastsmtp.cluster.message import Outgoing
from fastsmtp.cluster.nodes import NodeReport, Nodes
from fastsmtp.cluster.planlog import PlanLog
from fastsmtp.cluster.publisher import Publisher
from fastsmtp.cluster.publishing import start_publisher
from fastsmtp.cluster.relay import ACK_WAIT_S, ClusterRelay
from fastsmtp.cluster.streams import Streams
from fastsmtp.config.cluster import ClusterSettings
from fastsmtp.delivery.destination import Destination, Together
from fastsmtp.delivery.workers import Executor, Slices
from fastsmtp.errors import ClusterAwayError, StartError
from fastsmtp.inbox.resolver import Resolver
from fastsmtp.ops.snapshot import CLUSTER_AWAY, ClusterSnapshot

_MAILS_PER_WORKER: Final = 4  # at a relay: a worker never waits for the network


class Node:
    """One process of a cluster."""

    def __init__(self, settings: ClusterSettings, log: FilteringBoundLogger) -> None:
        self._settings: Final = settings
        self._log: Final = log
        self._name: Final = settings.node or socket.gethostname()
        self._connection: Final = NATSConnection(settings, f"fastsmtp {self._name}", log)
        self._publisher: Publisher | None = None
        self._relay: ClusterRelay | None = None
        self._outputs: Final[list[AMQPOutput]] = []
        prefix = settings.stream.prefix
        self.plans: Final = PlanLog(self._connection, prefix, log)
        self._nodes: Final = Nodes(self._connection, prefix, self._name, [*settings.role], log)
        self._acknowledged: Final = AcknowledgedMails(self._connection, self._name, log)
        self.inbox: Destination | None = None  # takes mails that a plan has decided about: for inboxes alone
        self.policy: Final = ClusterAway(self)

    async def start(self) -> None:
        """Connect, and see that the streams are as the configuration asks. Raises StartError."""
        settings, connection = self._settings, self._connection
        await connection.open()
        await Streams(connection, settings, self._log).prepare()
        self._publisher = await start_publisher(connection, settings, self._log)
        connection.on_reconnected = self._on_reconnected
        if settings.is_front:
            self.plans.on_change = self._nodes.tell_now
            self.plans.start()
            await self._learn_plans()
            self._publisher.on_confirmed = self._on_confirmed
            self._acknowledged.start()
        self._nodes.fill = self._fill
        self._nodes.start()

    def _on_confirmed(self, mail: Outgoing, seq: int) -> None:
        if mail.death is None:
            self._acknowledged.note(mail.header.uuid, int(mail.subjects.mail.split(".", 2)[1]), seq)

    async def _learn_plans(self) -> None:
        """A front begins with the plans that there are. Raises StartError."""
        try:
            await self.plans.catch_up()
        except ClusterAwayError as error:
            raise StartError(str(error)) from None

    def _fill(self, report: NodeReport) -> NodeReport:
        snapshot = self.snapshot()
        plans = self.plans.reader.position
        return msgspec.structs.replace(report, plans=plans, gauges=snapshot.gauges, counts=snapshot.counts)

    async def start_outputs(self, slices: Slices) -> None:
        """Connect with the outputs of a front. Raises StartError."""
        settings = self._settings
        for output in settings.outputs:
            mails, timeout_s = settings.in_flight.mails, settings.ack_timeout_s
            self._outputs.append(AMQPOutput(output, self._log, mails=mails, timeout_s=timeout_s, slices=slices))
            await self._outputs[-1].start()

    def destination(self, resolve: Resolver, slices: Slices) -> Destination:
        """Who takes the mails of a front: the cluster, and then its outputs."""
        assert self._publisher is not None
        cluster = ClusterDestination(
            self._publisher,
            resolve,
            self._log,
            partitions=self._settings.stream.partitions,
            node=self._name,
            slices=slices,
        )
        self.inbox = cluster
        return Together(self._log, cluster, *self._outputs) if self._outputs else cluster

    async def relay(self, pool: Executor, workers: int, wanted: WorkerShape) -> None:
        """Begin to give mails to the workers. Raises StartError."""
        assert self._publisher is not None
        streams = Streams(self._connection, self._settings, self._log)
        await streams.make_consumers(ACK_WAIT_S)
        self._relay = ClusterRelay(
            self._connection,
            pool,
            self._publisher,
            wanted,
            self._log,
            streams=streams.names(),
            window=_MAILS_PER_WORKER * workers,
        )
        await self._relay.start()

    @property
    def connected(self) -> bool:
        """Whether a NATS server can be reached, and every output."""
        return self._connection.connected and all(output.connected for output in self._outputs)

    @property
    def complaint(self) -> str:
        """What keeps it from its work, "" = nothing."""
        return "" if self.connected else CLUSTER_AWAY

    def snapshot(self) -> ClusterSnapshot:
        """Tell how it is, and what has happened so far."""
        gauges, counts = dict[str, int](), dict[str, int]()
        publisher, relay = self._publisher, self._relay
        if publisher is not None:
            gauges = dict(zip(("in_flight", "in_flight_bytes"), publisher.in_flight, strict=True))
            gauges["waiting"] = publisher.waiting
            counts |= dataclasses.asdict(publisher.counts)
        if relay is not None:
            gauges["in_hand"] = relay.in_hand
            counts |= dataclasses.asdict(relay.counts)
        for output in self._outputs:
            told = dataclasses.asdict(output.counts)
            counts |= {name: counts.get(name, 0) + count for name, count in told.items()}
        return ClusterSnapshot(int(self.connected), gauges, counts)

    def _on_reconnected(self) -> None:
        if self._publisher is not None:
            self._publisher.on_reconnected()
        if self._relay is not None:
            self._relay.on_reconnected()

    def pause(self) -> None:
        """Take no more mails for the workers."""
        if self._relay is not None:
            self._relay.pause()

    async def stop(self) -> None:
        """Say what became of the mails that workers had, and close the connection. The pool has ended."""
        if self._relay is not None:
            await self._relay.stop()
        if self._publisher is not None:
            self._publisher.close()
        for output in self._outputs:
            await output.stop()
        await self._acknowledged.stop()
        await self.plans.stop()
        await self._nodes.stop()
        await self._connection.close()

    def abort(self) -> None:
        """End at once."""
        if self._relay is not None:
            self._relay.abort()
        if self._publisher is not None:
            self._publisher.close()
        for output in self._outputs:
            output.abort()
        self._connection.abort()
