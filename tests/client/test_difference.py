"""What differs between lists of lines."""

from __future__ import annotations

import pytest

from fastsmtp.client.difference import alike, difference

A = [str(number) for number in range(10)]


@pytest.mark.parametrize(
    ("expected", "got", "shown"),
    [
        (A, A, []),
        ([], [], []),
        ([], ["x"], ["+ x"]),
        (["x"], [], ["- x"]),
        (["x"], ["y"], ["- x", "+ y"]),
        (A, [*A[:5], "x", *A[6:]], ["  2", "  3", "  4", "- 5", "+ x", "  6", "  7", "  8"]),
        (A, [*A[:5], *A[6:]], ["  2", "  3", "  4", "- 5", "  6", "  7", "  8"]),
        (["a", "a"], ["a"], ["  a", "- a"]),
        (["a"], ["a", "a"], ["  a", "+ a"]),
        (["a", "b", "c", "d"], ["x", "b", "c", "y"], ["- a", "+ x", "  b", "  c", "- d", "+ y"]),
        (["a", "b", "z"], ["x", "z"], ["- a", "- b", "+ x", "  z"]),
        (["Your code is {{*}}."], ["Your code is 123."], []),
        (["a", "code {{*}}", "b"], ["x", "code 1", "y"], ["- a", "+ x", "  code 1", "- b", "+ y"]),
    ],
    ids=str,
)
def test_difference(expected: list[str], got: list[str], shown: list[str]) -> None:
    assert difference(expected, got) == shown


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("", "", True),
        ("a", "b", False),
        ("{{*}}", "", True),
        ("a{{*}}a", "a", False),
        ("a{{*}}a", "aa", True),
        ("{{*}}b{{*}}", "abc", True),
        ("{{*}}b{{*}}b", "ab", False),
        ("x {{*}} y {{*}} z", "x 1 y 2 z", True),
        ("x {{*}} y {{*}} z", "x 1 z", False),
    ],
)
def test_a_line_may_have_anything_in_places(expected: str, got: str, same: bool) -> None:
    assert alike(expected, got) is same


def test_much_is_not_aligned_and_not_all_shown() -> None:
    shown = difference([f"a{number}" for number in range(3000)], [f"b{number}" for number in range(3000)])
    assert (shown[0], shown[199:]) == ("- a0", ["- a199", "… 5800 more lines"])
