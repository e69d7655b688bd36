"""Conditions on mails."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from arrivals import arrival
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.inbox.where import Candidate, Where, WhereError, values
from fastsmtp.text import SEARCHED, wildcard


def mail(*, tags: tuple[str, ...] = (), **changes: Any) -> Candidate:
    made = arrival(**changes)
    return Candidate(made.summary, lambda: orjson.loads(made.payload), tags)


ATTACHMENT = {"filename": "Rechnung März.pdf", "content_type": "application/pdf", "disposition": "attachment"}
MAIL = {
    "to": "Max@Example.com",
    "subject": "Welcome, Max",
    "text": "Your code is 123456.\r\n",
    "html": "<p>Your code</p>",
    "headers": {"X-Batch": "7", "List-Id": "news"},
    "username": "shop",
    "rcpt": ["Max@Example.com", "bcc@example.com"],
    "attachments": [ATTACHMENT],
    "size": 2000,
}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"to": "max@example.COM"},
        {"to": "*@example.com"},
        {"to": ["other@example.com", "max@*"]},
        {"from": "A@example.com"},
        {"rcpt": "bcc@example.com"},
        {"subject": "Welcome, Max"},
        {"subject": "Welcome*"},
        {"subject": "*, M?x"},
        {"text": "*code is ??????.*"},
        {"html": "*<p>*"},
        {"body": "*Your code</p>"},
        {"body": "*123456*"},
        {"header.X-Batch": "7"},
        {"header.x-batch": ["6", "7"]},
        {"tag": "red"},
        {"username": "SHOP"},
        {"helo": "client.test"},
        {"ip": "127.0.0.1"},
        {"ip": ["10.0.0.0/8", "127.0.0.0/8"]},
        {"message_id": "*@example.com"},
        {"attachment": "Rechnung*"},
        {"has_attachment": True},
        {"size": ">1kB"},
        {"size": "<= 2000"},
        {"size": 2000},
        {"tls": False},
        {"outcome": "accepted"},
        {"not": {"to": "other@example.com"}},
        {"any": [{"subject": "no"}, {"subject": "Welcome*", "has_attachment": True}]},
        {"not": {"any": [{"subject": "no"}, {"to": "noreply@example.com"}]}, "from": "a@example.com"},
    ],
    ids=str,
)
def test_conditions_that_hold(spec: dict[str, Any]) -> None:
    assert Where(spec)(mail(tags=("blue", "red"), **MAIL))


@pytest.mark.parametrize(
    "spec",
    [
        {"to": "bcc@example.com"},
        {"to": ""},
        {"rcpt": "max@example"},
        {"subject": "welcome, max"},
        {"subject": "Welcome"},
        {"subject": "?Welcome, Max"},
        {"text": "code"},
        {"header.X-Other": "*"},
        {"tag": "r"},
        {"ip": "::1"},
        {"cc": "*"},
        {"fault": "*"},
        {"violation": "*"},
        {"attachment": "*.zip"},
        {"has_attachment": False},
        {"size": ">2000"},
        {"tls": True},
        {"outcome": "refused"},
        {"not": {}},
        {"any": [{"subject": "no"}]},
        {"to": "max@example.com", "subject": "no"},
    ],
    ids=str,
)
def test_conditions_that_do_not_hold(spec: dict[str, Any]) -> None:
    assert not Where(spec)(mail(tags=("blue", "red"), **MAIL))


@pytest.mark.parametrize(
    ("spec", "pointer", "reason"),
    [
        ([], "", "a condition is an object"),
        ({"too": "x"}, "/too", "unknown key 'too'; there are "),
        ({"to": 7}, "/to", "a string, or a list of strings"),
        ({"to": ["a", None]}, "/to", "a string, or a list of strings"),
        ({"subject": "x" * 1001}, "/subject", "a pattern is too long: "),
        ({"subject": "?" * 21}, "/subject", "a pattern is too long: "),
        ({"subject": ["x"] * 1001}, "/subject", "a pattern is too long: "),
        ({"has_attachment": "yes"}, "/has_attachment", "true or false"),
        ({"size": ">"}, "/size", "a number of octets, or a string like"),
        ({"size": "1 furlong"}, "/size", "units are B, kB"),
        ({"size": True}, "/size", "a number of octets, or a string like"),
        ({"ip": "1.2.3"}, "/ip", "an address or a network, "),
        ({"ip": 7.5}, "/ip", "an address or a network, "),
        ({"any": []}, "/any", "any of what? "),
        ({"any": {}}, "/any", "any of what? "),
        ({"any": [{}, {"not": {"a/b~c": ""}}]}, "/any/1/not/a~1b~0c", "unknown key 'a/b~c'"),
        ({"not": 1}, "/not", "a condition is an object"),
    ],
    ids=str,
)
def test_what_is_no_condition(spec: Any, pointer: str, reason: str) -> None:
    with pytest.raises(WhereError) as raised:
        Where(spec)
    assert (raised.value.pointer, raised.value.reason[: len(reason)]) == (pointer, reason)


def test_conditions_are_not_nested_without_end() -> None:
    spec: dict[str, Any] = {}
    for _ in range(30):
        spec = {"not": spec}
    with pytest.raises(WhereError, match="conditions may be nested 20 deep"):
        Where(spec)


@pytest.mark.parametrize(
    ("spec", "recipient"),
    [
        ({"to": "Max@Example.com"}, "max@example.com"),
        ({"rcpt": "a@b", "subject": "x"}, "a@b"),
        ({"to": "*@example.com"}, None),
        ({"to": ["a@b"]}, None),
        ({"from": "a@b"}, None),
        ({"not": {"to": "a@b"}}, None),
        ({"any": [{"to": "a@b"}]}, None),
    ],
)
def test_the_one_recipient(spec: dict[str, Any], recipient: str | None) -> None:
    assert Where(spec).recipient == recipient


def test_what_fails_and_what_is_there_instead() -> None:
    seen = mail(**MAIL)
    where = Where({"to": "max@example.com", "subject": "Welcome", "header.X-Batch": "8", "size": 1})
    assert where.failing(seen) == ["subject", "header.X-Batch", "size"]
    assert [values(key, seen) for key in (*where.failing(seen), "cc", "ip")] == [
        ["Welcome, Max"],
        ["7"],
        ["2000"],
        [],
        [],
    ]


def test_words() -> None:
    spec = {"to": "x@example.com", "subject": ["a", "b"], "not": {"tls": True}, "any": [{"size": ">1MB"}, {}]}
    assert str(Where(spec)) == 'to x@example.com, subject "a" or "b", not (tls true), (size >1MB) or (any mail)'
    assert str(Where({})) == "any mail"


def test_only_the_summary_is_kept() -> None:
    made = arrival(**MAIL)
    seen = Candidate(made.summary, lambda: None)
    assert [Where(spec)(seen) for spec in ({"text": "*"}, {"header.X-Batch": "7"}, {"attachment": "*"})] == [False] * 3
    assert Where({"to": "max@example.com", "has_attachment": True})(seen)


def matches_slowly(pattern: str, text: str) -> bool:
    """The definition, letter by letter."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches_slowly(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and matches_slowly(pattern[1:], text[1:])


@given(st.text("ab*?\n", max_size=8), st.text("ab\n", max_size=8))
def test_wildcards(pattern: str, text: str) -> None:
    assert wildcard(pattern)(text) is matches_slowly(pattern, text)


@pytest.mark.parametrize("pattern", ["*needle*", "*n??dle*", "a*needle*z", "*needle*needle*", "*n?edle?z", "*?dle*"])
@pytest.mark.parametrize("end", ["", "z", "needlez"])
def test_a_large_text_is_searched_in_stretches_that_miss_nothing(pattern: str, end: str) -> None:
    expected = re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
    matches = wildcard(pattern)
    for start in range(SEARCHED - 8, SEARCHED + 3):
        text = "a" * start + "needle" + "a" * SEARCHED + end
        assert matches(text) is (expected.fullmatch(text) is not None)
    assert not matches("a" * (2 * SEARCHED))
