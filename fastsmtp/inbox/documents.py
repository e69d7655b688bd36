"""JSON of any size read a piece at a time, so that others have their turn in between.

What is small is left to orjson. A large object or list is read some members at a time, a large string in pieces that
are cut between characters and escapes. The JSON is valid, and as orjson writes it: without blanks between tokens.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any, Final, TypeAlias

import orjson

from fastsmtp.system.timeslices import in_slices

Octets: TypeAlias = bytes | bytearray | memoryview
Steps: TypeAlias = Generator[None, None, Any]

LARGE: Final = 256 * 1024  # octets of a document that take some milliseconds
_PIECE: Final = 32 * 1024

# Each octet can be matched in one way, so that a string without an end costs no more than one with it.
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^,\]}]+")
# As much of a string as is whole: no half of an escape.
_WHOLE: Final = re.compile(rb'(?:[^"\\]+|\\u....|\\[^u])*', re.DOTALL)
_CLOSING: Final = {b"[": b"]", b"{": b"}"}


async def load(document: bytes) -> Any:
    """Return a document; while a large one is read, others have their turn."""
    return orjson.loads(document) if len(document) <= LARGE else await in_slices(load_steps(document))


def load_now(document: Octets) -> Any:
    """Return a document, for threads: while a large one is read, others have the interpreter in between."""
    if len(document) <= LARGE:
        return orjson.loads(document)
    steps = load_steps(document)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def load_steps(document: Octets) -> Steps:
    """Read a document, in steps; the last returns it."""
    value, _end = yield from _value(document, 0)
    return value


def _value(document: Octets, start: int) -> Generator[None, None, tuple[Any, int]]:
    """Return the value that begins at `start`, and where it ends."""
    end = _end_of_small(document, start)
    if end:
        return orjson.loads(document[start:end]), end
    opening = bytes(document[start : start + 1])
    if opening == b'"':
        return (yield from _string(document, start))
    if opening == b"{":
        return (yield from _object(document, start))
    return (yield from _list(document, start))


def _end_of_small(document: Octets, start: int) -> int:
    """Return where a value ends that has no more than a piece, 0 for a larger one."""
    opening, limit = bytes(document[start : start + 1]), start + _PIECE
    if opening == b'"':
        string = _STRING.match(document, start, limit)
        return string.end() if string is not None else 0
    if opening in _CLOSING:
        return _end_of_container(document, start, limit)
    scalar = _SCALAR.match(document, start, limit)
    assert scalar is not None
    return scalar.end()


def _end_of_container(document: Octets, start: int, limit: int) -> int:
    depth = 0
    for token in _TOKEN.finditer(document, start, limit):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
            if not depth:
                return token.end()
        elif mark == b'"':  # of a string that goes on behind the limit
            return 0
    return 0


def _string(document: Octets, start: int) -> Generator[None, None, tuple[str, int]]:
    pieces: list[str] = []
    at = start + 1
    while True:
        whole = _WHOLE.match(document, at, at + _PIECE)
        assert whole is not None
        end = whole.end()
        if document[end : end + 1] == b'"':
            pieces.append(_text(document, at, end))
            return "".join(pieces), end + 1
        while document[end] & 0xC0 == 0x80:  # not within a character of UTF-8
            end -= 1
        pieces.append(_text(document, at, end))
        at = end
        yield


def _text(document: Octets, start: int, end: int) -> str:
    text: str = orjson.loads(b'"%b"' % bytes(document[start:end]))
    return text


def _list(document: Octets, start: int) -> Generator[None, None, tuple[list[Any], int]]:
    items: list[Any] = []
    at = start
    while document[at : at + 1] != b"]":
        yield
        end = _end_of_members(document, at + 1)
        if end:
            items += orjson.loads(b"[%b]" % bytes(document[at + 1 : end]))
            at = end
        else:
            item, at = yield from _value(document, at + 1)
            items.append(item)
    return items, at + 1


def _object(document: Octets, start: int) -> Generator[None, None, tuple[dict[str, Any], int]]:
    members: dict[str, Any] = {}
    at = start
    while document[at : at + 1] != b"}":
        yield
        end = _end_of_members(document, at + 1)
        if end:
            members.update(orjson.loads(b"{%b}" % bytes(document[at + 1 : end])))
            at = end
        else:
            key, at = yield from _value(document, at + 1)
            members[key], at = yield from _value(document, at + 1)
    return members, at + 1


def _end_of_members(document: Octets, start: int) -> int:
    """Return where the last of the members ends that are whole in the piece which begins at `start`, 0 without one."""
    depth = end = 0
    for token in _TOKEN.finditer(document, start, start + _PIECE):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
            continue
        if mark in (b"]", b"}"):
            if not depth:
                return token.start()
            depth -= 1
        elif mark == b"," and not depth:
            end = token.start()
        elif mark == b'"':  # of a string that goes on behind the piece
            break
    return end
