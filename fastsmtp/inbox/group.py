"""Mails that arrive, and the groups in which they are committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import orjson

from fastsmtp.errors import StoreError
from fastsmtp.inbox.namespaces import ACCEPTED, Namespace, NamespaceCounters, NamespaceSettings
from fastsmtp.inbox.rows import NUMBERS
from fastsmtp.inbox.segments import Record, RecordPlace
from fastsmtp.inbox.summary import addresses

if TYPE_CHECKING:
    from fastsmtp.inbox.store import Store

_NO_PLACE: Final = RecordPlace(0, 0, 0, 0, 0)


class Arrival(NamedTuple):
    """A mail to be committed. `raw` is the mail, or the path of a file in the store's directory that has it."""

    uuid: str
    namespaces: tuple[str, ...]
    received_at: int  # Unix time in milliseconds
    outcome: str
    payload: bytes  # the JSON a worker gets, without contents of attachments
    raw: bytes | str
    size: int
    summary: dict[str, Any]


class Filed(NamedTuple):
    """Where a mail has been filed.

    `seq` is 0 where it was counted only; `known` says that it was there before. `refusal` is why the namespace does not
    take it, and `namespace` None where there is none, and can be none.
    """

    namespace: Namespace | None
    seq: int
    known: bool = False
    refusal: str = ""


def reason_of(filed: list[Filed] | StoreError) -> str:
    """Return why a mail is refused, "" where it is not. In several namespaces, one that takes it is enough."""
    if isinstance(filed, StoreError):
        return str(filed)
    if filed and all(place.refusal for place in filed):
        return filed[0].refusal
    return ""


class Group:
    """Mails that are committed together: appended to the segments, then inserted in one transaction."""

    def __init__(self, store: Store, arrivals: Sequence[Arrival]) -> None:
        self._store = store
        self._arrivals = arrivals
        self._places: list[RecordPlace] = []
        self.filed: list[list[Filed]] = []
        self._rows: list[tuple[Any, ...]] = []
        self._recipients: list[tuple[int, str, int]] = []
        self._touched: dict[int, tuple[Namespace, int, bytes]] = {}
        self._made: list[str] = []

    def append(self) -> None:
        """Raises OSError."""
        self._places = self._store.segments.append([Record(mail.payload, mail.raw) for mail in self._arrivals])

    def insert(self) -> None:
        """Raises sqlite3.Error."""
        for mail, place in zip(self._arrivals, self._places, strict=True):
            self.filed.append(self._file(mail, place))
        connection = self._store.connection
        connection.executemany(f"INSERT INTO mails VALUES (NULL{', ?' * 15})", self._rows)
        connection.executemany("INSERT OR IGNORE INTO recipients VALUES (?, ?, ?)", self._recipients)
        self._store.write_counters(space for space, _seq, _counters in self._touched.values())

    def _file(self, mail: Arrival, place: RecordPlace) -> list[Filed]:
        known = self._known(mail.uuid)
        if known:
            return known
        filed: list[Filed] = []
        summary = orjson.dumps(mail.summary)
        targets = addresses(mail.summary)
        for copy, name in enumerate(mail.namespaces):
            namespace = self._touch(name)
            if namespace is None:
                filed.append(Filed(None, 0, refusal=self._store.limit.reason))
                continue
            namespace.used_at = max(namespace.used_at, mail.received_at)  # of an import, it may be years ago
            full = mail.outcome == ACCEPTED and not namespace.room_for(mail.size)
            if full and namespace.settings.on_quota == "refuse":
                namespace.counters.count_arrival("refused")
                filed.append(Filed(namespace, 0, refusal=f"namespace {name} is full"))
                continue
            namespace.counters.count_arrival(mail.outcome)
            if mail.outcome == ACCEPTED and (namespace.settings.keep == "count" or (full and not _evicts(namespace))):
                namespace.counters.counted_only += 1
                filed.append(Filed(namespace, 0))
                continue
            namespace.seq += 1
            namespace.counters.count_stored(mail.outcome, mail.size)
            kept = place if namespace.settings.keep == "full" else _NO_PLACE
            self._rows.append(_values(mail, namespace, copy, kept, summary))
            self._recipients += [(namespace.id, address, namespace.seq) for address in targets]
            filed.append(Filed(namespace, namespace.seq))
        return filed

    def _known(self, uuid: str) -> list[Filed]:
        """Where the mail is already: it comes again where its first acknowledgement was lost."""
        sql = "SELECT namespace, seq FROM mails WHERE uuid = ?"
        by_id = self._store.by_id
        rows = self._store.connection.execute(sql, (uuid,)).fetchall()
        return [Filed(by_id[number], seq, known=True) for number, seq in rows if number in by_id]

    def _touch(self, name: str) -> Namespace | None:
        """The namespace of this name, made where there is none; None where there can be no more of them."""
        namespace = self._store.namespaces.get(name)
        if namespace is None:
            if not self._store.limit.has_place(len(self._store.namespaces)):
                return None
            namespace = self._store.make(name, NamespaceSettings())
            self._made.append(name)
        if namespace.id not in self._touched:
            self._touched[namespace.id] = (namespace, namespace.seq, msgspec.json.encode(namespace.counters))
        return namespace

    def undo(self) -> None:
        """Nothing of the group was committed: neither counters nor namespaces are changed by it."""
        store = self._store
        for namespace, seq, counters in self._touched.values():
            namespace.seq = seq
            namespace.counters = msgspec.json.decode(counters, type=NamespaceCounters)
        for name in self._made:
            namespace = store.namespaces.pop(name)
            del store.by_id[namespace.id]
        self.filed = []


def _evicts(namespace: Namespace) -> bool:
    """Whether older mails make room for new ones."""
    return namespace.settings.on_quota == "evict"


def _values(mail: Arrival, namespace: Namespace, copy: int, place: RecordPlace, summary: bytes) -> tuple[Any, ...]:
    return (
        namespace.id,
        namespace.seq,
        mail.uuid,
        copy,
        mail.received_at,
        NUMBERS[mail.outcome],
        0,
        "",
        mail.size,
        place.segment,
        place.offset,
        place.document_length,
        place.raw_length,
        place.spool,
        summary,
    )
