"""Percentiles, counts and intervals of a load."""

from __future__ import annotations

import random

import pytest

from fastsmtp.bench.histogram import LatencyHistogram
from fastsmtp.bench.measures import Interval, Measures
from fastsmtp.client.mail import Content, Failure, Mail


@pytest.mark.parametrize("percent", [0.1, 50, 90, 99, 99.9, 100])
def test_percentiles_are_never_too_low_and_little_too_high(percent: float) -> None:
    chooser = random.Random(5)
    times = sorted(chooser.lognormvariate(-6, 2) for _ in range(5000))
    histogram = LatencyHistogram()
    for seconds in times:
        histogram.add(seconds)
    exact = times[max(0, -(-len(times) * int(percent * 10) // 1000) - 1)]
    assert exact <= histogram.percentile(percent) <= exact * 1.011
    assert (histogram.lowest, histogram.highest, histogram.count) == (times[0], times[-1], 5000)
    assert histogram.mean == pytest.approx(sum(times) / 5000)


def test_histograms_without_times() -> None:
    empty = LatencyHistogram()
    assert (empty.percentile(50), empty.mean, list(empty.bars(5))) == (0.0, 0.0, [])
    full = LatencyHistogram()
    full.add(0.0)
    full.add(2.0)
    full.merge(empty)
    assert (full.percentile(50), full.percentile(100), full.lowest) == (pytest.approx(0, abs=2e-6), 2.0, 0.0)


def test_bars_count_everything_once() -> None:
    histogram = LatencyHistogram()
    for exponent in range(20):
        histogram.add(1e-6 * 2**exponent)
    bars = list(histogram.bars(7))
    assert len(bars) <= 7
    assert sum(count for _, _, count in bars) == 20
    assert [upper for _, upper, _ in bars[:-1]] == [lower for lower, _, _ in bars[1:]]


def mail(began: float, sent: float) -> Mail:
    one = Mail("m", b"X: 1\r\n", Content(b"Y: 2\r\n", b"Y: 2\r\n", False))
    one.began, one.sent = began, sent
    return one


def test_a_run_in_intervals() -> None:
    measures = Measures()
    measures.start(100.0)
    measures.on_answered(mail(100.0, 100.25), 100.5)
    measures.turn(100.75)
    measures.on_failure(mail(100.0, 0.0), Failure("MAIL", "451", "451 later"), 100.8)
    measures.on_failure(None, Failure("RCPT", "550", "550 no"), 100.9)
    measures.on_failure(None, Failure("RCPT", "550", "550 never"), 100.9)
    measures.turn(101.25)
    measures.on_answered(mail(101.0, 101.5), 102.0)
    measures.turn(102.0, end=True)
    measures.turn(102.0, end=True)
    assert measures.intervals == [
        Interval(0.0, 1.25, 1, 1, 12, 0.5, 0.5, 0.5, 0.5),
        Interval(1.25, 0.75, 1, 0, 12, 1.0, 1.0, 1.0, 1.0),
    ]
    assert (measures.answered, measures.failed, measures.mails, measures.octets) == (2, 1, 3, 24)
    assert (measures.seconds, measures.rate) == (2.0, 1.0)
    assert (measures.mail.count, measures.verdict.count, measures.verdict.highest) == (2, 2, 0.5)
    assert measures.failures == {"MAIL: 451": 1, "RCPT: 550": 2}
    assert measures.examples == {"MAIL: 451": "451 later", "RCPT: 550": "550 no"}


def test_kinds_of_failures_are_limited() -> None:
    measures = Measures()
    for number in range(150):
        measures.on_failure(None, Failure("MAIL", str(number)), 1.0)
    assert len(measures.failures) == 101
    assert measures.failures["other: failures"] == 50


def test_abandoned_mails_are_failures() -> None:
    measures = Measures()
    measures.on_abandoned(7, 1.0)
    assert (measures.failed, dict(measures.failures)) == (7, {"between mails: never sent": 7})


def test_an_endless_reply_is_shown_in_part() -> None:
    measures = Measures()
    measures.on_failure(None, Failure("MAIL", "451", "451 " + 1000 * "x"), 1.0)
    assert measures.examples == {"MAIL: 451": "451 " + 196 * "x"}
