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

from fastsmtp.errors import CrowdedError, StoreError
from fastsmtp.inbox.group import Coming, Filed, Group
from fastsmtp.inbox.ledger import ACCEPTED as SESSION_ACCEPTED
from fastsmtp.inbox.ledger import BEGUN, OTHERS, Entries, Ledger
from fastsmtp.inbox.mailchanges import MailChanges
from fastsmtp.inbox.names import new_epoch
from fastsmtp.inbox.namespacelimit import NamespaceLimit
from fastsmtp.inbox.namespaces import Namespace, NamespaceCounters, NamespaceSettings, now_ms, to_json
from fastsmtp.inbox.recovery import recover
from fastsmtp.inbox.schema import BUSY_MS, connect, unusable
from fastsmtp.inbox.segments import SEGMENT_BYTES, Segments
from fastsmtp.inbox.storedmails import StoredMails

T = TypeVar("T")

_CHECKPOINT_MS: Final = 20
_DELETIONS: Final = 10_000  # of namespaces, that are remembered
_FORGET_DELETIONS: Final = (
    f"DELETE FROM deletions WHERE seq <= (SELECT seq FROM deletions ORDER BY seq DESC LIMIT 1 OFFSET {_DELETIONS})"
)


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
        self.checkpoints = {"done": 0, "busy": 0}  # how they ended
        self._path = os.path.join(directory, "inbox.sqlite") if directory else ""
        self.connection = connect(self._path or ":memory:", sync=sync)
        try:
            self.segments = Segments(directory, sync=sync, limit=segment_bytes)
            self.namespaces: dict[str, Namespace] = {}  # the live ones by name
            self.by_id: dict[int, Namespace] = {}  # the live ones by row
            self.mails = StoredMails(self)
            self.changes = MailChanges(self)
            self.ended = NamespaceCounters()  # of namespaces that are no more, so that nothing is missing in the sum
            self.epoch_of: Callable[[str], str] = lambda _name: new_epoch()  # of a namespace that is made
            # On a cluster: the number in its stream at which a namespace was deleted.
            self.deletions: dict[str, int] = dict(self.connection.execute("SELECT name, seq FROM deletions"))
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
        self.guarded(self.segments.try_room)

    def try_commit(self) -> None:
        """Commit what is there already. Raises StoreError where a mail could not be stored either."""
        self.try_room()
        ended = to_json(self.ended)
        self.guarded(
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
                    begun=self.deletions.get(name, 0),
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
            group.drop_unused()
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
        return self.guarded(lambda: self._put(name, settings))

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
        now, epoch, begun = self._clock_ms(), self.epoch_of(name), self.deletions.get(name, 0)
        cursor = self.connection.execute(
            "INSERT INTO namespaces (name, epoch, seq, emptied, created_at, used_at, settings, counters, ended)"
            " VALUES (?, ?, ?, 0, ?, ?, ?, ?, 0)",
            (name, epoch, begun, now, now, to_json(settings), to_json(NamespaceCounters())),
        )
        assert cursor.lastrowid is not None
        namespace = Namespace(
            cursor.lastrowid, name, epoch, seq=begun, begun=begun, created_at=now, used_at=now, settings=settings
        )
        self._add(namespace)
        return namespace

    def end(self, name: str) -> Namespace | None:
        """Delete a namespace at once, whatever it holds; its rows go later by `purge`. None where there is none."""
        namespace = self.namespaces.get(name)
        if namespace is not None:
            self._end([namespace])
        return namespace

    def note_deletion(self, name: str, seq: int) -> None:
        """Numbers of a namespace of this name begin behind `seq` from now on."""

        def note() -> None:
            self.connection.execute("INSERT OR REPLACE INTO deletions VALUES (?, ?)", (name, seq))
            self.connection.execute(_FORGET_DELETIONS)

        self.guarded(lambda: self.transact(note))
        self.deletions[name] = seq
        if len(self.deletions) > 2 * _DELETIONS:
            self.deletions = dict(self.connection.execute("SELECT name, seq FROM deletions"))

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
        self.counting(namespaces, work)
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

        self.counting([namespace], work)
        return present

    def _count_emptied(self, namespace: Namespace) -> None:
        counters = namespace.counters
        namespace.emptied = namespace.seq
        counters.deleted += counters.present
        counters.forgotten += counters.refused_present
        counters.unread = counters.bytes = 0
        counters.tags.clear()
        namespace.used_at = self._clock_ms()

    def counting(self, namespaces: Sequence[Namespace], work: Callable[[], None]) -> None:
        """Do the work in a transaction; where it fails, the counters are what they were."""
        before = [(space, space.seq, space.emptied, msgspec.json.encode(space.counters)) for space in namespaces]
        ended = msgspec.json.encode(self.ended)
        try:
            self.guarded(lambda: self.transact(work))
        except BaseException:
            for space, seq, emptied, counters in before:
                space.seq, space.emptied = seq, emptied
                space.counters = msgspec.json.decode(counters, type=NamespaceCounters)
            self.ended = msgspec.json.decode(ended, type=NamespaceCounters)
            raise

    def guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the store failed: {_reason(error)}") from None

    def index_times(self) -> None:
        """Make `received_before` quick; mails cost a little more from then on."""
        self.guarded(
            lambda: self.connection.execute("CREATE INDEX IF NOT EXISTS mails_received ON mails (received_at)")
        )

    def wal_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        try:
            return os.stat(f"{self._path}-wal").st_size if self._path else 0
        except OSError:
            return 0

    def checkpoint(self) -> None:
        """Write the log to the database's own file, and begin it from its start, unless another program reads it."""
        busy = self.guarded(self._checkpoint)
        self.checkpoints["busy" if busy else "done"] += 1

    def _checkpoint(self) -> bool:
        """Whether it could not be done: mails wait meanwhile, so that the reader is waited for no longer than this."""
        self.connection.execute(f"PRAGMA busy_timeout={_CHECKPOINT_MS}")
        try:
            busy, _pages, _written = self.connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        finally:
            self.connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        return bool(busy)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
