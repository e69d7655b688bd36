"""Listeners, workers and connections of one process, from start to graceful end."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import structlog
from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.attachments import Storage, TempfileStorage
from fastsmtp.capture.capture import Services
from fastsmtp.capture.undecided import sweep_leftovers
from fastsmtp.config.cluster import ClusterSettings
from fastsmtp.config.settings import Config, InboxSettings, ListenerSettings, SMTPSettings
from fastsmtp.delivery.destination import Destination, Together
from fastsmtp.delivery.workers import Workers
from fastsmtp.errors import StartError
from fastsmtp.goridge.rpc import Method, RPCServer
from fastsmtp.inbox.destination import InboxDestination
from fastsmtp.inbox.frames import Gauges
from fastsmtp.inbox.link import WINDOW, Link
from fastsmtp.inbox.listenerplans import ListenerPlans
from fastsmtp.inbox.resolver import Resolver
from fastsmtp.inbox.sessions import MailLedger
from fastsmtp.ops.appmetrics import AppMetrics
from fastsmtp.ops.counters import SMTP, Counters
from fastsmtp.ops.endpoints import Endpoints, Watched
from fastsmtp.ops.loopwatch import watch_loop
from fastsmtp.ops.methods import Control
from fastsmtp.server.backpressure import Backpressure
from fastsmtp.server.listeners import Listeners, listen_at
from fastsmtp.server.listening import Listening, ReadBuffer
from fastsmtp.server.namespaceports import NamespacePorts
from fastsmtp.server.openconnection import OpenConnection
from fastsmtp.server.parts import (
    connections_that_fit,
    has_embedded_worker,
    has_jobs,
    is_implicit,
    left_out,
    make_encoder,
    make_pool,
    make_session_settings,
    make_storage,
)
from fastsmtp.server.place import ServerPlace
from fastsmtp.server.proxies import Proxies
from fastsmtp.server.tls import make_contexts
from fastsmtp.smtp.policy import Policy
from fastsmtp.system.patience import Sweep, wait_for
from fastsmtp.system.timeslices import TimeSlices
from fastsmtp.workers.pool import Pool
from fastsmtp.workers.resetter import Resets

if TYPE_CHECKING:
    from fastsmtp.cluster.bodies import WorkerShape
    from fastsmtp.cluster.node import Node
    from fastsmtp.ops.snapshot import InboxSnapshot, Snapshot


class Server:
    """Captures mail as `config` says. One event loop, one thread."""

    def __init__(self, config: Config, save: str = "", place: ServerPlace | None = None) -> None:
        """`save` names the directory where the embedded default keeps mails, "" = nowhere."""
        self._config = config
        self._save = save
        self._place = place
        self.inbox = ""  # path of the inbox's socket, to be set before `start`; "" = there is none
        self.ask_inbox: Callable[[], Awaitable[InboxSnapshot]] | None = None  # how it is; set with `inbox`
        self._inbox_snapshot: InboxSnapshot | None = None  # what it has answered last
        self._link: Link | None = None  # to the inbox
        self._inbox: Destination | None = None  # alone, for mails that a plan has decided about
        self._node: Node | None = None  # of a cluster
        inbox = config.kept() if config.cluster is None else config.inbox or InboxSettings()
        self._ports: NamespacePorts | None = None  # of namespaces
        self._resolver = Resolver([] if inbox is None else inbox.namespace)
        self.methods: Mapping[str, Method] = {}  # those of RPC, where RPC is served; from `start` on
        self._log: FilteringBoundLogger = structlog.get_logger(channel="smtp").bind()  # binds now, not per record
        self._connections: set[OpenConnection] = set()
        self._pool: Pool | None = None
        self._rpc = RPCServer(self._log)
        # Counters are kept only where metrics are asked for.
        counting = bool(config.metrics.address) if place is None else place.counting
        self._counters = Counters() if counting else None
        self._loop_delay = watch_loop(self._log, None if self._counters is None else self._counters.loop_delays[SMTP])
        self._endpoints = Endpoints(config, self._log)
        self._app_metrics = AppMetrics(config.metrics)
        self._stopping = False
        self._embedded = has_embedded_worker(config)
        self._jobs = has_jobs(config)  # the shape of the payload
        self._tempfiles: TempfileStorage | None = None
        self._listeners = Listeners(place)
        self.addresses = self._listeners.addresses  # by listener, those at which clients are accepted
        self._sweep = Sweep(_sweep_interval_s(config.smtp), self._on_sweep)
        self._policies: list[Policy] = []  # beside limits and strict mode, asked in this order
        self._proxies = Proxies(config.smtp.proxy_protocol)
        self._buffer = ReadBuffer()
        self._backpressure = Backpressure(config.smtp.max_inflight_bytes)
        self._slices: TimeSlices | None = None
        self._resets = Resets(self.renew, self._log)
        self._next_cleaning = 0.0  # loop time
        self._emptied = asyncio.Event()  # there are no connections any more

    async def start(self) -> None:
        """Bind, prepare the storage, start the workers, listen. Raises StartError, with nothing left running."""
        try:
            await self._start()
        except BaseException:
            self._close_listeners()
            if self._pool is not None:
                await self._pool.stop()
            if self._node is not None:
                await self._node.stop()
            self._close_link()
            self._close_tempfiles()
            self._rpc.close()
            self._endpoints.abort()
            raise

    async def _start(self) -> None:
        smtp = self._config.smtp
        if self._place is None:
            sweep_leftovers(self._log)
        listeners = smtp.listeners()
        # What can be wrong is tried before any worker is started: the ports, the certificates, the directory.
        self._listeners.bind({name: listener.addr for name, listener in listeners.items()})
        contexts = make_contexts(listeners)
        storage = make_storage(self._config)
        self._tempfiles = storage if isinstance(storage, TempfileStorage) else None
        self._endpoints.bind()
        rpc_address = self._rpc.bind(self._config.rpc.listen) if self._config.rpc.listen else ""
        pool = self._pool = make_pool(
            self._config, self._save, rpc_address if self._place is None else self._place.rpc, self._log
        )
        backpressure = self._backpressure
        self._slices = TimeSlices(asyncio.get_running_loop())
        max_connections = smtp.max_connections or self._connections_that_fit()
        if self.inbox and self._config.cluster is None:  # that of a cluster is fed by its streams
            self._link = await self._connect_inbox()
            self._link.gauges = self._gauges
            self._link.count_connections = self._count_connections
        if self._config.cluster is not None:
            self._node = await self._join(self._config.cluster)
        services, destination = self._make_services(storage), self._make_destination(pool)
        if rpc_address or self._place is not None:
            pools, app_metrics = {"smtp": pool}, self._app_metrics
            control = Control(self._config, pools, self._connections, backpressure, self._log, app_metrics)
            self.methods = control.methods()
        if rpc_address:
            # Before the workers, which may call while they start.
            await self._rpc.serve(self.methods)
            self._log.info("RPC is listening", address=rpc_address)
        watched = Watched(
            self.snapshot,
            lambda: [os.getpid()],
            self._complaint,
            lambda: self._stopping,
            self._refresh,
            app_metrics=self._app_metrics,
            ask_inbox=self.ask_inbox,
        )
        await self._endpoints.start(watched)
        if self._config.is_relay:
            await pool.start()
        if self._config.is_relay and self._node is not None:
            await self._node.relay(pool, pool.num_workers, self._worker_shape())
        for name, listener in listeners.items():
            listening = self._make_listening(name, listener, contexts[name], services, destination, max_connections)
            await self._listeners.open(listening)
        if self._link is not None:
            await self._start_ports(self._link)
        self._sweep.start()
        self._loop_delay.start()

    async def _join(self, cluster: ClusterSettings) -> Node:
        """Become a node of a cluster. Raises StartError."""
        from fastsmtp.cluster.node import Node  # most servers are one machine

        node = self._node = Node(cluster, self._log)
        node.plans.count_connections = self._count_connections
        await node.start()
        if cluster.is_front:
            assert self._slices is not None
            await node.start_outputs(self._slices)
            self._policies.append(node.policy)
        return node

    def _worker_shape(self) -> WorkerShape:
        from fastsmtp.cluster.bodies import WorkerShape
        from fastsmtp.inbox.workerpayload import Shape

        smtp = self._config.smtp
        keeps_raw = smtp.include_raw or bool(self._save)
        return WorkerShape(Shape(self._jobs, keeps_raw, left_out(self._config)), smtp.pipeline)

    def _gauges(self) -> Gauges:
        """What the inbox shows of this process."""
        pool = self._pool
        assert pool is not None
        return Gauges(len(self._connections), pool.num_workers, pool.busy, pool.waiting)

    def _count_connections(self, namespace: str) -> int:
        """How many connections a namespace has in this process."""
        return sum(connection.belongs_to(namespace) for connection in self._connections)

    async def _start_ports(self, link: Link) -> None:
        """Listen for namespaces, too, in the way of the first listener."""
        addresses = [address for listener in self.addresses.values() for address in listener]
        self._ports = NamespacePorts(link, self._resolver, self._listeners.first, listen_at, addresses)
        await self._ports.start()

    def _make_listening(
        self,
        name: str,
        listener: ListenerSettings,
        context: ssl.SSLContext | None,
        services: Services,
        destination: Destination,
        max_connections: int,
    ) -> Listening:
        smtp = self._config.smtp
        return Listening(
            server=name,
            settings=make_session_settings(
                self._config, listener, context, max_connections, self._policies, self._backpressure
            ),
            services=services,
            destination=destination,
            counters=self._counters,
            backpressure=self._backpressure,
            buffer=self._buffer,
            connections=self._connections,
            slices=self._slices,
            read_timeout_s=smtp.read_timeout_s,
            write_timeout_s=smtp.write_timeout_s,
            tls=context,
            implicit_tls=is_implicit(listener, context),
            include_transcript=smtp.include_transcript,
            ledger=None if self._link is None else MailLedger(self._link, self._resolver),
            inbox=self._inbox,
            planner=self._make_planner(name),
            quiet=self._embedded and self._config.is_relay,
            proxies=self._proxies,
            on_closed=self._on_connection_closed,
            shared=None if self._place is None else self._place.shared,
            loop_delay=self._loop_delay,
        )

    async def stand_in(self, missed: int) -> bool:
        """Take the clients of another process, too; False when we stop ourselves. May be called twice."""
        if self._stopping:
            return False
        await self._listeners.stand_in(missed)
        return True

    def stand_back(self, missed: int) -> None:
        """It is there again. Sessions of its clients stay here to their end."""
        self._listeners.stand_back(missed)

    def _make_planner(self, listener: str) -> ListenerPlans | None:
        """What asks fault plans: those of the inbox, or those of the cluster."""
        source = self._link if self._node is None else self._node.plans
        return None if source is None else ListenerPlans(source, self._resolver, listener)

    def _make_services(self, storage: Storage) -> Services:
        smtp = self._config.smtp
        # Jobs carry the octets always; what is kept as a file has to be there as it came.
        keeps_raw = smtp.include_raw or self._jobs or bool(self._save or self.inbox or self._node)
        shown = smtp.include_raw or self._jobs or bool(self._save)
        spool = None if shown or self._link is None else self._link.spool
        return Services(storage, keeps_raw, self._log, spool)

    async def _connect_inbox(self) -> Link:
        limit = self._config.smtp.max_inflight_bytes
        window = min(WINDOW, limit // 4) if limit else WINDOW
        link = Link(self.inbox, self._log, window=window, on_json=self._backpressure.hold_beside)
        try:
            await link.start()
        except OSError as error:
            raise StartError(f"the inbox cannot be reached: {error.strerror}") from None
        return link

    def _make_destination(self, pool: Pool) -> Destination:
        """Who takes the emails: the first one decides, the others are told what it decided."""
        # With an inbox the octets are kept for it.
        keeps_raw = not self.inbox or self._config.smtp.include_raw or bool(self._save)
        encoder = make_encoder(self._config, keeps_raw=keeps_raw)
        slices = self._slices
        if self._node is not None:
            assert slices is not None
            destination = self._node.destination(self._resolver, slices)
            self._inbox = self._node.inbox
            return destination
        workers = Workers(pool, encoder, self._counters, slices)
        if self._link is None:
            return workers
        self._inbox = InboxDestination(self._link, self._resolver, self._log, slices)
        return Together(self._log, workers, self._inbox)

    def _connections_that_fit(self) -> int:
        return connections_that_fit(self._config, self._endpoints.max_descriptors + self._rpc.max_descriptors)

    def _complaint(self, idle_only: bool) -> str:
        """What keeps the server from its work, "" when nothing does; if `idle_only`, a busy worker does not count."""
        if not self.addresses and self._config.is_front:
            return "not listening yet"
        if self._node is not None and (self._node.complaint or not self._config.is_relay):
            return self._node.complaint
        assert self._pool is not None
        # In debug mode a worker is started with each email: none waits for it.
        if self._config.smtp.pool.debug or self._pool.idle or (self._pool.busy and not idle_only):
            return ""
        return "no worker available"

    # The sweep: all timeouts of all connections, without a timer each

    def _on_sweep(self, now: float, stalled_s: float) -> None:
        for connection in list(self._connections):
            connection.check_timeouts(now, stalled_s)
        self._backpressure.look(now, stalled_s)
        if self._tempfiles is not None and now >= self._next_cleaning:
            self._clean(self._tempfiles, now)

    def _clean(self, tempfiles: TempfileStorage, now: float) -> None:
        age_s = self._config.smtp.attachment_storage.cleanup_after_s
        self._next_cleaning = now + max(1.0, min(60.0, age_s / 4))
        # In a thread: a directory of a million files takes seconds.
        cleaning = asyncio.get_running_loop().run_in_executor(None, tempfiles.clean, time.time())
        cleaning.add_done_callback(self._on_cleaned)

    def _on_cleaned(self, cleaning: asyncio.Future[int]) -> None:
        if not cleaning.cancelled() and cleaning.result():
            self._log.info("old tempfiles deleted", count=cleaning.result())

    # The end

    async def stop(self) -> None:
        """Stop accepting, let running transactions finish within the grace period, stop the workers."""
        self._stopping = True
        self._close_listeners()
        grace_s = self._config.endure.grace_period_s
        for connection in list(self._connections):
            connection.shutdown()
        if self._connections:
            self._emptied.clear()
            try:
                await wait_for(self._emptied.wait(), grace_s)
            except asyncio.TimeoutError:
                self._log.warning("grace period is over", connections=len(self._connections))
        self._abort_connections()
        self._sweep.stop()
        self._loop_delay.stop()
        if self._node is not None:
            self._node.pause()
        if self._pool is not None:
            await self._pool.stop()
        if self._node is not None:
            await self._node.stop()
        self._close_link()
        self._close_tempfiles()
        await self._endpoints.stop()
        # Last: a worker may call as long as it has an email, and the caller of `stop` waits for this.
        self._rpc.close()

    def abort(self) -> None:
        """End at once: cut connections, kill workers."""
        self._close_listeners()
        self._abort_connections()
        self._sweep.stop()
        self._loop_delay.stop()
        if self._pool is not None:
            self._pool.kill()
        if self._node is not None:
            self._node.abort()
        self._close_link()
        self._close_tempfiles()
        self._rpc.close()
        self._endpoints.abort()

    def reset(self) -> None:
        """Replace the workers one by one; no session notices. Returns at once; what fails is logged."""
        if self._pool is not None:
            self._resets.ask()

    async def renew(self) -> None:
        """The same, to its end. Raises StartError."""
        assert self._pool is not None
        await self._pool.reset()

    def reopen_logs(self) -> None:
        """Nothing: there is no other process that writes them."""

    def tell_launches(self) -> None:
        """Nothing: there is no other process that launches any."""

    def snapshot(self) -> Snapshot:
        """What it did and does, for metrics and for the parent of several."""
        from fastsmtp.ops.snapshot import Snapshot  # most servers are one process

        assert self._pool is not None
        snapshot = Snapshot.of(self._pool, len(self._connections), self._backpressure.held, self._counters)
        if self._inbox_snapshot is not None:
            snapshot.set_inbox(self._inbox_snapshot)
        if self._node is not None:
            snapshot.cluster = self._node.snapshot()
        return snapshot

    async def _refresh(self) -> None:
        if self.ask_inbox is not None:
            self._inbox_snapshot = await self.ask_inbox()

    def _abort_connections(self) -> None:
        for connection in list(self._connections):
            connection.abort()

    def _on_connection_closed(self) -> None:
        if not self._connections:
            self._emptied.set()

    def _close_link(self) -> None:
        if self._link is not None:
            self._link.close()

    def _close_tempfiles(self) -> None:
        if self._tempfiles is not None:
            self._tempfiles.close()

    def _close_listeners(self) -> None:
        if self._ports is not None:
            self._ports.close()
        self._listeners.close()


def _sweep_interval_s(smtp: SMTPSettings) -> float:
    shortest = min((t for t in (smtp.read_timeout_s, smtp.write_timeout_s) if t), default=4.0)
    return min(1.0, shortest / 4)
