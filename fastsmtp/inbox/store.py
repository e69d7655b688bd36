"""The store of the inbox: rows in SQLite, octets in segments, counters in memory that are committed with the rows.

Blocking calls, all from one thread: nothing is read while a group is half committed, and no read transaction is ever
open when the write-ahead log is to be restarted. What can be long - a search, a purge - is cut into slices by the
caller, so that commits come in between.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec
import orjson

from fastsmtp.errors import CrowdedError, StoreError
from fastsmtp.inbox.group import Coming, Filed, Group
from fastsmtp.inbox.ledger import ACCEPTED as SESSION_ACCEPTED
from fastsmtp.inbox.ledger import BEGUN, OTHERS, Entries, Ledger
from fastsmtp.inbox.names import new_epoch
from fastsmtp.inbox.namespacelimit import NamespaceLimit
from fastsmtp.inbox.namespaces import ACCEPTED, Namespace, NamespaceCounters, NamespaceSettings, now_ms, to_json
from fastsmtp.inbox.recovery import recover
from fastsmtp.inbox.rows import COLUMNS, NUMBERS, Row, read_row
from fastsmtp.inbox.schema import connect, unusable
from fastsmtp.inbox.segments import SEGMENT_BYTES, Segments
from fastsmtp.inbox.summary import addresses

T = TypeVar("T")

_SLICE: Final = 500  # rows of one call
_WITHDRAWN: Final = "storage-failed"


class Store:
    """Mails by namespace. Every method may raise StoreError; then nothing of what it was asked is done."""

    def __init__(
        self,
        directory: str,
        *,
        durability: str = "normal",
        segment_bytes: int = SEGMENT_BYTES,
        max_namespaces: int = 0,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`directory` exists and is not used by another store; "" keeps everything in memory and anonymous files.

        `max_namespaces` 0 = unlimited; `clock_ms` returns the Unix time in milliseconds.
        """
        sync = durability == "full"
        self.limit = NamespaceLimit(max_namespaces)
        self._clock_ms = clock_ms
        self._evicted: deque[Namespace] = deque()  # not told yet
        self._path = os.path.join(directory, "inbox.sqlite") if directory else ""
        self.connection = connect(self._path or ":memory:", sync=sync)
        try:
            self.segments = Segments(directory, sync=sync, limit=segment_bytes)
            self.namespaces: dict[str, Namespace] = {}  # the live ones by name
            self.by_id: dict[int, Namespace] = {}  # the live ones by row
            self.ended = NamespaceCounters()  # of namespaces that are no more, so that nothing is missing in the sum
            self._load()
            self.ledger = self._load_ledger()
            # The last mail of each stream of a cluster that is here, committed with it.
            self.positions: dict[str, int] = dict(self.connection.execute("SELECT stream, seq FROM positions"))
            self.recovered = recover(self)  # mails that were dropped because their octets were not there
        except (OSError, sqlite3.Error) as error:
            self.connection.close()
            if isinstance(error, sqlite3.Error):
                raise unusable(self._path, error) from None
            raise StoreError(f"the store in {directory} cannot be used: {error}") from None

    def close(self) -> None:
        """Write all there is to the database's own file, and close."""
        try:
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # the log is read at the next start
        self.connection.close()
        self.segments.close()

    def try_room(self) -> None:
        """Raises StoreError where a mail of 1 MiB could not be written."""
        self._guarded(self.segments.try_room)

    def try_commit(self) -> None:
        """Commit what is there already. Raises StoreError where a mail could not be stored either."""
        self.try_room()
        ended = to_json(self.ended)
        self._guarded(
            lambda: self.transact(lambda: self.connection.execute("UPDATE counters SET counters = ?", (ended,)))
        )

    # start

    def _load(self) -> None:
        rows = self.connection.execute(
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
                    counters=msgspec.json.decode(counters, type=NamespaceCounters),
                )
            )
        newest = self.connection.execute(
            "SELECT id, (SELECT received_at FROM mails WHERE namespace = namespaces.id ORDER BY seq DESC LIMIT 1)"
            " FROM namespaces WHERE NOT ended"
        )
        for row_id, received_at in newest:
            self.by_id[row_id].last_mail_at = received_at or 0
        (counters,) = self.connection.execute("SELECT counters FROM counters").fetchone()
        self.ended = msgspec.json.decode(counters, type=NamespaceCounters)

    def _load_ledger(self) -> Ledger:
        """What has no ledger yet was written by an earlier version: all of it came once."""
        ledger = Ledger(self.namespaces.__contains__)
        ledger.load(self.connection)
        if not ledger.events:
            entries = Entries(ledger)
            for name, counters in [(OTHERS, self.ended), *((one.name, one.counters) for one in self.by_id.values())]:
                for event in (BEGUN, SESSION_ACCEPTED) if counters.accepted else ():
                    entries.add(name, event, counters.accepted)
            self.transact(lambda: entries.write(self.connection))
            entries.install()
        return ledger

    def _add(self, namespace: Namespace) -> None:
        self.namespaces[namespace.name] = self.by_id[namespace.id] = namespace

    # commit

    def commit(self, arrivals: Sequence[Coming]) -> list[list[Filed]]:
        """Make all these mails durable, and what SMTP processes have told; return where each is filed.

        A mail whose uuid is there already is not filed twice. Raises StoreError; then none of them is filed.
        """
        group = Group(self, arrivals)
        try:
            self._make_room({name for name in group.names if name not in self.namespaces})
            group.append()
            self.transact(group.insert)
            group.entries.install()
            self.positions |= group.positions
        except (OSError, sqlite3.Error, OverflowError) as error:
            group.undo()
            raise StoreError(f"mails cannot be stored: {_reason(error)}") from None
        return group.filed

    def transact(self, work: Callable[[], object]) -> None:
        """Do the work in one transaction, with the counters that it changes. Raises sqlite3.Error."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            work()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def write_counters(self, namespaces: Iterable[Namespace]) -> None:
        self.connection.executemany(
            "UPDATE namespaces SET seq = ?, emptied = ?, used_at = ?, counters = ? WHERE id = ?",
            [(space.seq, space.emptied, space.used_at, to_json(space.counters), space.id) for space in namespaces],
        )

    # namespaces

    def totals(self) -> NamespaceCounters:
        """Return the counters of all namespaces together, those that are no more included."""
        totals = msgspec.json.decode(msgspec.json.encode(self.ended), type=NamespaceCounters)
        for namespace in self.namespaces.values():
            totals.add(namespace.counters)
        return totals

    def put(self, name: str, settings: NamespaceSettings | None = None) -> Namespace:
        """Return the namespace of this name, made where there is none; `settings` replace those it has.

        Raises CrowdedError, a StoreError, where there can be no more of them.
        """
        return self._guarded(lambda: self._put(name, settings))

    def _put(self, name: str, settings: NamespaceSettings | None) -> Namespace:
        namespace = self.namespaces.get(name)
        if namespace is None:
            self._make_room({name})
            if not self.limit.has_place(len(self.namespaces)):
                raise CrowdedError(self.limit.reason)
            return self.make(name, settings or NamespaceSettings())
        if settings is not None:
            self.connection.execute(
                "UPDATE namespaces SET settings = ? WHERE id = ?", (to_json(settings), namespace.id)
            )
            namespace.settings = settings
        return namespace

    def make(self, name: str, settings: NamespaceSettings) -> Namespace:
        now, epoch = self._clock_ms(), new_epoch()
        cursor = self.connection.execute(
            "INSERT INTO namespaces (name, epoch, seq, emptied, created_at, used_at, settings, counters, ended)"
            " VALUES (?, ?, 0, 0, ?, ?, ?, ?, 0)",
            (name, epoch, now, now, to_json(settings), to_json(NamespaceCounters())),
        )
        assert cursor.lastrowid is not None
        namespace = Namespace(cursor.lastrowid, name, epoch, created_at=now, used_at=now, settings=settings)
        self._add(namespace)
        return namespace

    def end(self, name: str) -> Namespace | None:
        """Delete a namespace at once, whatever it holds; its rows go later by `purge`. None where there is none."""
        namespace = self.namespaces.get(name)
        if namespace is not None:
            self._end([namespace])
        return namespace

    def _end(self, namespaces: Sequence[Namespace]) -> None:
        def work() -> None:
            for namespace in namespaces:
                self._count_emptied(namespace)
                self.connection.execute("UPDATE namespaces SET ended = 1 WHERE id = ?", (namespace.id,))
                self.ended.add(namespace.counters)
            self.write_counters(namespaces)
            self.connection.execute("UPDATE counters SET counters = ?", (to_json(self.ended),))
            entries.write(self.connection)

        entries = Entries(self.ledger)
        for namespace in namespaces:
            entries.forget(namespace.name)
        self._counting(namespaces, work)
        entries.install()
        for namespace in namespaces:
            del self.namespaces[namespace.name], self.by_id[namespace.id]

    def _make_room(self, new: Collection[str]) -> None:
        """Delete idle namespaces, so that there can be new ones of these names."""
        idle = self.limit.idle(self.namespaces.values(), len(new), self._clock_ms()) if new else []
        if idle:
            self._end(idle)
            self._evicted += idle

    def take_evicted(self) -> Iterator[Namespace]:
        """Yield the namespaces that have made room for others, each once. Of this class the one call for any thread."""
        while self._evicted:
            yield self._evicted.popleft()

    def empty(self, name: str) -> int:
        """Delete all mails of a namespace at once and return how many; their rows go later by `purge`."""
        namespace = self.namespaces.get(name)
        if namespace is None:
            return 0
        present = namespace.counters.present

        def work() -> None:
            self._count_emptied(namespace)
            self.write_counters([namespace])

        self._counting([namespace], work)
        return present

    def _count_emptied(self, namespace: Namespace) -> None:
        counters = namespace.counters
        namespace.emptied = namespace.seq
        counters.deleted += counters.present
        counters.forgotten += counters.refused_present
        counters.unread = counters.bytes = 0
        counters.tags.clear()
        namespace.used_at = self._clock_ms()

    def _counting(self, namespaces: Sequence[Namespace], work: Callable[[], None]) -> None:
        """Do the work in a transaction; where it fails, the counters are what they were."""
        before = [(space, space.seq, space.emptied, msgspec.json.encode(space.counters)) for space in namespaces]
        ended = msgspec.json.encode(self.ended)
        try:
            self._guarded(lambda: self.transact(work))
        except BaseException:
            for space, seq, emptied, counters in before:
                space.seq, space.emptied = seq, emptied
                space.counters = msgspec.json.decode(counters, type=NamespaceCounters)
            self.ended = msgspec.json.decode(ended, type=NamespaceCounters)
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
                f"SELECT {COLUMNS} FROM mails WHERE namespace = ? AND seq > ? AND seq < ? ORDER BY seq {order} LIMIT ?"
            )
            found = (namespace.id, after, before, limit)
        else:
            columns = COLUMNS.replace("namespace", "mails.namespace").replace(" seq", " mails.seq")
            sql = (
                f"SELECT {columns} FROM recipients JOIN mails USING (namespace, seq) WHERE recipients.namespace = ?"
                f" AND address = ? AND seq > ? AND seq < ? ORDER BY seq {order} LIMIT ?"
            )
            found = (namespace.id, recipient, after, before, limit)  # type: ignore[assignment]
        return self._guarded(lambda: [read_row(row) for row in self.connection.execute(sql, found)])

    def rows_of_all(
        self, *, after: int = 0, before: int | None = None, newest_first: bool = True, limit: int = _SLICE
    ) -> tuple[list[Row], int | None]:
        """Return mails of all namespaces by id, each once, and the id to go on from, None at the end."""
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT {COLUMNS} FROM mails WHERE id > ? AND id < ? AND copy = 0 ORDER BY id {order} LIMIT ?"
        last = before if before is not None else 1 << 62
        rows = self._guarded(lambda: [read_row(row) for row in self.connection.execute(sql, (after, last, limit))])
        following = rows[-1].id if len(rows) == limit else None
        return [row for row in rows if self.is_present(row)], following

    def is_present(self, row: Row) -> bool:
        """Whether the row is of a live namespace, and has not been emptied."""
        namespace = self.by_id.get(row.namespace)
        return namespace is not None and row.seq > namespace.emptied

    def find(self, uuid: str, namespace: Namespace | None = None) -> Row | None:
        """Return the row of a mail, in this namespace or in any."""
        for row in self.find_all(uuid):
            if namespace is None or row.namespace == namespace.id:
                return row
        return None

    def find_all(self, uuid: str) -> list[Row]:
        """Return the rows of a mail: one in each namespace that has it."""
        sql = f"SELECT {COLUMNS} FROM mails WHERE uuid = ? ORDER BY id"
        rows = self._guarded(lambda: [read_row(row) for row in self.connection.execute(sql, (uuid,))])
        return [row for row in rows if self.is_present(row)]

    def document(self, row: Row, start: int = 0, length: int = -1) -> bytes:
        """Return the payload's JSON, from `start`, `length` octets or all; "" where only the summary is kept."""
        return self.segments.read_document(row.place, start, length) if row.place.segment else b""

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
                counters.count_tags(old.tags, -1)
                counters.count_tags(new.tags, 1)
        self.connection.executemany(
            "UPDATE mails SET read = ?, tags = ? WHERE id = ?",
            [(int(new.read), "\n".join(new.tags), new.id) for _old, new in changed],
        )
        self.write_counters(self._spaces(old for old, _new in changed))

    def delete(self, rows: Sequence[Row], why: str = "deleted") -> None:
        """Delete mails; `why` is the counter that tells: deleted, evicted, expired."""
        if rows:
            self._counting(self._spaces(rows), lambda: self.delete_rows(rows, why))
            self._drop_unused(rows)

    def withdraw(self, uuids: Sequence[str], process: str = "") -> list[Row]:
        """Count mails of an SMTP process as refused, where they are; return the rows that were accepted before."""
        rows = []
        for uuid in uuids:
            sql = f"SELECT {COLUMNS} FROM mails WHERE uuid = ?"
            rows += self._guarded(lambda: [read_row(row) for row in self.connection.execute(sql, (uuid,))])  # noqa: B023
        rows = [row for row in rows if row.outcome == ACCEPTED and self.is_present(row)]
        if rows:
            entries = Entries(self.ledger)
            self._counting(self._spaces(rows), lambda: self._withdraw(rows, process, entries))
            entries.install()
        return rows

    def _withdraw(self, rows: Sequence[Row], process: str, entries: Entries) -> None:
        for row in rows:
            counters = self.by_id[row.namespace].counters
            entries.withdraw(process, self.by_id[row.namespace].name)
            counters.stored -= 1
            counters.accepted -= 1
            counters.refused += 1
            counters.bytes -= row.size
            counters.unread -= not row.read
            counters.count_tags(row.tags, -1)
            for outcome, step in ((ACCEPTED, -1), (_WITHDRAWN, 1)):
                counters.by_outcome[outcome] = counters.by_outcome.get(outcome, 0) + step
        self.connection.executemany(
            "UPDATE mails SET outcome = ? WHERE id = ?", [(NUMBERS[_WITHDRAWN], row.id) for row in rows]
        )
        entries.write(self.connection)
        self.write_counters(self._spaces(rows))

    def delete_rows(self, rows: Sequence[Row], why: str) -> None:
        for row in rows:
            namespace = self.by_id.get(row.namespace)
            if namespace is not None and row.seq > namespace.emptied:
                namespace.counters.count_gone(row.outcome, row.size, row.tags, why, read=row.read)
        self.connection.executemany("DELETE FROM mails WHERE id = ?", [(row.id,) for row in rows])
        self.connection.executemany(
            "DELETE FROM recipients WHERE namespace = ? AND address = ? AND seq = ?",
            [(row.namespace, address, row.seq) for row in rows for address in addresses(orjson.loads(row.summary))],
        )
        self.write_counters(self._spaces(rows))

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
        return self.connection.execute(sql, (number,)).fetchone() is not None

    # retention

    def purge(self, limit: int = _SLICE) -> bool:
        """Delete some rows of namespaces that were ended or emptied; whether there may be more."""
        return bool(self._guarded(lambda: self._purge(limit)))

    def _purge(self, limit: int) -> bool:
        stale = self.connection.execute(
            "SELECT id, CASE WHEN ended THEN seq ELSE emptied END, ended FROM namespaces WHERE ended OR emptied"
        ).fetchall()
        for number, upto, ended in stale:
            rows = [
                read_row(row)
                for row in self.connection.execute(
                    f"SELECT {COLUMNS} FROM mails WHERE namespace = ? AND seq <= ? LIMIT ?", (number, upto, limit)
                )
            ]
            if rows:
                self.transact(lambda rows=rows: self.delete_rows(rows, "deleted"))  # type: ignore[misc]
                self._drop_unused(rows)
                return True
            if ended:
                self.connection.execute("DELETE FROM namespaces WHERE id = ?", (number,))
        return False

    def evict_segment(self, number: int, limit: int = _SLICE) -> bool:
        """Delete some mails of a segment, and the segment itself after its last; whether there are more."""
        rows = self._guarded(
            lambda: [
                read_row(row)
                for row in self.connection.execute(
                    f"SELECT {COLUMNS} FROM mails WHERE segment = ? OR spool = ? LIMIT ?", (number, number, limit)
                )
            ]
        )
        self.delete(rows, "evicted")
        if len(rows) < limit:
            self.segments.drop(number)
        return len(rows) == limit

    def index_times(self) -> None:
        """Make `received_before` quick; mails cost a little more from then on."""
        self._guarded(
            lambda: self.connection.execute("CREATE INDEX IF NOT EXISTS mails_received ON mails (received_at)")
        )

    def received_before(self, time_ms: int, limit: int = _SLICE) -> list[Row]:
        """Return mails of all namespaces that are older, a row for each namespace, the oldest first."""
        sql = f"SELECT {COLUMNS} FROM mails WHERE received_at < ? ORDER BY received_at LIMIT ?"
        return self._guarded(lambda: [read_row(row) for row in self.connection.execute(sql, (time_ms, limit))])

    def oldest_of_all(self, limit: int = _SLICE) -> list[Row]:
        """Return the oldest mails of all namespaces, a row for each namespace."""
        sql = f"SELECT {COLUMNS} FROM mails ORDER BY id LIMIT ?"
        rows = self._guarded(lambda: [read_row(row) for row in self.connection.execute(sql, (limit,))])
        return [row for row in rows if self.is_present(row)] or rows

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
        self._guarded(lambda: self.connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone())


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
