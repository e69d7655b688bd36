"""What an SMTP process tells the ledger: numbered reports that are told again until they are committed."""

from __future__ import annotations

import secrets
from collections import deque
from typing import Final

from fastsmtp.inbox.frames import Counts, Head, Uncounted
from fastsmtp.inbox.ledger import BEGUN, ENDS, MAX_NAMES


class SessionReports:
    """Adds up what happens in the sessions of this process, by namespace, and mails that were refused after all."""

    def __init__(self) -> None:
        self.process: Final = secrets.token_hex(16)
        self._number = 0  # of the last report
        self._reports: dict[int, dict[str, dict[str, int]]] = {}  # those that are not acknowledged, the oldest first
        self._events: dict[str, dict[str, int]] = {}  # not told yet, by namespace
        self._open: dict[str, int] = {}  # mails that have begun and not ended, by namespace, as the inbox knows
        self._withdrawn: list[str] = []  # not told yet
        self._uncounted: list[Uncounted] = []  # likewise
        self._uncounted_before: deque[Uncounted] = deque(maxlen=MAX_NAMES)
        self._withdrawn_before: deque[str] = deque(maxlen=MAX_NAMES)  # told again: the inbox may have been killed then

    def count(self, namespace: str, event: str, step: int) -> None:
        """Add an event. What is beyond `MAX_NAMES` namespaces that are not told is counted for none of them."""
        known = namespace in self._events or len(self._events) < MAX_NAMES
        events = self._events.setdefault(namespace if known else "", {})
        events[event] = events.get(event, 0) + step

    def withdraw(self, number: int, uuid: str, head: Head) -> None:
        """A mail was refused that may have been committed all the same, or counted."""
        if head.counted is None:
            self._withdrawn.append(uuid)
        else:
            self._uncounted.append(Uncounted(number, head.namespaces, head.outcome))

    def hello(self) -> list[Counts]:
        """Return the first that is told on a new connection: who speaks, and what may have been lost with the last."""
        hello = Counts(
            withdrawn=list(self._withdrawn_before),
            uncounted=list(self._uncounted_before),
            process=self.process,
            open=self._open,
        )
        return [hello, *(Counts(events, number=number) for number, events in self._reports.items())]

    def take(self) -> Counts | None:
        """Return what has not been told yet, None where there is nothing; it is told then."""
        if not self._events and not self._withdrawn and not self._uncounted:
            return None
        number = 0
        if self._events:
            number = self._number = self._number + 1
            self._reports[number] = self._events
        counts = Counts(self._events, self._withdrawn, self._uncounted, number)
        self._withdrawn_before += self._withdrawn
        self._uncounted_before += self._uncounted
        self._events, self._withdrawn, self._uncounted = {}, [], []
        return counts

    def on_reported(self, number: int, wrong: str) -> None:
        """A report is committed; or it is not, and told again with what has come since."""
        events = self._reports.pop(number, {})
        for namespace, counted in events.items():
            for event, step in counted.items():
                if wrong:
                    mine = self._events.setdefault(namespace, {})
                    mine[event] = mine.get(event, 0) + step
                elif event == BEGUN or event in ENDS:
                    self._count_open(namespace, step if event == BEGUN else -step)

    def _count_open(self, namespace: str, step: int) -> None:
        left = self._open.get(namespace, 0) + step
        if left:
            self._open[namespace] = left
        else:
            self._open.pop(namespace, None)
