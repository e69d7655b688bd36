"""The store of the inbox: rows in SQLite, octets in segments, counters in memory that are committed with the rows.

Blocking calls, all from one thread: nothing is read while a group is half committed, and no read transaction is ever
open when the write-ahead log is to be restarted. What can be long - a search, a purge - is cut into slices by whoever
calls, so that commits come in between.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import orjson

from fastsmtp.errors import StoreError
from fastsmtp.inbox.names import new_epoch
from fastsmtp.inbox.namespaces import ACCEPTED, OUTCOMES, Counters, Namespace, NamespaceSettings, now_ms, to_json
from fastsmtp.inbox.schema import connect
from fastsmtp.inbox.segments import SEGMENT_BYTES, Place, Record, Segments
from fastsmtp.inbox.summary import addresses

T = TypeVar("T")

_SLICE: Final = 500  # rows of one call
_NUMBERS: Final = {outcome: number for number, outcome in enumerate(OUTCOMES)}
_COLUMNS: Final = (
    "id, namespace, seq, uuid, received_at, outcome, read, tags, size, segment, start, document_length, raw_length,"
    " spool, summary"
)
_WITHDRAWN: Final = "storage-failed"
_NO_PLACE: Final = Place(0, 0, 0, 0, 0)


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
    """Where a mail has been filed. `seq` is 0 where it was counted only; `known` says that it was there before."""

    namespace: Namespace
    seq: int
    known: bool = False


class Row(NamedTuple):
    """What the store has of one mail in one namespace, but for its octets."""

    id: int
    namespace: int
    seq: int
    uuid: str
    received_at: int
    outcome: str
    read: bool
    tags: tuple[str, ...]
    size: int
    place: Place
    summary: bytes


class Store:
    """Mails by namespace. Every method may raise StoreError; then nothing of what it was asked is done."""

    def __init__(self, directory: str, *, durability: str = "normal", segment_bytes: int = SEGMENT_BYTES) -> None:
        """`directory` exists and is not used by another store; "" keeps everything in memory and anonymous files."""
        sync = durability == "full"
        self._path = os.path.join(directory, "inbox.sqlite") if directory else ""
        self._connection = connect(self._path or ":memory:", sync=sync)
        try:
            self.segments = Segments(directory, sync=sync, limit=segment_bytes)
            self.namespaces: dict[str, Namespace] = {}  # the live ones by name
            self.by_id: dict[int, Namespace] = {}  # the live ones by row
            self.ended = Counters()  # of namespaces that are no more, so that nothing is missing in the sum
            self.recovered = 0  # rows that were dropped because their octets were not there
            self._load()
            self._recover()
        except (OSError, sqlite3.Error) as error:
            self._connection.close()
            raise StoreError(f"the store in {directory} cannot be used: {error}") from None

    def close(self) -> None:
        """Write all there is to the database's own file, and close."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # the log is read at the next start
        self._connection.close()
        self.segments.close()

    # start

    def _load(self) -> None:
        rows = self._connection.execute(
            "SELECT id, name, epoch, seq, emptied, created_at, used_at, settings, counters"
            " FROM namespaces WHERE NOT ended"
        )
        for row_id, name, epoch, seq, emptied, created_at, used_at, settings, counters in rows:
            self._add(
                Namespace(
                    row_id,
                    name,
                    epoch,
                    seq=seq,
                    emptied=emptied,
                    created_at=created_at,
                    used_at=used_at,
                    settings=msgspec.json.decode(settings, type=NamespaceSettings),
                    counters=msgspec.json.decode(counters, type=Counters),
                )
            )
        (counters,) = self._connection.execute("SELECT counters FROM counters").fetchone()
        self.ended = msgspec.json.decode(counters, type=Counters)

    def _add(self, namespace: Namespace) -> None:
        self.namespaces[namespace.name] = self.by_id[namespace.id] = namespace

    def _recover(self) -> None:
        """Cut what was appended and never committed; drop rows whose octets are not there."""
        sizes = self.segments.sizes
        ends = dict(
            self._connection.execute(
                "SELECT segment, max(start + document_length + CASE WHEN spool THEN 0 ELSE raw_length END)"
                " FROM mails WHERE segment GROUP BY segment"
            ).fetchall()
        )
        lost = [number for number, end in ends.items() if sizes.get(number, 0) < end + _HEADER]
        for number in lost:
            self._drop_unreadable(number)
        newest = max(ends, default=0)
        if newest:
            self._check_newest(newest)
            self.segments.cut(newest, self._end_of(newest))
            self.segments.resume(newest)
        spools = {number for (number,) in self._connection.execute("SELECT DISTINCT spool FROM mails WHERE spool")}
        for number in sizes:
            if number not in ends and number not in spools:
                self.segments.drop(number)

    def _end_of(self, segment: int) -> int:
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM mails WHERE segment = ? ORDER BY start DESC LIMIT 1", (segment,)
        ).fetchall()
        return _row(rows[0]).place.end if rows else 0

    def _check_newest(self, segment: int) -> None:
        """Drop the last mails of the newest segment, from its end on, until one is whole."""
        while True:
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM mails WHERE segment = ? ORDER BY start DESC LIMIT 1", (segment,)
            ).fetchall()
            if not rows or self.segments.whole(_row(rows[0]).place):
                return
            self._drop_lost(_row(rows[0]).place.offset, segment)

    def _drop_unreadable(self, segment: int) -> None:
        size = self.segments.sizes.get(segment, 0)
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM mails WHERE segment = ?", (segment,)).fetchall()
        for row in map(_row, rows):
            if row.place.end > size:
                self._drop_lost(row.place.offset, segment)

    def _drop_lost(self, start: int, segment: int) -> None:
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM mails WHERE segment = ? AND start = ?", (segment, start)
        ).fetchall()
        self._transact(lambda: self._delete_rows([_row(row) for row in rows], "evicted"))
        self.recovered += 1

    # commit

    def commit(self, arrivals: Sequence[Arrival]) -> list[list[Filed]]:
        """Make all these mails durable, and return where each is filed.

        A mail whose uuid is there already is not filed twice. Raises StoreError; then none of them is filed.
        """
        group = _Group(self, arrivals)
        try:
            group.append()
            self._transact(group.insert)
        except (OSError, sqlite3.Error, OverflowError) as error:
            group.undo()
            raise StoreError(f"mails cannot be stored: {_reason(error)}") from None
        return group.filed

    def _transact(self, work: Callable[[], None]) -> None:
        """Do the work in one transaction, with the counters that it changes. Raises sqlite3.Error."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            work()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _write_counters(self, namespaces: Iterable[Namespace]) -> None:
        self._connection.executemany(
            "UPDATE namespaces SET seq = ?, emptied = ?, used_at = ?, counters = ? WHERE id = ?",
            [(space.seq, space.emptied, space.used_at, to_json(space.counters), space.id) for space in namespaces],
        )

    # namespaces

    def totals(self) -> Counters:
        """Return the counters of all namespaces together, those that are no more included."""
        totals = msgspec.json.decode(msgspec.json.encode(self.ended), type=Counters)
        for namespace in self.namespaces.values():
            totals.add(namespace.counters)
        return totals

    def put(self, name: str, settings: NamespaceSettings | None = None) -> Namespace:
        """Return the namespace of this name, made where there is none; `settings` replace those it has."""
        return self._guarded(lambda: self._put(name, settings))

    def _put(self, name: str, settings: NamespaceSettings | None) -> Namespace:
        namespace = self.namespaces.get(name)
        if namespace is None:
            return self._make(name, settings or NamespaceSettings())
        if settings is not None:
            self._connection.execute(
                "UPDATE namespaces SET settings = ? WHERE id = ?", (to_json(settings), namespace.id)
            )
            namespace.settings = settings
        return namespace

    def _make(self, name: str, settings: NamespaceSettings) -> Namespace:
        now, epoch = now_ms(), new_epoch()
        cursor = self._connection.execute(
            "INSERT INTO namespaces (name, epoch, seq, emptied, created_at, used_at, settings, counters, ended)"
            " VALUES (?, ?, 0, 0, ?, ?, ?, ?, 0)",
            (name, epoch, now, now, to_json(settings), to_json(Counters())),
        )
        assert cursor.lastrowid is not None
        namespace = Namespace(cursor.lastrowid, name, epoch, created_at=now, used_at=now, settings=settings)
        self._add(namespace)
        return namespace

    def end(self, name: str) -> Namespace | None:
        """Delete a namespace at once, whatever it holds; its rows go later by `purge`. None where there is none."""
        namespace = self.namespaces.get(name)
        if namespace is None:
            return None

        def work() -> None:
            self._count_emptied(namespace)
            self._connection.execute("UPDATE namespaces SET ended = 1 WHERE id = ?", (namespace.id,))
            self._write_counters([namespace])
            self.ended.add(namespace.counters)
            self._connection.execute("UPDATE counters SET counters = ?", (to_json(self.ended),))

        self._counting([namespace], work)
        del self.namespaces[name], self.by_id[namespace.id]
        return namespace

    def empty(self, name: str) -> int:
        """Delete all mails of a namespace at once and return how many; their rows go later by `purge`."""
        namespace = self.namespaces.get(name)
        if namespace is None:
            return 0
        present = namespace.counters.present

        def work() -> None:
            self._count_emptied(namespace)
            self._write_counters([namespace])

        self._counting([namespace], work)
        return present

    def _count_emptied(self, namespace: Namespace) -> None:
        counters = namespace.counters
        namespace.emptied = namespace.seq
        counters.deleted += counters.present
        counters.forgotten += counters.refused_present
        counters.unread = counters.bytes = 0
        counters.tags.clear()
        namespace.used_at = now_ms()

    def _counting(self, namespaces: Sequence[Namespace], work: Callable[[], None]) -> None:
        """Do the work in a transaction; where it fails, the counters are what they were."""
        before = [(space, space.seq, space.emptied, msgspec.json.encode(space.counters)) for space in namespaces]
        ended = msgspec.json.encode(self.ended)
        try:
            self._guarded(lambda: self._transact(work))
        except BaseException:
            for space, seq, emptied, counters in before:
                space.seq, space.emptied = seq, emptied
                space.counters = msgspec.json.decode(counters, type=Counters)
            self.ended = msgspec.json.decode(ended, type=Counters)
            raise

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the store failed: {_reason(error)}") from None

    # reading

    def rows(
        self,
        namespace: Namespace,
        *,
        after: int = 0,
        before: int | None = None,
        newest_first: bool = True,
        limit: int = _SLICE,
        recipient: str | None = None,
    ) -> list[Row]:
        """Return up to `limit` rows with a number above `after` and below `before`, in order.

        With `recipient`, an address in lower case, only those that were sent to it.
        """
        after = max(after, namespace.emptied)
        before = namespace.seq + 1 if before is None else before
        order = "DESC" if newest_first else "ASC"
        if recipient is None:
            sql = (
                f"SELECT {_COLUMNS} FROM mails WHERE namespace = ? AND seq > ? AND seq < ? ORDER BY seq {order} LIMIT ?"
            )
            found = (namespace.id, after, before, limit)
        else:
            columns = _COLUMNS.replace("namespace", "mails.namespace").replace(" seq", " mails.seq")
            sql = (
                f"SELECT {columns} FROM recipients JOIN mails USING (namespace, seq) WHERE recipients.namespace = ?"
                f" AND address = ? AND seq > ? AND seq < ? ORDER BY seq {order} LIMIT ?"
            )
            found = (namespace.id, recipient, after, before, limit)  # type: ignore[assignment]
        return self._guarded(lambda: [_row(row) for row in self._connection.execute(sql, found)])

    def rows_of_all(
        self, *, after: int = 0, before: int | None = None, newest_first: bool = True, limit: int = _SLICE
    ) -> tuple[list[Row], int | None]:
        """Return mails of all namespaces by id, each once, and the id to go on from, None at the end."""
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT {_COLUMNS} FROM mails WHERE id > ? AND id < ? AND copy = 0 ORDER BY id {order} LIMIT ?"
        last = before if before is not None else 1 << 62
        rows = self._guarded(lambda: [_row(row) for row in self._connection.execute(sql, (after, last, limit))])
        following = rows[-1].id if len(rows) == limit else None
        return [row for row in rows if self.is_present(row)], following

    def is_present(self, row: Row) -> bool:
        """Whether the row is of a live namespace, and has not been emptied."""
        namespace = self.by_id.get(row.namespace)
        return namespace is not None and row.seq > namespace.emptied

    def find(self, uuid: str, namespace: Namespace | None = None) -> Row | None:
        """Return the row of a mail, in this namespace or in any."""
        sql = f"SELECT {_COLUMNS} FROM mails WHERE uuid = ? ORDER BY id"
        rows = self._guarded(lambda: [_row(row) for row in self._connection.execute(sql, (uuid,))])
        for row in rows:
            if self.is_present(row) and (namespace is None or row.namespace == namespace.id):
                return row
        return None

    def document(self, row: Row) -> bytes:
        """Return the payload's JSON; "" where only the summary is kept."""
        return self.segments.read_document(row.place) if row.place.segment else b""

    def raw(self, row: Row, start: int = 0, length: int = -1) -> bytes:
        """Return octets of the mail as it came, from `start`, `length` of them or all."""
        return self.segments.read_raw(row.place, start, length) if row.place.segment else b""

    # changes

    def mark(self, rows: Sequence[Row], *, read: bool | None = None, tags: tuple[str, ...] | None = None) -> list[Row]:
        """Mark mails as read or not, give them these tags; return the rows that changed."""
        changed = []
        for row in rows:
            new = row._replace(read=row.read if read is None else read, tags=row.tags if tags is None else tags)
            if new != row:
                changed.append((row, new))
        if changed:
            self._counting(self._spaces(row for row, _new in changed), lambda: self._mark(changed))
        return [new for _row, new in changed]

    def _mark(self, changed: Sequence[tuple[Row, Row]]) -> None:
        for old, new in changed:
            counters = self.by_id[old.namespace].counters
            if old.outcome == ACCEPTED:
                counters.unread += old.read - new.read
                _count_tags(counters, old.tags, -1)
                _count_tags(counters, new.tags, 1)
        self._connection.executemany(
            "UPDATE mails SET read = ?, tags = ? WHERE id = ?",
            [(int(new.read), "\n".join(new.tags), new.id) for _old, new in changed],
        )
        self._write_counters(self._spaces(old for old, _new in changed))

    def delete(self, rows: Sequence[Row], why: str = "deleted") -> None:
        """Delete mails; `why` is the counter that tells: deleted, evicted, expired."""
        if rows:
            self._counting(self._spaces(rows), lambda: self._delete_rows(rows, why))
            self._drop_unused(rows)

    def withdraw(self, uuids: Sequence[str]) -> list[Row]:
        """Count these mails as refused, where they are; return the rows that were accepted before."""
        rows = []
        for uuid in uuids:
            sql = f"SELECT {_COLUMNS} FROM mails WHERE uuid = ?"
            rows += self._guarded(lambda: [_row(row) for row in self._connection.execute(sql, (uuid,))])  # noqa: B023
        rows = [row for row in rows if row.outcome == ACCEPTED and self.is_present(row)]
        if rows:
            self._counting(self._spaces(rows), lambda: self._withdraw(rows))
        return rows

    def _withdraw(self, rows: Sequence[Row]) -> None:
        for row in rows:
            counters = self.by_id[row.namespace].counters
            counters.stored -= 1
            counters.accepted -= 1
            counters.refused += 1
            counters.bytes -= row.size
            counters.unread -= not row.read
            _count_tags(counters, row.tags, -1)
            for outcome, step in ((ACCEPTED, -1), (_WITHDRAWN, 1)):
                counters.by_outcome[outcome] = counters.by_outcome.get(outcome, 0) + step
        self._connection.executemany(
            "UPDATE mails SET outcome = ? WHERE id = ?", [(_NUMBERS[_WITHDRAWN], row.id) for row in rows]
        )
        self._write_counters(self._spaces(rows))

    def _delete_rows(self, rows: Sequence[Row], why: str) -> None:
        for row in rows:
            namespace = self.by_id.get(row.namespace)
            if namespace is not None and row.seq > namespace.emptied:
                _count_gone(namespace.counters, row, why)
        self._connection.executemany("DELETE FROM mails WHERE id = ?", [(row.id,) for row in rows])
        self._connection.executemany(
            "DELETE FROM recipients WHERE namespace = ? AND address = ? AND seq = ?",
            [(row.namespace, address, row.seq) for row in rows for address in addresses(orjson.loads(row.summary))],
        )
        self._write_counters(self._spaces(rows))

    def _spaces(self, rows: Iterable[Row]) -> list[Namespace]:
        ids = dict.fromkeys(row.namespace for row in rows)
        return [self.by_id[number] for number in ids if number in self.by_id]

    def _drop_unused(self, rows: Iterable[Row]) -> None:
        """Delete segments that hold no mail any more; the one that is written to stays."""
        for number in {row.place.segment for row in rows} - {0, self.segments.current}:
            if not self._used("segment", number):
                self.segments.drop(number)
        for number in {row.place.spool for row in rows} - {0}:
            if not self._used("spool", number):
                self.segments.drop(number)

    def _used(self, column: str, number: int) -> bool:
        sql = f"SELECT 1 FROM mails WHERE {column} = ? LIMIT 1"
        return self._connection.execute(sql, (number,)).fetchone() is not None

    # retention

    def purge(self, limit: int = _SLICE) -> bool:
        """Delete some rows of namespaces that were ended or emptied; whether there may be more."""
        return bool(self._guarded(lambda: self._purge(limit)))

    def _purge(self, limit: int) -> bool:
        stale = self._connection.execute(
            "SELECT id, CASE WHEN ended THEN seq ELSE emptied END, ended FROM namespaces WHERE ended OR emptied"
        ).fetchall()
        for number, upto, ended in stale:
            rows = [
                _row(row)
                for row in self._connection.execute(
                    f"SELECT {_COLUMNS} FROM mails WHERE namespace = ? AND seq <= ? LIMIT ?", (number, upto, limit)
                )
            ]
            if rows:
                self._transact(lambda rows=rows: self._delete_rows(rows, "deleted"))  # type: ignore[misc]
                self._drop_unused(rows)
                return True
            if ended:
                self._connection.execute("DELETE FROM namespaces WHERE id = ?", (number,))
        return False

    def evict_segment(self, number: int, limit: int = _SLICE) -> bool:
        """Delete some mails of a segment, and the segment itself after its last; whether there are more."""
        rows = self._guarded(
            lambda: [
                _row(row)
                for row in self._connection.execute(
                    f"SELECT {_COLUMNS} FROM mails WHERE segment = ? OR spool = ? LIMIT ?", (number, number, limit)
                )
            ]
        )
        self.delete(rows, "evicted")
        if len(rows) < limit:
            self.segments.drop(number)
        return len(rows) == limit

    def oldest(self, namespace: Namespace, limit: int = _SLICE) -> list[Row]:
        """Return the oldest mails of a namespace."""
        return self.rows(namespace, newest_first=False, limit=limit)

    def wal_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        try:
            return os.stat(f"{self._path}-wal").st_size if self._path else 0
        except OSError:
            return 0

    def checkpoint(self) -> None:
        """Write the log to the database's own file, and begin it from its start."""
        self._guarded(lambda: self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone())


