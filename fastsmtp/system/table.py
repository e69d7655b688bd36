"""Tables for people: columns that are as wide as they need to be, and together no wider than the terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from fastsmtp.system.terminal import cells, cut
from fastsmtp.text import printable

GAP = "  "
LEAST = 8  # cells of a column that was made narrower


def lines(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    right: Collection[str] = (),
    *,
    width: int = 0,
    whole: Collection[str] = (),
) -> list[str]:
    """One line for the heads and one for each row; the columns named in `right` end at the same place.

    Where a row has more than `width` cells (0 = it may have any number) the widest columns lose the ends of their
    values, but for those named in `right`, which are numbers, and in `whole`. What does not print becomes an escape:
    names in a table come from clients.
    """
    table = [[printable(str(value)) for value in row] for row in (heads, *rows)]
    least = [0 if head in right or head in whole else max(LEAST, cells(head)) for head in heads]
    widths = fit([max(map(cells, column)) for column in zip(*table, strict=True)], least, width)
    return [_line(heads, row, widths, right) for row in table]


def fit(widths: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """Make the widest columns narrower until a row has no more than `width` cells, 0 = any number.

    None of them gets narrower than its part in `least`, of which 0 says that it stays as it is.
    """
    fitted = list(widths)
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width if width else 0
    while excess > 0:
        candidates = [index for index, limit in enumerate(least) if limit and fitted[index] > limit]
        if not candidates:
            break
        widest = max(candidates, key=lambda index: fitted[index])
        fitted[widest] -= 1
        excess -= 1
    return fitted


def padded(cell: str, width: int) -> str:
    """`cell` in exactly `width` cells."""
    cell = cut(cell, width)
    return cell + " " * (width - cells(cell))


def _line(heads: Sequence[str], row: Sequence[str], widths: Sequence[int], right: Collection[str]) -> str:
    shown = (
        cell.rjust(width) if head in right else padded(cell, width)
        for head, cell, width in zip(heads, row, widths, strict=True)
    )
    return GAP.join(shown).rstrip()
