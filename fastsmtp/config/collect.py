"""One of `metrics.collect`: a metric of the application, as RoadRunner and Prometheus have it."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from fastsmtp.config import rules
from fastsmtp.config.section import Section

# Those of Prometheus' client for Go.
DEFAULT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OURS: Final = ("rr_smtp_", "process_")  # what names of the server's own metrics begin with

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_LABELS_OF_PROMETHEUS: Final = {"histogram": "le", "summary": "quantile"}
_SUFFIXES: Final = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


class CollectorSettings(Section, frozen=True):
    """What a metric is."""

    type: Literal["histogram", "gauge", "counter", "summary"]
    namespace: rules.Text = ""
    subsystem: rules.Text = ""
    help: rules.Text = ""
    labels: list[str] = []
    # Both may stand in any type, as in RoadRunner, whose reference file long gave a histogram objectives above 1.
    buckets: list[rules.Number] = []  # upper bounds of a histogram; none: DEFAULT_BUCKETS
    # The quantiles that a summary shows; of the errors that RoadRunner allows for them nothing is needed.
    objectives: dict[str, rules.Number] | list[dict[str, rules.Number]] = {}

    @property
    def bounds(self) -> tuple[float, ...]:
        """The buckets of a histogram, without the one that is always there; none for another type."""
        if self.type != "histogram":
            return ()
        return tuple(bound for bound in self.buckets if bound != math.inf) or DEFAULT_BUCKETS

    @property
    def quantiles(self) -> list[float]:
        """The quantiles of a summary, none for another type. Raises ValueError for what is not a number."""
        if self.type != "summary":
            return []
        parts = self.objectives if isinstance(self.objectives, list) else [self.objectives]
        return [float(quantile) for part in parts for quantile in part]

    def full_name(self, name: str) -> str:
        """The name under which it is shown."""
        return "_".join(part for part in (self.namespace, self.subsystem, name) if part)

    def sample_names(self, name: str) -> set[str]:
        """The names of its values, where it is shown."""
        full_name = self.full_name(name)
        # OpenMetrics knows a counter without its suffix, too.
        base = {full_name.removesuffix("_total")} if self.type == "counter" else set()
        return {full_name, *base, *(full_name + suffix for suffix in _SUFFIXES.get(self.type, ()))}

    def faults(self, name: str) -> Iterator[str]:
        """What Prometheus would not take of it."""
        full_name = self.full_name(name)
        if not _NAME.fullmatch(full_name):
            yield f'expected a name of letters, digits and "_", got "{full_name}"'
        if full_name.startswith(OURS):
            yield f"names that begin with {' or '.join(OURS)} are those of the server"
        reserved = _LABELS_OF_PROMETHEUS.get(self.type, "")
        for label in self.labels:
            if not _LABEL.fullmatch(label) or label == reserved or self.labels.count(label) > 1:
                yield f'expected other labels, each once, got "{label}"'
        if any(low >= high for low, high in itertools.pairwise(self.bounds)):
            yield "expected buckets in increasing order"
        try:
            good = all(0 <= quantile <= 1 for quantile in self.quantiles)
        except ValueError:
            good = False
        if not good:
            yield "expected objectives with quantiles from 0 to 1"


def collect_faults(collect: Mapping[str, CollectorSettings]) -> Iterator[tuple[str, str]]:
    """What is wrong with all of them: name and fault."""
    taken: dict[str, str] = {}
    for name, settings in collect.items():
        for fault in settings.faults(name):
            yield name, fault
        for sample in sorted(settings.sample_names(name)):
            other = taken.setdefault(sample, name)
            if other != name:
                yield name, f"{sample} is shown by {other} already"
                break
