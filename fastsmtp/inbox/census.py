"""How many connections a namespace has in all SMTP processes: each of them is asked when a plan wants to know."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol


class CensusProcess(Protocol):
    """An SMTP process that is connected."""

    def count_connections(self, number: int, namespace: str) -> None:
        """Ask how many there are; the answer names the number, see `Census.on_count`."""


class _Count:
    """One that is under way."""

    def __init__(self, awaited: set[CensusProcess], done: Callable[[int], None]) -> None:
        self.awaited: Final = awaited
        self.done: Final = done
        self.total = 0


class Census:
    """All counts that are under way."""

    def __init__(self) -> None:
        self._counts: dict[int, _Count] = {}
        self._number = 0

    def take(self, namespace: str, processes: Iterable[CensusProcess], done: Callable[[int], None]) -> None:
        """Ask these processes, at least one; `done` gets the sum once all have answered, or are gone."""
        self._number += 1
        count = self._counts[self._number] = _Count(set(processes), done)
        for process in list(count.awaited):
            process.count_connections(self._number, namespace)

    def on_count(self, process: CensusProcess, number: int, connections: int) -> None:
        """A process has so many."""
        count = self._counts.get(number)
        if count is not None and process in count.awaited:
            count.total += connections
            self._leave(process, number, count)

    def forget(self, process: CensusProcess) -> None:
        """A process is gone, and its connections with it."""
        for number, count in list(self._counts.items()):
            if process in count.awaited:
                self._leave(process, number, count)

    def _leave(self, process: CensusProcess, number: int, count: _Count) -> None:
        count.awaited.discard(process)
        if not count.awaited:
            del self._counts[number]
            count.done(count.total)
