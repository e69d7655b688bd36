"""Looking through mails of a namespace, in slices between which commits have their turn.

The thread of the store reads rows; conditions look at them in others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from fastsmtp.errors import StoreError
from fastsmtp.inbox.documents import load_now
from fastsmtp.inbox.namespaces import ACCEPTED, Namespace
from fastsmtp.inbox.rows import Row
from fastsmtp.inbox.segments import RecordPlace
from fastsmtp.inbox.store import Store
from fastsmtp.inbox.where import Candidate, Condition

_ROWS: Final = 200  # read at a time
_SLICE_S: Final = 0.005  # after which others have their turn in the thread of the store
_LOOK_S: Final = 0.05  # and in another one


class Slice(NamedTuple):
    """What one slice found, and the number to go on from, None at the end."""

    rows: list[Row]
    following: int | None


def load_mail(store: Store, row: Row) -> Candidate:
    """Return a mail for conditions to look at; what they need beside the summary is read when it is asked for."""

    return Candidate(load_now(row.summary), payload_at(store, row.place), row.tags, read=row.read)


def payload_at(store: Store, place: RecordPlace) -> Callable[[], Any]:
    """Return what reads a payload, in any thread; it returns None where only the summary is kept."""

    def load() -> Any:
        try:
            document = store.segments.read_document(place) if place.segment else b""
        except StoreError:  # its segment was evicted meanwhile
            return None
        return load_now(document) if document else None

    return load


def search(
    store: Store,
    namespace: Namespace,
    *,
    after: int = 0,
    before: int | None = None,
    newest_first: bool = True,
    limit: int = 50,
    outcomes: Sequence[str] | None = (ACCEPTED,),
    unread: bool | None = None,
    recipient: str | None = None,
) -> Slice:
    """Return up to `limit` mails from a part of the namespace. For the thread of the store.

    `outcomes` None takes all of them; `recipient`, an address in lower case, only those that were sent there, in the
    envelope or in the header. Raises StoreError.
    """
    found: list[Row] = []
    ends_at = time.monotonic() + _SLICE_S
    while True:
        rows = store.mails.rows(
            namespace, after=after, before=before, newest_first=newest_first, limit=_ROWS, recipient=recipient
        )
        for row in rows:
            if newest_first:
                before = row.seq
            else:
                after = row.seq
            if _is_asked_for(row, outcomes, unread):
                found.append(row)
                if len(found) == limit:
                    return Slice(found, row.seq)
            if time.monotonic() >= ends_at:
                return Slice(found, row.seq)
        if len(rows) < _ROWS:
            return Slice(found, None)


def search_all(
    store: Store,
    *,
    before: int | None = None,
    limit: int = 50,
    outcomes: Sequence[str] | None = (ACCEPTED,),
) -> Slice:
    """Return mails of all namespaces, the newest first, each once; `before` and what follows are ids of rows.

    Otherwise like `search`. Raises StoreError.
    """
    found: list[Row] = []
    ends_at = time.monotonic() + _SLICE_S
    while True:
        rows, following = store.mails.rows_of_all(before=before, limit=_ROWS)
        for row in rows:
            if _is_asked_for(row, outcomes, None):
                found.append(row)
                if len(found) == limit:
                    return Slice(found, row.id)
            if time.monotonic() >= ends_at:
                return Slice(found, row.id)
        if following is None or time.monotonic() >= ends_at:
            return Slice(found, following)
        before = following


def _is_asked_for(row: Row, outcomes: Sequence[str] | None, unread: bool | None) -> bool:
    return (outcomes is None or row.outcome in outcomes) and (unread is None or row.read is not unread)


def fitting(store: Store, rows: Sequence[Row], where: Condition, limit: int) -> tuple[list[Row], int]:
    """Return those of the rows that meet the condition, up to `limit`, and how many were looked at for that.

    It looks no longer than others can wait for a thread. For any thread but that of the store: a pattern may have to
    be looked for in 10 MB of text at each place, and mails that come are not to wait for that.
    """
    found: list[Row] = []
    ends_at = time.monotonic() + _LOOK_S
    for looked, row in enumerate(rows, 1):
        if where(load_mail(store, row)):
            found.append(row)
        if len(found) == limit or time.monotonic() >= ends_at:
            return found, looked
    return found, len(rows)
