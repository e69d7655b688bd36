"""What a child process tells its parent about itself, and the sum of it over all that are and were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from fastsmtp.ops.counters import Tally, TallyNumbers

if TYPE_CHECKING:
    from fastsmtp.ops.methods import Pool

_COUNTERS: Final = (
    "execs", "errors", "unknown_answers", "worker_failures", "exec_timeouts", "allocate_timeouts", "starts",
    "start_failures",
)  # fmt: skip
_GAUGES: Final = ("num_workers", "idle", "busy", "waiting", "connections", "inflight_bytes")


class ShownWorker(msgspec.Struct, frozen=True):
    """A worker process, as metrics show it."""

    pid: int
    status_text: str
    memory_bytes: int


class Numbers(msgspec.Struct):
    """One process at one moment, or the sum of several. The counters, and those in `tally`, only grow."""

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
    starts: int = 0
    start_failures: int = 0
    shown: list[ShownWorker] = []
    tally: TallyNumbers | None = None  # None: nobody asks for metrics

    @classmethod
    def of(cls, pool: Pool, connections: int, inflight_bytes: int, tally: Tally | None) -> Numbers:
        """Those of this process."""
        counts = {name: getattr(pool, name) for name in (*_COUNTERS, "num_workers", "idle", "busy", "waiting")}
        return cls(
            connections=connections,
            inflight_bytes=inflight_bytes,
            shown=[ShownWorker(item.pid, item.status_text, item.memory_bytes) for item in pool.workers()],
            tally=tally.numbers() if tally is not None else None,
            **counts,
        )

    def workers(self) -> list[ShownWorker]:
        """Describe each worker."""
        return self.shown

    def add(self, other: Numbers) -> None:
        """Add those of a process that is there."""
        for name in _GAUGES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.shown = [*self.shown, *other.shown]
        self.bury(other)

    def bury(self, other: Numbers) -> None:
        """Add what remains of a process that is gone: its counters."""
        for name in _COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if self.tally is None:
            self.tally = other.tally
        elif other.tally is not None:
            whole = self.whole_tally()
            whole.add(other.tally)
            self.tally = whole.numbers()

    def whole_tally(self) -> Tally:
        """The tally as metrics want it."""
        if self.tally is None:
            return Tally(())
        tally = Tally(self.tally.durations)
        tally.add(self.tally)
        return tally
