"""Which mail of a load is due when; no clock runs here."""

from __future__ import annotations

from itertools import repeat

import pytest

from fastsmtp.bench.plan import Agenda, Plan
from fastsmtp.client.dialogue import Script
from fastsmtp.client.mail import Content
from fastsmtp.system.addresses import TCPAddress

TEMPLATE = Content(b"", b"", False)


def agenda(*, mails: int = 0, duration_s: float = 0.0, rate: float = 0.0, start: float = 100.0) -> Agenda:
    plan = Plan(
        TCPAddress("", 25),
        Script("me", "a@b", ["c@d"]),
        repeat(TEMPLATE),
        mails=mails,
        duration_s=duration_s,
        rate=rate,
        run="0123abcd",
    )
    made = Agenda(plan)
    if start:
        made.start(start)
    return made


def given(made: Agenda, now: float) -> list[tuple[str, float]]:
    """All that are due: the number of each, and when its time began."""
    found = []
    while len(found) < 100 and (mail := made.next(now)) is not None:
        found.append((mail.ident.removeprefix("0123abcd-0000000"), mail.began))
    return found


def test_nothing_is_due_before_the_start() -> None:
    made = agenda(mails=1, start=0.0)
    assert (made.next(1e9), made.started, made.exhausted) == (None, False, False)
    made.start(5.0)
    assert (given(made, 5.0), made.started, made.exhausted) == ([("1", 5.0)], True, True)


def test_without_a_rate_all_are_due_at_once() -> None:
    made = agenda(mails=3)
    assert given(made, 101.0) == [("1", 101.0), ("2", 101.0), ("3", 101.0)]
    assert made.exhausted


def test_with_a_rate_their_time_begins_when_they_are_due() -> None:
    made = agenda(mails=5, rate=2.0)
    assert given(made, 99.9) == []
    assert given(made, 100.6) == [("1", 100.0), ("2", 100.5)]
    assert (given(made, 100.9), made.next_due) == ([], 101.0)
    assert given(made, 200.0) == [("3", 101.0), ("4", 101.5), ("5", 102.0)]
    assert made.exhausted


@pytest.mark.parametrize(("mails", "count"), [(0, 5), (3, 3), (9, 5)])
def test_rate_and_duration_say_how_many(mails: int, count: int) -> None:
    assert len(given(agenda(mails=mails, duration_s=2.5, rate=2.0), 1e9)) == count


def test_a_duration_ends_when_it_is_told_to() -> None:
    made = agenda(duration_s=1.0)
    assert len(given(made, 100.0)) == 100
    assert (made.stop(), given(made, 100.0), made.exhausted) == (0, [], True)


def test_how_many_are_left_is_told_once() -> None:
    made = agenda(mails=10)
    made.next(100.0)
    assert (made.stop(), made.stop()) == (9, 0)


def test_what_comes_back_is_the_next() -> None:
    made = agenda(mails=2)
    mail = made.next(100.0)
    assert mail is not None
    assert len(given(made, 100.0)) == 1
    made.stop()
    made.give_back(mail)
    assert not made.exhausted
    assert made.next(101.0) is mail
    assert (made.next(101.0), made.exhausted) == (None, True)
