"""Metrics of the application: declared in `metrics.collect` or by workers, and changed by workers over RPC.

Names, types and rules are those of RoadRunner's metrics plugin, whose clients call `metrics.Declare`, `Add`, `Sub`,
`Set`, `Observe` and `Unregister`. Here are the numbers; `metrics` shows them.
"""

from __future__ import annotations

import functools
import math
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from fastsmtp.config.collect import CollectorSettings
from fastsmtp.config.settings import MetricsSettings
from fastsmtp.errors import CallError
from fastsmtp.goridge.rpc import Method

MAX_METRICS: Final = 1000
MAX_SERIES: Final = 10_000  # of one metric: a worker whose labels come from mails must not use up all memory
SUMMARY_AGE_S: Final = 600.0  # of the values among which a summary looks for its quantiles, as in RoadRunner
SUMMARY_VALUES: Final = 10_000  # how many of them at most

# Which operations a type has.
_OPERATIONS: Final = {
    "counter": {"Add"},
    "gauge": {"Add", "Sub", "Set"},
    "histogram": {"Observe"},
    "summary": {"Observe"},
}


class Change(msgspec.Struct, frozen=True):
    """The argument of `metrics.Add` and its like: values of labels come in the order of the declaration."""

    name: str
    value: float
    labels: list[str] | None = None


class Collector(msgspec.Struct, frozen=True):
    """What a worker declares; it may say more than is known here."""

    type: str
    namespace: str = ""
    subsystem: str = ""
    help: str = ""
    labels: list[str] | None = None
    buckets: list[float] | None = None
    objectives: dict[str, float] | None = None

    def settings(self) -> CollectorSettings:
        """Raises CallError."""
        if self.type not in _OPERATIONS:
            raise CallError(f"unknown collector type: {self.type}")
        given = {key: value for key, value in msgspec.structs.asdict(self).items() if value is not None}
        return CollectorSettings(**given)


class Declaration(msgspec.Struct, frozen=True):
    """The argument of `metrics.Declare`."""

    name: str
    collector: Collector


class Distribution:
    """The observed values of a histogram, between its buckets, or of a summary."""

    __slots__ = ("_buckets", "_values", "counts", "total")

    def __init__(self, buckets: Sequence[float], *, keeps_values: bool) -> None:
        self._buckets = buckets
        self.counts = [0] * (len(buckets) + 1)  # by bucket; the last one has no bound
        self.total = 0.0
        # When and what, of the last ones, where quantiles are asked for.
        self._values: deque[tuple[float, float]] | None = deque(maxlen=SUMMARY_VALUES) if keeps_values else None

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._buckets, value)] += 1
        self.total += value
        if self._values is not None:
            self._values.append((time.monotonic(), value))

    def quantiles(self, wanted: Iterable[float]) -> dict[float, float]:
        """The values at such parts of the last ones, in their order; not a number where there are none."""
        oldest = time.monotonic() - SUMMARY_AGE_S
        values = sorted(value for when, value in self._values or () if when >= oldest)
        if not values:
            return dict.fromkeys(wanted, math.nan)
        return {part: values[max(0, math.ceil(part * len(values)) - 1)] for part in wanted}


