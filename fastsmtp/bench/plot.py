"""A load as a picture: how many mails a second over time, their latency over time, and the percentiles of latency.

Needs matplotlib, the extra `plot`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from fastsmtp.text import pip_install

if TYPE_CHECKING:
    from fastsmtp.bench.interval import Interval
    from fastsmtp.bench.measures import Measures

SUFFIXES = (".svg", ".png", ".pdf")
_SIZE_INCHES = (9.0, 10.0)
_NINES = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99)


class MissingExtra(Exception):
    """matplotlib is not installed; the text says how to get it."""


def require() -> None:
    """Raises MissingExtra where nothing can be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtra(f"--plot needs matplotlib, which is not here: {pip_install('matplotlib')}") from None


def draw(path: str, title: str, measures: Measures) -> None:
    """Write the picture, in the format of the suffix. Raises MissingExtra and OSError."""
    require()
    # The first time on a machine it looks for fonts, and says on stderr that this takes a moment.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    figure.suptitle(title)
    rate, latency, percentiles = figure.subplots(3, 1)
    intervals = measures.curve
    if len(intervals) > 1 and intervals[-1].seconds < intervals[0].seconds / 2:
        intervals = intervals[:-1]  # too short to say anything beside the others
    _draw_rate(rate, intervals)
    _draw_latency(latency, intervals)
    _draw_percentiles(percentiles, measures)
    # No date inside: the same run gives the same file.
    figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None)


def _draw_rate(axes: Any, intervals: list[Interval]) -> None:
    at = [interval.start + interval.seconds / 2 for interval in intervals]
    rates = [interval.answered / interval.seconds for interval in intervals]
    axes.plot(at, rates, label="answered 250", marker=".")
    if any(interval.failed for interval in intervals):
        failed = [interval.failed / interval.seconds for interval in intervals]
        axes.plot(at, failed, label="failed", color="tab:red", marker=".")
    axes.set(xlabel="seconds", ylabel="mails per second")
    axes.set_ylim(0, 1.1 * max(rates, default=0.0) or 1.0)
    axes.legend()
    axes.grid(alpha=0.3)


def _draw_latency(axes: Any, intervals: list[Interval]) -> None:
    answered = [interval for interval in intervals if interval.answered]
    at = [interval.start + interval.seconds / 2 for interval in answered]
    for name in ("p50", "p95", "p99", "highest"):
        axes.plot(at, [1000 * getattr(interval, name) for interval in answered], label=name, marker=".")
    axes.set(xlabel="seconds", ylabel="milliseconds per mail", yscale="log")
    _spell_out(axes.yaxis)
    axes.legend()
    axes.grid(alpha=0.3, which="both")


def _draw_percentiles(axes: Any, measures: Measures) -> None:
    """On an axis on which each nine more takes the same space."""
    from matplotlib.ticker import NullLocator

    for name, times in (("mail", measures.mail), ("end of data", measures.verdict)):
        known = [percent for percent in _NINES if (100 - percent) / 100 * times.count >= 1]
        axes.plot(
            [100 / (100 - percent) for percent in known],
            [1000 * times.percentile(percent) for percent in known],
            label=name,
            marker=".",
        )
    axes.set(xscale="log", yscale="log", xlabel="percentile", ylabel="milliseconds")
    ticks = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99]
    _spell_out(axes.yaxis)
    axes.set_xticks([100 / (100 - tick) for tick in ticks], [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.legend()
    axes.grid(alpha=0.3, which="both")


def _spell_out(axis: Any) -> None:
    """Label a logarithmic axis 1, 2, 5, 10 instead of with powers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
