"""Pools of real PHP processes that have more emails than workers, or workers that a reset has replaced."""

from __future__ import annotations

import os
from pathlib import Path

from pools import Email, Log, Run, make_pool, replaced, running, send, verdict
from waits import until

from fastsmtp.config.settings import DynamicAllocatorSettings
from fastsmtp.smtp.events import Verdict

CONTINUE = Verdict.ACCEPT
WORKER_FAILED, NO_WORKER = Verdict.WORKER_FAILED, Verdict.NO_WORKER


def test_more_waiting_emails_than_max_queue_size_are_refused_at_once(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        async with running(make_pool("hangs", log, max_queue_size=2)) as pool:
            working, first, second, third = (Email() for _ in range(4))
            send(pool, working, first, second, third)
            assert await third.verdict() is NO_WORKER
            assert (pool.busy, pool.waiting, pool.queue_overflows, pool.allocate_timeouts) == (1, 2, 1, 0)
            assert log.record("too many emails wait for a worker") == {"max_queue_size": 2}
            assert third.taken == 0
            pool.kill()
            assert await first.verdict() is NO_WORKER
            assert await second.verdict() is NO_WORKER

    run_loop(main())


def test_workers_that_an_email_waits_for_are_started_and_leave_again(run_loop: Run, log: Log, relay: str) -> None:
    settings = DynamicAllocatorSettings(max_workers=3, spawn_rate=2, idle_timeout_s=0.2)

    async def main() -> None:
        async with running(make_pool("echo", log, relay, dynamic_allocator=settings)) as pool:
            assert await verdict(pool) is CONTINUE
            assert (pool.num_workers, len(pool.workers())) == (1, 1)
            emails = [Email() for _ in range(50)]
            send(pool, *emails)
            assert pool.num_workers == 3
            assert {await email.verdict() for email in emails} == {CONTINUE}
            await until(lambda: pool.idle == pool.num_workers == 1)
            await until(lambda: len(pool.workers()) == 1)
            assert (pool.starts, pool.worker_failures) == (3, 0)

    run_loop(main())


def test_a_pool_grows_step_by_step_while_emails_wait(run_loop: Run, log: Log) -> None:
    settings = DynamicAllocatorSettings(max_workers=3, spawn_rate=2, idle_timeout_s=60.0)

    async def main() -> None:
        async with running(make_pool("hangs", log, dynamic_allocator=settings)) as pool:
            emails = [Email() for _ in range(5)]
            send(pool, *emails)
            await until(lambda: pool.busy == 4)
            assert (pool.num_workers, pool.waiting, pool.starts) == (4, 1, 4)
            pool.kill()
            assert {await email.verdict() for email in emails} == {NO_WORKER, WORKER_FAILED}

    run_loop(main())


def test_in_debug_mode_there_is_a_worker_for_each_email_anyway(run_loop: Run, log: Log) -> None:
    settings = DynamicAllocatorSettings(max_workers=3)

    async def main() -> None:
        async with running(make_pool("echo", log, debug=True, dynamic_allocator=settings, max_queue_size=1)) as pool:
            emails = [Email() for _ in range(4)]
            send(pool, *emails)
            assert {await email.verdict() for email in emails} == {CONTINUE}
            assert (pool.num_workers, pool.queue_overflows) == (1, 0)

    run_loop(main())


def test_a_worker_that_a_reset_has_replaced_has_reset_timeout_for_its_email(
    run_loop: Run, log: Log, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "gate")

    async def main() -> None:
        env = {"GATE": str(tmp_path / "gate")}
        async with running(make_pool("slow", log, env=env, reset_timeout_s=0.3)) as pool:
            (old,) = pool.workers()
            email = Email()
            send(pool, email)
            await pool.reset()
            assert [worker.status_text for worker in pool.workers()] == ["working", "ready"]
            assert await email.verdict() is WORKER_FAILED
            assert log.record("worker lost") == {
                "reason": "still with an email 0.3 s after a reset (reset_timeout)",
                "with_email": True,
            }
            assert await replaced(pool, old.pid) > 0
            assert pool.starts == 2

    run_loop(main())


def test_a_replaced_worker_that_answers_in_time_leaves_in_peace(run_loop: Run, log: Log, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    async def main() -> None:
        async with running(make_pool("slow", log, env={"GATE": str(gate)}, reset_timeout_s=60.0)) as pool:
            (old,) = pool.workers()
            email = Email()
            send(pool, email)
            await pool.reset()
            gate_end = os.open(gate, os.O_RDWR)
            os.write(gate_end, b"\n")
            assert await email.verdict() is CONTINUE
            os.close(gate_end)
            assert await replaced(pool, old.pid) > 0
        assert log.events("warning", "error") == []

    run_loop(main())
