"""What is done to a store that was not closed: rows and segments are made to agree.

Octets are appended before their rows are committed. So what stands behind the last row of the newest segment belongs to
mails that were never answered; a row without its octets can only be after a power cut, where `durability` is not full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastsmtp.inbox.rows import COLUMNS, Row, read_row
from fastsmtp.inbox.segments import HEADER_BYTES

if TYPE_CHECKING:
    from fastsmtp.inbox.store import Store

_LAST: Final = f"SELECT {COLUMNS} FROM mails WHERE segment = ? ORDER BY start DESC LIMIT 1"


def recover(store: Store) -> int:
    """Cut what was never committed, drop rows whose octets are not there; return how many mails were dropped.

    Raises sqlite3.Error and OSError.
    """
    sizes = store.segments.sizes
    ends = _ends(store)
    dropped = 0
    for number, end in ends.items():
        if sizes.get(number, 0) < end:
            dropped += _drop_cut_off(store, number)
    newest = max(ends, default=0)
    if newest:
        dropped += _drop_damaged(store, newest)
        last = _last(store, newest)
        store.segments.cut(newest, last.place.end if last is not None else 0)
        store.segments.resume(newest)
    _drop_unused(store, set(ends))
    return dropped


def _ends(store: Store) -> dict[int, int]:
    """Where the last mail of each segment ends."""
    found = store.connection.execute(
        "SELECT segment, max(start + document_length + CASE WHEN spool THEN 0 ELSE raw_length END)"
        " FROM mails WHERE segment GROUP BY segment"
    )
    return {number: end + HEADER_BYTES for number, end in found}


def _last(store: Store, segment: int) -> Row | None:
    found = store.connection.execute(_LAST, (segment,)).fetchone()
    return None if found is None else read_row(found)


def _drop_cut_off(store: Store, segment: int) -> int:
    """Drop the mails that end behind the end of their segment."""
    size = store.segments.sizes.get(segment, 0)
    found = store.connection.execute(f"SELECT {COLUMNS} FROM mails WHERE segment = ?", (segment,)).fetchall()
    lost = {row.place.offset for row in map(read_row, found) if row.place.end > size}
    for start in lost:
        _drop(store, segment, start)
    return len(lost)


def _drop_damaged(store: Store, segment: int) -> int:
    """Drop the last mails of a segment until one is as it was written."""
    dropped = 0
    while (last := _last(store, segment)) is not None and not store.segments.whole(last.place):
        _drop(store, segment, last.place.offset)
        dropped += 1
    return dropped


def _drop(store: Store, segment: int, start: int) -> None:
    """Drop the mail whose record begins there, in all namespaces."""
    found = store.connection.execute(
        f"SELECT {COLUMNS} FROM mails WHERE segment = ? AND start = ?", (segment, start)
    ).fetchall()
    rows = list(map(read_row, found))
    store.transact(lambda: store.changes.delete_rows(rows, "evicted"))


def _drop_unused(store: Store, used: set[int]) -> None:
    """Delete segments that no row names."""
    spools = {number for (number,) in store.connection.execute("SELECT DISTINCT spool FROM mails WHERE spool")}
    for number in store.segments.sizes:
        if number not in used and number not in spools:
            store.segments.drop(number)
