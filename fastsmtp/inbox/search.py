"""Looking through mails of a namespace, in slices between which commits have their turn."""

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
_SLICE_S: Final = 0.005  # after which others have their turn


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
    where: Condition | None = None,
    *,
    after: int = 0,
    before: int | None = None,
    newest_first: bool = True,
    limit: int = 50,
    outcomes: Sequence[str] | None = (ACCEPTED,),
    unread: bool | None = None,
    recipient: str | None = None,
) -> Slice:
    """Return mails that meet the condition, up to `limit`, from a part of the namespace. For the thread of the store.

    `outcomes` None takes all of them; `recipient`, an address in lower case, only those that were sent there, in the
    envelope or in the header. Raises StoreError.
    """
    found: list[Row] = []
    if where is not None and not where:
        where = None
    if where is not None and recipient is None:
        recipient = where.recipient
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
            if _fits(store, row, where, outcomes, unread):
                found.append(row)
                if len(found) == limit:
                    return Slice(found, row.seq)
            if time.monotonic() >= ends_at:
                return Slice(found, row.seq)
        if len(rows) < _ROWS:
            return Slice(found, None)


def search_all(
    store: Store,
    where: Condition | None = None,
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
            if _fits(store, row, where, outcomes, None):
                found.append(row)
                if len(found) == limit:
                    return Slice(found, row.id)
            if time.monotonic() >= ends_at:
                return Slice(found, row.id)
        if following is None or time.monotonic() >= ends_at:
            return Slice(found, following)
        before = following


def _fits(store: Store, row: Row, where: Condition | None, outcomes: Sequence[str] | None, unread: bool | None) -> bool:
    if outcomes is not None and row.outcome not in outcomes:
        return False
    if unread is not None and row.read is unread:
        return False
    return where is None or where(load_mail(store, row))
