"""Differences between views of a message: found, told apart by kind, and made small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from peers import ASPECTS, View

MAX_TRIES = 400  # messages that are tried to make one smaller


@dataclass(frozen=True)
class Difference:
    """One aspect that a parser sees otherwise than we do."""

    octets: bytes
    aspect: str
    peer: str
    ours: Any
    theirs: Any
    defects: frozenset[str]
    agreeing: tuple[str, ...]  # other parsers that see what we see
    dissenting: tuple[str, ...]  # other parsers that see neither this nor what we see
    differences: Callable[[bytes], list[Difference]] = field(compare=False, repr=False)  # of another message

    @property
    def kind(self) -> tuple[Any, ...]:
        """What differences of one kind have in common."""
        return (self.aspect, self.peer, self.agreeing, _relation(self.ours, self.theirs))

    def left_of(self, octets: bytes) -> list[Difference]:
        """What is left of this difference in `octets`, the message after a change."""
        aspects = ("parts", self.aspect)
        return [item for item in self.differences(octets) if item.peer == self.peer and item.aspect in aspects]

    @property
    def exact_kind(self) -> tuple[Any, ...]:
        """The kind of one that was made small, by what we found wrong with it."""
        return (*self.kind, tuple(sorted(self.defects)))


def compare(
    octets: bytes,
    ours: View,
    defects: set[str],
    views: dict[str, View],
    differences: Callable[[bytes], list[Difference]],
) -> list[Difference]:
    """All differences. Where parts differ, nothing is said of what is in them. `differences` compares other octets."""
    found: list[Difference] = []
    for peer, view in views.items():
        for aspect in ASPECTS:
            mine, theirs = getattr(ours, aspect), getattr(view, aspect)
            if theirs is None or _same(mine, theirs):
                continue
            agreeing = tuple(name for name, other in views.items() if _agrees(mine, getattr(other, aspect)))
            dissenting = tuple(name for name, other in views.items() if _dissents(mine, theirs, getattr(other, aspect)))
            noted = frozenset(defects)
            found.append(Difference(octets, aspect, peer, mine, theirs, noted, agreeing, dissenting, differences))
            if aspect == "parts":
                break
    return found


def _agrees(mine: Any, theirs: Any) -> bool:
    return theirs is not None and _same(mine, theirs)


def _dissents(mine: Any, theirs: Any, others: Any) -> bool:
    return others is not None and not _same(mine, others) and not _same(theirs, others)


def _same(mine: Any, theirs: Any) -> bool:
    """Whether values are equal; what one of them does not tell is."""
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(_agree, mine, theirs))
    return bool(mine == theirs)


def _agree(mine: Any, theirs: Any) -> bool:
    return mine is None or theirs is None or mine == theirs


def _relation(mine: Any, theirs: Any) -> str:
    if isinstance(mine, list):
        if len(mine) != len(theirs):
            return f"{min(len(mine), 3)} and {min(len(theirs), 3)}"
        pairs = [(a, b) for a, b in zip(mine, theirs, strict=True) if not _agree(a, b)]
        return _relation(*pairs[0]) if pairs else "same"
    if isinstance(mine, tuple):
        which = next(index for index, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b)
        return f"item {which}: {_relation(mine[which], theirs[which])}"
    if mine is None or theirs is None:
        return "none of ours" if mine is None else "none of theirs"
    if isinstance(mine, bytes):
        mine, theirs = mine.decode("latin-1"), theirs.decode("latin-1")
    for test, name in _RELATIONS:
        if test(mine, theirs):
            return name
        if test(theirs, mine):
            return f"theirs: {name}"
    return "other"


_RELATIONS: list[tuple[Callable[[str, str], bool], str]] = [
    (lambda a, b: not a, "empty"),
    (lambda a, b: a.replace(" ", "") == b.replace(" ", ""), "blanks"),
    (lambda a, b: a.lower() == b.lower(), "case"),
    (lambda a, b: "\ufffd" in a and "\ufffd" not in b, "replacement"),
    (lambda a, b: "\ufffd" in a and "\ufffd" in b, "replacements"),
    (lambda a, b: b.startswith(a), "beginning"),
    (lambda a, b: a in b, "inside"),
    (lambda a, b: "=?" in a and "=?" not in b, "encoded"),
]


def smaller(octets: bytes, holds: Callable[[bytes], bool]) -> bytes:
    """A message as small as it gets for which `holds` is still true."""
    tries = MAX_TRIES
    for separator in (b"\r\n", b""):
        pieces = octets.split(separator) if separator else [octets[i : i + 1] for i in range(len(octets))]
        size = max(1, len(pieces) // 2)
        while size and tries:
            start = 0
            while start < len(pieces) and tries:
                tries -= 1
                left = pieces[:start] + pieces[start + size :]
                if left and holds(separator.join(left)):
                    pieces = left
                else:
                    start += size
            size //= 2
        octets = separator.join(pieces)
        tries = MAX_TRIES
    return octets
