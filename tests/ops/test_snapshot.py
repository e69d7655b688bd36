"""Sums over processes that are and were."""

from __future__ import annotations

import msgspec

from fastsmtp.ops.counters import Counters
from fastsmtp.ops.snapshot import ClusterSnapshot, ShownWorker, Snapshot


def one(pid: int) -> Snapshot:
    counters = Counters()
    counters.connections = pid
    counters.durations["accept"].observe(0.5)
    counters.wait.observe(0.25)
    counters.logins["PLAIN"] += pid
    return Snapshot(
        num_workers=2, idle=1, busy=1, waiting=3, connections=4, inflight_bytes=5, execs=6, errors=1, starts=2,
        shown=[ShownWorker(pid, "ready", 7)], counters=counters.snapshot(),
    )  # fmt: skip


def test_all_that_are_there_are_added_up() -> None:
    total = Snapshot()
    for pid in (10, 20):
        # The way they come from a child.
        total.add(msgspec.json.decode(msgspec.json.encode(one(pid)), type=Snapshot))
    counters = total.all_counters()
    total.counters = None
    assert total == Snapshot(
        num_workers=4, idle=2, busy=2, waiting=6, connections=8, inflight_bytes=10, execs=12, errors=2, starts=4,
        shown=[ShownWorker(10, "ready", 7), ShownWorker(20, "ready", 7)],
    )  # fmt: skip
    assert total.workers() == total.shown
    assert (counters.connections, counters.logins) == (30, {**Counters().logins, "PLAIN": 30})
    assert (sum(counters.durations["accept"].counts), counters.durations["accept"].total) == (2, 1.0)
    assert (sum(counters.wait.counts), counters.wait.total) == (2, 0.5)


def test_of_one_that_is_gone_only_counters_remain() -> None:
    past = Snapshot()
    past.add_counters(one(10))
    assert past == Snapshot(execs=6, errors=1, starts=2, counters=one(10).counters)


def test_without_metrics_there_is_no_counters() -> None:
    total = Snapshot()
    total.add(Snapshot(execs=1))
    assert total == Snapshot(execs=1)
    assert total.all_counters().snapshot() == Counters().snapshot()


def test_what_several_processes_of_a_node_did_is_summed() -> None:
    total = Snapshot()
    one = Snapshot(cluster=ClusterSnapshot(1, {"waiting": 2}, {"published": 3}))
    total.add(one)
    total.add(Snapshot(cluster=ClusterSnapshot(1, {"waiting": 5, "in_hand": 1}, {"published": 4})))
    total.add(Snapshot())
    assert total.cluster == ClusterSnapshot(2, {"waiting": 7, "in_hand": 1}, {"published": 7})
    total.add_counters(one)  # it is gone
    assert total.cluster == ClusterSnapshot(2, {"waiting": 7, "in_hand": 1}, {"published": 10})
