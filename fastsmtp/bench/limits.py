"""What a load is held to: limits that a script, or CI, sets, and whether they were kept."""

from __future__ import annotations

from typing import NamedTuple

from fastsmtp.bench.measures import Measures


class LoadLimits(NamedTuple):
    """What is allowed; None is no limit."""

    p99_ms: float | None = None
    rate: float | None = None  # mails a second, at least
    failures: int | None = None


class LimitVerdict(NamedTuple):
    """One limit, and what was measured."""

    option: str
    limit: float
    measured: float
    kept: bool


def judge(limits: LoadLimits, measures: Measures) -> list[LimitVerdict]:
    """Hold what was measured against each limit there is."""
    p99_ms = round(1000 * measures.mail.percentile(99), 4)
    rate = round(measures.rate, 3)
    failures = sum(measures.failures.values())
    verdicts = []
    if limits.p99_ms is not None:
        in_time = measures.answered > 0 and p99_ms <= limits.p99_ms  # without an answer no time is good
        verdicts.append(LimitVerdict("--max-p99", limits.p99_ms, p99_ms, in_time))
    if limits.rate is not None:
        verdicts.append(LimitVerdict("--min-rate", limits.rate, rate, rate >= limits.rate))
    if limits.failures is not None:
        verdicts.append(LimitVerdict("--max-failed", limits.failures, failures, failures <= limits.failures))
    return verdicts


def passed(limits: LoadLimits, measures: Measures) -> bool:
    """Whether every limit was kept; without a limit for failures, a single failure breaks it."""
    if limits.failures is None and measures.failures:
        return False
    return all(verdict.kept for verdict in judge(limits, measures))
