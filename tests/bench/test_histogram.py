"""Times in buckets: exact ends, percentiles that are never too low."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.bench.histogram import LatencyHistogram

times = st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=200)


def filled(seconds: list[float]) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for time in seconds:
        histogram.add(time)
    return histogram


def test_without_any_time() -> None:
    empty = LatencyHistogram()
    assert (empty.count, empty.mean, empty.percentile(99), list(empty.bars(10))) == (0, 0.0, 0.0, [])


@given(times, st.floats(0.1, 100))
def test_a_percentile_is_at_most_a_bucket_too_high(seconds: list[float], percent: float) -> None:
    exact = sorted(seconds)[max(1, math.ceil(len(seconds) * percent / 100)) - 1]
    assert exact * (1 - 1e-9) <= filled(seconds).percentile(percent) <= exact * 1.0111


@given(times, times)
def test_two_merged_are_one_of_all(some: list[float], others: list[float]) -> None:
    merged, whole = filled(some), filled(some + others)
    merged.merge(filled(others))
    assert (merged.count, merged.lowest, merged.highest) == (whole.count, whole.lowest, whole.highest)
    assert merged.mean == pytest.approx(whole.mean)
    assert list(merged.bars(7)) == list(whole.bars(7))


@given(times, st.integers(1, 20))
def test_bars_hold_every_time_once(seconds: list[float], count: int) -> None:
    bars = list(filled(seconds).bars(count))
    assert sum(number for _, _, number in bars) == len(seconds)
    assert len(bars) <= count
    assert [stop for _, stop, _ in bars[:-1]] == [start for start, _, _ in bars[1:]]
