"""What is killed by the kernel or an operator leaves no process behind: workers that hang are killed by the guard."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from procs import alive, children_of, descriptors, guard_of, guards_of, wait_until_gone
from servers import WORKERS, Serve, Server
from startserver import merge
from waits import wait_until
from wire import MAIL, Wire, wait_for_log

ACCEPTED = b"250 2.0.0 Message accepted\r\n"
ONE: dict[str, Any] = {"smtp": {"pool": {"num_workers": 1}}}
TWO: dict[str, Any] = {"smtp": {"processes": 2}}
WRAPPED: dict[str, Any] = {"server": {"command": f"sh -c 'php {WORKERS}/hangs.php; true'"}}
MODES: dict[str, dict[str, Any]] = {
    "unix": ONE,
    "pipes": merge(ONE, {"server": {"relay": "pipes"}}),
    "tcp": merge(ONE, {"server": {"relay": "tcp://127.0.0.1:0"}}),
    "wrapper": merge(ONE, WRAPPED),
}


def descendants(pid: int) -> list[int]:
    """All processes below this one."""
    children = children_of(pid)
    return [*children, *(below for child in children for below in descendants(child))]


def family(server: Server) -> list[int]:
    """All processes of a server but itself."""
    return [guard_of(server.process.pid), *descendants(server.process.pid)]


@contextlib.contextmanager
def hanging(server: Server) -> Iterator[list[int]]:
    """A worker hangs with a mail, in each process; all processes but the server itself."""
    with contextlib.ExitStack() as held:
        for _ in range(24):  # of several processes each gets some of them
            wire = held.enter_context(Wire(server))
            wire.begin()
            wire.send(MAIL % b"x")
        pids = [pid for pid in family(server) if alive(pid)]  # not what the guard has left, where it was started again
        wait_until(lambda: all(state(pid) == "S" for pid in pids))
        yield pids


def state(pid: int) -> str:
    """What the process does at the moment (proc(5)), "" where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


# The guard gives what is left some seconds. They are waited for once, by all servers of a test.


def test_a_worker_that_hangs_does_not_outlive_a_killed_server(serve: Serve) -> None:
    left: dict[str, list[int]] = {}
    with contextlib.ExitStack() as held:
        for mode, settings in MODES.items():
            server = serve(settings, worker="hangs.php")
            left[mode] = held.enter_context(hanging(server))
            server.kill()
        stopped = serve(ONE, worker="record.php")
        left["stopped"] = family(stopped)
        for pid in children_of(stopped.process.pid):
            os.kill(pid, signal.SIGSTOP)
        stopped.kill()
        assert {mode: len(pids) for mode, pids in left.items()} == {
            "unix": 2, "pipes": 2, "tcp": 2, "wrapper": 3, "stopped": 2
        }  # fmt: skip
        for pids in left.values():
            wait_until_gone(*pids)


def test_workers_and_processes_do_not_outlive_a_killed_parent(serve: Serve) -> None:
    """Not even where some of the processes are stopped, or are killed together with it."""
    left: list[list[int]] = []
    with contextlib.ExitStack() as held:
        for stopped in range(3):
            server = serve(TWO, worker="hangs.php")
            left.append(held.enter_context(hanging(server)))
            for pid in children_of(server.process.pid)[:stopped]:
                os.kill(pid, signal.SIGSTOP)
            server.kill()
        server = serve(TWO, worker="hangs.php")
        left.append(held.enter_context(hanging(server)))
        server.process.send_signal(signal.SIGSTOP)  # it shall not start others
        for pid in children_of(server.process.pid):
            os.kill(pid, signal.SIGKILL)
        server.kill()
        assert [len(pids) for pids in left] == [5, 5, 5, 5]
        for pids in left:
            wait_until_gone(*pids)


def test_workers_do_not_outlive_a_killed_process_of_several(serve: Serve) -> None:
    """And are waited for: no zombie stays."""
    settings = {"endure": {"grace_period": "0s"}, "smtp": {"processes": 2, "pool": {"destroy_timeout": "0s"}}}
    server = serve(settings, worker="hangs.php")
    with hanging(server):
        wait_until(lambda: len(children_of(server.process.pid)) == 2)  # what started the guard has been waited for
        killed, other = children_of(server.process.pid)
        workers = children_of(killed)
        os.kill(killed, signal.SIGKILL)
        wait_until_gone(*workers)
        wait_for_log(server, "process started again")
        wait_until(lambda: len(children_of(server.process.pid)) == 2)
        assert other in children_of(server.process.pid)
        wait_until(lambda: "Z" not in [state(pid) for pid in descendants(server.process.pid)])


def test_the_guard_forgets_workers_that_have_ended_and_ends_with_the_server(serve: Serve) -> None:
    server = serve({"smtp": {"pool": {"num_workers": 1, "max_jobs": 1}}})
    guard = guard_of(server.process.pid)
    before = descriptors(guard)
    for number in range(20):
        with Wire(server) as wire:
            wire.begin()
            assert wire.ask(MAIL % b"%d" % number) == ACCEPTED
    wait_until(lambda: len(descriptors(guard)) == len(before))
    os.kill(guard, signal.SIGTERM)  # as systemd does it to all processes
    assert server.stop() == 0
    wait_until_gone(guard)


@pytest.mark.parametrize("settings", [ONE, TWO], ids=["one process", "two processes"])
def test_the_guard_is_no_child_of_the_server(serve: Serve, settings: dict[str, Any]) -> None:
    server = serve(settings)
    assert guard_of(server.process.pid) not in descendants(server.process.pid)


@pytest.mark.parametrize("settings", [ONE, TWO], ids=["one process", "two processes"])
def test_a_guard_that_was_killed_is_started_again_and_told_what_there_is(
    serve: Serve, settings: dict[str, Any]
) -> None:
    server = serve(settings, worker="hangs.php")
    os.kill(guard_of(server.process.pid), signal.SIGKILL)
    wait_for_log(server, "no guard: workers that hang would outlive a server that is killed")
    wait_for_log(server, "guard started again")
    with hanging(server) as pids:
        server.kill()
        wait_until_gone(*pids)


def test_a_guard_that_is_killed_again_and_again_is_awaited_longer_each_time(serve: Serve) -> None:
    server = serve(ONE)
    for times in range(1, 4):
        os.kill(guard_of(server.process.pid), signal.SIGKILL)
        wait_for_log(server, "guard started again", times)
    lost = wait_for_log(server, "no guard", 3)
    assert [line.rpartition("delay=")[2] for line in lost] == ["0.1s", "0.2s", "0.4s"]
    with Wire(server) as wire:
        wire.begin()
        assert wire.ask(MAIL % b"x") == ACCEPTED
    guard = guard_of(server.process.pid)
    assert server.stop() == 0
    wait_until_gone(guard)
    assert guards_of(server.process.pid) == []
