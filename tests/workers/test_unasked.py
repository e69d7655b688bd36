"""An answer belongs to an email only if the worker had taken all of it, and nothing was on the relay before."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from gates import Gate
from pools import LOOPS, Email, Log, Run, kill, make_pool, run, running, send, verdict
from procs import alive
from waits import until, wait_until

from fastsmtp.smtp.events import Verdict

CONTINUE, WORKER_FAILED = Verdict.ACCEPT, Verdict.WORKER_FAILED


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Lets the workers of `answers_again.php` go on."""
    return Gate(tmp_path / "gate")


def open_gate(gate: Gate) -> None:
    with gate.wait_for_worker() as opened:
        opened.let_go()


def lost(log: Log) -> list[tuple[str, bool]]:
    return [(item["reason"], item["with_email"]) for item in log.records if item["event"] == "worker lost"]


@pytest.mark.parametrize("size", [8, 100_000, 3_000_000])
def test_a_second_answer_is_none_for_the_next_email(run_loop: Run, log: Log, relay: str, gate: Gate, size: int) -> None:
    """It comes while the next email waits in the kernel to be read by the worker."""

    async def main() -> None:
        async with running(make_pool("answers_again", log, relay, {"GATE": str(gate.path)})) as pool:
            assert await verdict(pool) is CONTINUE
            email = Email([b"CONTINUE".ljust(size)])
            send(pool, email)
            for _ in range(3):  # what the kernel takes of it leaves us
                await asyncio.sleep(0)
            open_gate(gate)
            assert await email.verdict() is WORKER_FAILED
            assert await verdict(pool) is CONTINUE
        assert lost(log) == [("answered before it had read the email", True)]

    run_loop(main())


# Over TCP the second of two small writes may wait in the worker's kernel until the first is confirmed (RFC 896).
@pytest.mark.parametrize("relay", ["unix", "pipes"])
def test_a_worker_is_not_lent_while_an_answer_is_on_its_relay(run_loop: Run, log: Log, relay: str, gate: Gate) -> None:
    """The answer has come, but the loop has not read it yet."""

    async def main() -> None:
        async with running(make_pool("answers_again", log, relay, {"GATE": str(gate.path)})) as pool:
            (first,) = pool.workers()
            assert await verdict(pool) is CONTINUE
            open_gate(gate)
            wait_until(gate.path.with_name("gate-sent").exists)  # blocks: the loop stands still
            assert await verdict(pool) is CONTINUE
            assert first.pid not in [worker.pid for worker in pool.workers() if worker.status_text == "ready"]
            assert (pool.execs, pool.worker_failures) == (2, 0)
        assert lost(log) == [("sent something unasked", False)]

    run_loop(main())


@pytest.mark.parametrize("relay", ["unix", "pipes"])
def test_one_that_waits_is_not_given_to_it_either(log: Log, relay: str, gate: Gate) -> None:
    """Both answers are there when the first is read: the email that waits goes to another worker."""

    async def main() -> None:
        async with running(make_pool("answers_again", log, relay, {"GATE": str(gate.path)})) as pool:
            first, second = Email(), Email()
            send(pool, first, second)  # in asyncio's loop the first leaves at once, in uvloop's with the next turn
            open_gate(gate)
            wait_until(gate.path.with_name("gate-sent").exists)
            assert [await first.verdict(), await second.verdict()] == [CONTINUE, CONTINUE]
            assert (pool.execs, pool.worker_failures) == (2, 0)
        assert lost(log) in ([("answered twice", False)], [("sent something unasked", False)])

    run(LOOPS["asyncio"], main())


def test_a_worker_that_ended_unseen_is_not_lent(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("accepts", log, relay)) as pool:
            (first,) = pool.workers()
            kill(first.pid)
            wait_until(lambda: not alive(first.pid))  # blocks: the loop has not heard of it
            assert await verdict(pool) is CONTINUE
            assert pool.worker_failures == 0
        assert lost(log) in ([("closed the connection", False)], [("killed by SIGKILL", False)])

    run_loop(main())


def test_a_worker_that_reads_no_more_is_not_lent(run_loop: Run, log: Log, tmp_path: Path) -> None:
    """Over pipes that is seen by the kernel; a socket does not tell."""

    async def main() -> None:
        done = tmp_path / "done"
        async with running(make_pool("closes_its_ear", log, "pipes", {"DONE": str(done)})) as pool:
            assert await verdict(pool) is CONTINUE
            await until(done.exists)
            assert await verdict(pool) is CONTINUE
            assert pool.worker_failures == 0
            pool.kill()
        assert lost(log)[0] == ("closed the connection", False)

    run_loop(main())


def test_a_slow_reader_is_no_early_one(run_loop: Run, log: Log, relay: str) -> None:
    """A stopped worker reads a large email late; its answer counts."""

    async def main() -> None:
        async with running(make_pool("accepts", log, relay)) as pool:
            pid = pool.workers()[0].pid
            os.kill(pid, signal.SIGSTOP)
            email = Email([b"x" * 3_000_000])
            send(pool, email)
            for _ in range(10):
                await asyncio.sleep(0)
            os.kill(pid, signal.SIGCONT)
            assert await email.verdict() is CONTINUE
        assert lost(log) == []

    run_loop(main())
