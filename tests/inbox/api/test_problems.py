"""Errors as clients of the API get them (RFC 9457)."""

from __future__ import annotations

import json

import pytest

from fastsmtp.inbox.api.problems import Problem, bad


def shown(problem: Problem) -> tuple[int, str, object]:
    response = problem.response()
    assert isinstance(response.body, bytes)
    return response.status, response.content_type, json.loads(response.body)


def test_members() -> None:
    problem = Problem(409, "it is there already", pointer="/name", name="default", mails=3)
    assert shown(problem) == (
        409,
        "application/problem+json",
        {
            "type": "about:blank",
            "title": "Conflict",
            "status": 409,
            "detail": "it is there already",
            "pointer": "/name",
            "name": "default",
            "mails": 3,
        },
    )
    assert str(problem) == "it is there already"


@pytest.mark.parametrize(("status", "title"), [(404, "Not found"), (418, "Error")])
def test_without_a_pointer(status: int, title: str) -> None:
    document = {"type": "about:blank", "title": title, "status": status, "detail": "x"}
    assert shown(Problem(status, "x")) == (status, "application/problem+json", document)


def test_a_value_that_cannot_be_used() -> None:
    problem = bad("/limit", "a number from 1 to 1000")
    assert (problem.status, problem.pointer, problem.detail) == (422, "/limit", "a number from 1 to 1000")
