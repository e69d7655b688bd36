"""The tables of the store, and what is checked before a store is used."""

from __future__ import annotations

import sqlite3
from typing import Final

from fastsmtp.errors import DamagedStoreError, StoreError

VERSION: Final = 1
BUSY_MS: Final = 1000  # for another program that writes

# `seq` counts the mails of a namespace and is what cursors say; `id` counts all rows of the store. A mail that is in
# several namespaces has a row in each, and `copy` is 0 in the first of them only. Mails up to `emptied` are deleted,
# and their rows are going to be. Times are Unix times in milliseconds.
_TABLES: Final = """
CREATE TABLE namespaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL,
    emptied INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    settings TEXT NOT NULL,
    counters TEXT NOT NULL,
    ended INTEGER NOT NULL
);
CREATE UNIQUE INDEX namespaces_live ON namespaces (name) WHERE NOT ended;
CREATE TABLE mails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    uuid TEXT NOT NULL,
    copy INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    read INTEGER NOT NULL,
    tags TEXT NOT NULL,
    size INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    start INTEGER NOT NULL,
    document_length INTEGER NOT NULL,
    raw_length INTEGER NOT NULL,
    spool INTEGER NOT NULL,
    summary BLOB NOT NULL
);
CREATE UNIQUE INDEX mails_seq ON mails (namespace, seq);
CREATE INDEX mails_uuid ON mails (uuid);
CREATE INDEX mails_segment ON mails (segment);
CREATE INDEX mails_spool ON mails (spool) WHERE spool;
CREATE TABLE recipients (
    namespace INTEGER NOT NULL,
    address TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (namespace, address, seq)
) WITHOUT ROWID;
CREATE TABLE counters (id INTEGER PRIMARY KEY CHECK (id = 0), counters TEXT NOT NULL);
INSERT INTO counters VALUES (0, '{}');
"""
# What SMTP processes have told, by name of namespace, and what is known of each of them; and the last mail of each
# stream of a cluster that is here, and in it where namespaces were deleted. Stores of before have none of these.
_LEDGER_TABLES: Final = """
CREATE TABLE IF NOT EXISTS sessions (name TEXT PRIMARY KEY, events TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS processes (process TEXT PRIMARY KEY, book TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions (stream TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deletions (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
"""


def connect(path: str, *, sync: bool) -> sqlite3.Connection:
    """Open the database at `path`, ":memory:" for one that is never written, and make its tables where it has none.

    Raises DamagedStoreError, and StoreError for a newer version, another database, and a full disk.
    """
    try:
        # Used by one thread at a time, but not always by the one that opened it.
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=128)
    except sqlite3.Error as error:
        raise StoreError(f"cannot open {path}: {error}") from None
    try:
        known = _is_known(connection, path)  # before anything is written
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute(f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}")
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        connection.execute("PRAGMA cache_size=-16384")
        if not known:
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={VERSION}; COMMIT")
        connection.executescript(_LEDGER_TABLES)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise unusable(path, error) from None
        raise
    return connection


def unusable(path: str, error: sqlite3.Error) -> StoreError:
    """Return what is raised for a store that cannot be opened: damaged, or out of reach."""
    if isinstance(error, sqlite3.OperationalError):  # a full disk, a directory without permission, a lock
        return StoreError(f"{path} cannot be used: {error}")
    return DamagedStoreError(f"{path} is damaged: {error}")


def _is_known(connection: sqlite3.Connection, path: str) -> bool:
    """Whether it has our tables; it is empty where not. Raises StoreError for any other, and sqlite3.Error."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise StoreError(f"{path} was written by a newer fastsmtp (store version {version}, ours is {VERSION})")
    if version != VERSION and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreError(f"{path} is no store of fastsmtp")
    return bool(version == VERSION)
