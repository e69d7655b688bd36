"""RoadRunner's dynamic allocator: more workers while emails wait, fewer again when none has had to wait for a while.

Numbers alone: the pool starts and stops the workers. As in RoadRunner the limit is one of additional workers, the pool
grows by `spawn_rate` at once, at most once a second, and shrinks by as many after each `idle_timeout`. RoadRunner grows
when `allocate_timeout` is over, and refuses that request; here the pool grows as soon as an email has to wait.
"""

from __future__ import annotations

from typing import Final

from fastsmtp.config.settings import DynamicAllocatorSettings

MAX_WORKERS: Final = 2048  # of a pool, those that it always has included; as in RoadRunner
MAX_SPAWN_RATE: Final = 100  # as in RoadRunner
SPAWN_EVERY_S: Final = 1.0  # as in RoadRunner


class DynamicAllocator:
    """How many workers a pool has beside those that it always has."""

    def __init__(self, settings: DynamicAllocatorSettings, num_workers: int) -> None:
        self._most = min(settings.most_workers, MAX_WORKERS - num_workers)
        self._step = min(settings.step, MAX_SPAWN_RATE)
        self._idle_timeout_s = settings.idle_timeout_s
        self._spawned = -SPAWN_EVERY_S  # when it grew last
        self._quiet_since = 0.0  # when an email waited last, or the pool shrank last
        self.additional = 0

    def grow(self, now: float) -> bool:
        """An email waits: have more workers, unless it is too soon; whether there shall be more."""
        self._quiet_since = now
        if self.additional >= self._most or now - self._spawned < SPAWN_EVERY_S:
            return False
        self._spawned = now
        self.additional = min(self._most, self.additional + self._step)
        return True

    def shrink(self, now: float, idle: int) -> int:
        """No email waits: how many of so many idle workers may leave now."""
        if not self.additional or now - self._quiet_since < self._idle_timeout_s:
            return 0
        self._quiet_since = now
        leaving = min(idle, self._step, self.additional)
        self.additional -= leaving
        return leaving
