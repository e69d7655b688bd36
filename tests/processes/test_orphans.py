"""Orphans that are our own children: which are reaped, given time, killed, and left alone."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from leftovers import children
from pools import Log, Run

from fastsmtp.processes import orphans as orphans_module
from fastsmtp.processes.orphans import Orphans


def spawn(*command: str, leads: bool = True) -> int:
    """A process that leads a session of its own, as workers do; the caller reaps it."""
    return os.posix_spawnp(command[0], command, os.environ, setsid=leads)


def killed(log: Log) -> list[int]:
    assert {record["event"] for record in log.records} <= {"a worker outlived its process, killed"}
    return [record["pid"] for record in log.records]


def status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_who_has_ended_is_reaped_unless_another_does_that(log: Log) -> None:
    own, adopted = spawn("true"), spawn("true")
    for pid in (own, adopted):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    Orphans(lambda: {own, *children()} - {adopted}, log.logger).reap()
    assert children() == [own]
    assert status(own) == 0


def test_workers_of_a_killed_process_are_killed_at_the_end(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        worker, other = spawn("sleep", "1000"), spawn("sleep", "1000")
        orphans = Orphans(set, log.logger)
        orphans.reap()  # both are known: neither is a worker that was launched since
        orphans.expect([worker])
        assert killed(log) == []
        orphans.end()
        orphans.end()
        assert killed(log) == [worker]
        assert status(worker) == -signal.SIGKILL
        os.kill(other, signal.SIGTERM)
        assert status(other) == -signal.SIGTERM

    run_loop(main())


def test_who_leads_a_session_and_was_not_known_was_a_worker_too(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        orphans = Orphans(set, log.logger)
        orphans.reap()
        worker, follower = spawn("sleep", "1000"), spawn("sleep", "1000", leads=False)
        orphans.expect([])
        orphans.end()
        assert killed(log) == [worker]
        assert status(worker) == -signal.SIGKILL
        os.kill(follower, signal.SIGTERM)
        assert status(follower) == -signal.SIGTERM

    run_loop(main())


def test_a_worker_that_leaves_in_time_is_not_killed(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        worker = spawn("cat", "/dev/null")
        orphans = Orphans(set, log.logger)
        orphans.expect([worker])
        while worker in children():
            orphans.reap()
        orphans.end()
        assert killed(log) == []

    run_loop(main())


def test_a_worker_that_does_not_leave_is_killed_after_a_while(
    run_loop: Run, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans_module, "GRACE_S", 0.01)

    async def main() -> None:
        worker = spawn("sleep", "1000")
        orphans = Orphans(set, log.logger)
        orphans.expect([worker])
        while not log.records:
            await asyncio.sleep(0)
        assert killed(log) == [worker]
        assert status(worker) == -signal.SIGKILL
        orphans.end()

    run_loop(main())
