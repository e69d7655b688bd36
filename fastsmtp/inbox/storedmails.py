"""Mails of a store, read: pages of them, one by its uuid, the oldest, and their octets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fastsmtp.inbox.namespaces import Namespace
from fastsmtp.inbox.rows import COLUMNS, SLICE, Row, read_row

if TYPE_CHECKING:
    from fastsmtp.inbox.store import Store


class StoredMails:
    """What is in a store. Every method may raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    def read(self, sql: str, values: Sequence[object]) -> list[Row]:
        """Return the rows that a query of `COLUMNS` finds."""
        return self._store.guarded(lambda: list(map(read_row, self._store.connection.execute(sql, values))))

    def rows(
        self,
        namespace: Namespace,
        *,
        after: int = 0,
        before: int | None = None,
        newest_first: bool = True,
        limit: int = SLICE,
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
        return self.read(sql, found)

    def rows_of_all(
        self, *, after: int = 0, before: int | None = None, newest_first: bool = True, limit: int = SLICE
    ) -> tuple[list[Row], int | None]:
        """Return mails of all namespaces by id, each once, and the id to go on from, None at the end."""
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT {COLUMNS} FROM mails WHERE id > ? AND id < ? AND copy = 0 ORDER BY id {order} LIMIT ?"
        last = before if before is not None else 1 << 62
        rows = self.read(sql, (after, last, limit))
        following = rows[-1].id if len(rows) == limit else None
        return [row for row in rows if self.is_present(row)], following

    def is_present(self, row: Row) -> bool:
        """Whether the row is of a live namespace, and has not been emptied."""
        namespace = self._store.by_id.get(row.namespace)
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
        rows = self.read(sql, (uuid,))
        return [row for row in rows if self.is_present(row)]

    def document(self, row: Row, start: int = 0, length: int = -1) -> bytes:
        """Return the payload's JSON, from `start`, `length` octets or all; "" where only the summary is kept."""
        return self._store.segments.read_document(row.place, start, length) if row.place.segment else b""

    def raw(self, row: Row, start: int = 0, length: int = -1) -> bytes:
        """Return octets of the mail as it came, from `start`, `length` of them or all."""
        return self._store.segments.read_raw(row.place, start, length) if row.place.segment else b""

    def received_before(self, time_ms: int, limit: int = SLICE) -> list[Row]:
        """Return mails of all namespaces that are older, a row for each namespace, the oldest first."""
        sql = f"SELECT {COLUMNS} FROM mails WHERE received_at < ? ORDER BY received_at LIMIT ?"
        return self.read(sql, (time_ms, limit))

    def oldest_of_all(self, limit: int = SLICE) -> list[Row]:
        """Return the oldest mails of all namespaces, a row for each namespace."""
        sql = f"SELECT {COLUMNS} FROM mails ORDER BY id LIMIT ?"
        rows = self.read(sql, (limit,))
        return [row for row in rows if self.is_present(row)] or rows

    def oldest(self, namespace: Namespace, limit: int = SLICE) -> list[Row]:
        """Return the oldest mails of a namespace."""
        return self.rows(namespace, newest_first=False, limit=limit)
