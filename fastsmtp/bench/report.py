"""What a load came to, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastsmtp.bench.histogram import LatencyHistogram
from fastsmtp.bench.ledger import Balance
from fastsmtp.bench.limits import LimitVerdict
from fastsmtp.bench.measures import PERCENTILES, Measures
from fastsmtp.system.table import lines
from fastsmtp.system.terminal import terminal_width
from fastsmtp.text import printable, size

_BARS = 16  # lines of the histogram, at most
_BAR_WIDTH = 40
_BUSY = 0.9  # of a core: the client may be what limits
_SHOWN_IDS = 10


def report(measures: Measures, verdicts: Sequence[LimitVerdict] = ()) -> str:
    """Counts, times and failures as tables, and the histogram; then the limits there were, if any."""
    return "\n".join(
        [
            *_counts(measures),
            "",
            *_times(measures),
            *_failures(measures),
            *_histogram(measures),
            *_limits(verdicts),
            *_warning(measures),
        ]
    )


def document(measures: Measures, about: dict[str, Any], verdicts: Sequence[LimitVerdict] = ()) -> dict[str, Any]:
    """The same as JSON, and more exact, with `about` at its head. Times are in milliseconds."""
    return {
        **about,
        "answered": measures.answered,
        "failed": measures.failed,
        "connections": measures.connections,
        "seconds": round(measures.seconds, 6),
        "rate": round(measures.rate, 3),
        "octets": measures.octets,
        "client_cpu_s": round(measures.cpu_s, 6),
        "latency_ms": {name: _summary(times) for name, times in _named(measures)},
        "failures": [
            {"kind": kind, "count": count, "first": measures.examples[kind]}
            for kind, count in measures.failures.most_common()
        ],
        "limits": [verdict._asdict() for verdict in verdicts],
        "intervals": [
            {
                "start_s": interval.start,
                "seconds": interval.seconds,
                "answered": interval.answered,
                "failed": interval.failed,
                "octets": interval.octets,
                "p50_ms": _ms(interval.p50),
                "p95_ms": _ms(interval.p95),
                "p99_ms": _ms(interval.p99),
                "max_ms": _ms(interval.highest),
            }
            for interval in measures.intervals
        ],
    }


def balance_report(balance: Balance) -> str:
    """A ledger held against what was recorded, in words."""
    shown = [f"{balance.answered} answered 250, {balance.recorded} recorded"]
    for what, idents in (
        ("lost", balance.lost),
        ("more than once", balance.repeated),
        ("recorded without a 250", balance.unanswered),
    ):
        more = ", ..." if len(idents) > _SHOWN_IDS else ""
        named = f": {printable(', '.join(idents[:_SHOWN_IDS]))}{more}" if idents else ""
        shown.append(f"  {len(idents)} {what}{named}")
    return "\n".join(shown)


def _named(measures: Measures) -> Iterator[tuple[str, LatencyHistogram]]:
    yield "mail", measures.mail
    yield "end of data", measures.verdict
    yield "opening", measures.opening


def _summary(times: LatencyHistogram) -> dict[str, float | int]:
    percentiles = {f"p{percent:g}": _ms(times.percentile(percent)) for percent in PERCENTILES}
    lowest = _ms(times.lowest) if times.count else 0.0
    return {"count": times.count, "min": lowest, "mean": _ms(times.mean), **percentiles, "max": _ms(times.highest)}


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 4)


def _counts(measures: Measures) -> Iterator[str]:
    seconds = measures.seconds
    per_mail = f", {1e6 * measures.cpu_s / measures.answered:.0f} us a mail" if measures.answered else ""
    busy = f"{100 * measures.cpu_s / seconds:.0f} % of a core{per_mail}" if seconds else "-"
    throughput = size(round(measures.octets / seconds)) if seconds else "0 B"
    yield f"answered 250  {measures.answered}"
    yield f"failed        {measures.failed}"
    yield f"time          {seconds:.3f} s"
    yield f"rate          {measures.rate:.1f} mails/s, {throughput}/s"
    yield f"connections   {measures.connections}"
    yield f"client        {busy}"


def _times(measures: Measures) -> list[str]:
    heads = ["milliseconds", "min", "mean", *(f"p{percent:g}" for percent in PERCENTILES), "max"]
    rows = []
    for name, times in _named(measures):
        summary = _summary(times)
        if summary.pop("count"):
            rows.append([name, *(_figure(value) for value in summary.values())])
    return lines(heads, rows, frozenset(heads[1:])) if rows else []


def _figure(milliseconds: float) -> str:
    return f"{milliseconds:.3f}" if milliseconds < 10 else f"{milliseconds:.1f}"


def _failures(measures: Measures) -> Iterator[str]:
    if measures.failures:
        rows = [(kind, count, measures.examples[kind]) for kind, count in measures.failures.most_common()]
        yield ""
        yield from lines(["failures", "count", "the first"], rows, frozenset({"count"}), width=terminal_width())


def _limits(verdicts: Sequence[LimitVerdict]) -> Iterator[str]:
    if verdicts:
        rows = [
            (verdict.option, f"{verdict.limit:g}", f"{verdict.measured:g}", "kept" if verdict.kept else "NOT KEPT")
            for verdict in verdicts
        ]
        yield ""
        yield from lines(["limit", "allowed", "measured", ""], rows, frozenset({"allowed", "measured"}))


def _histogram(measures: Measures) -> Iterator[str]:
    bars = list(measures.mail.bars(_BARS))
    if len(bars) < 2:
        return
    most = max(count for _, _, count in bars)
    yield ""
    yield "milliseconds per mail"
    for lower, upper, count in bars:
        bar = "#" * -(-_BAR_WIDTH * count // most)
        share = 100 * count / measures.mail.count
        yield f"{_figure(1000 * lower):>9} to {_figure(1000 * upper):>9}  {bar:<{_BAR_WIDTH}}  {share:5.1f} %"


def _warning(measures: Measures) -> Iterator[str]:
    if measures.seconds >= 1 and measures.cpu_s > _BUSY * measures.seconds:
        yield ""
        yield "The client had no time left: it, and not the server, may be what limited the rate."
