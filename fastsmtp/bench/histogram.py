"""Times, counted in buckets that are narrow where the times are short: percentiles of any number in little memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

_PER_OCTAVE = 64  # buckets from one time to its double: none is wider than 1.1 % of what it counts
_UNIT_S = 1e-6  # what is shorter counts as that


class LatencyHistogram:
    """Adds up times in seconds. A percentile is at most 1.1 % too high, never too low; the ends are exact."""

    __slots__ = ("_buckets", "count", "highest", "lowest", "total")

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.total = 0.0
        self.lowest = math.inf
        self.highest = 0.0

    def add(self, seconds: float) -> None:
        """Count one time."""
        self._buckets[int(math.log2(seconds / _UNIT_S) * _PER_OCTAVE) if seconds > _UNIT_S else 0] += 1
        self.count += 1
        self.total += seconds
        if seconds > self.highest:
            self.highest = seconds
        if seconds < self.lowest:
            self.lowest = seconds

    def merge(self, other: LatencyHistogram) -> None:
        """Count all that `other` has counted."""
        self._buckets.update(other._buckets)
        self.count += other.count
        self.total += other.total
        self.lowest = min(self.lowest, other.lowest)
        self.highest = max(self.highest, other.highest)

    @property
    def mean(self) -> float:
        """The average, 0 without any."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """A time that so many percent of all do not exceed, 0 without any."""
        rank = max(1, math.ceil(self.count * percent / 100))
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return min(self.highest, max(self.lowest, _upper(bucket)))
        return 0.0

    def bars(self, count: int) -> Iterator[tuple[float, float, int]]:
        """From, to and how many, for so many ranges of the same ratio between the shortest and the longest time."""
        if not self.count:
            return
        first, last = min(self._buckets), max(self._buckets)
        width = -(-(last - first + 1) // count)
        for start in range(first, last + 1, width):
            stop = start + width
            yield _upper(start - 1), _upper(stop - 1), sum(self._buckets[bucket] for bucket in range(start, stop))


def _upper(bucket: int) -> float:
    return _UNIT_S * math.pow(2, (bucket + 1) / _PER_OCTAVE)
