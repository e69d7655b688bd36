"""Sums over processes that are and were."""

from __future__ import annotations

import msgspec

from fastsmtp.ops.counters import Tally
from fastsmtp.ops.snapshot import Numbers, ShownWorker


def one(pid: int) -> Numbers:
    tally = Tally(["accept", "no-worker"])
    tally.connections = pid
    tally.durations["accept"].observe(0.5)
    tally.wait.observe(0.25)
    tally.logins["PLAIN"] += pid
    return Numbers(
        num_workers=2, idle=1, busy=1, waiting=3, connections=4, inflight_bytes=5, execs=6, errors=1, starts=2,
        shown=[ShownWorker(pid, "ready", 7)], tally=tally.numbers(),
    )  # fmt: skip


def test_all_that_are_there_are_added_up() -> None:
    total = Numbers()
    for pid in (10, 20):
        # The way they come from a child.
        total.add(msgspec.json.decode(msgspec.json.encode(one(pid)), type=Numbers))
    tally = total.whole_tally()
    total.tally = None
    assert total == Numbers(
        num_workers=4, idle=2, busy=2, waiting=6, connections=8, inflight_bytes=10, execs=12, errors=2, starts=4,
        shown=[ShownWorker(10, "ready", 7), ShownWorker(20, "ready", 7)],
    )  # fmt: skip
    assert total.workers() == total.shown
    assert (tally.connections, tally.logins) == (30, {"PLAIN": 30})
    assert (sum(tally.durations["accept"].counts), tally.durations["accept"].total) == (2, 1.0)
    assert (sum(tally.wait.counts), tally.wait.total) == (2, 0.5)


def test_of_one_that_is_gone_only_counters_remain() -> None:
    past = Numbers()
    past.bury(one(10))
    assert past == Numbers(execs=6, errors=1, starts=2, tally=one(10).tally)


def test_without_metrics_there_is_no_tally() -> None:
    total = Numbers()
    total.add(Numbers(execs=1))
    assert total == Numbers(execs=1)
    assert total.whole_tally().numbers() == Tally(()).numbers()
