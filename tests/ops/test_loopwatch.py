"""What becomes of delays: they are counted, and a long one is told with its reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs
from transports import StoppedLoop

from fastsmtp.ops.counters import Histogram
from fastsmtp.ops.loopwatch import watch_loop
from fastsmtp.system.loopdelay import INTERVAL_S


@pytest.fixture
def loop() -> Iterator[StoppedLoop]:
    loop = StoppedLoop()
    yield loop
    loop.close()


@pytest.mark.parametrize(
    ("seconds", "cpu", "mail", "told"),
    [
        (0.2, 0.2, "a-mail", []),
        (0.3, 0.1, "a-mail", [{"log_level": "warning", "uuid": "a-mail"}]),
        (0.3, 0.0, "a-mail", [{"log_level": "debug", "uuid": "a-mail"}]),  # we were stopped in the midst of it
        (0.3, 0.0, "", [{"log_level": "debug"}]),  # nothing of ours has taken it
        (0.3, 0.3, "", [{"log_level": "warning"}]),
    ],
    ids=["short", "mail", "stopped", "machine", "ours"],
)
def test_a_delay(
    monkeypatch: pytest.MonkeyPatch,
    loop: StoppedLoop,
    seconds: float,
    cpu: float,
    mail: str,
    told: list[dict[str, str]],
) -> None:
    monkeypatch.setattr("fastsmtp.system.loopdelay.thread_time", iter([0.0, cpu, cpu, cpu]).__next__)
    histogram = Histogram()
    watch = watch_loop(structlog.get_logger(), histogram)
    loop.call_soon(watch.start)
    loop.turn()
    if mail:
        watch.worked(mail, seconds)
    with capture_logs() as logs:
        loop.stall(INTERVAL_S + seconds)
    watch.stop()
    for record in logs:
        assert (record.pop("event"), record.pop("seconds")) == ("the event loop was late", seconds)
        assert record.pop("cpu") == cpu
    assert logs == told
    assert (sum(histogram.counts), round(histogram.total, 3)) == (1, seconds)


def test_without_metrics_it_is_told_all_the_same(loop: StoppedLoop) -> None:
    watch = watch_loop(structlog.get_logger(), None)
    loop.call_soon(watch.start)
    loop.turn()
    with capture_logs() as logs:
        loop.stall(10.0)
    watch.stop()
    assert [record["event"] for record in logs] == ["the event loop was late"]
