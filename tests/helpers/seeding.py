"""Stores with many mails, made in a second: one is filed as any mail is, and the rows of the others are copies of it.

To file 100 000 of them takes longer than what is tested then. What is in the rows and in the counters of the namespace
is what it would be; all mails have the same octets.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
from arrivals import arrival

from fastsmtp.inbox.namespaces import ACCEPTED, NamespaceCounters
from fastsmtp.inbox.store import Store

_FIRST = "mail-0"
_COPIES = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :count)
INSERT INTO mails SELECT NULL, namespace, n + 1, 'mail-' || n, copy, received_at + n, outcome, read, tags, size,
    segment, start, document_length, raw_length, spool,
    CAST(replace(replace(CAST(summary AS TEXT), 'mail-0', 'mail-' || n), 'mail 0', 'mail ' || n) AS BLOB)
FROM mails, numbers
"""
_RECIPIENTS = """
INSERT INTO recipients SELECT one.namespace, one.address, mails.seq
FROM (SELECT namespace, address FROM recipients WHERE seq = 1) AS one, mails WHERE mails.seq > 1
"""


def seed(directory: Path, count: int) -> None:
    """Make a store with so many mails in the namespace `default`: `mail-0` is the oldest, with the subject "mail 0"."""
    directory.mkdir()
    store = Store(str(directory))
    first = arrival(uuid=_FIRST, subject="mail 0")
    store.commit([first])
    store.close()
    counters = NamespaceCounters()
    for _ in range(count):
        counters.count_arrival(ACCEPTED)
        counters.count_stored(ACCEPTED, first.size)
    (database,) = directory.glob("*.sqlite")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(_COPIES, {"count": count})
        connection.execute(_RECIPIENTS)
        told = msgspec.json.encode(counters).decode()
        connection.execute("UPDATE namespaces SET seq = ?, counters = ? WHERE name = 'default'", (count, told))
