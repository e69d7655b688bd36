"""A piece of a load, in figures."""

from __future__ import annotations

from fastsmtp.bench.histogram import LatencyHistogram
from fastsmtp.bench.interval import Interval


def test_of() -> None:
    times = LatencyHistogram()
    for _ in range(3):
        times.add(0.5)
    found = Interval.of(1.00000049, 0.9999996, (3, 1, 300), times)
    assert found == (1.0, 1.0, 3, 1, 300, times.percentile(50), times.percentile(95), times.percentile(99), 0.5)


def test_of_nothing() -> None:
    assert Interval.of(2.0, 1.0, (0, 0, 0), LatencyHistogram()) == (2.0, 1.0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0)
