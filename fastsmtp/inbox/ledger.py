"""The ledger: what was begun is accepted, refused, aborted, moved or in flight, and what was accepted is somewhere.

    begun = accepted + refused + aborted + moved + in flight
    accepted = stored + counted only + dropped by plan      stored = present + deleted + evicted + expired

SMTP processes tell what begins and ends, in numbered reports that are committed with the mails, and told again where
their acknowledgement was lost: the ledger outlives a kill of the inbox process as the mails do. Of each process the
ledger knows what is in flight in it. Where a process ends, what of that was committed is accepted, the rest aborted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from fastsmtp.inbox.namespaces import NamespaceCounters

BEGUN: Final = "begun"
REFUSED: Final = "refused"
ABORTED: Final = "aborted"
ACCEPTED: Final = "accepted"
MOVED: Final = "moved"  # a header field filed the mail in another namespace than its envelope named
ENDS: Final = (ACCEPTED, REFUSED, ABORTED, MOVED)
FAULT: Final = "fault "  # and what plans did: one of EFFECTS
RULE: Final = "rule "  # and the id of the rule of a plan that acted
EFFECTS: Final = ("refused", "dropped", "doubled", "delayed", "closed")
MAX_NAMES: Final = 1000  # of namespaces that do not exist, which clients have named all the same
OTHERS: Final = ""  # the name under which events of deleted and of forgotten names are counted

Sender = tuple[str, int]  # an SMTP process, and its number of a mail


class Report(NamedTuple):
    """What an SMTP process has told.

    `number` is that of its report of `events`, 0 = there are none; `open` is, for a ledger that does not know the
    process, what is in flight in it; with `left` the process is gone. `uncounted` are mails that were refused and may
    have been counted before: their numbers, outcomes and namespaces.
    """

    process: str
    number: int = 0
    events: Mapping[str, Mapping[str, int]] = {}
    open: Mapping[str, int] = {}
    left: bool = False
    uncounted: Sequence[tuple[int, str, Sequence[str]]] = ()


class Book(msgspec.Struct):
    """What is known of one SMTP process; by namespace, what it has begun and not told an end of.

    Of these `filed` are committed, and `turned` are refused by their namespace.
    """

    report: int = 0  # the number of the last one
    counted: int = -1  # the number of the last mail that was counted only
    uncounted: list[int] = []  # numbers of those that are counted no longer, the last of them
    open: dict[str, int] = {}
    filed: dict[str, int] = {}
    turned: dict[str, int] = {}

    def has_counted(self, number: int) -> bool:
        """Whether the mail of this number, of those that are counted only, has come; numbers recur after 2^32."""
        return self.counted >= 0 and (self.counted - number) % (1 << 32) < 1 << 31

    def copy(self) -> Book:
        return Book(
            self.report, self.counted, list(self.uncounted), dict(self.open), dict(self.filed), dict(self.turned)
        )


class Ledger:
    """What SMTP processes have told, by namespace. It is changed by `Entries` alone."""

    def __init__(self, exists: Callable[[str], bool] = lambda _name: True) -> None:
        """`exists` tells namespaces from names that clients have given to mails which never came."""
        self.exists: Final = exists
        self.events: Final[dict[str, dict[str, int]]] = {}
        self.books: Final[dict[str, Book]] = {}  # by process
        self.strange: Final[dict[str, None]] = {}  # names that were no namespaces when they were new, the oldest first

    def load(self, connection: sqlite3.Connection) -> None:
        """Read what was committed. Raises sqlite3.Error."""
        for name, events in connection.execute("SELECT name, events FROM sessions"):
            self.events[name] = msgspec.json.decode(events, type=dict[str, int])
            if name != OTHERS and not self.exists(name):
                self.strange[name] = None
        for process, book in connection.execute("SELECT process, book FROM processes"):
            self.books[process] = msgspec.json.decode(book, type=Book)

    def of(self, namespace: str) -> dict[str, int]:
        """Return the events of a namespace."""
        return dict(self.events.get(namespace, {}))

    def of_all(self) -> dict[str, int]:
        """Return the events of all namespaces."""
        events: dict[str, int] = {}
        for counted in list(self.events.values()):
            _add_events(events, counted)
        return events

    def in_flight(self, namespace: str | None = None) -> tuple[int, int]:
        """Return how many mails are in flight in a namespace or in all, and how many of them are committed."""
        books = list(self.books.values())
        return sum(_sum(book.open, namespace) for book in books), sum(_sum(book.filed, namespace) for book in books)


class Entries:
    """Changes of a ledger that are committed together: made, written, and then installed, or dropped."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._events: dict[str, dict[str, int]] = {}
        self._books: dict[str, Book | None] = {}  # None: the process is gone
        self._gone: set[str] = set()  # names that are known no longer
        self._strange: dict[str, None] = {}

    def add(self, namespace: str, event: str, step: int) -> None:
        """Count an event: begun, an end, or any other that is only shown."""
        events = self._events.get(namespace)
        if events is None:
            known = self._ledger.events.get(namespace)
            if known is None and namespace != OTHERS and not self._ledger.exists(namespace):
                self._strange[namespace] = None
            events = self._events[namespace] = dict(known or {})
        events[event] = events.get(event, 0) + step

    def enter(self, report: Report) -> None:
        """Enter what a process has told; what is known already changes nothing."""
        if report.left:
            self._leave(report.process)
            return
        known = self._find(report.process)
        book = Book() if known is None else known
        self._books[report.process] = book
        if known is None:
            for name, count in report.open.items():
                self._begin(book, name, count)
        if report.number > book.report:
            book.report = report.number
            for name, counted in report.events.items():
                self._enter(book, name, counted)

    def _find(self, process: str) -> Book | None:
        """Return the book of a process as it is to be changed."""
        if process not in self._books:
            known = self._ledger.books.get(process)
            if known is None:
                return None
            self._books[process] = known.copy()
        return self._books[process]

    def _begin(self, book: Book, name: str, count: int) -> None:
        self.add(name, BEGUN, count)
        _step(book.open, name, count)

    def _enter(self, book: Book, name: str, counted: Mapping[str, int]) -> None:
        if BEGUN in counted:
            self._begin(book, name, counted[BEGUN])
        for event, count in counted.items():
            if event in ENDS:
                here = min(count, book.open.get(name, 0))
                self._end(book, name, event, here)
                self._end(book, OTHERS, event, count - here)  # the namespace was deleted meanwhile
            elif event != BEGUN:
                self.add(name, event, count)

    def _end(self, book: Book, name: str, event: str, count: int) -> None:
        _step(book.open, name, -count)
        if event == REFUSED:
            _take(book.turned, name, count)
        elif event == ACCEPTED:
            filed = _take(book.filed, name, count)
            turned = _take(book.turned, name, count - filed)  # it is in another namespace
            self._count(name, ACCEPTED, filed)
            self._count(name, REFUSED, turned)
            event, count = MOVED, count - filed - turned
        self._count(name, event, count)

    def _count(self, name: str, event: str, count: int) -> None:
        if count:
            self.add(name, event, count)

    def _leave(self, process: str) -> None:
        """The process is gone: nothing of it is in flight any more."""
        book = self._find(process)
        if book is None:
            return
        self._books[process] = None
        for name, count in book.open.items():
            filed, turned = book.filed.get(name, 0), book.turned.get(name, 0)
            self._count(name, ACCEPTED, filed)
            self._count(name, REFUSED, turned)
            self._count(name, ABORTED, count - filed - turned)

    # what the store decides about mails

    def is_counted(self, sender: Sender | None) -> bool:
        """Whether this mail, of those that are counted only, has been counted; if not, it is from now on."""
        book = None if sender is None else self._find(sender[0])
        if sender is None or book is None:
            return False
        if book.has_counted(sender[1]):
            return True
        book.counted = sender[1]
        return False

    def uncount(self, process: str, number: int) -> bool:
        """Whether this mail was counted until now; it is counted no longer."""
        book = self._find(process)
        if book is None or not book.has_counted(number) or number in book.uncounted:
            return False
        book.uncounted = [*book.uncounted, number][-MAX_NAMES:]
        return True

    def accept(self, sender: Sender | None, name: str) -> None:
        """A mail is accepted in a namespace; without `sender` it came without SMTP."""
        book = None if sender is None else self._find(sender[0])
        if book is not None and book.open.get(name, 0) > book.filed.get(name, 0) + book.turned.get(name, 0):
            _step(book.filed, name, 1)
        else:  # its envelope did not name this one
            self.add(name, BEGUN, 1)
            self.add(name, ACCEPTED, 1)

    def turn_away(self, sender: Sender | None, name: str) -> None:
        """A mail is refused by a namespace."""
        book = None if sender is None else self._find(sender[0])
        if sender is None:
            self.add(name, BEGUN, 1)
            self.add(name, REFUSED, 1)
        elif book is not None and book.open.get(name, 0) > book.filed.get(name, 0) + book.turned.get(name, 0):
            _step(book.turned, name, 1)

    def withdraw(self, process: str, name: str) -> None:
        """A mail that was accepted has been refused after all."""
        book = self._find(process)
        if book is None or not _take(book.filed, name, 1):
            self.add(name, ACCEPTED, -1)
            self.add(name, REFUSED, 1)

    def forget(self, name: str) -> None:
        """The namespace is deleted: what was counted for it is counted for no namespace any more."""
        for event, count in (self._events.pop(name, None) or self._ledger.of(name)).items():
            self.add(OTHERS, event, count)
        self._gone.add(name)
        for process in {*self._ledger.books, *self._books}:
            book = self._find(process)
            if book is not None:
                for counted in (book.open, book.filed, book.turned):
                    _step(counted, OTHERS, counted.pop(name, 0))

    # how they take effect

    def write(self, connection: sqlite3.Connection) -> None:
        """Write all changes, in the transaction of the mails. Raises sqlite3.Error."""
        for name in self._crowded():
            events = self._events.pop(name, None) or self._ledger.of(name)
            self._gone.add(name)
            for event, count in events.items():
                self.add(OTHERS, event, count)
        connection.executemany("DELETE FROM sessions WHERE name = ?", [(name,) for name in self._gone])
        connection.executemany("INSERT OR REPLACE INTO sessions VALUES (?, ?)", _rows(self._events.items()))
        books = {process: book for process, book in self._books.items() if book is not None}
        connection.executemany("INSERT OR REPLACE INTO processes VALUES (?, ?)", _rows(books.items()))
        gone = [(process,) for process, book in self._books.items() if book is None]
        connection.executemany("DELETE FROM processes WHERE process = ?", gone)

    def _crowded(self) -> list[str]:
        """Names of no namespaces that are too many, the oldest first."""
        names = [*self._ledger.strange, *self._strange]
        return [name for name in names[: max(0, len(names) - MAX_NAMES)] if not self._ledger.exists(name)]

    def install(self) -> None:
        """Let the ledger show the changes: they are committed."""
        ledger = self._ledger
        names = [*ledger.strange, *self._strange]
        ledger.strange.clear()
        ledger.strange.update(dict.fromkeys(name for name in names[-MAX_NAMES:] if name not in self._gone))
        for name in self._gone:
            ledger.events.pop(name, None)
        ledger.events.update(self._events)
        for process, book in self._books.items():
            if book is None:
                ledger.books.pop(process, None)
            else:
                ledger.books[process] = book


