"""How many namespaces there may be, and which of them make room for new ones.

A client names a new namespace in each mail, if it wants. Only what nothing is lost with makes room: a namespace that
holds no mail, listens nowhere, and was not used for as long as a wait may last. The least recently used goes first.
"""

from __future__ import annotations

from collections.abc import Collection
from heapq import nsmallest
from typing import Final

from fastsmtp.inbox.names import DEFAULT
from fastsmtp.inbox.namespaces import Namespace

IDLE_MS: Final = 600_000  # no wait lasts longer
_BATCH: Final = 100  # that make room at a time, so that not each new one looks at all


class NamespaceLimit:
    """The limit of one store; 0 = unlimited."""

    def __init__(self, limit: int) -> None:
        self.limit: Final = limit
        self._looked_at = 0  # Unix time in milliseconds, when none was idle
        self.reason: Final = f"there are {limit} namespaces already, and none of them is empty and idle"

    def has_place(self, count: int) -> bool:
        """Whether there may be one namespace more than `count`."""
        return not self.limit or count < self.limit

    def idle(self, spaces: Collection[Namespace], wanted: int, now_ms: int) -> list[Namespace]:
        """Return those that make room for `wanted` more, or as many as there are. Most calls return none, at once."""
        excess = len(spaces) + wanted - self.limit
        if not self.limit or excess <= 0 or self._looked_at <= now_ms < self._looked_at + IDLE_MS // 100:
            return []
        idle = [space for space in spaces if _is_idle(space, now_ms)]
        found = nsmallest(max(excess, min(_BATCH, self.limit // 10)), idle, key=_used_at)
        if len(found) < excess:
            self._looked_at = now_ms  # looking again is useless for some seconds
        return found


def _is_idle(space: Namespace, now_ms: int) -> bool:
    counters = space.counters
    return not (
        counters.present
        or counters.refused_present
        or space.settings.listen
        or space.name == DEFAULT
        or space.used_at + IDLE_MS >= now_ms
    )


def _used_at(space: Namespace) -> int:
    return space.used_at
