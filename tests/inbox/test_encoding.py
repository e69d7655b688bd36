"""JSON written in pieces: the octets are those that orjson writes at once, and no piece takes long."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from fastsmtp.inbox.encoding import PIECE, encode_steps, weight

# Each is made of `n` octets or so.
FORMS: dict[str, Any] = {
    "a text": lambda n: "x" * n,
    "NULs": lambda n: "\0" * n,
    "umlauts": lambda n: "ü" * (n // 2),
    "emoji": lambda n: "😀" * (n // 4),
    "quotes": lambda n: '"\\' * (n // 2),
    "numbers": lambda n: list(range(n // 8)),
    "strings": lambda n: ["x"] * (n // 4),
    "empty lists": lambda n: [[]] * (n // 8),
    "long strings": lambda n: ["x" * PIECE, "", "y" * n, "z"],
    "members": lambda n: {f"key {number}": number for number in range(n // 16)},
    "keys": lambda n: {"k" * n: 1, "": None},
    "pairs": lambda n: [["Name", " value"]] * (n // 16),
    "mailboxes": lambda n: {"to": [{"name": "", "address": "a@example.com"}] * (n // 32), "cc": []},
    "texts in members": lambda n: {"message": {"text": "x" * n, "html": "<p>" * (n // 3), "size": 1}, "last": True},
    "a chain": lambda n: chain(100, "x" * n),
    "tuples": lambda n: {"tags": ("x",) * (n // 4)},
}


def chain(depth: int, value: Any) -> Any:
    return {"in": chain(depth - 1, value)} if depth else value


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", [0, 10, PIECE - 1, PIECE, PIECE + 1, 10 * PIECE])
def test_it_is_what_is_written_at_once(name: str, size: int) -> None:
    value = FORMS[name](size)
    assert b"".join(encode_steps(value)) == orjson.dumps(value)


@pytest.mark.parametrize("name", FORMS)
def test_no_step_writes_more_than_a_piece_and_steps_grow_with_octets(name: str) -> None:
    counts = []
    for size in (20 * PIECE, 40 * PIECE):
        steps = [len(piece) for piece in encode_steps(FORMS[name](size))]
        # Six octets for a control character; what is not a string is counted roughly.
        assert max(steps) <= 6 * PIECE + 8
        counts.append(len(steps))
    assert counts[1] <= 2 * counts[0] + 4, counts


@pytest.mark.parametrize("name", FORMS)
def test_a_weight_is_found_without_looking_at_all(name: str) -> None:
    value = FORMS[name](PIECE)
    assert weight(value, 10) > 10
    assert abs(weight(value, 10 * PIECE) - len(orjson.dumps(value))) <= 5 * PIECE
