"""The beginning of a load, looked at closely."""

from __future__ import annotations

import pytest

from fastsmtp.bench.interval import Interval
from fastsmtp.bench.measures import Measures
from fastsmtp.bench.slices import LONGEST_S, LoadSlices
from fastsmtp.client.mail import Content, Failure, Mail


def test_a_load_of_a_few_milliseconds() -> None:
    slices = LoadSlices()
    slices.on_answered(0.0004, 0.0004, 100)
    slices.on_answered(0.0028, 0.001, 100)
    slices.on_failed(0.0029)
    assert slices.intervals(0.003) == [
        Interval(0.0, 0.001, 1, 0, 100, 0.0004, 0.0004, 0.0004, 0.0004),
        Interval(0.001, 0.001, 0, 0, 0, 0.0, 0.0, 0.0, 0.0),
        Interval(0.002, 0.001, 1, 1, 100, 0.001, 0.001, 0.001, 0.001),
    ]


@pytest.mark.parametrize(("seconds", "width"), [(0.04, 0.001), (0.5, 0.013), (3.0, 0.075), (9.9, 0.248)])
def test_a_curve_has_few_points_and_all_mails(seconds: float, width: float) -> None:
    slices = LoadSlices()
    for number in range(1000):
        slices.on_answered(seconds * number / 1000, 0.001, 1)
    curve = slices.intervals(seconds)
    assert sum(point.answered for point in curve) == sum(point.octets for point in curve) == 1000
    assert 35 <= len(curve) <= 40
    assert {point.seconds for point in curve[:-1]} == {width}
    assert [point.start for point in curve] == [pytest.approx(width * index) for index in range(len(curve))]


def test_without_mails_there_is_no_curve() -> None:
    assert LoadSlices().intervals(1.0) == []


def measures_of(seconds: float, *, sliced: bool) -> Measures:
    """A mail every ten milliseconds, of which the last fails."""
    measures = Measures(sliced=sliced)
    measures.start(100.0)
    for number in range(int(100 * seconds)):
        mail = Mail("m", b"", Content(b"", b"", False))
        mail.began = mail.sent = now = 100.0 + number / 100
        measures.on_answered(mail, now)
        measures.turn(now)
    measures.on_failure(mail, Failure("MAIL", "451", "451 later"), now)
    measures.turn(now, end=True)
    return measures


def test_a_short_load_is_a_curve() -> None:
    measures = measures_of(0.5, sliced=True)
    assert (len(measures.intervals), measures.intervals[0].answered) == (1, 50)
    assert len(measures.curve) > 30
    assert (sum(point.answered for point in measures.curve), measures.curve[-1].failed) == (50, 1)


@pytest.mark.parametrize(("seconds", "sliced"), [(LONGEST_S + 1, True), (0.5, False)])
def test_where_nothing_is_sliced_the_intervals_are_the_curve(seconds: float, sliced: bool) -> None:
    measures = measures_of(seconds, sliced=sliced)
    assert measures.curve == measures.intervals