_HEADER: Final = Place(0, 0, 0, 0, 0).end


class _Group:
    """Mails that are committed together."""

    def __init__(self, store: Store, arrivals: Sequence[Arrival]) -> None:
        self._store = store
        self._arrivals = arrivals
        self._places: list[Place] = []
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
        connection = self._store._connection
        connection.executemany(f"INSERT INTO mails VALUES (NULL{', ?' * 15})", self._rows)
        connection.executemany("INSERT OR IGNORE INTO recipients VALUES (?, ?, ?)", self._recipients)
        self._store._write_counters(space for space, _seq, _counters in self._touched.values())

    def _file(self, mail: Arrival, place: Place) -> list[Filed]:
        known = self._known(mail.uuid)
        if known:
            return known
        filed: list[Filed] = []
        summary = orjson.dumps(mail.summary)
        targets = addresses(mail.summary)
        for copy, name in enumerate(mail.namespaces):
            namespace = self._touch(name)
            namespace.used_at = mail.received_at
            _count_arrival(namespace.counters, mail)
            if namespace.settings.keep == "count" and mail.outcome == ACCEPTED:
                namespace.counters.counted_only += 1
                filed.append(Filed(namespace, 0))
                continue
            namespace.seq += 1
            _count_stored(namespace.counters, mail)
            kept = place if namespace.settings.keep == "full" else _NO_PLACE
            self._rows.append(_values(mail, namespace, copy, kept, summary))
            self._recipients += [(namespace.id, address, namespace.seq) for address in targets]
            filed.append(Filed(namespace, namespace.seq))
        return filed

    def _known(self, uuid: str) -> list[Filed]:
        """Where the mail is already: it comes again where its first acknowledgement was lost."""
        sql = "SELECT namespace, seq FROM mails WHERE uuid = ?"
        by_id = self._store.by_id
        rows = self._store._connection.execute(sql, (uuid,)).fetchall()
        return [Filed(by_id[number], seq, known=True) for number, seq in rows if number in by_id]

    def _touch(self, name: str) -> Namespace:
        namespace = self._store.namespaces.get(name)
        if namespace is None:
            namespace = self._store._make(name, NamespaceSettings())
            self._made.append(name)
        if namespace.id not in self._touched:
            self._touched[namespace.id] = (namespace, namespace.seq, msgspec.json.encode(namespace.counters))
        return namespace

    def undo(self) -> None:
        """Nothing of the group was committed: neither counters nor namespaces are changed by it."""
        store = self._store
        for namespace, seq, counters in self._touched.values():
            namespace.seq = seq
            namespace.counters = msgspec.json.decode(counters, type=Counters)
        for name in self._made:
            namespace = store.namespaces.pop(name)
            del store.by_id[namespace.id]
        self.filed = []


