"""Ways in which what another parser reads is ours but for one thing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from differences import Difference

Judgement = Callable[[Difference], bool]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    elif value is not None:
        yield value.decode("latin-1") if isinstance(value, bytes) else value


def _pairs(it: Difference) -> Iterator[tuple[str, str]]:
    """What differs: our string and theirs. Nothing where there are more of one than of the other."""
    mine, theirs = list(_strings(it.ours)), list(_strings(it.theirs))
    if len(mine) == len(theirs):
        yield from ((a, b) for a, b in zip(mine, theirs, strict=True) if a != b)


def each(test: Callable[[str, str], bool]) -> Judgement:
    """Whether there are as many strings on both sides, and the test holds for all that differ."""

    def judge(it: Difference) -> bool:
        pairs = list(_pairs(it))
        return bool(pairs) and all(test(mine, theirs) for mine, theirs in pairs)

    return judge


_UNDECODED = re.compile("[\udc80-\udcff\ufffd]+")
_WORD = re.compile(r"=\?[^?\s]+\?[bq]\?[^?]*\?=", re.IGNORECASE)
_FOREIGN = re.compile("[^\x00-\x7f]+")


def is_undecoded(mine: str, theirs: str) -> bool:
    """Whether theirs is ours but for octets that were not decoded."""
    pieces = [re.escape(piece) for piece in _UNDECODED.split(theirs)]
    return len(pieces) > 1 and re.fullmatch("[^\x00-\x7f]+.*?".join(pieces), mine, re.DOTALL) is not None


def is_unread(mine: str, theirs: str) -> bool:
    """Whether theirs is ours but for octets and encoded words that were not decoded."""
    pieces = _WORD.split(theirs)
    gaps = [".*?".join(map(re.escape, _UNDECODED.split(piece))) for piece in pieces]
    wild = ".*?".join(gaps)
    return wild != re.escape(theirs) and re.fullmatch(wild, mine, re.DOTALL) is not None


def is_foreign(mine: str, theirs: str) -> bool:
    """Whether both are the same but for characters that are not ASCII."""
    return _FOREIGN.sub("?", mine) == _FOREIGN.sub("?", theirs)


def is_windows_1252(mine: str, theirs: str) -> bool:
    windows = "".join(bytes([ord(c)]).decode("cp1252", "replace") if "\x80" <= c <= "\x9f" else c for c in theirs)
    return windows != theirs and _UNDECODED.sub("?", windows) == _UNDECODED.sub("?", mine)


def is_sane(it: Difference) -> bool:
    """Whether our addresses are what RFC 5322 calls one, but for what is noted as a defect."""
    return all(re.fullmatch(r'(?:"[^"]*"|[^\s"@])+@[^\s"@]+', address) for _name, address in it.ours)


def alone(it: Difference) -> bool:
    return len(it.agreeing) == 2


def unquoted(addresses: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, address.replace('"', "")) for name, address in addresses]


def is_first(it: Difference) -> bool:
    return 0 < len(it.theirs) < len(it.ours) and it.theirs in (it.ours[: len(it.theirs)], it.ours[-len(it.theirs) :])


def comment_is_name(it: Difference) -> bool:
    names = [(mine[0], theirs[0]) for mine, theirs in zip(it.ours, it.theirs) if mine != theirs]  # noqa: B905
    same = [address for _, address in it.ours] == [address for _, address in it.theirs]
    return same and all(not theirs and f"({mine})".encode() in it.octets for mine, theirs in names)
