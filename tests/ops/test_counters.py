"""The numbers behind the metrics."""

from __future__ import annotations

import msgspec
import pytest

from fastsmtp.ops.counters import BOUNDS, Counters, CountersSnapshot, Histogram
from fastsmtp.smtp.events import AbortReason, Verdict
from fastsmtp.smtp.replies import MECHANISMS
from fastsmtp.smtp.violations import CLAUSES


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(0.0, 0), (0.0001, 0), (0.00011, 1), (0.001, 2), (59.9, 16), (60.0, 16), (60.1, 17), (1e9, 17)],
)
def test_a_bound_counts_below_itself(value: float, bucket: int) -> None:
    histogram = Histogram()
    histogram.observe(value)
    assert histogram.counts == [int(index == bucket) for index in range(len(BOUNDS) + 1)]
    assert histogram.total == value


def test_bounds_ascend() -> None:
    assert sorted(set(BOUNDS)) == list(BOUNDS)


def test_everything_that_has_a_name_is_there_from_the_start() -> None:
    counters = Counters()
    assert {verdict: histogram.counts for verdict, histogram in counters.durations.items()} == {
        verdict.value: [0] * (len(BOUNDS) + 1) for verdict in Verdict
    }
    assert counters.aborted == {reason.value: 0 for reason in AbortReason}
    assert counters.logins == dict.fromkeys(MECHANISMS, 0)
    assert counters.violations == dict.fromkeys(CLAUSES, 0)


def test_what_another_one_counted_is_added() -> None:
    one, sum_of_two = Counters(), Counters()
    one.connections, one.turned_away, one.mail_bytes = 1, 2, 3
    one.durations["accept"].observe(0.001)
    one.wait.observe(90.0)
    one.loop_delays["inbox"].observe(0.001)
    for counter, name in ((one.aborted, "eof"), (one.logins, "PLAIN"), (one.violations, "bare-lf-in-body")):
        counter[name] += 4
    numbers = msgspec.json.decode(msgspec.json.encode(one.snapshot()), type=CountersSnapshot)
    assert numbers == one.snapshot()
    for _ in range(2):
        sum_of_two.add(numbers)
    nothing = Counters().snapshot()
    histogram, wait = [0] * (len(BOUNDS) + 1), [0] * (len(BOUNDS) + 1)
    histogram[2], wait[-1] = 2, 2
    assert sum_of_two.snapshot() == CountersSnapshot(
        connections=2, turned_away=4, mail_bytes=6, durations={**nothing.durations, "accept": (histogram, 0.002)},
        wait=(wait, 180.0), aborted={**nothing.aborted, "eof": 8}, logins={**nothing.logins, "PLAIN": 8},
        violations={**nothing.violations, "bare-lf-in-body": 8},
        loop_delays={**nothing.loop_delays, "inbox": (histogram, 0.002)},
    )  # fmt: skip