class AppMetric:
    """One metric: a number, or a distribution, for each combination of the values of its labels."""

    def __init__(self, name: str, settings: CollectorSettings) -> None:
        self.name = settings.full_name(name)
        self.settings = settings
        self.numbers: dict[tuple[str, ...], float] = {}  # of a counter or a gauge
        self.distributions: dict[tuple[str, ...], Distribution] = {}
        if not settings.labels:  # there is one, and it is seen from the start
            self._series(())

    def _series(self, labels: tuple[str, ...]) -> Distribution | None:
        """The distribution of these values of labels, or None where it is a number; there is one from now on."""
        settings = self.settings
        if settings.type in ("counter", "gauge"):
            self.numbers.setdefault(labels, 0.0)
            return None
        found = self.distributions.get(labels)
        if found is None:
            keeps_values = bool(settings.quantiles)
            found = self.distributions[labels] = Distribution(settings.bounds, keeps_values=keeps_values)
        return found

    def apply(self, operation: str, change: Change) -> None:
        """Do what a worker wants. Raises CallError."""
        if operation not in _OPERATIONS[self.settings.type]:
            raise CallError(
                f"collector does not support the requested operation: {change.name} does not support {operation}"
            )
        if self.settings.type == "counter" and change.value < 0:
            raise CallError(f"counter cannot decrease in value: {change.name}")
        labels = self._labels(change)
        distribution = self._series(labels)
        if distribution is not None:
            distribution.observe(change.value)
        elif operation == "Set":
            self.numbers[labels] = change.value
        else:
            self.numbers[labels] += change.value if operation == "Add" else -change.value

    def _labels(self, change: Change) -> tuple[str, ...]:
        """Raises CallError."""
        wanted = self.settings.labels
        if not wanted:
            return ()  # RoadRunner does not look at them either
        if not change.labels:
            raise CallError(f"required labels for collector: {change.name}")
        if len(change.labels) != len(wanted):
            raise CallError(f"{change.name} has {len(wanted)} labels ({', '.join(wanted)}), got {len(change.labels)}")
        labels = tuple(change.labels)
        known = self.numbers if self.settings.type in ("counter", "gauge") else self.distributions
        if labels not in known and len(known) >= MAX_SERIES:
            raise CallError(f"{change.name} has {MAX_SERIES} combinations of labels already")
        return labels


class AppMetrics:
    """All metrics of the application, by the names under which they were declared."""

    def __init__(self, settings: MetricsSettings) -> None:
        """Declare those of `metrics.collect`, which are known to be good."""
        self._metrics = {name: AppMetric(name, collector) for name, collector in settings.collect.items()}
        self._shown = bool(settings.address)

    def __iter__(self) -> Iterator[AppMetric]:
        return iter(self._metrics.values())

    def methods(self) -> dict[str, Method]:
        """Return the methods of RPC by name."""
        operations = sorted({name for names in _OPERATIONS.values() for name in names})
        return {
            "metrics.Declare": Method(self._guarded(self._declare), Declaration),
            "metrics.Unregister": Method(self._guarded(self._unregister), str),
            **{
                f"metrics.{name}": Method(self._guarded(functools.partial(self._apply, name)), Change)
                for name in operations
            },
        }

    def _guarded(self, call: Callable[..., bool]) -> Callable[..., bool]:
        """Refuse all calls where nothing shows the metrics: the application should know."""

        def refuse(_: object) -> bool:
            raise CallError("metrics.address is not set: there are no metrics")

        return call if self._shown else refuse

    def _declare(self, declaration: Declaration) -> bool:
        """One that is there stays, whatever it is: every worker declares its metrics when it starts."""
        name = declaration.name
        if name in self._metrics:
            return True
        settings = declaration.collector.settings()
        for fault in settings.faults(name):
            raise CallError(f"{name}: {fault}")
        if len(self._metrics) >= MAX_METRICS:
            raise CallError(f"there are {MAX_METRICS} metrics already")
        taken = {sample for other, metric in self._metrics.items() for sample in metric.settings.sample_names(other)}
        if taken & settings.sample_names(name):
            raise CallError(f"duplicate metrics collector registration attempted: {settings.full_name(name)}")
        self._metrics[name] = AppMetric(name, settings)
        return True

    def _unregister(self, name: str) -> bool:
        self._metric(name)
        del self._metrics[name]
        return True

    def _apply(self, operation: str, change: Change) -> bool:
        self._metric(change.name).apply(operation, change)
        return True

    def _metric(self, name: str) -> AppMetric:
        metric = self._metrics.get(name)
        if metric is None:
            raise CallError(f"undefined collector: {name}")
        return metric
