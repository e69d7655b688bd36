"""Who is told of each mail as it is committed: waits, expectations, streams of events.

A watcher that asks for one recipient is looked up by it, so a thousand of them cost a mail that is for none of them
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from fastsmtp.inbox.where import Candidate

MAX_WATCHERS: Final = 1000  # of one namespace


class Committed(NamedTuple):
    """A mail that has just become visible in a namespace."""

    seq: int
    received_at: int  # Unix time in milliseconds
    mail: Candidate
    octets: int  # of its payload


class TooManyWatchers(Exception):
    """A namespace has as many watchers as it may."""


class Watcher:
    """One waiting caller. `recipient`, an address in lower case, narrows it to mails that were sent there."""

    __slots__ = ("namespace", "on_ended", "on_mail", "recipient")

    def __init__(
        self,
        namespace: int,
        recipient: str | None,
        on_mail: Callable[[Committed], None],
        on_ended: Callable[[], None],
    ) -> None:
        """`on_mail` gets each mail in order; `on_ended` is called when the namespace or the inbox ends."""
        self.namespace: Final = namespace
        self.recipient: Final = recipient
        self.on_mail: Final = on_mail
        self.on_ended: Final = on_ended


class _Watched:
    """The watchers of one namespace."""

    __slots__ = ("by_recipient", "count", "every")

    def __init__(self) -> None:
        self.every: dict[Watcher, None] = {}
        self.by_recipient: dict[str, dict[Watcher, None]] = {}
        self.count = 0


class Watchers:
    """All watchers by namespace."""

    def __init__(self) -> None:
        self._watched: dict[int, _Watched] = {}

    def __len__(self) -> int:
        return sum(watched.count for watched in self._watched.values())

    def add(self, watcher: Watcher) -> None:
        """Tell it of every mail from now on. Raises TooManyWatchers."""
        watched = self._watched.setdefault(watcher.namespace, _Watched())
        if watched.count >= MAX_WATCHERS:
            raise TooManyWatchers
        watched.count += 1
        if watcher.recipient is None:
            watched.every[watcher] = None
        else:
            watched.by_recipient.setdefault(watcher.recipient, {})[watcher] = None

    def remove(self, watcher: Watcher) -> None:
        """Tell it nothing any more. May be called twice."""
        watched = self._watched.get(watcher.namespace)
        if watched is None:
            return
        group = watched.every if watcher.recipient is None else watched.by_recipient.get(watcher.recipient, {})
        if watcher not in group:
            return
        del group[watcher]
        watched.count -= 1
        if watcher.recipient is not None and not group:
            del watched.by_recipient[watcher.recipient]
        if not watched.count:
            del self._watched[watcher.namespace]

    def tell(self, namespace: int, committed: Committed, recipients: Iterable[str]) -> None:
        """Tell those who watch; `recipients` are the addresses of the mail in lower case."""
        watched = self._watched.get(namespace)
        if watched is None:
            return
        for watcher in list(watched.every):
            watcher.on_mail(committed)
        if watched.by_recipient:
            for recipient in recipients:
                for watcher in list(watched.by_recipient.get(recipient, ())):
                    watcher.on_mail(committed)

    def watches(self, namespace: int) -> bool:
        """Whether a mail of this namespace would be told to anyone."""
        return namespace in self._watched

    def end(self, namespace: int) -> None:
        """The namespace is no more."""
        watched = self._watched.pop(namespace, None)
        if watched is None:
            return
        groups = [watched.every, *watched.by_recipient.values()]
        for watcher in [watcher for group in groups for watcher in group]:
            watcher.on_ended()

    def end_all(self) -> None:
        """The inbox ends."""
        for namespace in list(self._watched):
            self.end(namespace)