def _values(mail: Arrival, namespace: Namespace, copy: int, place: Place, summary: bytes) -> tuple[Any, ...]:
    return (
        namespace.id,
        namespace.seq,
        mail.uuid,
        copy,
        mail.received_at,
        _NUMBERS[mail.outcome],
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


def _row(values: Sequence[Any]) -> Row:
    number, namespace, seq, uuid, received_at, outcome, read, tags, size, *place, summary = values
    split = tuple(tags.split("\n")) if tags else ()
    return Row(
        number, namespace, seq, uuid, received_at, OUTCOMES[outcome], bool(read), split, size, Place(*place), summary
    )


def _count_arrival(counters: Counters, mail: Arrival) -> None:
    if mail.outcome == ACCEPTED:
        counters.accepted += 1
    counters.by_outcome[mail.outcome] = counters.by_outcome.get(mail.outcome, 0) + 1


def _count_stored(counters: Counters, mail: Arrival) -> None:
    if mail.outcome == ACCEPTED:
        counters.stored += 1
        counters.unread += 1
        counters.bytes += mail.size
    else:
        counters.refused += 1


def _count_gone(counters: Counters, row: Row, why: str) -> None:
    if row.outcome != ACCEPTED:
        counters.forgotten += 1
        return
    setattr(counters, why, getattr(counters, why) + 1)
    counters.bytes -= row.size
    counters.unread -= not row.read
    _count_tags(counters, row.tags, -1)


def _count_tags(counters: Counters, tags: Iterable[str], step: int) -> None:
    for tag in tags:
        left = counters.tags.get(tag, 0) + step
        if left > 0:
            counters.tags[tag] = left
        else:
            counters.tags.pop(tag, None)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
