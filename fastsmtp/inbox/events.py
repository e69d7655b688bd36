"""Streams of what happens in the inbox, for pages and clients that look on.

A stream that is slower than the mails holds no more than the newest of them and their number: it is told what it
missed, never disconnected, and costs the same whatever happens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fastsmtp.inbox.group import Arrival
from fastsmtp.inbox.namespaces import Namespace
from fastsmtp.inbox.rows import Row
from fastsmtp.system.timeslices import TimeSlices

NEWEST: Final = 50  # mails of one frame
_MAX_CHANGES: Final = 1000  # of mails, between two frames; beyond, the client has to read the list again
_MAX_MAILS: Final = 1000  # new ones of all namespaces, likewise
MAX_STREAMS: Final = 100


class EventFrame(NamedTuple):
    """One thing to tell: `seq` is the newest mail of the namespace at that time."""

    event: str
    namespace: Namespace
    seq: int
    content: dict[str, Any]


class Stream:
    """What one client has yet to be told. `namespace` None means all."""

    def __init__(self, namespace: Namespace | None, since: int = 0) -> None:
        """`since` is the number of the last thing that happened before."""
        self.namespace: Final = namespace
        self.since: Final = since
        self.changed: Final = asyncio.Event()
        self.ended = False
        self._mails: dict[int, list[tuple[int, dict[str, Any]]]] = {}  # by namespace, the newest last
        self._counts: dict[int, int] = {}
        self._spaces: dict[int, Namespace] = {}
        self._held = 0  # mails of all namespaces
        self._changes: list[EventFrame] = []
        self._overflow: EventFrame | None = None

    def on_mail(self, namespace: Namespace, seq: int, shown: dict[str, Any]) -> None:
        if self._held >= _MAX_MAILS:
            self._mails, self._counts, self._spaces, self._held = {}, {}, {}, 0
            self._overflow = EventFrame("overflow", namespace, seq, {})
        mails = self._mails.setdefault(namespace.id, [])
        mails.append((seq, shown))
        self._held += 1
        if len(mails) > 2 * NEWEST:
            del mails[:NEWEST]
            self._held -= NEWEST
        self._counts[namespace.id] = self._counts.get(namespace.id, 0) + 1
        self._spaces[namespace.id] = namespace
        self.changed.set()

    def on_change(self, frame: EventFrame) -> None:
        if len(self._changes) < _MAX_CHANGES:
            self._changes.append(frame)
        else:
            self._overflow = EventFrame("overflow", frame.namespace, frame.seq, {})
        self.changed.set()

    def end(self) -> None:
        """Nothing more is told."""
        self.ended = True
        self.changed.set()

    def take(self) -> list[EventFrame]:
        """Return what is to be told, in order, and forget it."""
        self.changed.clear()
        frames = []
        for number, mails in self._mails.items():
            namespace, newest = self._spaces[number], mails[-NEWEST:]
            content = {"count": self._counts[number], "mails": [shown for _seq, shown in newest]}
            frames.append(EventFrame("mail", namespace, newest[-1][0], content))
        frames += self._changes
        if self._overflow is not None:
            frames.append(self._overflow)
        self._mails, self._counts, self._spaces, self._held = {}, {}, {}, 0
        self._changes, self._overflow = [], None
        return frames


class Glance(Stream):
    """For one that looks by itself at what there is: it is told that something has happened, and of one namespace what.

    `moved` says that something has happened since it was set to False.
    """

    def __init__(self, own: Namespace | None, since: int = 0) -> None:
        super().__init__(None, since)
        self.moved = False
        self._own: Final = own

    def on_mail(self, namespace: Namespace, seq: int, shown: dict[str, Any]) -> None:
        self._note()
        if namespace is self._own:
            super().on_mail(namespace, seq, shown)

    def on_change(self, frame: EventFrame) -> None:
        self._note()
        if frame.namespace is self._own:
            super().on_change(frame)

    def _note(self) -> None:
        self.moved = True
        self.changed.set()


class Events:
    """All streams. Each is told of everything in order, one thing in each step: a commit may have 500 mails."""

    def __init__(self, slices: TimeSlices) -> None:
        self._slices = slices
        self._streams: dict[Stream, None] = {}
        self._happened = 0
        self._untold: deque[tuple[int, Namespace, Callable[[Stream], None]]] = deque()

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def untold(self) -> int:
        """How many things have happened that the streams are not told of yet."""
        return len(self._untold)

    def open(self, namespace: Namespace | None = None) -> Stream:
        """Return a stream of what happens from now on; `close` it."""
        stream = Stream(namespace, self._happened)
        self._streams[stream] = None
        return stream

    def glance(self, own: Namespace | None = None) -> Glance:
        """Return a stream that is told of anything that happens from now on, and of `own` what it is; `close` it."""
        glance = Glance(own, self._happened)
        self._streams[glance] = None
        return glance

    def close(self, stream: Stream) -> None:
        """May be called twice."""
        self._streams.pop(stream, None)

    def on_mail(self, namespace: Namespace, seq: int, arrival: Arrival) -> None:
        """A mail has become visible."""
        if self._streams:
            shown = {**arrival.summary, "seq": seq, "namespace": namespace.name, "read": False}
            shown["tags"] = list(arrival.tags)
            self._tell(namespace, lambda stream: stream.on_mail(namespace, seq, shown))

    def on_marked(self, row: Row, namespace: Namespace) -> None:
        """A mail is read or unread now, or has other tags."""
        self._change("update", namespace, {"uuid": row.uuid, "seq": row.seq, "read": row.read, "tags": list(row.tags)})

    def on_deleted(self, row: Row, namespace: Namespace) -> None:
        """A mail is no more."""
        self._change("delete", namespace, {"uuid": row.uuid, "seq": row.seq})

    def on_purged(self, namespace: Namespace) -> None:
        """All mails of the namespace, or many, are no more."""
        self._change("purge", namespace, {"namespace": namespace.name})

    def on_fault(self, namespace: Namespace, content: dict[str, Any]) -> None:
        """A plan acted."""
        self._change("fault", namespace, content)

    def on_ended(self, namespace: Namespace) -> None:
        """The namespace is no more: its streams end."""
        self.on_purged(namespace)
        self._tell(namespace, lambda stream: stream.end() if stream.namespace is namespace else None)

    def end_all(self) -> None:
        """The inbox ends."""
        for stream in list(self._streams):
            stream.end()

    def _change(self, event: str, namespace: Namespace, content: dict[str, Any]) -> None:
        frame = EventFrame(event, namespace, namespace.seq, content)
        self._tell(namespace, lambda stream: stream.on_change(frame))

    def _tell(self, namespace: Namespace, tell: Callable[[Stream], None]) -> None:
        self._happened += 1
        if not self._streams:
            return
        self._untold.append((self._happened, namespace, tell))
        if len(self._untold) == 1:
            self._slices.add(self._tell_next)

    def _tell_next(self) -> bool:
        """Tell the streams what comes next, if they were there when it happened; whether there is more."""
        number, namespace, tell = self._untold.popleft()
        for stream in self._streams:
            if stream.since < number and (stream.namespace is None or stream.namespace is namespace):
                tell(stream)
        return bool(self._untold)
