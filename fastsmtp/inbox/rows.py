"""Rows of the table of mails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from fastsmtp.inbox.namespaces import OUTCOMES
from fastsmtp.inbox.segments import RecordPlace

COLUMNS: Final = (
    "id, namespace, seq, uuid, received_at, outcome, read, tags, size, segment, start, document_length, raw_length,"
    " spool, summary"
)
SLICE: Final = 500  # rows of one call, so that commits come in between
NUMBERS: Final = {outcome: number for number, outcome in enumerate(OUTCOMES)}


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
    place: RecordPlace
    summary: bytes


def read_row(values: Sequence[Any]) -> Row:
    """Return the row whose `COLUMNS` these are."""
    number, namespace, seq, uuid, received_at, outcome, read, tags, size, *place, summary = values
    split = tuple(tags.split("\n")) if tags else ()
    return Row(
        number,
        namespace,
        seq,
        uuid,
        received_at,
        OUTCOMES[outcome],
        bool(read),
        split,
        size,
        RecordPlace(*place),
        summary,
    )
