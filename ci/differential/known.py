"""All differences that were judged, and are ours to keep: `rows` says what a row of them is."""

from __future__ import annotations

from collections.abc import Callable

from differences import Difference
from knownfields import FIELDS_KNOWN
from knownparts import PARTS_KNOWN
from knowntexts import TEXTS_KNOWN

KNOWN = [*FIELDS_KNOWN, *PARTS_KNOWN, *TEXTS_KNOWN]
SEVERAL = "several of these at once"


def reason(it: Difference, depth: int = 2) -> str | None:
    """Why a difference is known, None if it is not.

    There may be several reasons at once: then the message without all that they name shows none, or what is left has
    its own reasons, `depth` times.
    """
    for row in KNOWN:
        if row.accepts(it):
            return row.reason
    cured = it.octets
    for row in KNOWN:
        if row.cure is not None and row.concerns(it):
            cured = row.cure(cured)
    if not depth or cured == it.octets:
        return None
    return SEVERAL if all(reason(left, depth - 1) is not None for left in it.left_of(cured)) else None


def unproved(differences: Callable[[bytes], list[Difference]]) -> list[str]:
    """The reasons whose own message shows no difference, or one that they do not accept."""
    return [row.reason for row in KNOWN if not any(row.accepts(it) for it in differences(row.example))]
