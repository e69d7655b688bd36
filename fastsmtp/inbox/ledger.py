"""The ledger: what was begun is accepted, refused, aborted or in flight, and what was accepted is somewhere.

    begun = accepted + refused + aborted + in flight
    accepted = stored + counted only + dropped by plan      stored = present + deleted + evicted + expired

The first line is counted by the SMTP processes, the second by the store. A process that is killed takes its counters
along, but not what it has told: what was in flight in it then is aborted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from fastsmtp.inbox.namespaces import NamespaceCounters

BEGUN: Final = "begun"
REFUSED: Final = "refused"
ABORTED: Final = "aborted"
ACCEPTED: Final = "accepted"
ENDS: Final = (ACCEPTED, REFUSED, ABORTED)
MAX_NAMES: Final = 1000  # of namespaces that do not exist, which clients have named all the same


class Ledger:
    """What SMTP processes have told, by namespace."""

    def __init__(self, exists: Callable[[str], bool] = lambda _name: True) -> None:
        """`exists` tells namespaces from names that clients have given to mails which never came."""
        self._exists = exists
        self._events: dict[str, dict[str, int]] = {}
        self._strange: dict[str, None] = {}  # names that were no namespaces when they were new, the oldest first
        self._others: dict[str, int] = {}  # events of such ones that are not known by name any more

    def add(self, namespace: str, event: str, step: int) -> None:
        """Count an event: begun, accepted, refused, aborted, or any other that is only shown."""
        events = self._events.get(namespace)
        if events is None:
            events = self._events[namespace] = {}
            if not self._exists(namespace):
                self._bound(namespace)
        events[event] = events.get(event, 0) + step

    def _bound(self, namespace: str) -> None:
        """One more name of no namespace: the oldest of them is forgotten, but not what was counted for it."""
        self._strange[namespace] = None
        if len(self._strange) > MAX_NAMES:
            oldest = next(iter(self._strange))
            del self._strange[oldest]
            if not self._exists(oldest):
                _add_events(self._others, self._events.pop(oldest, {}))

    def forget(self, namespace: str) -> None:
        """The namespace was deleted."""
        self._events.pop(namespace, None)
        self._strange.pop(namespace, None)

    def of(self, namespace: str) -> dict[str, int]:
        """Return the events of a namespace."""
        return dict(self._events.get(namespace, {}))

    def of_all(self) -> dict[str, int]:
        """Return the events of all namespaces."""
        events = dict(self._others)
        for counted in self._events.values():
            _add_events(events, counted)
        return events


def _add_events(events: dict[str, int], more: Mapping[str, int]) -> None:
    for event, count in more.items():
        events[event] = events.get(event, 0) + count


class Reporter:
    """One SMTP process, as long as its connection lasts."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._in_flight: dict[str, int] = {}

    def report(self, events: Mapping[str, Mapping[str, int]]) -> None:
        """Take what the process has counted since its last report."""
        for namespace, counted in events.items():
            for event, step in counted.items():
                self._ledger.add(namespace, event, step)
            ended = sum(counted.get(event, 0) for event in ENDS)
            left = self._in_flight.pop(namespace, 0) + counted.get(BEGUN, 0) - ended
            if left:
                self._in_flight[namespace] = left

    def end(self) -> None:
        """The process is gone: nothing of it is in flight any more."""
        for namespace, left in self._in_flight.items():
            if left:
                self._ledger.add(namespace, ABORTED, left)
        self._in_flight.clear()


def make_ledger(events: Mapping[str, int], counters: NamespaceCounters) -> dict[str, Any]:
    """Return the ledger of one namespace or of all."""
    begun = events.get(BEGUN, 0)
    ended = {event: events.get(event, 0) for event in ENDS}
    store = counters.ledger()
    sessions = {"begun": begun, **ended, "in_flight": begun - sum(ended.values())}
    return {
        "sessions": sessions,
        "store": store,
        "outcomes": dict(counters.by_outcome),
        "other": {event: count for event, count in events.items() if event not in (BEGUN, *ENDS)},
        "balanced": sessions["in_flight"] >= 0
        and store["accepted"] == store["stored"] + store["counted_only"] + store["dropped"]
        and store["present"] >= 0,
    }
