"""Mails that arrive, and the groups in which they are committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgspec
import orjson

from fastsmtp.errors import StoreError
from fastsmtp.inbox.documents import Octets
from fastsmtp.inbox.ledger import Entries, Report, Sender
from fastsmtp.inbox.namespaces import ACCEPTED, DROPPED, Namespace, NamespaceCounters, NamespaceSettings
from fastsmtp.inbox.rows import NUMBERS
from fastsmtp.inbox.segments import Record, RecordPlace
from fastsmtp.inbox.summary import addresses

if TYPE_CHECKING:
    from fastsmtp.inbox.store import Store

_NO_PLACE: Final = RecordPlace(0, 0, 0, 0, 0)
FILE_GONE: Final = "the file with its octets is gone"
OUT_OF_ORDER: Final = "an earlier mail of its stream is not here"


class StreamPosition(NamedTuple):
    """Where a mail stands in a stream of a cluster, and the one before it that is for this store, too."""

    stream: str
    previous: int
    seq: int


class Arrival(NamedTuple):
    """A mail to be committed. `raw` is the mail, or the path of a file that has it."""

    uuid: str
    namespaces: tuple[str, ...]
    received_at: int  # Unix time in milliseconds
    outcome: str
    payload: Octets  # the JSON a worker gets, without contents of attachments
    raw: Octets | str
    size: int
    summary: dict[str, Any]
    counted: bool = False  # it is counted only, whatever its namespaces keep
    loaded: dict[str, Any] | None = None  # the payload read, where that takes long
    sender: Sender | None = None  # where it came by SMTP
    tags: tuple[str, ...] = ()
    position: StreamPosition | None = None  # where it came from a stream

    @classmethod
    def to_be_counted(
        cls,
        uuid: str,
        namespaces: tuple[str, ...],
        received_at: int,
        outcome: str,
        octets: int,
        sender: Sender | None = None,
    ) -> Arrival:
        """Return a mail of which nothing but its size is known."""
        return cls(uuid, namespaces, received_at, outcome, b"", b"", octets, {}, counted=True, sender=sender)

    @property
    def octets(self) -> int:
        """How many are to be written."""
        return len(self.payload) + (0 if isinstance(self.raw, str) else len(self.raw))


Coming: TypeAlias = "Arrival | Report"


class Filed(NamedTuple):
    """Where a mail has been filed.

    `seq` is 0 where it was counted only; `known` says that it was there before. `refusal` is why the namespace does not
    take it, and `namespace` None where there is none, and can be none. `place` is where its octets are, if they are
    kept.
    """

    namespace: Namespace | None
    seq: int
    known: bool = False
    refusal: str = ""
    place: RecordPlace = _NO_PLACE


def reason_of(filed: list[Filed] | StoreError) -> str:
    """Return why a mail is refused, "" where it is not. In several namespaces, one that takes it is enough."""
    if isinstance(filed, StoreError):
        return str(filed)
    if filed and all(place.refusal for place in filed):
        return filed[0].refusal
    return ""


class Group:
    """Mails that are committed together: appended to the segments, then inserted in one transaction."""

    def __init__(self, store: Store, coming: Sequence[Coming]) -> None:
        self._store = store
        self._coming = coming
        self._arrivals = [mail for mail in coming if isinstance(mail, Arrival)]
        self.entries = Entries(store.ledger)  # of the ledger
        self._places: list[RecordPlace | None] = []
        self.filed: list[list[Filed]] = []
        self._rows: list[tuple[Any, ...]] = []
        self._recipients: list[tuple[int, str, int]] = []
        self._touched: dict[int, tuple[Namespace, int, bytes]] = {}
        self._made: list[str] = []
        self.positions: dict[str, int] = {}  # of streams, behind the mails of this group

    @property
    def names(self) -> set[str]:
        """The namespaces of the mails."""
        return {name for mail in self._arrivals for name in mail.namespaces}

    def append(self) -> None:
        """Raises OSError."""
        records = [Record(mail.payload, mail.raw) for mail in self._arrivals if not mail.counted]
        self._places = self._store.segments.append(records) if records else []

    def insert(self) -> None:
        """Raises sqlite3.Error."""
        known, places = self._find_known(), iter(self._places)
        for mail in self._coming:
            if isinstance(mail, Report):
                self.entries.enter(mail)
                for number, outcome, names in mail.uncounted:
                    self._uncount(mail.process, number, outcome, names)
                self.filed.append([])
                continue
            place = _NO_PLACE if mail.counted else next(places)
            if place is not None and place.spool and place.raw_length != mail.size:
                place = None
            if mail.position is not None and not self._go_to(mail.position):
                self.filed.append([Filed(None, 0, refusal=OUT_OF_ORDER)])
            elif mail.counted:
                self.filed.append(self._count_once(mail))
            else:
                self.filed.append(self._file_once(mail, place, known))
        if self._rows:
            connection = self._store.connection
            connection.executemany(f"INSERT INTO mails VALUES (NULL{', ?' * 15})", self._rows)
            connection.executemany("INSERT OR IGNORE INTO recipients VALUES (?, ?, ?)", self._recipients)
        self._store.write_counters(space for space, _seq, _counters in self._touched.values())
        self._store.connection.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", self.positions.items())
        self.entries.write(self._store.connection)

    def _go_to(self, position: StreamPosition) -> bool:
        """Whether a mail is the next one of its stream: where one could not be committed, no later one is."""
        stream = position.stream
        if self.positions.get(stream, self._store.positions.get(stream, 0)) != position.previous:
            return False
        self.positions[stream] = position.seq
        return True

    def _find_known(self) -> dict[str, list[Filed]]:
        """Where mails are already, by uuid: one comes again where its first acknowledgement was lost."""
        uuids = [mail.uuid for mail in self._arrivals if not mail.counted]
        sql = "SELECT uuid, namespace, seq FROM mails WHERE uuid IN (SELECT value FROM json_each(?))"
        by_id, known = self._store.by_id, dict[str, list[Filed]]()
        if uuids:
            for uuid, number, seq in self._store.connection.execute(sql, (orjson.dumps(uuids).decode(),)):
                if number in by_id:
                    known.setdefault(uuid, []).append(Filed(by_id[number], seq, known=True))
        return known

    def _file_once(self, mail: Arrival, place: RecordPlace | None, known: dict[str, list[Filed]]) -> list[Filed]:
        """File a mail, unless it is there; from another stream it may have come for other namespaces."""
        there = known.get(mail.uuid, [])
        if there and mail.position is not None:
            names = {filed.namespace.name for filed in there if filed.namespace is not None}
            mail = mail._replace(namespaces=tuple(name for name in mail.namespaces if name not in names))
        elif there:
            return there
        if place is None:
            for name in mail.namespaces:
                self.entries.turn_away(mail.sender, name)
            return [Filed(None, 0, refusal=FILE_GONE)]
        filed = self._file(mail, place, len(there))
        known[mail.uuid] = there + [one._replace(known=True) for one in filed]  # it may come again in this group
        return filed

    def _count_once(self, mail: Arrival) -> list[Filed]:
        """Count a mail in its namespaces; one that comes again is counted there already."""
        if self.entries.is_counted(mail.sender):
            return [Filed(self._store.namespaces.get(name), 0, known=True) for name in mail.namespaces]
        return [self._count(mail, name) for name in mail.namespaces]

    def _count(self, mail: Arrival, name: str) -> Filed:
        """Count a mail in a namespace, unless that refuses it."""
        namespace, refusal = self._enter(mail, name)
        if namespace is None or refusal:
            return Filed(namespace, 0, refusal=refusal)
        if mail.outcome != DROPPED:
            namespace.counters.counted_only += 1
        return Filed(namespace, 0)

    def _uncount(self, process: str, number: int, outcome: str, names: Sequence[str]) -> None:
        """A mail was refused after all: count it so, where it is counted."""
        if not self.entries.uncount(process, number):
            return
        for name in names:
            namespace = self._touch(name) if name in self._store.namespaces else None
            if namespace is not None:
                namespace.counters.uncount(outcome)
                self.entries.withdraw(process, name)

    def _file(self, mail: Arrival, place: RecordPlace, copies: int) -> list[Filed]:
        """File a mail of which there are so many copies in other namespaces."""
        filed: list[Filed] = []
        summary = orjson.dumps(mail.summary)
        targets = addresses(mail.summary)
        for copy, name in enumerate(mail.namespaces, copies):
            namespace, refusal = self._enter(mail, name)
            if namespace is None or refusal:
                filed.append(Filed(namespace, 0, refusal=refusal))
                continue
            if mail.outcome == ACCEPTED and _counts_only(namespace, mail.size):
                namespace.counters.counted_only += 1
                filed.append(Filed(namespace, 0))
                continue
            namespace.seq = namespace.seq + 1 if mail.position is None else mail.position.seq
            namespace.counters.count_stored(mail.outcome, mail.size, mail.tags)
            kept = place if namespace.settings.keep == "full" else _NO_PLACE
            self._rows.append(_values(mail, namespace, copy, kept, summary))
            self._recipients += [(namespace.id, address, namespace.seq) for address in targets]
            filed.append(Filed(namespace, namespace.seq, place=kept))
        return filed

    def _enter(self, mail: Arrival, name: str) -> tuple[Namespace | None, str]:
        """Count the arrival of a mail in a namespace; return that, and why the mail is refused, "" where it is not."""
        namespace = self._touch(name)
        if namespace is None:
            self.entries.turn_away(mail.sender, name)
            return None, self._store.limit.reason
        namespace.used_at = max(namespace.used_at, mail.received_at)  # of an import, it may be years ago
        if mail.outcome == ACCEPTED and namespace.settings.on_quota == "refuse" and not namespace.room_for(mail.size):
            namespace.counters.count_arrival("refused")
            self.entries.turn_away(mail.sender, name)
            return namespace, f"namespace {name} is full"
        namespace.counters.count_arrival(mail.outcome)
        if mail.outcome in (ACCEPTED, DROPPED):
            self.entries.accept(mail.sender, name)
        elif mail.sender is None:
            self.entries.turn_away(None, name)
        return namespace, ""

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

    def drop_unused(self) -> None:
        """After the commit: delete the files of large mails that were not filed, or only counted."""
        used = {row[-2] for row in self._rows}
        for place in self._places:
            if place is not None and place.spool and place.spool not in used:
                self._store.segments.drop(place.spool)

    def undo(self) -> None:
        """Nothing of the group was committed: neither counters nor namespaces are changed by it."""
        store = self._store
        self._rows = []
        self.drop_unused()
        for namespace, seq, counters in self._touched.values():
            namespace.seq = seq
            namespace.counters = msgspec.json.decode(counters, type=NamespaceCounters)
        for name in self._made:
            namespace = store.namespaces.pop(name)
            del store.by_id[namespace.id]
        self.filed = []


def _counts_only(namespace: Namespace, octets: int) -> bool:
    """Whether a mail of this size is counted and dropped."""
    settings = namespace.settings
    return settings.keep == "count" or (settings.on_quota == "count-only" and not namespace.room_for(octets))


def _values(mail: Arrival, namespace: Namespace, copy: int, place: RecordPlace, summary: bytes) -> tuple[Any, ...]:
    return (
        namespace.id,
        namespace.seq,
        mail.uuid,
        copy,
        mail.received_at,
        NUMBERS[mail.outcome],
        0,
        "\n".join(mail.tags),
        mail.size,
        place.segment,
        place.offset,
        place.document_length,
        place.raw_length,
        place.spool,
        summary,
    )
