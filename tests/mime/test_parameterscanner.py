"""Irregular parameters, read from left to right: where each ends, and what is noted on the way."""

from __future__ import annotations

import pytest

from fastsmtp.mime.budget import MAX_FIELD_PARAMETERS, Budget
from fastsmtp.mime.defects import INVALID_PARAMETER, PARAMETER_LIMIT
from fastsmtp.mime.parameterscanner import ParameterScanner
from fastsmtp.mime.parametervalues import Parameter

Read = tuple[str, list[Parameter], list[str]]


def scan(value: str, budget: Budget | None = None) -> Read:
    defects: list[str] = []
    scanner = ParameterScanner(value, defects, budget or Budget())
    return scanner.take_head(), scanner.take_parameters(), defects


BAD = [INVALID_PARAMETER]
VALUES: dict[str, Read] = {
    "a/b": ("a/b", [], []),
    "a/b (c; d) ; x=y (z)": ("a/b", [Parameter("x", "y")], []),
    'a/b; X*0*="a;b"; (c) y = z;;': ("a/b", [Parameter("X*0*", "a;b"), Parameter("y", "z")], []),
    "a/b charset=utf-8": ("a/b", [Parameter("charset", "utf-8")], BAD),
    "a/b, charset=utf-8": ("a/b", [Parameter("charset", "utf-8")], BAD),
    "filename=x": ("", [Parameter("filename", "x")], BAD),
    'a; "b"; c=d': ("a", [Parameter("c", "d")], BAD),
    'a; x="b c': ("a", [Parameter("x", "b c")], BAD),
    'a; x="b" y=c': ("a", [Parameter("x", "b"), Parameter("y", "c")], BAD),
    "a; x=b y=c": ("a", [Parameter("x", "b"), Parameter("y", "c")], BAD),
    "a; x=b c; y=d": ("a", [Parameter("x", "b"), Parameter("y", "d")], BAD),
    'a; filename="my "best" photo"; y=d': ("a", [Parameter("filename", 'my "best" photo'), Parameter("y", "d")], BAD),
    "a; filename=my photo (1).jpg": ("a", [Parameter("filename", "my photo (1).jpg")], BAD),
    "a; boundary=b c,d (e)": ("a", [Parameter("boundary", "b c,d")], BAD),
    r"a; boundary=\"b c\"": ("a", [Parameter("boundary", "b c")], BAD),
    r'a; x="b\c\""': ("a", [Parameter("x", 'bc"')], []),
    r'a; name="C:\b\"c"': ("a", [Parameter("name", r'C:\b"c')], []),
    "a; (b": ("a", [], BAD),
}


@pytest.mark.parametrize(("value", "expected"), VALUES.items(), ids=VALUES)
def test_values(value: str, expected: Read) -> None:
    assert scan(value) == expected


def test_a_field_has_a_limit() -> None:
    head, parameters, defects = scan("a" + "; x=y" * (MAX_FIELD_PARAMETERS + 1))
    assert head == "a"
    assert parameters == [Parameter("x", "y")] * MAX_FIELD_PARAMETERS
    assert defects == [PARAMETER_LIMIT]


def test_it_takes_from_the_budget_of_the_mail() -> None:
    budget = Budget()
    budget.parameters = 3
    assert scan("a (b); c=d; e=f; g=h", budget) == (
        "a",
        [Parameter("c", "d"), Parameter("e", "f")],
        [PARAMETER_LIMIT],
    )
    assert budget.parameters == 0
