"""The facade of several processes, asked without a process: what it asks whom, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from pools import Log

from fastsmtp.config.file import load
from fastsmtp.errors import CallError, NoAnswerError
from fastsmtp.ops.snapshot import Snapshot
from fastsmtp.processes.facade import Facade


class Slot:
    """Answers calls with what it was told; an exception is raised."""

    def __init__(self, pid: int, num_workers: int = 1, snapshot: Snapshot | None = None, **answers: Any) -> None:
        self.pid = pid
        self.num_workers = num_workers
        self.serving = bool(pid)
        self.stuck = False
        self.starts = 1
        self.snapshot = snapshot
        self.answers = answers
        self.calls: list[tuple[str, object]] = []
        self.refreshed: list[float] = []
        self.answers_snapshot = True

    async def call(self, method: str, argument: object = None, kind: Any = Any, timeout_s: float | None = 5.0) -> Any:
        self.calls.append((method, argument))
        if not self.pid:
            raise ConnectionResetError("there is no process")
        answer = self.answers.get(method.partition(".")[2], True)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def work(self, method: str, argument: object = None) -> Any:
        return await self.call(method, argument)

    async def refresh(self, timeout_s: float = 5.0) -> None:
        self.refreshed.append(timeout_s)
        if not self.answers_snapshot:
            await asyncio.get_running_loop().create_future()


def facade(*slots: Slot, log: Log | None = None) -> Facade:
    return Facade(load(None, []), slots, (log or Log()).logger)  # type: ignore[arg-type]


def call(under_test: Facade, method: str, argument: object = None) -> Any:
    async def main() -> Any:
        answer = under_test.methods()[method].call(argument)
        return await answer if asyncio.iscoroutine(answer) else answer

    return asyncio.run(main())


def test_connections_are_those_of_all_that_are_there() -> None:
    slots = Slot(11, ListConnections=["a", "b"]), Slot(0), Slot(13, ListConnections=["c"])
    assert call(facade(*slots), "smtp.ListConnections") == ["a", "b", "c"]


def test_a_process_that_refuses_fails_the_call() -> None:
    slots = Slot(11, ListConnections=[]), Slot(12, ListConnections=CallError("the answer is too long"))
    with pytest.raises(CallError, match=r"^the answer is too long$"):
        call(facade(*slots), "smtp.ListConnections")


def test_a_connection_is_closed_by_the_process_that_has_it() -> None:
    unknown = CallError("no such connection: x")
    assert call(facade(Slot(11, CloseConnection=unknown), Slot(12)), "smtp.CloseConnection", "x") is True
    with pytest.raises(CallError, match=r"^no such connection: x$"):
        call(facade(Slot(11, CloseConnection=unknown), Slot(0)), "smtp.CloseConnection", "x")


def test_workers_are_those_of_all() -> None:
    slots = Slot(11, Workers={"workers": [{"pid": 1}]}), Slot(12, Workers={"workers": [{"pid": 2}]})
    assert call(facade(*slots), "informer.Workers", "smtp") == {"workers": [{"pid": 1}, {"pid": 2}]}
    assert call(facade(*slots), "informer.Workers", "http") == {"workers": None}


def test_a_worker_is_added_where_there_are_fewest() -> None:
    slots = Slot(11, 3), Slot(12, 2), Slot(13, 2)
    assert call(facade(*slots), "informer.AddWorker", "smtp") is True
    assert [slot.num_workers for slot in slots] == [3, 3, 2]
    assert [slot.calls for slot in slots] == [[], [("informer.AddWorker", "smtp")], []]


def test_a_worker_is_removed_where_there_are_most() -> None:
    slots = Slot(11, 1), Slot(12, 2)
    assert call(facade(*slots), "informer.RemoveWorker", "smtp") is True
    assert [slot.num_workers for slot in slots] == [1, 1]
    with pytest.raises(CallError, match=r"^the last worker of each process stays$"):
        call(facade(*slots), "informer.RemoveWorker", "smtp")


def test_the_next_process_is_asked_where_one_has_just_gone() -> None:
    gone = ConnectionResetError("the other side is gone")
    slots = Slot(11, 1, AddWorker=gone), Slot(12, 2)
    assert call(facade(*slots), "informer.AddWorker", "smtp") is True
    assert [slot.num_workers for slot in slots] == [1, 3]
    slots = Slot(11, 1, AddWorker=gone), Slot(0, 2)
    with pytest.raises(CallError, match=r"^no process is there to do it$"):
        call(facade(*slots), "informer.AddWorker", "smtp")
    assert [slot.num_workers for slot in slots] == [1, 2]


def test_a_worker_that_does_not_start_is_not_counted() -> None:
    slot = Slot(11, 1, AddWorker=CallError("it did not start"))
    with pytest.raises(CallError, match=r"^it did not start$"):
        call(facade(slot), "informer.AddWorker", "smtp")
    assert slot.num_workers == 1


def test_a_reset_is_done_by_one_process_after_the_other_and_ends_with_the_first_that_fails() -> None:
    log = Log()
    slots = Slot(11), Slot(0), Slot(13)
    assert call(facade(*slots, log=log), "resetter.Reset", "smtp") is True
    assert [slot.calls for slot in slots] == [[("process.Renew", None)]] * 3
    assert [record["event"] for record in log.records] == ["workers were replaced by RPC"]
    slots = Slot(11, Renew=CallError("it did not start")), Slot(12)
    with pytest.raises(CallError, match=r"^workers could not be replaced: it did not start$"):
        call(facade(*slots), "resetter.Reset", "smtp")
    assert slots[1].calls == []


def hung(pid: int, num_workers: int = 1) -> Slot:
    """A process that is stuck."""
    silence = NoAnswerError(f"the process {pid} gives no answer")
    methods = "ListConnections", "CloseConnection", "Workers", "AddWorker", "RemoveWorker", "Renew"
    slot = Slot(pid, num_workers, **dict.fromkeys(methods, silence))
    slot.stuck = True
    return slot


def test_of_a_process_that_does_not_answer_the_others_lists_are_told() -> None:
    under_test = facade(hung(11), Slot(12, ListConnections=["b"], Workers={"workers": [{"pid": 2}]}))
    assert call(under_test, "smtp.ListConnections") == ["b"]
    assert call(under_test, "informer.Workers", "smtp") == {"workers": [{"pid": 2}], "stuck": [11]}
    assert [process["stuck"] for process in call(under_test, "smtp.Stats")["processes"]] == [True, False]


def test_a_process_that_does_not_answer_keeps_no_connection_of_another_from_being_closed() -> None:
    assert call(facade(hung(11), Slot(12)), "smtp.CloseConnection", "x") is True
    unknown = CallError("no such connection: x")
    with pytest.raises(CallError, match=r"^no such connection: x; the process 11 gives no answer$"):
        call(facade(hung(11), Slot(12, CloseConnection=unknown)), "smtp.CloseConnection", "x")


def test_pools_of_processes_that_do_not_answer_keep_their_size() -> None:
    slots = hung(11, 1), Slot(12, 5), hung(13, 9)
    assert call(facade(*slots), "informer.AddWorker", "smtp") is True
    assert call(facade(*slots), "informer.RemoveWorker", "smtp") is True
    assert [slot.calls for slot in slots] == [
        [],
        [("informer.AddWorker", "smtp"), ("informer.RemoveWorker", "smtp")],
        [],
    ]
    with pytest.raises(CallError, match=r"^no process is there to do it$"):
        call(facade(hung(11)), "informer.AddWorker", "smtp")


def test_a_reset_leaves_out_the_process_that_does_not_answer_and_names_it() -> None:
    late = Slot(13, Renew=NoAnswerError("the process 13 gives no answer"))  # stuck since a moment ago
    slots = hung(11), Slot(12), late, Slot(14)
    reason = "the process 11 gives no answer, the process 13 gives no answer"
    with pytest.raises(
        CallError, match=f"^workers could not be replaced: only those of other processes were replaced, {reason}$"
    ):
        call(facade(*slots), "resetter.Reset", "smtp")
    assert [len(slot.calls) for slot in slots] == [0, 1, 1, 1]


@pytest.mark.parametrize("method", ["informer.AddWorker", "informer.RemoveWorker", "resetter.Reset"])
def test_there_is_one_pool(method: str) -> None:
    slot = Slot(11)
    assert call(facade(slot), "informer.List") == call(facade(slot), "resetter.List") == ["smtp"]
    with pytest.raises(CallError, match=r"^no such plugin: http$"):
        call(facade(slot), method, "http")
    assert slot.calls == []


def test_what_a_process_counted_counts_when_it_is_gone_and_what_it_had_does_not() -> None:
    first, second = Slot(11, snapshot=Snapshot(execs=5, idle=1)), Slot(12, snapshot=Snapshot(execs=7, idle=2))
    under_test = facade(first, second)
    assert (under_test.total().execs, under_test.total().idle) == (12, 3)
    under_test.forget(first)  # type: ignore[arg-type]
    under_test.forget(first)  # type: ignore[arg-type]
    assert first.snapshot is None
    assert (under_test.total().execs, under_test.total().idle) == (12, 2)
    first.snapshot = Snapshot(execs=1, idle=1)
    assert (under_test.total().execs, under_test.total().idle) == (13, 3)


def test_stats_are_asked_for_first() -> None:
    slots = Slot(11, 2, Snapshot(connections=3, inflight_bytes=4, execs=5)), Slot(0, 1)
    found = call(facade(*slots), "smtp.Stats")
    assert (found["connections"], found["inflight_bytes"], found["pools"]["smtp"]["execs"]) == (3, 4, 5)
    assert found["processes"] == [
        {"pid": 11, "serving": True, "stuck": False, "workers": 2, "starts": 1},
        {"pid": 0, "serving": False, "stuck": False, "workers": 1, "starts": 1},
    ]
    assert [slot.refreshed for slot in slots] == [[5.0], [5.0]]


def test_pids_are_ours_and_those_of_the_children_there_are() -> None:
    assert facade(Slot(11), Slot(0), Slot(13)).pids() == [os.getpid(), 11, 13]


# --- a look before a check


def look(under_test: Facade, *, idle_only: bool = False) -> str:
    """What is complained of after a look."""

    async def main() -> str:
        watched = under_test.watched(lambda: False)
        await watched.look(idle_only)
        return watched.complaint(idle_only)

    return asyncio.run(main())


def test_a_look_does_not_wait_for_a_process_that_gives_no_answer_where_another_can_work() -> None:
    silent, able = Slot(11), Slot(12, snapshot=Snapshot(idle=1))
    silent.answers_snapshot = False
    assert look(facade(silent, able)) == ""
    assert [slot.refreshed for slot in (silent, able)] == [[5.0], [5.0]]


@pytest.mark.parametrize(
    ("snapshots", "health", "readiness"),
    [
        ([Snapshot(idle=1), Snapshot()], "", ""),
        ([Snapshot(busy=1), Snapshot()], "", "no worker available"),
        ([Snapshot(), Snapshot()], "no worker available", "no worker available"),
        ([None, None], "no process is serving", "no process is serving"),
    ],
    ids=["idle", "busy", "without workers", "none"],
)
def test_one_process_that_can_work_is_enough(snapshots: list[Snapshot | None], health: str, readiness: str) -> None:
    slots = [Slot(11 + index, snapshot=snapshot) for index, snapshot in enumerate(snapshots)]
    assert (look(facade(*slots)), look(facade(*slots), idle_only=True)) == (health, readiness)


def test_a_process_that_is_stuck_counts_as_none() -> None:
    stuck = Slot(11, snapshot=Snapshot(idle=1))
    stuck.stuck = True
    assert look(facade(stuck)) == "no process is serving"


def test_a_look_takes_as_long_as_check_timeout_says() -> None:
    slot = Slot(11, snapshot=Snapshot(idle=1))
    config = load(None, ["status.check_timeout=2"])
    look(Facade(config, [slot], Log().logger))  # type: ignore[list-item]
    assert slot.refreshed == [2.0]
