"""Text for people: sizes, spans of time, what is printable, and patterns with wildcards."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Final

SEARCHED: Final = 256 * 1024  # characters of a text that are looked at in one step
# Emoji and several scripts need them; every other format character could turn or hide text on a terminal.
_JOINERS = frozenset("\u200c\u200d")


def size(count: int) -> str:
    """Bytes for people, `1.5 MB`."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95 or unit == "GB":
            break
    return f"{value:.1f} {unit}"


def span(seconds: float) -> str:
    """A length of time for people: `45s`, `1h30m`, `500ms`, and `2d3h`; the two largest units."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.3g}ms"
    if seconds < 60:
        return f"{seconds:g}s" if seconds < 10 else f"{seconds:.0f}s"
    steps = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]
    left, parts = round(seconds), []
    for unit, length in steps:
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])


def pip_install(package: str) -> str:
    """The command that installs a package for the Python that runs here, and not into that of the system."""
    return shlex.join([sys.executable, "-m", "pip", "install", package])


def counted(count: int, noun: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def brief(text: str, most: int) -> str:
    """`text` cut to at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def printable(text: str, *, prose: bool = False) -> str:
    """`text` with each character that does not print, as `str.isprintable` has it, as the escape of a Python string.

    Of `prose` any script stays readable: what joins its characters is kept, and a blank of another width is a space.
    """
    if text.isprintable():
        return text
    if prose:
        return "".join(map(_printable_prose, text))
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def printable_lines(text: str) -> str:
    """`text` with its line feeds as they are, and each of its lines as `printable` has it."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(document: str) -> str:
    """The same JSON document on one line, with what does not print as escapes of JSON (RFC 8259 section 7).

    Outside of its strings the document has no character that does not print.
    """
    if document.isprintable():
        return document
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in document)


def _printable_prose(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    return " " if unicodedata.category(char) == "Zs" else ascii(char)[1:-1]


@lru_cache(maxsize=4)
def timestamp(second: int) -> str:
    """Unix time in the form of `received_at`: `2025-11-03T10:30:45Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def wildcard(pattern: str) -> Callable[[str], bool]:
    """Return a test for texts that are as `pattern` says: `*` stands for any characters, `?` for one."""
    if "*" not in pattern and "?" not in pattern:
        return pattern.__eq__
    first, *rest = re.split(r"\*+", pattern)
    if not rest:
        whole = _Piece(first)
        return lambda text: len(text) == whole.length and whole.is_at(text, 0)
    start, *pieces, end = _Piece(first), *map(_Piece, rest)

    def matches(text: str) -> bool:
        # Each piece is looked for behind the one before it: the leftmost place is as good as any.
        if not start.is_at(text, 0):
            return False
        at = start.length
        for piece in pieces:
            at = piece.find_end(text, at)
            if at < 0:
                return False
        last = len(text) - end.length
        return last >= at and end.is_at(text, last)

    return matches


class _Piece:
    """A part of a pattern that always has the same length: characters, and `?`."""

    __slots__ = ("_expression", "_stride", "length")

    def __init__(self, text: str) -> None:
        self.length: Final = len(text)
        # With `?` each place may cost as much as the piece is long.
        self._stride: Final = SEARCHED if "?" not in text else min(SEARCHED, 8 * SEARCHED // len(text))
        self._expression: Final = re.compile(re.escape(text).replace(r"\?", "."), re.DOTALL)

    def is_at(self, text: str, at: int) -> bool:
        return self._expression.match(text, at) is not None

    def find_end(self, text: str, at: int) -> int:
        """Return where the first such piece ends that begins at `at` or behind it, -1 where there is none.

        It is looked for in stretches that overlap: a single search of a large text holds the interpreter.
        """
        last = len(text) - self.length
        while at <= last:
            found = self._expression.search(text, at, at + self._stride + self.length)
            if found is not None:
                return found.end()
            at += self._stride + 1
        return -1
