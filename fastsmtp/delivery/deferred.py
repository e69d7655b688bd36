"""Stretches of JSON that are made while they are written: they have a size, and are never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import orjson
import pybase64

from fastsmtp.capture._json import escape, escaped_size, utf8_end
from fastsmtp.capture.email import Segment
from fastsmtp.mime.reading import Reading, read_pieces

_BLOCK_OCTETS: Final = 32 * 1024
_BASE64_OCTETS: Final = 48 * 1024  # a multiple of three
_STEP_OCTETS: Final = 256 * 1024  # of UTF-8 that are looked at at a time
_LOSSY: Final = Reading("utf-8", True)
_T = TypeVar("_T")


class Deferred(Protocol):
    """A stretch of JSON."""

    size: int  # in octets, when it is measured

    def blocks(self) -> Iterator[Segment]:
        """Make it, block by block; may be called again. No block takes longer than some milliseconds."""


Stretch: TypeAlias = "Segment | Deferred"


class Made:
    """JSON that a function makes, once to be measured and once each time it is written."""

    __slots__ = ("_make", "size")

    def __init__(self, make: Callable[[], Iterator[Segment]]) -> None:
        self._make = make
        self.size = 0

    def measure(self) -> Iterator[None]:
        """Measure it, some milliseconds at a time."""
        for block in self._make():
            self.size += len(block)
            yield

    def blocks(self) -> Iterator[Segment]:
        """See `Deferred`."""
        return self._make()


class QuotedOctets:
    """Octets as a JSON string: their text if they are UTF-8, else base64, or U+FFFD for what has no meaning.

    `encoding` says which, when it is measured.
    """

    __slots__ = ("_lossy", "_octets", "encoding", "size")

    def __init__(self, octets: Segment, *, lossy: bool = False) -> None:
        self._octets = octets
        self._lossy = lossy
        self.encoding = ""
        self.size = 0

    def measure(self) -> Iterator[None]:
        """Measure it, some milliseconds at a time."""
        octets, position = self._octets, 0
        self.size = 2
        while position < len(octets):
            end = utf8_end(octets, position, min(position + _STEP_OCTETS, len(octets)))
            if end == position:
                yield from self._measure_other()
                return
            self.size += escaped_size(octets, position, end)
            position = end
            yield
        self.encoding = "utf-8"

    def _measure_other(self) -> Iterator[None]:
        if not self._lossy:
            self.encoding = "base64"
            self.size = 2 + (len(self._octets) + 2) // 3 * 4
            return
        self.encoding = "lossy"
        self.size = 2
        for piece in read_pieces(self._octets, _LOSSY):
            encoded = piece.encode()
            self.size += escaped_size(encoded, 0, len(encoded))
            yield

    def blocks(self) -> Iterator[Segment]:
        """See `Deferred`."""
        octets = self._octets
        yield b'"'
        if self.encoding == "base64":
            for start in range(0, len(octets), _BASE64_OCTETS):
                yield pybase64.b64encode(octets[start : start + _BASE64_OCTETS])
        elif self.encoding == "utf-8":
            for start in range(0, len(octets), _BLOCK_OCTETS):
                yield escape(octets, start, min(start + _BLOCK_OCTETS, len(octets)))
        else:
            for piece in read_pieces(octets, _LOSSY):
                encoded = piece.encode()
                yield escape(encoded, 0, len(encoded))
        yield b'"'


class Deferrals:
    """The deferred stretches of one document: each is a sign in what orjson makes, until that is cut there."""

    __slots__ = ("_stretches",)

    def __init__(self) -> None:
        self._stretches: list[Deferred] = []

    def put(self, deferred: Deferred) -> orjson.Fragment:
        """Return what stands for it in the document."""
        self._stretches.append(deferred)
        # orjson writes no NUL itself: it escapes those of texts.
        return orjson.Fragment(b"\0%d\0" % (len(self._stretches) - 1))

    def cut(self, head: bytes) -> list[Stretch]:
        """Return the JSON with the stretches in their places."""
        pieces: list[Stretch] = []
        for index, piece in enumerate(head.split(b"\0")):
            if index % 2:
                pieces.append(self._stretches[int(piece)])
            elif piece:
                pieces.append(piece)
        return pieces


def json_array(items: Iterable[Any]) -> Iterator[Segment]:
    """Make the JSON array of `items` in blocks."""
    pending = bytearray(b"[")
    for index, item in enumerate(items):
        if index:
            pending += b","
        pending += orjson.dumps(item)
        if len(pending) > _BLOCK_OCTETS:
            yield pending
            pending = bytearray()
    pending += b"]"
    yield pending


def json_object(pairs: Iterable[tuple[str, str]]) -> Iterator[Segment]:
    """Make the JSON object of `pairs` in blocks."""
    return _json_pairs(pairs, b"{", b":", b"}", b",")


def json_pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[Segment]:
    """Make the JSON array of `pairs`, which are arrays, too, in blocks."""
    return _json_pairs(pairs, b"[[", b",", b"]]", b"],[")


def _json_pairs(
    pairs: Iterable[tuple[str, str]], opening: bytes, between: bytes, closing: bytes, separator: bytes
) -> Iterator[Segment]:
    pending = bytearray(opening)
    is_empty = True
    for key, value in pairs:
        if not is_empty:
            pending += separator
        is_empty = False
        pending += orjson.dumps(key) + between
        for block in json_string(value):
            pending += block
            if len(pending) > _BLOCK_OCTETS:
                yield pending
                pending = bytearray()
    if is_empty:
        pending = bytearray(opening[:1])
        closing = closing[:1]
    pending += closing
    yield pending


def json_string(text: str) -> Iterator[Segment]:
    """Make the JSON string of `text`, a long one in blocks."""
    if len(text) <= _BLOCK_OCTETS:
        yield orjson.dumps(text)
        return
    yield b'"'
    for start in range(0, len(text), _BLOCK_OCTETS):
        yield orjson.dumps(text[start : start + _BLOCK_OCTETS])[1:-1]
    yield b'"'


def blocks_of(stretches: Sequence[Stretch]) -> Iterator[Segment]:
    """All octets, in order."""
    for stretch in stretches:
        if isinstance(stretch, (bytes, bytearray)):
            yield stretch
        else:
            yield from stretch.blocks()


def octets_of(stretches: Sequence[Stretch]) -> int:
    """How many octets they have."""
    return sum([len(one) if isinstance(one, (bytes, bytearray)) else one.size for one in stretches])


def at_once(steps: Generator[None, None, _T]) -> _T:
    """Take all steps, and return what they lead to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _T = end.value
            return result
