"""What handlers read of requests: values as they are understood, and the problem that each other one is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.api.requests import (
    are_tags,
    parse_document,
    read_flag,
    read_limit,
    read_number,
    read_outcomes,
    read_seconds,
)
from fastsmtp.inbox.namespaces import OUTCOMES


def problem_of(problem: pytest.ExceptionInfo[Problem]) -> tuple[int, str, str]:
    return problem.value.status, problem.value.pointer, problem.value.detail


@pytest.mark.parametrize(("octets", "document"), [(b"", {}), (b" \n", {}), (b'{"a": 1}', {"a": 1}), (b"{}", {})])
def test_documents(octets: bytes, document: dict[str, Any]) -> None:
    assert asyncio.run(parse_document(octets, ["a"])) == document


@pytest.mark.parametrize(
    ("octets", "problem"),
    [
        (b"[]", (422, "", "an object is wanted")),
        (b'{"c": 1}', (422, "/c", "unknown key; there are a, b")),
    ],
)
def test_documents_that_cannot_be_used(octets: bytes, problem: tuple[int, str, str]) -> None:
    with pytest.raises(Problem) as raised:
        asyncio.run(parse_document(octets, ["a", "b"]))
    assert problem_of(raised) == problem


def test_no_json() -> None:
    with pytest.raises(Problem, match="the body is no JSON: ") as raised:
        asyncio.run(parse_document(b"{", []))
    assert (raised.value.status, raised.value.pointer) == (400, "")


@pytest.mark.parametrize(
    ("value", "seconds"), [(0, 0.0), (2, 2.0), (0.5, 0.5), ("3", 3.0), ("500ms", 0.5), ("5s", 5.0), ("1m", 60.0)]
)
def test_spans_of_time(value: Any, seconds: float) -> None:
    assert read_seconds(value, "/timeout") == seconds


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (True, 'a span of time: seconds, or a string like "500ms" or "5s"'),
        (None, 'a span of time: seconds, or a string like "500ms" or "5s"'),
        (-1, "a span of time from 0 to 600 s"),
        (601, "a span of time from 0 to 600 s"),
        (float("nan"), "a span of time from 0 to 600 s"),
        ("inf", "a span of time from 0 to 600 s"),
    ],
)
def test_no_spans_of_time(value: Any, detail: str) -> None:
    with pytest.raises(Problem) as raised:
        read_seconds(value, "/timeout")
    assert problem_of(raised) == (422, "/timeout", detail)


@pytest.mark.parametrize(("value", "number"), [(1, 1), (9, 9), ("5", 5), ("0009", 9)])
def test_numbers(value: Any, number: int) -> None:
    assert read_number(value, "/count", 1, 9) == number


@pytest.mark.parametrize("value", [0, 10, True, 1.0, "", "-1", "1.5", "\u00b2", "9" * 5000, None, [1]])
def test_no_numbers(value: Any) -> None:
    with pytest.raises(Problem) as raised:
        read_number(value, "/count", 1, 9)
    assert problem_of(raised) == (422, "/count", "a number from 1 to 9")


def test_limit() -> None:
    assert read_limit({}) == 50
    assert read_limit({"limit": "1000"}) == 1000
    with pytest.raises(Problem) as raised:
        read_limit({"limit": "abc"})
    assert problem_of(raised) == (422, "/limit", "a number from 1 to 1000")


@pytest.mark.parametrize(
    ("query", "flag"),
    [({}, None), ({"x": "true"}, True), ({"x": "1"}, True), ({"x": "FALSE"}, False), ({"x": "0"}, False)],
)
def test_flags(query: dict[str, str], flag: bool | None) -> None:
    assert read_flag(query, "x") is flag


def test_no_flag() -> None:
    with pytest.raises(Problem) as raised:
        read_flag({"x": "yes"}, "x")
    assert problem_of(raised) == (422, "/x", "true or false")


@pytest.mark.parametrize(
    ("text", "outcomes"),
    [(None, ("accepted",)), ("any", None), ("accepted,worker-failed", ("accepted", "worker-failed"))],
)
def test_outcomes(text: str | None, outcomes: tuple[str, ...] | None) -> None:
    assert read_outcomes(text) == outcomes


def test_no_outcome() -> None:
    with pytest.raises(Problem) as raised:
        read_outcomes("accepted,lost")
    assert problem_of(raised) == (422, "/outcome", f"any, or of {', '.join(OUTCOMES)}")


@pytest.mark.parametrize(
    ("tags", "may"),
    [
        ([], True),
        (["a", "\u00fc" * 100], True),
        (["a"] * 100, True),
        (["a"] * 101, False),
        (["a" * 101], False),
        ([""], False),
        (["a\nb"], False),
        ([1], False),
        ("ab", False),
        (None, False),
    ],
)
def test_tags(tags: Any, may: bool) -> None:
    assert are_tags(tags) is may
