"""When a rule applies."""

from __future__ import annotations

from typing import Any

import pytest

from fastsmtp.faults.conditions import When
from fastsmtp.faults.question import PlanError, Question

HEADERS = [("subject", "Invoice 7"), ("x-batch", "blue"), ("x-batch", "red")]
QUESTION = Question(
    at="data-end",
    connection="c1",
    ip="10.1.2.3",
    helo="shop.example",
    tls=True,
    mechanism="PLAIN",
    username="run-1",
    sender="Ann@example.com",
    rcpts=["bob@slow.example", "eve@example.com"],
    size=2_000_000,
    headers=HEADERS,
    connections=21,
)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"at": "data-end"}, True),
        ({"at": "any"}, True),
        ({"at": ["rcpt", "data-end"], "from": "ann@example.com"}, True),
        ({"at": "rcpt"}, False),
        ({"at": "data-end", "from": "ann@EXAMPLE.com"}, True),
        ({"at": "data-end", "from": "ann"}, False),
        ({"at": "data-end", "from": ["x", "a?n@*"]}, True),
        ({"at": "data-end", "rcpt": "*@slow.example"}, True),
        ({"at": "data-end", "rcpt": ["EVE@example.com", "*@none.example"]}, True),
        ({"at": "data-end", "rcpt": "*@fast.example"}, False),
        ({"at": "data-end", "username": "run-*", "mechanism": "plain", "helo": "*.example"}, True),
        ({"at": "data-end", "username": "run-*", "mechanism": "login"}, False),
        ({"at": "data-end", "ip": "10.0.0.0/8"}, True),
        ({"at": "data-end", "ip": ["::1", "10.1.2.3"]}, True),
        ({"at": "data-end", "ip": "192.0.2.0/24"}, False),
        ({"at": "data-end", "tls": True}, True),
        ({"at": "data-end", "tls": False}, False),
        ({"at": "data-end", "size": ">1MB"}, True),
        ({"at": "data-end", "size": "<= 1MB"}, False),
        ({"at": "data-end", "recipients": 2}, True),
        ({"at": "data-end", "recipients": ">2"}, False),
        ({"at": "data-end", "connections": ">20"}, True),
        ({"at": "data-end", "connections": ">=22"}, False),
        ({"at": "data-end", "subject": "Invoice*"}, True),
        ({"at": "data-end", "subject": "invoice"}, False),
        ({"at": "data-end", "header.X-Batch": "red"}, True),
        ({"at": "data-end", "header.X-Batch": "green"}, False),
        ({"at": "data-end", "header.X-None": "*"}, False),
    ],
)
def test_holds(condition: dict[str, Any], holds: bool) -> None:
    assert When(condition, "").holds(QUESTION) is holds


def test_the_recipient_of_a_command_is_the_one_that_counts() -> None:
    at_rcpt = Question(at="rcpt", connection="c1", rcpt="eve@example.com", rcpts=["bob@slow.example"])
    assert [When({"at": "rcpt", "rcpt": pattern}, "").holds(at_rcpt) for pattern in ("*@slow.example", "eve@*")] == [
        False,
        True,
    ]
    assert When({"at": "rcpt", "recipients": 2}, "").holds(at_rcpt)


def test_a_client_without_an_address_is_in_no_network() -> None:
    assert not When({"at": "any", "ip": "0.0.0.0/0"}, "").holds(Question(at="mail", connection="c1", ip=""))


@pytest.mark.parametrize(
    ("nth", "meant"),
    [
        (3, [3]),
        ([2, 5], [2, 5]),
        ("every 4", [4, 8]),
        (">=7", [7, 8, 9]),
        (">7", [8, 9]),
        ("<3", [1, 2]),
        ("=4", [4]),
    ],
)
def test_nth(nth: object, meant: list[int]) -> None:
    condition = When({"at": "data", "nth": nth}, "").nth
    assert condition is not None
    assert [number for number in range(1, 10) if condition(number)] == meant


@pytest.mark.parametrize(("rate", "meant"), [(">50/s", [51]), (">=50", [50, 51]), ("<50/s", [49])])
def test_rate(rate: str, meant: list[int]) -> None:
    condition = When({"at": "data", "rate": rate}, "").rate
    assert condition is not None
    assert [number for number in (49, 50, 51) if condition(number)] == meant


@pytest.mark.parametrize(
    ("condition", "pointer"),
    [
        (3, "/when"),
        ({}, "/when/at"),
        ({"at": "never"}, "/when/at"),
        ({"at": ["rcpt", "never"]}, "/when/at/1"),
        ({"at": []}, "/when/at"),
        ({"at": "rcpt", "form": "x"}, "/when/form"),
        ({"at": "rcpt", "a/b": "x"}, "/when/a~1b"),
        ({"at": "rcpt", "from": 3}, "/when/from"),
        ({"at": "rcpt", "from": ["x", 3]}, "/when/from/1"),
        ({"at": "rcpt", "from": "x" * 1001}, "/when/from"),
        ({"at": "rcpt", "from": "?" * 21}, "/when/from"),
        ({"at": "rcpt", "subject": "x"}, "/when/subject"),
        ({"at": "any", "header.X": "x"}, "/when/header.X"),
        ({"at": "data-end", "header.": "x"}, "/when/header."),
        ({"at": "rcpt", "ip": "10.0.0.0/99"}, "/when/ip"),
        ({"at": "rcpt", "ip": ["::1", 4]}, "/when/ip/1"),
        ({"at": "rcpt", "tls": "yes"}, "/when/tls"),
        ({"at": "rcpt", "size": "> much"}, "/when/size"),
        ({"at": "rcpt", "size": True}, "/when/size"),
        ({"at": "rcpt", "rate": ">5/m"}, "/when/rate"),
        ({"at": "rcpt", "nth": 0}, "/when/nth"),
        ({"at": "rcpt", "nth": [1, 0]}, "/when/nth/1"),
        ({"at": "rcpt", "nth": "every 0"}, "/when/nth"),
        ({"at": "rcpt", "nth": []}, "/when/nth"),
        ({"at": "rcpt", "rcpt": []}, "/when/rcpt"),
        ({"at": "rcpt", "rcpt": ["x"] * 1001}, "/when/rcpt"),
        ({"at": "rcpt", "ip": []}, "/when/ip"),
        ({"at": "rcpt", 1: "x"}, "/when/1"),
    ],
)
def test_what_is_no_condition(condition: object, pointer: str) -> None:
    with pytest.raises(PlanError) as raised:
        When(condition, "/when")
    assert raised.value.pointer == pointer
