"""Tables: columns as wide as they need to be, in cells, and together no wider than the terminal."""

from __future__ import annotations

import pytest

from fastsmtp.system.table import fit, lines, padded

HEADS = ("PID", "NAME", "COMMAND")
ROWS = [(7, "日本", "php worker.php --verbose"), (12345, "a-rather-long-name", "php")]
NUMBERS = frozenset({"PID"})


def test_columns_are_as_wide_as_they_need_to_be() -> None:
    rows = [("a", 5, "x"), ("long name", 12345, "")]
    assert lines(("NAME", "N", "LAST"), rows, frozenset({"N"})) == [
        "NAME           N  LAST",
        "a              5  x",
        "long name  12345",
    ]


def test_wide_characters_take_two_cells() -> None:
    assert lines(HEADS, ROWS, NUMBERS) == [
        "  PID  NAME                COMMAND",
        "    7  日本                php worker.php --verbose",
        "12345  a-rather-long-name  php",
    ]


def test_no_rows() -> None:
    assert lines(("A", "B"), []) == ["A  B"]


def test_nothing_reaches_the_terminal_as_a_control_character() -> None:
    assert lines(("HELO",), [("\x1b[31mred\n\u202e",)]) == ["HELO", "\\x1b[31mred\\n\\u202e"]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (51, ["  PID  NAME                COMMAND", "    7  日本                php worker.php --verbose"]),
        (45, ["  PID  NAME                COMMAND", "    7  日本                php worker.php --…"]),
        (35, ["  PID  NAME           COMMAND", "    7  日本           php worker.p…"]),
        (10, ["  PID  NAME      COMMAND", "    7  日本      php wor…"]),
    ],
)
def test_it_is_no_wider_than_the_terminal(width: int, shown: list[str]) -> None:
    """Numbers stay whole, and so do columns that are named; others keep enough to be told apart."""
    assert lines(HEADS, ROWS, NUMBERS, width=width)[:2] == shown


def test_a_column_that_is_needed_stays_whole() -> None:
    assert lines(HEADS, ROWS, NUMBERS, width=40, whole={"COMMAND"}) == [
        "  PID  NAME      COMMAND",
        "    7  日本      php worker.php --verbose",
        "12345  a-rathe…  php",
    ]


@pytest.mark.parametrize(
    ("width", "fitted"),
    [(0, [10, 30, 20]), (64, [10, 30, 20]), (60, [10, 26, 20]), (44, [10, 15, 15]), (1, [10, 8, 5])],
)
def test_the_widest_column_gives_way_first(width: int, fitted: list[int]) -> None:
    assert fit([10, 30, 20], [0, 8, 5], width) == fitted


def test_padded() -> None:
    assert [padded(text, 6) for text in ("ab", "日本", "日本日本", "abcdefg")] == [
        "ab    ",
        "日本  ",
        "日本… ",
        "abcde…",
    ]