def _rows(values: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    return [(key, msgspec.json.encode(value).decode()) for key, value in values]


def _sum(counted: Mapping[str, int], namespace: str | None) -> int:
    return sum(dict(counted).values()) if namespace is None else counted.get(namespace, 0)


def _step(counted: dict[str, int], name: str, step: int) -> None:
    left = counted.get(name, 0) + step
    if left:
        counted[name] = left
    else:
        counted.pop(name, None)


def _take(counted: dict[str, int], name: str, count: int) -> int:
    """Take up to `count` away, and return how many there were."""
    taken = min(count, counted.get(name, 0))
    _step(counted, name, -taken)
    return taken


def _add_events(events: dict[str, int], more: Mapping[str, int]) -> None:
    for event, count in more.items():
        events[event] = events.get(event, 0) + count


def make_ledger(events: Mapping[str, int], in_flight: tuple[int, int], counters: NamespaceCounters) -> dict[str, Any]:
    """Return the ledger of one namespace or of all: `in_flight` as `Ledger.in_flight` says it."""
    begun = events.get(BEGUN, 0)
    ended = {event: events.get(event, 0) for event in ENDS}
    store = counters.ledger()
    open_, filed = in_flight
    return {
        "sessions": {"begun": begun, **ended, "in_flight": open_},
        "store": store,
        "outcomes": dict(counters.by_outcome),
        "faults": _faults(events),
        "other": {
            event: count
            for event, count in events.items()
            if event not in (BEGUN, *ENDS) and not event.startswith((FAULT, RULE))
        },
        "balanced": begun == sum(ended.values()) + open_
        and ended[ACCEPTED] + filed == store["accepted"]
        and store["accepted"] == store["stored"] + store["counted_only"] + store["dropped"]
        and store["present"] >= 0,
    }


def _faults(events: Mapping[str, int]) -> dict[str, Any]:
    """What plans did: to how many commands and mails, by effect and by rule."""
    rules = {event[len(RULE) :]: count for event, count in events.items() if event.startswith(RULE)}
    return {**{effect: events.get(FAULT + effect, 0) for effect in EFFECTS}, "rules": dict(sorted(rules.items()))}
