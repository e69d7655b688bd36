"""What is killed by the kernel or an operator leaves no process behind: workers that hang are killed by the guard."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from procs import all_children_of, children_of, descriptors, guard_of, wait_until_gone
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
    children = all_children_of(pid)
    return [*children, *(below for child in children for below in descendants(child))]


@contextlib.contextmanager
def hanging(server: Server) -> Iterator[list[int]]:
    """A worker hangs with a mail, in each process; all processes but the server itself."""
    with contextlib.ExitStack() as held:
        for _ in range(24):  # of several processes each gets some of them
            wire = held.enter_context(Wire(server))
            wire.begin()
            wire.send(MAIL % b"x")
        pids = descendants(server.process.pid)
        wait_until(lambda: all(is_asleep(pid) for pid in pids))
        yield pids


def is_asleep(pid: int) -> bool:
    return state(pid) == "S"


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("mode", MODES)
def test_a_worker_that_hangs_does_not_outlive_a_killed_server(serve: Serve, mode: str) -> None:
    server = serve(MODES[mode], worker="hangs.php")
    with hanging(server) as pids:
        server.kill()
        assert len(pids) >= 2
        wait_until_gone(*pids)


def test_a_worker_that_is_stopped_does_not_outlive_a_killed_server(serve: Serve) -> None:
    server = serve(ONE, worker="record.php")
    pids = descendants(server.process.pid)
    for pid in children_of(server.process.pid):
        os.kill(pid, signal.SIGSTOP)
    server.kill()
    wait_until_gone(*pids)


@pytest.mark.parametrize("stopped", [0, 1, 2])
def test_workers_and_processes_do_not_outlive_a_killed_parent(serve: Serve, stopped: int) -> None:
    """Not even where some of the processes are stopped."""
    server = serve(TWO, worker="hangs.php")
    with hanging(server) as pids:
        for pid in children_of(server.process.pid)[:stopped]:
            os.kill(pid, signal.SIGSTOP)
        server.kill()
        assert len(pids) == 5
        wait_until_gone(*pids)


def test_workers_do_not_outlive_parent_and_processes_that_are_killed_together(serve: Serve) -> None:
    server = serve(TWO, worker="hangs.php")
    with hanging(server) as pids:
        server.process.send_signal(signal.SIGSTOP)  # it shall not start others
        for pid in children_of(server.process.pid):
            os.kill(pid, signal.SIGKILL)
        server.kill()
        wait_until_gone(*pids)


def test_workers_do_not_outlive_a_killed_process_of_several(serve: Serve) -> None:
    """And are waited for: no zombie stays."""
    settings = {"endure": {"grace_period": "0s"}, "smtp": {"processes": 2, "pool": {"destroy_timeout": "0s"}}}
    server = serve(settings, worker="hangs.php")
    with hanging(server):
        killed, other = children_of(server.process.pid)
        workers = all_children_of(killed)
        os.kill(killed, signal.SIGKILL)
        wait_until_gone(*workers)
        wait_for_log(server, "process started again")
        wait_until(lambda: len(children_of(server.process.pid)) == 2)
        assert other in children_of(server.process.pid)
        assert "Z" not in [state(pid) for pid in descendants(server.process.pid)]


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


def test_a_guard_that_was_killed_is_told_and_waited_for(serve: Serve) -> None:
    server = serve(TWO)
    guard = guard_of(server.process.pid)
    os.kill(guard, signal.SIGKILL)
    wait_for_log(server, "no guard: workers that hang would outlive a server that is killed")
    wait_until(lambda: guard not in all_children_of(server.process.pid))
    with Wire(server) as wire:
        wire.begin()
        assert wire.ask(MAIL % b"x") == ACCEPTED
