"""JSON that clients send, of any size and with whatever in it, read while others have their turn.

What is small is left to orjson. A large document is read value by value, and its large strings in pieces, in steps of
some milliseconds. Of values it may have so many: 20 MB of `[],` would take seconds, and a gigabyte.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any, Final, TypeAlias

import orjson

from fastsmtp.system.timeslices import in_slices

Steps: TypeAlias = Generator[None, None, Any]

SMALL: Final = 64 * 1024  # octets of a document that take few milliseconds, whatever they are
MAX_VALUES: Final = 100_000  # of a large document
MAX_DEPTH: Final = 100
_STEP_VALUES: Final = 500
_PIECE: Final = 32 * 1024  # of a string

_blanks: Final = re.compile(rb"[ \t\r\n]*").match
_scalar: Final = re.compile(rb"[-+.0-9A-Za-z]{1,400}(?![-+.0-9A-Za-z])").match
_short_string: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL).match
# As much of a string as is whole: no half of an escape, nor of a pair of them that is one character.
_whole: Final = re.compile(
    rb'(?:[^"\\]+|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u(?![dD][89abAB])....|\\[^u])*', re.DOTALL
).match


async def load_body(octets: bytes) -> Any:
    """Return a document. Raises ValueError where it is no JSON, or large and of more than `MAX_VALUES` values."""
    return orjson.loads(octets) if len(octets) <= SMALL else await in_slices(body_steps(octets))


def body_steps(octets: bytes) -> Steps:
    """Read a document, in steps; the last returns it. Raises ValueError, as `load_body` does for a large one."""
    return _Reader(octets).read()


class _Reader:
    """Reads one document from front to back."""

    __slots__ = ("_at", "_octets", "_values")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0
        self._values = 0

    def read(self) -> Steps:
        value = yield from self._value(0)
        if self._next_mark():
            raise self._error("something behind the document")
        return value

    def _error(self, reason: str) -> ValueError:
        return ValueError(f"{reason} at octet {self._at}")

    def _next_mark(self) -> bytes:
        """Skip blanks; return the octet behind them, b"" at the end of the document."""
        blanks = _blanks(self._octets, self._at, self._at + _PIECE)
        while blanks is not None and blanks.end() > self._at:
            self._at = blanks.end()
            blanks = _blanks(self._octets, self._at, self._at + _PIECE)
        return self._octets[self._at : self._at + 1]

    def _value(self, depth: int) -> Steps:
        self._values += 1
        if self._values > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES} values in a document of more than {SMALL // 1024} KB")
        if self._values % _STEP_VALUES == 0:
            yield
        mark = self._next_mark()
        if mark == b'"':
            return (yield from self._string())
        if mark in (b"{", b"["):
            if depth == MAX_DEPTH:
                raise self._error(f"deeper than {MAX_DEPTH}")
            self._at += 1
            return (yield from (self._object(depth + 1) if mark == b"{" else self._list(depth + 1)))
        scalar = _scalar(self._octets, self._at)
        if scalar is None:
            raise self._error("a value is missing")
        self._at = scalar.end()
        return orjson.loads(scalar[0])

    def _list(self, depth: int) -> Steps:
        items: list[Any] = []
        if self._ends(b"]"):
            return items
        while True:
            items.append((yield from self._value(depth)))
            if self._ends_members(b"]"):
                return items

    def _object(self, depth: int) -> Steps:
        members: dict[str, Any] = {}
        if self._ends(b"}"):
            return members
        while True:
            if self._next_mark() != b'"':
                raise self._error("a key is missing")
            key = yield from self._string()
            if self._next_mark() != b":":
                raise self._error("a colon is missing")
            self._at += 1
            members[key] = yield from self._value(depth)
            if self._ends_members(b"}"):
                return members

    def _ends(self, closing: bytes) -> bool:
        found = self._next_mark() == closing
        self._at += found
        return found

    def _ends_members(self, closing: bytes) -> bool:
        """Whether nothing more stands in a list or an object; go on behind the comma where something does."""
        if self._ends(closing):
            return True
        if self._next_mark() != b",":
            raise self._error("a comma is missing")
        self._at += 1
        return False

    def _string(self) -> Steps:
        octets, start = self._octets, self._at
        short = _short_string(octets, start, start + _PIECE)
        if short is not None:
            self._at = short.end()
            return orjson.loads(short[0])
        pieces: list[str] = []
        self._at += 1
        while True:
            whole = _whole(octets, self._at, self._at + _PIECE)
            end = self._at if whole is None else whole.end()
            following = octets[end : end + 1]
            while following and following[0] & 0xC0 == 0x80 and end > self._at:  # not within a character of UTF-8
                end -= 1
                following = octets[end : end + 1]
            if following == b'"':
                pieces.append(orjson.loads(b'"%b"' % octets[self._at : end]))
                self._at = end + 1
                return "".join(pieces)
            if not following or end == self._at:
                raise self._error("a string has no end")
            pieces.append(orjson.loads(b'"%b"' % octets[self._at : end]))
            self._at = end
            yield
