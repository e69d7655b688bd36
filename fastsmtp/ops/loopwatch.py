"""What is made of the delays of an event loop: a histogram for metrics, and a record for one that is long."""

from __future__ import annotations

from typing import Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.ops.counters import Histogram
from fastsmtp.system.loopdelay import BUSY_S, Delay, LoopDelay

LONG_S: Final = 0.25


def watch_loop(log: FilteringBoundLogger, histogram: Histogram | None) -> LoopDelay:
    """Return a watch over the running loop; `histogram` counts its delays, None without metrics."""

    def observe(delay: Delay) -> None:
        if histogram is not None:
            histogram.observe(delay.late_s)
        if delay.late_s > LONG_S:
            _tell(log, delay)

    return LoopDelay(observe)


def _tell(log: FilteringBoundLogger, delay: Delay) -> None:
    # Where hardly any CPU was used, the machine had no time for us, or we were stopped: also in the midst of a mail.
    ours = delay.cpu_s > (BUSY_S if delay.mail else LONG_S)
    mail = {"uuid": delay.mail} if delay.mail else {}
    (log.warning if ours else log.debug)(
        "the event loop was late", seconds=round(delay.late_s, 3), cpu=round(delay.cpu_s, 3), **mail
    )
