"""What happens to mails of a store after their commit: marks, deletion, withdrawal, and whole segments that go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import orjson

from fastsmtp.inbox.ledger import Entries
from fastsmtp.inbox.namespaces import ACCEPTED, WITHDRAWN, Namespace
from fastsmtp.inbox.rows import COLUMNS, NUMBERS, SLICE, Row, read_row
from fastsmtp.inbox.summary import addresses

if TYPE_CHECKING:
    from fastsmtp.inbox.store import Store


class MailChanges:
    """Changes mails of a store. Every method may raise StoreError; then nothing of what it was asked is done."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    def mark(self, rows: Sequence[Row], *, read: bool | None = None, tags: tuple[str, ...] | None = None) -> list[Row]:
        """Mark mails as read or not, give them these tags; return the rows that changed."""
        changed = []
        for row in rows:
            new = row._replace(read=row.read if read is None else read, tags=row.tags if tags is None else tags)
            if new != row:
                changed.append((row, new))
        if changed:
            self._store.counting(self._spaces(row for row, _new in changed), lambda: self._mark(changed))
        return [new for _row, new in changed]

    def _mark(self, changed: Sequence[tuple[Row, Row]]) -> None:
        for old, new in changed:
            counters = self._store.by_id[old.namespace].counters
            if old.outcome == ACCEPTED:
                counters.unread += old.read - new.read
                counters.count_tags(old.tags, -1)
                counters.count_tags(new.tags, 1)
        self._store.connection.executemany(
            "UPDATE mails SET read = ?, tags = ? WHERE id = ?",
            [(int(new.read), "\n".join(new.tags), new.id) for _old, new in changed],
        )
        self._store.write_counters(self._spaces(old for old, _new in changed))

    def delete(self, rows: Sequence[Row], why: str = "deleted") -> None:
        """Delete mails; `why` is the counter that tells: deleted, evicted, expired."""
        if rows:
            self._store.counting(self._spaces(rows), lambda: self.delete_rows(rows, why))
            self._drop_unused(rows)

    def withdraw(self, uuids: Sequence[str], process: str = "") -> list[Row]:
        """Count mails of an SMTP process as refused, where they are; return the rows that were accepted before."""
        rows = []
        for uuid in uuids:
            sql = f"SELECT {COLUMNS} FROM mails WHERE uuid = ?"
            rows += self._store.mails.read(sql, (uuid,))
        rows = [row for row in rows if row.outcome == ACCEPTED and self._store.mails.is_present(row)]
        if rows:
            entries = Entries(self._store.ledger)
            self._store.counting(self._spaces(rows), lambda: self._withdraw(rows, process, entries))
            entries.install()
        return rows

    def _withdraw(self, rows: Sequence[Row], process: str, entries: Entries) -> None:
        for row in rows:
            counters = self._store.by_id[row.namespace].counters
            entries.withdraw(process, self._store.by_id[row.namespace].name)
            counters.stored -= 1
            counters.accepted -= 1
            counters.refused += 1
            counters.bytes -= row.size
            counters.unread -= not row.read
            counters.count_tags(row.tags, -1)
            for outcome, step in ((ACCEPTED, -1), (WITHDRAWN, 1)):
                counters.by_outcome[outcome] = counters.by_outcome.get(outcome, 0) + step
        self._store.connection.executemany(
            "UPDATE mails SET outcome = ? WHERE id = ?", [(NUMBERS[WITHDRAWN], row.id) for row in rows]
        )
        entries.write(self._store.connection)
        self._store.write_counters(self._spaces(rows))

    def delete_rows(self, rows: Sequence[Row], why: str) -> None:
        """Delete rows within a transaction; see `delete`. Raises sqlite3.Error."""
        for row in rows:
            namespace = self._store.by_id.get(row.namespace)
            if namespace is not None and row.seq > namespace.emptied:
                namespace.counters.count_gone(row.outcome, row.size, row.tags, why, read=row.read)
        self._store.connection.executemany("DELETE FROM mails WHERE id = ?", [(row.id,) for row in rows])
        self._store.connection.executemany(
            "DELETE FROM recipients WHERE namespace = ? AND address = ? AND seq = ?",
            [(row.namespace, address, row.seq) for row in rows for address in addresses(orjson.loads(row.summary))],
        )
        self._store.write_counters(self._spaces(rows))

    def _spaces(self, rows: Iterable[Row]) -> list[Namespace]:
        ids = dict.fromkeys(row.namespace for row in rows)
        return [self._store.by_id[number] for number in ids if number in self._store.by_id]

    def _drop_unused(self, rows: Iterable[Row]) -> None:
        """Delete segments that hold no mail any more; the one that is written to stays."""
        for number in {row.place.segment for row in rows} - {0, self._store.segments.current}:
            if not self._used("segment", number):
                self._store.segments.drop(number)
        for number in {row.place.spool for row in rows} - {0}:
            if not self._used("spool", number):
                self._store.segments.drop(number)

    def _used(self, column: str, number: int) -> bool:
        sql = f"SELECT 1 FROM mails WHERE {column} = ? LIMIT 1"
        return self._store.connection.execute(sql, (number,)).fetchone() is not None

    def purge(self, limit: int = SLICE) -> bool:
        """Delete some rows of namespaces that were ended or emptied; whether there may be more."""
        return bool(self._store.guarded(lambda: self._purge(limit)))

    def _purge(self, limit: int) -> bool:
        stale = self._store.connection.execute(
            "SELECT id, CASE WHEN ended THEN seq ELSE emptied END, ended FROM namespaces WHERE ended OR emptied"
        ).fetchall()
        for number, upto, ended in stale:
            rows = [
                read_row(row)
                for row in self._store.connection.execute(
                    f"SELECT {COLUMNS} FROM mails WHERE namespace = ? AND seq <= ? LIMIT ?", (number, upto, limit)
                )
            ]
            if rows:
                self._store.transact(lambda rows=rows: self.delete_rows(rows, "deleted"))  # type: ignore[misc]
                self._drop_unused(rows)
                return True
            if ended:
                self._store.connection.execute("DELETE FROM namespaces WHERE id = ?", (number,))
        return False

    def evict_segment(self, number: int, limit: int = SLICE) -> bool:
        """Delete some mails of a segment, and the segment itself after its last; whether there are more."""
        rows = self._store.mails.read(
            f"SELECT {COLUMNS} FROM mails WHERE segment = ? OR spool = ? LIMIT ?", (number, number, limit)
        )
        self.delete(rows, "evicted")
        if len(rows) < limit:
            self._store.segments.drop(number)
        return len(rows) == limit
