"""The numbers behind the metrics."""

from __future__ import annotations

import pytest

from fastsmtp.tally import BOUNDS, Histogram, Tally


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(0.0, 0), (0.0001, 0), (0.00011, 1), (0.001, 2), (59.9, 16), (60.0, 16), (60.1, 17), (1e9, 17)],
)
def test_a_bound_counts_below_itself(value: float, bucket: int) -> None:
    histogram = Histogram()
    histogram.observe(value)
    assert histogram.counts == [int(index == bucket) for index in range(len(BOUNDS) + 1)]
    assert histogram.total == value


def test_bounds_ascend() -> None:
    assert sorted(set(BOUNDS)) == list(BOUNDS)


def test_every_verdict_has_its_histogram() -> None:
    assert list(Tally(["accept", "no-worker"]).durations) == ["accept", "no-worker"]
