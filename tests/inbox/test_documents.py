"""Documents that are read a piece at a time."""

from __future__ import annotations

import json
import random
from typing import Any

import orjson
import pytest

from fastsmtp.delivery.deferred import at_once
from fastsmtp.inbox.documents import load_steps

LONG = 40_000
TEXTS = {
    "plain": "x" * LONG,
    "controls": "\0\x1b\n" * LONG,
    "quotes": '"' * LONG,
    "backslashes": "\\" * LONG,
    "a backslash before each character": "\\é" * LONG,
    "two octets": "é" * LONG,
    "three octets": "a€" * LONG,
    "four octets": "\U0001f600" * LONG,
    "looks like JSON": '"],[{":}' * LONG,
    "looks like escapes": "\\u0041" * LONG,
}
DOCUMENTS: dict[str, Any] = {
    **{f"text of {name}": text for name, text in TEXTS.items()},
    **{f"key of {name}": {text: 1, "b": [text]} for name, text in TEXTS.items()},
    "nothing": {"a": [], "b": {}, "c": "", "d": None, "e": True, "f": False, "g": -1.5e3, "h": 0},
    "many pairs": {"raw_headers": [["a", "b"]] * LONG, "c": 1},
    "many members": {f"k{number}": number for number in range(LONG)},
    "many numbers": list(range(LONG)),
    "many brackets in strings": [["]", "}", "[", "{", '"', '\\"']] * 5000,
    "deep": {"a": {"b": {"c": [[["x" * LONG, {}, []], []]]}}},
    "large within large": [{"text": "x" * 40_000, "list": [1] * 40_000}] * 5,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_read_as_orjson_reads_them(name: str) -> None:
    octets = orjson.dumps(DOCUMENTS[name])
    assert at_once(load_steps(octets)) == DOCUMENTS[name]
    assert at_once(load_steps(memoryview(octets))) == DOCUMENTS[name]


def test_random_documents_are_read_as_orjson_reads_them() -> None:
    chooser = random.Random(7)

    def some(depth: int) -> Any:
        kind = chooser.randrange(6 if depth else 3)
        if kind == 0:
            return chooser.choice([None, True, 12, 1.5, ""])
        if kind < 3:
            return "".join(chooser.choices('a"\\\0é€\U0001f600[]{},:', k=chooser.choice((1, 10, 70_000))))
        if kind < 5:
            return [some(depth - 1) for _ in range(chooser.randrange(5))]
        return {str(some(0))[:5]: some(depth - 1) for _ in range(chooser.randrange(5))}

    for _ in range(50):
        document = some(4)
        assert at_once(load_steps(orjson.dumps(document))) == document


class Counted(bytes):
    """Octets that note the largest part that was taken of them."""

    most = 0

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        if isinstance(key, slice):
            Counted.most = max(Counted.most, len(part))
        return part


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_step_reads_more_than_a_piece_and_steps_grow_with_octets(name: str) -> None:
    Counted.most = 0
    octets = Counted(orjson.dumps(DOCUMENTS[name]))
    steps = sum(1 for _ in load_steps(octets))
    assert Counted.most <= 33_000
    assert len(octets) // 33_000 // 2 <= steps <= len(octets) // 200 + 1, json.dumps([name, len(octets), steps])
