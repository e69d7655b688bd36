"""A piece of a load, in figures."""

from __future__ import annotations

from typing import NamedTuple

from fastsmtp.bench.histogram import LatencyHistogram


class Interval(NamedTuple):
    """A piece of the run: from `start` on, in seconds since the clock started, for so many seconds."""

    start: float
    seconds: float
    answered: int
    failed: int
    octets: int
    p50: float
    p95: float
    p99: float
    highest: float

    @classmethod
    def of(cls, start: float, seconds: float, counts: tuple[int, int, int], times: LatencyHistogram) -> Interval:
        """`counts` are mails answered and failed, and octets of the answered ones, whose `times` these are."""
        p50, p95, p99 = times.percentile(50), times.percentile(95), times.percentile(99)
        return cls(round(start, 6), round(seconds, 6), *counts, p50, p95, p99, times.highest)
