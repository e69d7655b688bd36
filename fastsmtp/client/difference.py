"""What differs between two lists of lines, for people: removed lines, added lines, and some around them.

In a line that is expected, {{*}} stands for anything.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

ANYTHING: Final = "{{*}}"
_AROUND: Final = 3  # lines that are shown around a difference
_MAX_COMPARED: Final = 2000  # lines that are aligned; of longer ones, which would take long, all are shown as different
_MAX_SHOWN: Final = 200


def difference(expected: Sequence[str], got: Sequence[str]) -> list[str]:
    """Return nothing where they are alike, else lines that begin with "- " (expected), "+ " (got) or "  "."""
    start = _common(expected, got)
    if start == len(expected) == len(got):
        return []
    rest = min(len(expected), len(got)) - start
    end = _common(expected[::-1], got[::-1], rest)
    wanted, had = expected[start : len(expected) - end], got[start : len(got) - end]
    shown = [f"  {line}" for line in got[max(0, start - _AROUND) : start]]
    shown += _aligned(wanted, had)
    shown += [f"  {line}" for line in got[len(got) - end :][:_AROUND]]
    return shown if len(shown) <= _MAX_SHOWN else [*shown[:_MAX_SHOWN], f"… {len(shown) - _MAX_SHOWN} more lines"]


def _common(expected: Sequence[str], got: Sequence[str], most: int = -1) -> int:
    """Return how many lines at the beginning are alike."""
    count = 0
    for wanted, had in zip(expected, got, strict=False):
        if count == most or not alike(wanted, had):
            break
        count += 1
    return count


def _aligned(expected: Sequence[str], got: Sequence[str]) -> list[str]:
    if max(len(expected), len(got)) > _MAX_COMPARED:
        return [*(f"- {line}" for line in expected), *(f"+ {line}" for line in got)]
    marks = {"equal": " ", "delete": "-", "insert": "+"}
    lines = []
    for kind, first, last, begin, stop in difflib.SequenceMatcher(None, expected, got, autojunk=False).get_opcodes():
        if kind != "replace":
            chosen = expected[first:last] if kind == "delete" else got[begin:stop]
            lines += [f"{marks[kind]} {line}" for line in chosen]
        elif last - first == stop - begin:
            for wanted, had in zip(expected[first:last], got[begin:stop], strict=True):
                lines += [f"  {had}"] if alike(wanted, had) else [f"- {wanted}", f"+ {had}"]
        else:
            lines += [f"- {line}" for line in expected[first:last]]
            lines += [f"+ {line}" for line in got[begin:stop]]
    return lines


def alike(expected: str, got: str) -> bool:
    """Tell whether a line is as expected."""
    if ANYTHING not in expected:
        return expected == got
    first, *between, last = expected.split(ANYTHING)
    if not got.startswith(first):
        return False
    at = len(first)
    for piece in between:
        found = got.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(got) - at >= len(last) and got.endswith(last)
