"""Ways in which what another parser reads is ours but for one thing."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

from differences import Difference

Judgement = Callable[[Difference], bool]


def _strings(value: Any, other: Any) -> Iterator[str]:
    """The strings of a value, without those that the other one does not tell."""
    if isinstance(value, (list, tuple)):
        others = other if isinstance(other, (list, tuple)) and len(other) == len(value) else [""] * len(value)
        for item, its_other in zip(value, others, strict=True):
            yield from _strings(item, its_other)
    elif value is not None and other is not None:
        yield value.decode("latin-1") if isinstance(value, bytes) else value


def _pairs(it: Difference) -> Iterator[tuple[str, str]]:
    """What differs: our string and theirs. Nothing where there are more of one than of the other."""
    mine, theirs = list(_strings(it.ours, it.theirs)), list(_strings(it.theirs, it.ours))
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


_C1 = re.compile("[\x80-\x9f]")
_FREE = "\x81\x8d\x8f\x90\x9d"  # that windows-1252 has no meaning for
_MAX_FREE = 3  # in a text, for which all of them are tried
_UNDEFINED = re.compile(f"[{_FREE}\ufffd]")


def is_windows_1252(mine: str, theirs: str) -> bool:
    """Whether ours has the characters of windows-1252 where theirs has C1 controls."""
    windows = _C1.sub(lambda match: _UNDEFINED.sub("?", match[0]).encode("latin-1").decode("cp1252"), theirs)
    return windows != theirs and _UNDEFINED.sub("?", windows) == _UNDEFINED.sub("?", mine)


def _octets_of(text: str) -> bytes:
    """The octets of a text in windows-1252, those it has no meaning for included."""
    return b"".join(_octet(c) for c in text)


def _octet(character: str) -> bytes:
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1") if character <= "\xff" else b"\x81" if character == "\ufffd" else b"?"


def runs(*tests: Callable[[str, str], bool]) -> Callable[[str, str], bool]:
    """Whether both have the same ASCII, and one of the tests holds for each run of other characters that differs."""

    def test(mine: str, theirs: str) -> bool:
        if _FOREIGN.split(mine) != _FOREIGN.split(theirs):
            return False
        pairs = zip(_FOREIGN.findall(mine), _FOREIGN.findall(theirs), strict=True)
        return all(a == b or any(holds(a, b) for holds in tests) for a, b in pairs)

    return test


def is_guessed(mine: str, theirs: str) -> bool:
    """Whether ours are the octets in windows-1252 that theirs are in a UTF-8 that has octets without a meaning."""
    first, *others = mine.split("\ufffd", _MAX_FREE)
    return "\ufffd" in theirs and any(
        _octets_of(first + "".join(map("".join, zip(free, others, strict=True)))).decode("utf-8", "replace") == theirs
        for free in itertools.product(_FREE, repeat=len(others))
    )


def is_guessed_utf8(mine: str, theirs: str) -> bool:
    """Whether ours are the octets in UTF-8 that theirs are in Latin-1 or windows-1252."""
    return _octets_of(theirs).decode("utf-8", "replace") == mine != theirs


_ADDR_SPEC = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^\s"(),:;<>@\[\]\\]+)@(?:\[[^\[\]]*\]|[^\s"(),:;<>@\[\]\\]+)')


def has_no_more_valid(it: Difference) -> bool:
    """Whether theirs are ours without addresses that RFC 5322 does not know, some or all of them."""
    theirs = list(it.theirs)
    for mailbox in it.ours:
        if theirs and theirs[0] == mailbox:
            del theirs[0]
        elif _ADDR_SPEC.fullmatch(mailbox[1]):
            return False
    return not theirs


def keeps_addresses(it: Difference) -> bool:
    """Whether each address of theirs that RFC 5322 knows is one of ours, but for words that they put in quotes."""
    mine = " ".join(f"{name} {address}" for name, address in it.ours)
    plain = [address for _name, address in it.theirs if '"' not in address and "=?" not in address]
    return all(
        address in mine or any(is_undecoded(ours, address) for _name, ours in it.ours)
        for address in plain
        if _ADDR_SPEC.fullmatch(address)
    )


def is_same_when_read(it: Difference, *tests: Callable[[str, str], bool]) -> bool:
    """Whether what can be read in both pieces of HTML is the same, octets included that were guessed.

    What else characters may be that are not ASCII, `tests` tell.
    """
    mine, theirs = _read(it.ours), _read(it.theirs)
    words = [re.sub(r"[^\w\ufffd]", "", text) for text in (mine, theirs)]
    return words[0] == words[1] or runs(is_guessed, is_guessed_utf8, is_windows_1252, *tests)(mine, theirs)


def _read(text: str) -> str:
    return re.sub(r"[ \t\r\n\0]+", " ", html.unescape(re.sub(r"<[a-zA-Z/!][^>]*>", " ", text))).strip()


def is_sane(it: Difference) -> bool:
    """Whether our addresses are what RFC 5322 calls one, but for what is noted as a defect."""
    return all(re.fullmatch(r'(?:"[^"]*"|[^\s"@])+@[^\s"@]+', address) for _name, address in it.ours)


def alone(it: Difference) -> bool:
    return len(it.agreeing) == 2
