"""What a child process tells its parent about itself, and the sum of it over all that are and were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from fastsmtp.ops.counters import INBOX, Counters, CountersSnapshot, Distribution, Histogram

if TYPE_CHECKING:
    from fastsmtp.ops.methods import ManagedPool

CLUSTER_AWAY: Final = "the cluster cannot be reached"
_COUNTERS: Final = (
    "execs", "errors", "unknown_answers", "worker_failures", "exec_timeouts", "allocate_timeouts",
    "queue_overflows", "starts", "start_failures",
)  # fmt: skip
_GAUGES: Final = ("num_workers", "idle", "busy", "waiting", "connections", "inflight_bytes")


class ShownWorker(msgspec.Struct, frozen=True):
    """A worker process, as metrics show it."""

    pid: int
    status_text: str
    memory_bytes: int


class InboxSnapshot(msgspec.Struct, frozen=True):
    """The inbox process at one moment. Counters of its store only grow; those of the process begin with it."""

    loop_delays: Distribution = (Histogram().counts, 0.0)  # since the process began
    up: bool = False
    namespaces: int = 0
    mails: int = 0
    unread: int = 0
    octets: int = 0
    arrivals: dict[str, int] = {}  # by outcome
    gone: dict[str, int] = {}  # by what became of them: deleted, evicted, expired
    commits: int = 0  # groups of mails
    checkpoints: dict[str, int] = {}  # by how they ended
    waits: int = 0
    streams: int = 0
    trouble: str = ""  # why mails cannot be stored
    behind: str = ""  # why not all mails are here that should be

    @property
    def complaint(self) -> str:
        """What keeps it from taking and showing mails, "" = nothing."""
        return self.trouble or self.behind if self.up else "the inbox process does not answer"


class ClusterSnapshot(msgspec.Struct, frozen=True):
    """A node of a cluster at one moment, or the sum of its processes. `counts` only grow."""

    connected: int = 0  # processes that have a connection with a NATS server
    gauges: dict[str, int] = {}
    counts: dict[str, int] = {}

    def plus(self, other: ClusterSnapshot | None, *, present: bool = True) -> ClusterSnapshot:
        """Return the sum with another process, or with the counts of one that is gone."""
        if other is None:
            return self
        counts = _sum(self.counts, other.counts)
        if not present:
            return ClusterSnapshot(self.connected, self.gauges, counts)
        return ClusterSnapshot(self.connected + other.connected, _sum(self.gauges, other.gauges), counts)


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


class Snapshot(msgspec.Struct):
    """One process at one moment, or the sum of several. The counters, and those in `counters`, only grow."""

    num_workers: int = 0
    idle: int = 0
    busy: int = 0
    waiting: int = 0
    connections: int = 0
    inflight_bytes: int = 0
    execs: int = 0
    errors: int = 0
    unknown_answers: int = 0
    worker_failures: int = 0
    exec_timeouts: int = 0
    allocate_timeouts: int = 0
    queue_overflows: int = 0
    starts: int = 0
    start_failures: int = 0
    shown: list[ShownWorker] = []
    counters: CountersSnapshot | None = None  # None: metrics are not served
    inbox: InboxSnapshot | None = None  # None: there is no inbox, or it was not asked
    cluster: ClusterSnapshot | None = None  # None: one machine

    @classmethod
    def of(cls, pool: ManagedPool, connections: int, inflight_bytes: int, counters: Counters | None) -> Snapshot:
        """Those of this process."""
        counts = {name: getattr(pool, name) for name in (*_COUNTERS, "num_workers", "idle", "busy", "waiting")}
        return cls(
            connections=connections,
            inflight_bytes=inflight_bytes,
            shown=[ShownWorker(item.pid, item.status_text, item.memory_bytes) for item in pool.workers()],
            counters=counters.snapshot() if counters is not None else None,
            **counts,
        )

    def workers(self) -> list[ShownWorker]:
        """Describe each worker."""
        return self.shown

    def add(self, other: Snapshot) -> None:
        """Add those of a process that is there."""
        for name in _GAUGES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.shown = [*self.shown, *other.shown]
        cluster = None if other.cluster is None else (self.cluster or ClusterSnapshot()).plus(other.cluster)
        self.add_counters(other)
        self.cluster = cluster or self.cluster

    def add_counters(self, other: Snapshot) -> None:
        """Add what remains of a process that is gone: its counters."""
        for name in _COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.cluster is not None:
            self.cluster = (self.cluster or ClusterSnapshot()).plus(other.cluster, present=False)
        if self.counters is None:
            self.counters = other.counters
        elif other.counters is not None:
            whole = self.all_counters()
            whole.add(other.counters)
            self.counters = whole.snapshot()

    def set_loop_delay(self, process: str, counts: list[int], total: float) -> None:
        """Let this be how late the event loop of a process was that has no snapshot of its own."""
        if self.counters is not None:
            delays = {**self.counters.loop_delays, process: (counts, total)}
            self.counters = msgspec.structs.replace(self.counters, loop_delays=delays)

    def set_inbox(self, inbox: InboxSnapshot) -> None:
        """Let this be what the inbox has answered."""
        self.inbox = inbox
        self.set_loop_delay(INBOX, *inbox.loop_delays)

    def all_counters(self) -> Counters:
        """The counters as metrics want them."""
        counters = Counters()
        if self.counters is not None:
            counters.add(self.counters)
        return counters
