"""JSON of any size written a piece at a time, so that others have their turn in between.

The octets are those that orjson writes. What is small is left to it; the members of what is large are written some at a
time, and a large string in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

PIECE: Final = 32 * 1024  # characters of a string, or as much in members, that are written at a time
_SCALAR: Final = 8  # what a value counts that is not a string


def weight(value: Any, most: int) -> int:
    """Return about how many octets the JSON of a value has; something above `most` where it is more than that."""
    if isinstance(value, str):
        return len(value) + 3
    total = _SCALAR
    if isinstance(value, dict):
        for key, member in value.items():
            total += len(key) + 3 + weight(member, most - total)
            if total > most:
                break
    elif isinstance(value, (list, tuple)):
        for member in value:
            total += weight(member, most - total)
            if total > most:
                break
    return total


def encode_steps(value: Any) -> Iterator[bytes]:
    """Yield the JSON of a value in pieces, each of some tenths of a millisecond of work."""
    if weight(value, PIECE) <= PIECE:
        yield orjson.dumps(value)
    elif isinstance(value, str):
        yield from _string(value)
    elif isinstance(value, dict):
        yield from _object(value)
    else:
        yield from _list(value)


def _string(text: str) -> Iterator[bytes]:
    yield b'"'
    for start in range(0, len(text), PIECE):
        yield orjson.dumps(text[start : start + PIECE])[1:-1]
    yield b'"'


def _object(members: Mapping[str, Any]) -> Iterator[bytes]:
    group: dict[str, Any] = {}
    mark, size = b"{", 0
    for key, member in members.items():
        step = len(key) + weight(member, PIECE)
        if group and size + step > PIECE:
            yield mark + orjson.dumps(group)[1:-1]
            group, mark, size = {}, b",", 0
        if step > PIECE:
            yield mark
            yield from encode_steps(key)
            yield b":"
            yield from encode_steps(member)
            mark = b","
        else:
            group[key] = member
            size += step
    yield (mark + orjson.dumps(group)[1:-1] if group else b"") + b"}"


def _list(items: Sequence[Any]) -> Iterator[bytes]:
    group: list[Any] = []
    mark, size = b"[", 0
    for item in items:
        step = weight(item, PIECE)
        if group and size + step > PIECE:
            yield mark + orjson.dumps(group)[1:-1]
            group, mark, size = [], b",", 0
        if step > PIECE:
            yield mark
            yield from encode_steps(item)
            mark = b","
        else:
            group.append(item)
            size += step
    yield (mark + orjson.dumps(group)[1:-1] if group else b"") + b"]"
