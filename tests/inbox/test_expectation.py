"""Expectations, judged mail by mail."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from arrivals import arrival

from fastsmtp.faults.failures import FailedAttempt
from fastsmtp.inbox.expectation import Expectation, ExpectationState, Seen, make_expectation, make_item
from fastsmtp.inbox.report import make_report, report_text
from fastsmtp.inbox.where import Candidate, WhereError


def seconds(value: Any, pointer: str) -> float:
    return float(value)


def expecting(*items: dict[str, Any], **rest: Any) -> Expectation:
    return make_expectation({"expect": list(items), **rest}, seconds)


def feed(expectation: Expectation, *mails: dict[str, Any], at_s: float = 0.1) -> None:
    for changes in mails:
        made = arrival(**changes)
        payload = made.payload
        seen = Candidate(made.summary, lambda payload=payload: orjson.loads(payload))
        expectation.take(Seen(expectation.count + 1, at_s, seen))


X, Y = {"to": "x@example.com"}, {"to": "y@example.com"}


@pytest.mark.parametrize(
    ("item", "mails", "state"),
    [
        ({"where": X}, [], ExpectationState.OPEN),
        ({"where": X}, [X], ExpectationState.MET),
        ({"where": X, "at_least": 2}, [X], ExpectationState.OPEN),
        ({"where": X, "count": 2}, [X, X, X], ExpectationState.MET),
        ({"where": X, "exactly": 2}, [X], ExpectationState.OPEN),
        ({"where": X, "exactly": 2}, [X, X], ExpectationState.OPEN),  # another may come before it has settled
        ({"where": X, "exactly": 2}, [X, X, X], ExpectationState.VIOLATED),
        ({"where": X, "at_least": 1, "at_most": 2}, [X, Y, X], ExpectationState.OPEN),
        ({"where": X, "at_most": 2}, [X, X, X], ExpectationState.VIOLATED),
        ({"where": X, "none": True}, [Y], ExpectationState.OPEN),
        ({"where": X, "none": True}, [X], ExpectationState.VIOLATED),
        ({"where": X, "exactly": 0}, [X], ExpectationState.VIOLATED),
        ({"count": 2, "unit": "deliveries"}, [{"rcpt": ["a@b", "c@d"]}], ExpectationState.MET),
        (
            {"where": X, "count": 2, "unit": "deliveries"},
            [{"rcpt": ["x@example.com", "c@d"], **X}],
            ExpectationState.OPEN,
        ),
        ({"count": 2, "unique_by": "subject"}, [{"subject": "a"}, {"subject": "b"}], ExpectationState.MET),
        ({"count": 2, "unique_by": "subject"}, [{"subject": "a"}, {"subject": "a"}], ExpectationState.VIOLATED),
        ({"count": 2, "in_order": "header.X-N"}, [{"headers": {"X-N": n}} for n in ("2", "10")], ExpectationState.MET),
        (
            {"count": 2, "in_order": "header.X-N"},
            [{"headers": {"X-N": n}} for n in ("10", "2")],
            ExpectationState.VIOLATED,
        ),
        ({"count": 2, "in_order": "subject"}, [{"subject": "b"}, {"subject": "a"}], ExpectationState.VIOLATED),
    ],
    ids=str,
)
def test_one_item(item: dict[str, Any], mails: list[dict[str, Any]], state: ExpectationState) -> None:
    expectation = expecting(item)
    feed(expectation, *mails)
    assert expectation.state(0.1, over=False) is state


def test_what_must_not_grow_holds_for_a_while() -> None:
    expectation = expecting({"where": X, "exactly": 1}, settle=0.5)
    feed(expectation, X)
    assert expectation.state(1.0, over=False) is ExpectationState.OPEN
    assert expectation.ends_at(1.0) == 1.5
    assert expectation.state(1.4, over=False) is ExpectationState.OPEN
    assert expectation.state(1.5, over=False) is ExpectationState.MET
    feed(expectation, X)
    assert expectation.state(1.5, over=True) is ExpectationState.VIOLATED


def test_none_holds_until_the_others_do() -> None:
    expectation = expecting({"where": X}, {"where": Y, "none": True})
    assert expectation.state(3.0, over=True) is ExpectationState.OPEN
    feed(expectation, X)
    assert expectation.state(3.0, over=False) is ExpectationState.OPEN
    assert expectation.state(3.25, over=False) is ExpectationState.MET


def test_none_holds_as_long_as_it_says() -> None:
    expectation = expecting({"where": X}, {"where": Y, "none": True, "for": 2})
    feed(expectation, X)
    assert [expectation.state(at, over=False) for at in (0.1, 1.9, 2.0)] == [
        ExpectationState.OPEN,
        ExpectationState.OPEN,
        ExpectationState.MET,
    ]


def test_nothing_at_all_holds_when_the_time_is_over() -> None:
    expectation = expecting({"none": True})
    assert [expectation.state(9.0, over=over) for over in (False, True)] == [
        ExpectationState.OPEN,
        ExpectationState.MET,
    ]


def test_the_rest_may_be_forbidden() -> None:
    expectation = expecting({"where": X}, rest="forbid")
    feed(expectation, X)
    assert not expectation.violated
    feed(expectation, Y)
    assert expectation.state(0.1, over=False) is ExpectationState.VIOLATED


@pytest.mark.parametrize(
    ("spec", "pointer", "reason"),
    [
        ({}, "/expect", "a list of what is expected, one object each"),
        ({"expect": []}, "/expect", "a list of what is expected, one object each"),
        ({"expect": [{}] * 201}, "/expect", "at most 200 items"),
        ({"expect": [{}], "rest": "maybe"}, "/rest", "allow or forbid"),
        ({"expect": [{"where": {"to": 1}}]}, "/expect/0/where/to", "a string, or a list of strings"),
        ({"expect": [{}, {"exactly": -1}]}, "/expect/1/exactly", "a number from 0 to 1000000"),
        ({"expect": [{"exactly": 1, "at_most": 1}]}, "/expect/0/exactly", "says something else than at_most"),
        ({"expect": [{"none": True, "count": 1}]}, "/expect/0/none", "says something else than count"),
        ({"expect": [{"count": 1, "at_least": 1}]}, "/expect/0/count", "is the same as at_least"),
        ({"expect": [{"at_least": 3, "at_most": 2}]}, "/expect/0/at_most", "is less than the least"),
        ({"expect": [{"in_order": "tls"}]}, "/expect/0/in_order", "mails are compared by what is a text: "),
        ({"expect": [{"exact": 1}]}, "/expect/0", "Object contains unknown field `exact`"),
    ],
    ids=str,
)
def test_what_cannot_be_expected(spec: dict[str, Any], pointer: str, reason: str) -> None:
    with pytest.raises(WhereError) as raised:
        make_expectation(spec, seconds)
    assert (raised.value.pointer, raised.value.reason[: len(reason)]) == (pointer, reason)


def test_the_report() -> None:
    expectation = expecting(
        {"name": "welcome", "where": {**X, "subject": "Welcome"}, "exactly": 3},
        {"name": "none to y", "where": Y, "none": True},
        {"name": "order", "where": {"header.X-Batch": "7"}, "at_most": 1},
    )
    welcome = {**X, "subject": "Welcome"}
    feed(expectation, welcome, welcome, {**X, "subject": "Welcome\x1b back"}, {**Y, "subject": "Alert"})
    feed(expectation, {"to": "boss@example.com", "subject": "Report"}, at_s=1.5)
    server = {"accepted": 5, "refused": 1}
    report = make_report("expect", "run-42/w3", ("e.1", "e.6"), 5.0021, expectation, server, held=False)
    assert report_text(report) == (
        "expect failed after 5.002 s in run-42/w3 (e.1 -> e.6, 5 mails)\n"
        'x welcome: exactly 3 to x@example.com, subject "Welcome": got 2\n'
        '    #1 +0.100 s  "Welcome"\n'
        '    #2 +0.100 s  "Welcome"\n'
        "  one condition off:\n"
        '    #3 +0.100 s  subject "Welcome\\x1b back"\n'
        "x none to y: none to y@example.com: got 1\n"
        "    #4 is one too many\n"
        '    #4 +0.100 s  "Alert"\n'
        'ok order: at most 1 header.X-Batch "7": got 0\n'
        'unclaimed: #3 "Welcome\\x1b back" to x@example.com, #5 "Report" to boss@example.com\n'
        "server: 5 accepted, 1 refused\n"
    )


def test_a_report_says_what_a_plan_let_fail_and_whether_it_was_tried_again() -> None:
    expectation = expecting({"where": X})
    greylisted = FailedAttempt(rule="grey\nlist", at="rcpt", of="x@example.com", action="451", time=0.0, seq=1)
    again = FailedAttempt(rule="lost", at="data-end", of="y@b", action="close rst", time=0.0, seq=1, tried_again=True)
    dropped = FailedAttempt(rule="magic", at="data-end", of="drop@b", action="drop", time=0.0, seq=1, tried_again=None)
    server = {"accepted": 0, "refused": 0}

    def line(*failures: FailedAttempt) -> str:
        timed = [(0.3, failure) for failure in failures]
        report = make_report("expect", "n", ("e.1", "e.1"), 5.0, expectation, server, timed, held=False)
        assert (len(report["failures"]), report["failures_more"]) == (min(20, len(timed)), max(0, len(timed) - 20))
        return report_text(report).splitlines()[-1].removeprefix("server: 0 accepted, 0 refused")

    one = ', fault "grey\\nlist": RCPT x@example.com 451 at +0.300 s, not tried again'
    assert line(greylisted) == one
    assert line(greylisted, again, dropped) == (
        f'{one}; fault "lost": DATA-END y@b close rst at +0.300 s, tried again; '
        'fault "magic": DATA-END drop@b drop at +0.300 s'
    )
    assert line(*[greylisted] * 22).endswith("; and 2 before")


def test_a_report_has_an_end() -> None:
    expectation = expecting({"where": Y})
    feed(expectation, *[{**X, "subject": "x" * 10_000}] * 1000)
    report = make_report("wait", "default", ("e.0", "e.1000"), 1.0, expectation, {}, held=False)
    assert (len(report["unclaimed"]), report["unclaimed_more"], len(report["items"][0]["near"])) == (20, 980, 10)
    assert len(report_text(report)) < 10_000


def test_an_expectation_holds_no_more_mails_than_so_many() -> None:
    expectation = expecting({"where": X, "at_least": 1})
    feed(expectation, *[X, Y] * 1500)
    (item,) = expectation.items
    assert (item.mails, len(item.seen), expectation.unclaimed_count, len(expectation.unclaimed)) == (
        1500,
        1000,
        1500,
        1000,
    )


def test_an_item_without_anything_wants_one_mail() -> None:
    item = make_item({}, "", seconds)
    assert (item.low, item.high, item.wanted()) == (1, None, "at least 1 any mail")
