"""The first seconds of a load in thin slices: a curve even of a load that is over before its first interval."""

from __future__ import annotations

from fastsmtp.bench.histogram import LatencyHistogram
from fastsmtp.bench.interval import Interval

LONGEST_S = 10.0  # a longer load has enough intervals
_SLICE_S = 0.001
_POINTS = 40  # of a curve, at most


class _Slice:
    """What happened in one slice."""

    __slots__ = ("answered", "failed", "octets", "times")

    def __init__(self) -> None:
        self.answered = 0
        self.failed = 0
        self.octets = 0
        self.times = LatencyHistogram()

    def add(self, other: _Slice) -> None:
        self.answered += other.answered
        self.failed += other.failed
        self.octets += other.octets
        self.times.merge(other.times)


class LoadSlices:
    """Filled while the load runs; times are seconds since the clock started."""

    def __init__(self) -> None:
        self._slices: dict[int, _Slice] = {}

    def on_answered(self, at: float, latency: float, octets: int) -> None:
        """A mail got its 250."""
        if at < LONGEST_S:
            piece = self._slices.setdefault(int(at / _SLICE_S), _Slice())
            piece.answered += 1
            piece.octets += octets
            piece.times.add(latency)

    def on_failed(self, at: float) -> None:
        """A mail failed."""
        if at < LONGEST_S:
            self._slices.setdefault(int(at / _SLICE_S), _Slice()).failed += 1

    def intervals(self, seconds: float) -> list[Interval]:
        """Return intervals of the same length for a load that took so long."""
        width = max(1, -(-int(seconds / _SLICE_S) // _POINTS))  # slices in each
        merged: dict[int, _Slice] = {}
        for index, piece in self._slices.items():
            merged.setdefault(index // width, _Slice()).add(piece)
        return [
            _interval(
                merged.get(number, _Slice()),
                number * width * _SLICE_S,
                min(width * _SLICE_S, max(_SLICE_S, seconds - number * width * _SLICE_S)),
            )
            for number in range(max(merged, default=-1) + 1)
        ]


def _interval(piece: _Slice, start: float, seconds: float) -> Interval:
    return Interval.of(start, seconds, (piece.answered, piece.failed, piece.octets), piece.times)
