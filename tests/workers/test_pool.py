"""Pools of real PHP processes: what becomes of the email, of the worker, and what the log says."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from pools import (
    WORKERS,
    Email,
    Log,
    Run,
    children,
    kill,
    launch,
    make_pool,
    replaced,
    running,
    send,
    verdict,
)
from procs import alive, descriptors, environment
from waits import until

from fastsmtp.capture.handling import Handling
from fastsmtp.config.settings import OnInitSettings, PoolSettings, SupervisorSettings
from fastsmtp.errors import StartError
from fastsmtp.goridge.frame import frame_header
from fastsmtp.smtp.events import Verdict
from fastsmtp.system import process as process_module
from fastsmtp.workers.launch import Launch
from fastsmtp.workers.pool import MAX_JOBS_JITTER_PERCENT, MAX_STOPPING, Pool, with_jitter
from fastsmtp.workers.spawner import retry_delay

TCP = r"tcp://127\.0\.0\.1:[1-9]\d*"
CONTINUE, CLOSE = Verdict.ACCEPT, Verdict.ACCEPT_AND_CLOSE
WORKER_FAILED, NO_WORKER = Verdict.WORKER_FAILED, Verdict.NO_WORKER

# Answers


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"CONTINUE", CONTINUE),
        (b"CLOSE", CLOSE),
        (b" CLOSE\n", CLOSE),
        (b"", CONTINUE),
        (b'{"stop":false}', CONTINUE),
    ],
)
def test_answer(run_loop: Run, log: Log, relay: str, answer: bytes, expected: Verdict) -> None:
    async def main() -> None:
        async with running(make_pool("echo", log, relay)) as pool:
            (before,) = pool.workers()
            assert await verdict(pool, answer) is expected
            (after,) = pool.workers()
            assert (after.pid, after.status_text, after.execs) == (before.pid, "ready", 1)

    run_loop(main())


def test_unknown_answer(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        async with running(make_pool("echo", log)) as pool:
            assert await verdict(pool, b"QUARANTINE") is CONTINUE
            assert pool.unknown_answers == 1
            assert log.record("a worker gave an unknown answer, taken as CONTINUE") == {"answer": b"QUARANTINE"}

    run_loop(main())


def test_error_frame(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("error", log, relay)) as pool:
            assert await verdict(pool) is CONTINUE
            assert await verdict(pool) is CONTINUE
            assert (pool.errors, pool.starts, pool.worker_failures) == (2, 1, 0)
        warnings = [record for record in log.records if record["level"] == "warning"]
        assert [(record["event"], record["error"]) for record in warnings] == [
            ("a worker answered with an error", "the database is gone")
        ] * 2

    run_loop(main())


@pytest.mark.parametrize(
    ("worker", "said", "expected"),
    [
        ("echo", b"CONTINUE", ("CONTINUE", "")),
        ("echo", b"CLOSE", ("CLOSE", "")),
        ("echo", b"QUARANTINE", ("UNKNOWN", "QUARANTINE")),
        ("error", b"", ("ERROR", "the database is gone")),
    ],
)
def test_what_a_worker_did_is_told_with_the_verdict(
    run_loop: Run, log: Log, worker: str, said: bytes, expected: tuple[str, str]
) -> None:
    async def main() -> None:
        async with running(make_pool(worker, log)) as pool:
            (before,) = pool.workers()
            first, second = Email([said]), Email([said])
            send(pool, first, second)  # the second one waits
            for email in (first, second):
                await email.verdict()
                assert email.handling is not None
                assert (email.handling.pid, email.handling[1:3]) == (before.pid, expected)
                assert min(email.handling[3:]) >= 0

    run_loop(main())


def test_how_a_worker_was_lost_is_told_with_the_verdict(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        async with running(make_pool("crashes", log)) as pool:
            (before,) = pool.workers()
            email = Email()
            send(pool, email)
            assert await email.verdict() is WORKER_FAILED
            lost = log.record("worker lost")
            assert email.handling is not None
            assert email.handling[:3] == (before.pid, "LOST", lost["reason"])

    run_loop(main())


def test_where_no_worker_had_the_email_none_is_told(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        async with running(make_pool("accepts", log)) as pool:
            pool.kill()
            email = Email()
            send(pool, email)
            assert (await email.verdict(), email.handling) == (NO_WORKER, None)

    run_loop(main())


def test_large_context_in_segments(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("accepts", log, relay)) as pool:
            email = Email([b"{", bytearray(7_000_000), b"x" * 7_000_000, b"}"])
            send(pool, email)
            assert await email.verdict() is CONTINUE

    run_loop(main())


def test_restart_asked_for(run_loop: Run, log: Log, relay: str, tmp_path: Path) -> None:
    async def main() -> None:
        env = {"RESTARTED": str(tmp_path / "restarted")}
        async with running(make_pool("restarts", log, relay, env)) as pool:
            (first,) = pool.workers()
            email = Email()
            send(pool, email)
            assert await email.verdict() is CONTINUE
            assert email.taken == 2
            await replaced(pool, first.pid)
            assert (pool.starts, pool.worker_failures) == (2, 0)
        assert log.events("warning", "error") == []

    run_loop(main())


def test_restart_asked_for_without_end(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with running(make_pool("restarts_always", log)) as pool:
            email = Email()
            since = loop.time()
            send(pool, email)
            await until(lambda: pool.starts == 4)
            # No busy loop; the timers of uvloop may be early by a few milliseconds.
            assert loop.time() - since >= 0.9 * sum(map(retry_delay, (1, 2, 3)))
            pool.kill()
            assert await email.verdict() in (NO_WORKER, WORKER_FAILED)  # it may have been with the fourth

    run_loop(main())


# Workers that fail


_GOOD = frame_header(0, (8,), 8)
_BAD_CRC = _GOOD[:6] + bytes([_GOOD[6] ^ 1]) + _GOOD[7:] + b"CONTINUE"

FAILURES = {
    "crashes": "closed the connection",
    "garbage": "not a Goridge frame: b'PHP Warning: something is undefined in worker.php on line 7\\n'",
    "bad_crc": f"not a Goridge frame (bad CRC): {_BAD_CRC!r}",
    "bad_options": "sent a frame that is not an answer: b'CONTINUE'",
    "closes_half_way": "closed the connection in the middle of a frame",
    "answers_64_mb": "frame payload of 64000008 bytes is above the limit of 16777216",
}


@pytest.mark.parametrize("worker", FAILURES)
def test_worker_fails(run_loop: Run, log: Log, relay: str, worker: str) -> None:
    async def main() -> None:
        async with running(make_pool(worker, log, relay)) as pool:
            (first,) = pool.workers()
            assert await verdict(pool) is WORKER_FAILED
            await replaced(pool, first.pid)
            assert await verdict(pool) is WORKER_FAILED
            assert (pool.execs, pool.worker_failures, pool.start_failures) == (2, 2, 0)
        lost = [(r["reason"], r["with_email"]) for r in log.records if r["event"] == "worker lost"]
        assert lost == [(FAILURES[worker], True)] * 2

    run_loop(main())


def test_exit_status_and_last_words_are_logged(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("crashes", log, relay)) as pool:
            (first,) = pool.workers()
            assert await verdict(pool) is WORKER_FAILED
            await replaced(pool, first.pid)
            (ended,) = [record for record in log.records if record["event"] == "worker has ended"]
            assert ended == {
                "level": "info",
                "channel": "pool",
                "event": "worker has ended",
                "pid": first.pid,
                "status": "exit status 3",
                "execs": 0,
            }
            assert log.lines() == ["out of order"]

    run_loop(main())


def test_floods_stdout(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        async with running(make_pool("floods_stdout", log, "pipes")) as pool:
            (first,) = pool.workers()
            assert await verdict(pool) is WORKER_FAILED
            await replaced(pool, first.pid)
        shown = (b"debugging ...\n" * 20)[:256]
        assert log.record("worker lost") == {"reason": f"not a Goridge frame: {shown!r}", "with_email": True}

    run_loop(main())


def test_answers_twice(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("answers_twice", log, relay)) as pool:
            (first,) = pool.workers()
            emails = [Email(), Email()]
            send(pool, *emails)
            assert [await email.verdict() for email in emails] == [CONTINUE, CONTINUE]
            await until(lambda: pool.starts == 3)
            assert first.pid not in [worker.pid for worker in pool.workers()]
        lost = [(r["reason"], r["with_email"]) for r in log.records if r["event"] == "worker lost"]
        assert lost == [("answered twice", False)] * 2

    run_loop(main())


def test_answers_unasked(run_loop: Run, log: Log, relay: str, tmp_path: Path) -> None:
    async def main() -> None:
        ready = tmp_path / "ready"
        async with running(make_pool("answers_unasked", log, relay, {"READY": str(ready)})) as pool:
            (first,) = pool.workers()
            await until(ready.exists)
            os.kill(first.pid, signal.SIGUSR1)
            await replaced(pool, first.pid)
            pool.kill()
        assert log.record("worker lost") == {
            "reason": "sent a frame unasked: b'CONTINUE'",
            "with_email": False,
        }

    run_loop(main())


def test_answers_before_it_has_read(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("answers_early", log, relay)) as pool:
            assert await verdict(pool, b"x" * 14_000_000) is WORKER_FAILED
            pool.kill()
        assert log.record("worker lost") == {"reason": "answered before it had read the email", "with_email": True}

    run_loop(main())


def test_killed_while_it_is_sent_a_large_email(run_loop: Run, log: Log, relay: str, tmp_path: Path) -> None:
    async def main() -> None:
        env = {"READY": str(tmp_path / "ready")}
        async with running(make_pool("answers_unasked", log, relay, env)) as pool:  # it reads nothing
            email = Email([b"x" * 14_000_000])
            send(pool, email)
            kill(pool.workers()[0].pid)
            assert await email.verdict() is WORKER_FAILED
            pool.kill()

    run_loop(main())


def test_killed_with_an_email(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("hangs", log, relay)) as pool:
            (first,) = pool.workers()
            email, next_email = Email(), Email()
            send(pool, email)
            send(pool, next_email)
            assert (pool.busy, pool.idle, pool.waiting) == (1, 0, 1)
            kill(first.pid)
            assert await email.verdict() is WORKER_FAILED
            await until(lambda: pool.busy == 1)
            kill(pool.workers()[-1].pid)
            assert await next_email.verdict() is WORKER_FAILED
            pool.kill()

    run_loop(main())


def test_killed_while_idle(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("accepts", log, relay)) as pool:
            (first,) = pool.workers()
            kill(first.pid)
            await replaced(pool, first.pid)
            assert await verdict(pool) is CONTINUE
            assert pool.worker_failures == 0
        assert log.record("worker lost") in (
            {"reason": "closed the connection", "with_email": False},
            {"reason": "killed by SIGKILL", "with_email": False},
        )

    run_loop(main())


def test_forks(run_loop: Run, log: Log, relay: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(make_pool("forks", log, relay, {"CHILD": str(tmp_path / "child")})) as pool:
            (first,) = pool.workers()
            assert await verdict(pool) is WORKER_FAILED
            await replaced(pool, first.pid)
            child = int((tmp_path / "child").read_text())
            await until(lambda: not alive(child))

    run_loop(main())


@pytest.mark.parametrize("relay", ["unix", "pipes"])
def test_daemonises(run_loop: Run, log: Log, relay: str, tmp_path: Path) -> None:
    child = tmp_path / "child"

    async def main() -> None:
        async with running(make_pool("daemonises", log, relay, {"CHILD": str(child)})) as pool:
            (first,) = pool.workers()
            assert await verdict(pool) is WORKER_FAILED
            await replaced(pool, first.pid)
            await until(lambda: child.exists() and child.read_text() and not alive(int(child.read_text())))
        assert log.record("worker lost") == {"reason": "exit status 3", "with_email": True}

    run_loop(main())


# Limits in time and memory


def test_exec_ttl(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        settings = {"supervisor": SupervisorSettings(exec_ttl_s=0.1)}
        async with running(make_pool("hangs", log, relay, **settings)) as pool:
            (first,) = pool.workers()
            assert await verdict(pool) is WORKER_FAILED
            await replaced(pool, first.pid)
            assert (pool.exec_timeouts, pool.worker_failures) == (1, 1)
            pool.kill()
        assert log.record("worker lost") == {"reason": "no answer in 0.1 s (exec_ttl)", "with_email": True}

    run_loop(main())


def test_allocate_timeout(run_loop: Run, log: Log, tmp_path: Path) -> None:
    async def main() -> None:
        os.mkfifo(tmp_path / "gate")
        async with running(
            make_pool("slow", log, env={"GATE": str(tmp_path / "gate")}, allocate_timeout_s=0.1)
        ) as pool:
            first, second = Email(), Email()
            send(pool, first)
            send(pool, second)
            assert await second.verdict() is NO_WORKER
            assert (second.taken, pool.allocate_timeouts, pool.execs) == (0, 1, 1)
            (tmp_path / "gate").write_text("go\n")
            assert await first.verdict() is CONTINUE
        assert log.record("no worker was free for an email") == {"allocate_timeout": 0.1, "waiting": 1}

    run_loop(main())


def test_waiters_are_served_in_order(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("accepts", log, relay)) as pool:
            order: list[Email] = []

            class Ordered(Email):
                def on_verdict(self, verdict: Verdict, waited_s: float, handling: Handling | None = None) -> None:
                    super().on_verdict(verdict, waited_s, handling)
                    order.append(self)

            emails = [Ordered() for _ in range(50)]
            send(pool, *emails)
            assert [await email.verdict() for email in emails] == [CONTINUE] * 50
            assert order == emails
            assert pool.workers()[0].execs == 50

    run_loop(main())


def test_worker_used_last_is_used_next(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        async with running(make_pool("accepts", log, num_workers=3)) as pool:
            for _ in range(5):
                assert await verdict(pool) is CONTINUE
            assert sorted(worker.execs for worker in pool.workers()) == [0, 0, 5]

    run_loop(main())


def test_max_jobs(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("accepts", log, relay, max_jobs=2)) as pool:
            emails = [Email() for _ in range(6)]
            send(pool, *emails)
            assert [await email.verdict() for email in emails] == [CONTINUE] * 6
            await until(lambda: pool.starts == 4)
        assert log.events("warning", "error") == []

    run_loop(main())


def test_max_jobs_jitter() -> None:
    limits = {with_jitter(100) for _ in range(2000)}
    assert limits == set(range(100, 100 + MAX_JOBS_JITTER_PERCENT))
    assert (with_jitter(0), with_jitter(1)) == (0, 1)


@pytest.mark.parametrize(
    ("worker", "supervisor", "reason"),
    [
        ("accepts", SupervisorSettings(watch_tick_s=0.05, ttl_s=0.3), "ttl"),
        ("accepts", SupervisorSettings(watch_tick_s=0.05, idle_ttl_s=0.1), "idle_ttl"),
        ("leaks_memory", SupervisorSettings(watch_tick_s=0.05, max_worker_memory=80), "max_worker_memory"),
    ],
    ids=["ttl", "idle_ttl", "max_worker_memory"],
)
def test_supervisor(run_loop: Run, log: Log, worker: str, supervisor: SupervisorSettings, reason: str) -> None:
    async def main() -> None:
        async with running(make_pool(worker, log, supervisor=supervisor)) as pool:
            (first,) = pool.workers()
            while not (found := [r for r in log.records if r["event"] == "worker is replaced"]):
                if reason == "max_worker_memory" or pool.execs == 0:
                    assert await verdict(pool) is CONTINUE
                else:
                    await until(lambda: "worker is replaced" in log.events("info"))
            assert (found[0]["reason"], found[0]["pid"]) == (reason, first.pid)
            await until(lambda: first.pid not in [worker.pid for worker in pool.workers()])
            assert pool.worker_failures == 0

    run_loop(main())


def test_ignores_stop(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("ignores_stop", log, relay, max_jobs=1, destroy_timeout_s=0.2)) as pool:
            (first,) = pool.workers()
            assert await verdict(pool) is CONTINUE
            await replaced(pool, first.pid)
            assert log.record("worker did not stop in time, killed") == {"destroy_timeout": 0.2}
        assert log.events("warning")[1:] == ["workers did not stop in time, killed"]

    run_loop(main())


def test_ignored_stops_do_not_pile_up(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        async with running(make_pool("ignores_stop", log, max_jobs=1)) as pool:
            for _ in range(MAX_STOPPING + 5):
                assert await verdict(pool) is CONTINUE
            expected = ["stopping"] * (MAX_STOPPING + 1) + ["ready"]
            await until(lambda: [worker.status_text for worker in pool.workers()] == expected)
            pool.kill()

    run_loop(main())


# Life of the pool


START_FAILURES = {
    "crashes_at_start": "ended without a handshake; exit status 255\n  no database here\n  connection refused",
    "dies_in_handshake": "ended without a handshake; exit status 7",
    "never_connects": "no handshake within 0.3 s; killed by SIGKILL",
}


@pytest.mark.parametrize("worker", START_FAILURES)
def test_start_failure(run_loop: Run, log: Log, relay: str, worker: str) -> None:
    async def main() -> None:
        timeout_s = 0.3 if worker == "never_connects" else 60.0
        pool = Pool(PoolSettings(num_workers=3), launch(worker, relay, relay_timeout_s=timeout_s), log.logger)
        with pytest.raises(StartError) as caught:
            await pool.start()
        assert str(caught.value) == (f'worker "php {WORKERS}/{worker}.php" did not start: {START_FAILURES[worker]}')
        assert pool.workers() == []

    run_loop(main())


def test_wrong_handshake(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        with pytest.raises(StartError) as caught:
            await make_pool("wrong_handshake", log, "pipes").start()
        assert str(caught.value).splitlines()[0] == (
            f'worker "php {WORKERS}/wrong_handshake.php" did not start: '
            "did not answer the handshake with its pid, but with b'CONTINUE'; exit status 0"
        )

    run_loop(main())


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("no-such-php", "worker.php"), "No such file or directory"),
        (("/",), "Permission denied"),
    ],
)
def test_command_that_cannot_be_run(run_loop: Run, log: Log, relay: str, command: tuple[str, ...], reason: str) -> None:
    async def main() -> None:
        with pytest.raises(StartError) as caught:
            await Pool(PoolSettings(), Launch(command, relay), log.logger).start()
        assert str(caught.value) == f'cannot start "{" ".join(command)}": {reason}'

    run_loop(main())


def test_no_command(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        with pytest.raises(StartError, match=r"^no worker command$"):
            await Pool(PoolSettings(), Launch(()), log.logger).start()

    run_loop(main())


def test_start_is_cancelled(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        start = asyncio.ensure_future(make_pool("never_connects", log, relay, num_workers=2).start())
        await until(lambda: len(children()) == 2)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start

    run_loop(main())


def test_start_failures_later(run_loop: Run, log: Log, tmp_path: Path) -> None:
    """The command disappears while the pool runs, and comes back: retried with growing delay, well again by itself."""

    async def main() -> None:
        script = tmp_path / "worker.php"
        code = (WORKERS / "accepts.php").read_text().replace("__DIR__", f"'{WORKERS}'")
        script.write_text(code)
        pool = Pool(PoolSettings(num_workers=2), Launch(("php", str(script))), log.logger)
        async with running(pool):
            script.unlink()
            for worker in pool.workers():
                kill(worker.pid)
            await until(lambda: pool.start_failures == 2)
            email = Email()
            send(pool, email)
            script.write_text(code)
            assert await email.verdict() is CONTINUE
            await until(lambda: pool.idle == 2)
        failed = [r for r in log.records if r["event"] == "a worker cannot be started"]
        assert [r["in_a_row"] for r in failed] == [3, 4]

    run_loop(main())


def test_dies_idle_is_no_busy_loop(run_loop: Run, log: Log, relay: str, tmp_path: Path) -> None:
    async def main() -> None:
        script = tmp_path / "worker.php"
        script.write_text((WORKERS / "accepts.php").read_text().replace("__DIR__", f"'{WORKERS}'"))
        async with running(Pool(PoolSettings(num_workers=1), Launch(("php", str(script)), relay), log.logger)) as pool:
            (first,) = pool.workers()
            script.write_text((WORKERS / "crashes_idle.php").read_text().replace("__DIR__", f"'{WORKERS}'"))
            since = asyncio.get_running_loop().time()
            kill(first.pid)
            await until(lambda: pool.starts + pool.start_failures == 4)  # it may die before it is in service
            assert asyncio.get_running_loop().time() - since >= sum(map(retry_delay, (1, 2, 3)))

    run_loop(main())


def test_retry_delay() -> None:
    assert [retry_delay(n) for n in (1, 2, 3, 6, 7, 10_000)] == [0.1, 0.2, 0.4, 3.2, 5.0, 5.0]


def test_debug_is_a_fresh_worker_per_email(run_loop: Run, log: Log, relay: str, tmp_path: Path) -> None:
    async def main() -> None:
        env = {"PIDS": str(tmp_path / "pids")}
        async with running(make_pool("pid", log, relay, env, debug=True, num_workers=2)) as pool:
            at_work: list[int] = []

            class Looking(Email):
                def on_verdict(self, verdict: Verdict, waited_s: float, handling: Handling | None = None) -> None:
                    super().on_verdict(verdict, waited_s, handling)
                    states = [worker.status_text for worker in pool.workers()]
                    at_work.append(states.count("inactive") + states.count("working"))

            emails = [Looking() for _ in range(5)]
            send(pool, *emails)
            assert [await email.verdict() for email in emails] == [CONTINUE] * 5
            assert max(at_work) <= 2
            assert pool.idle == 0
        assert len(set((tmp_path / "pids").read_text().split())) == 5
        assert log.events("warning", "error") == []

    run_loop(main())


def test_debug_with_a_worker_that_does_not_start(run_loop: Run, log: Log, tmp_path: Path) -> None:
    async def main() -> None:
        script = tmp_path / "worker.php"
        code = (WORKERS / "accepts.php").read_text().replace("__DIR__", f"'{WORKERS}'")
        script.write_text(code)
        pool = Pool(PoolSettings(debug=True), Launch(("php", str(script))), log.logger)
        async with running(pool):
            script.write_text("<?php exit(1);")
            assert await verdict(pool) is WORKER_FAILED
            script.write_text(code)
            assert await verdict(pool) is CONTINUE

    run_loop(main())


def test_reset_under_load(run_loop: Run, log: Log, relay: str, tmp_path: Path) -> None:
    async def main() -> None:
        env = {"PIDS": str(tmp_path / "pids")}
        async with running(make_pool("pid", log, relay, env, num_workers=2)) as pool:
            before = {worker.pid for worker in pool.workers()}
            load = [asyncio.ensure_future(_load(pool, lambda: resets < 2)) for _ in range(6)]
            resets = 0
            while resets < 2:
                await pool.reset()
                resets += 1
            verdicts = [verdict for verdicts in await asyncio.gather(*load) for verdict in verdicts]
            assert set(verdicts) == {CONTINUE}
            assert before & {worker.pid for worker in pool.workers() if worker.status_text == "ready"} == set()
            assert (pool.idle, pool.starts) == (2, 6)
        assert len((tmp_path / "pids").read_text().split()) == len(verdicts)
        assert log.events("warning", "error") == []

    async def _load(pool: Pool, wanted: object) -> list[Verdict]:
        verdicts = []
        while wanted():  # type: ignore[operator]
            verdicts.append(await verdict(pool))
        return verdicts

    run_loop(main())


def test_reset_with_a_worker_that_does_not_start(run_loop: Run, log: Log, tmp_path: Path) -> None:
    async def main() -> None:
        script = tmp_path / "worker.php"
        script.write_text((WORKERS / "accepts.php").read_text().replace("__DIR__", f"'{WORKERS}'"))
        async with running(Pool(PoolSettings(num_workers=2), Launch(("php", str(script))), log.logger)) as pool:
            before = pool.workers()
            script.write_text("<?php exit(1);")
            with pytest.raises(StartError):
                await pool.reset()
            assert [worker.pid for worker in pool.workers()] == [worker.pid for worker in before]
            assert await verdict(pool) is CONTINUE

    run_loop(main())


def test_stop_during_reset(run_loop: Run, log: Log, tmp_path: Path) -> None:
    async def main() -> None:
        script = tmp_path / "worker.php"
        script.write_text((WORKERS / "accepts.php").read_text().replace("__DIR__", f"'{WORKERS}'"))
        async with running(Pool(PoolSettings(num_workers=1), Launch(("php", str(script))), log.logger)) as pool:
            script.write_text("<?php sleep(1000);")
            reset = asyncio.ensure_future(pool.reset())
            await until(lambda: len(pool.workers()) == 2)
            pool.kill()
            with pytest.raises(StartError, match="killed"):
                await reset

    run_loop(main())


def test_add_and_remove(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        async with running(make_pool("accepts", log)) as pool:
            await pool.add_worker()
            assert (pool.num_workers, pool.idle) == (2, 2)
            assert [pool.remove_worker(), pool.remove_worker()] == [True, False]
            await until(lambda: len(pool.workers()) == 1)
            assert (pool.num_workers, pool.idle) == (1, 1)

    run_loop(main())


def test_stop_lets_workers_finish(run_loop: Run, log: Log, relay: str, tmp_path: Path) -> None:
    async def main() -> None:
        os.mkfifo(tmp_path / "gate")
        pool = make_pool("slow", log, relay, {"GATE": str(tmp_path / "gate")})
        await pool.start()
        email, waiting, late = Email(), Email(), Email()
        send(pool, email)
        send(pool, waiting)
        stop = asyncio.ensure_future(pool.stop())
        assert await waiting.verdict() is NO_WORKER
        send(pool, late)
        assert await late.verdict() is NO_WORKER
        (tmp_path / "gate").write_text("go\n")
        assert await email.verdict() is CONTINUE
        await stop
        assert log.events("warning", "error") == []

    run_loop(main())


def test_kill(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        pool = make_pool("hangs", log, relay, num_workers=2)
        await pool.start()
        email = Email()
        send(pool, email)
        pool.kill()
        assert await email.verdict() is WORKER_FAILED
        await pool.stop()

    run_loop(main())


def test_job_that_cannot_be_written(run_loop: Run, log: Log) -> None:
    class Broken(Email):
        def take_payload(self) -> tuple[Sequence[bytes | bytearray], Sequence[bytes | bytearray]]:
            raise ValueError("lost it")

    async def main() -> None:
        async with running(make_pool("accepts", log)) as pool:
            emails = [Email(), Broken(), Broken(), Email()]
            send(pool, *emails)
            assert [await email.verdict() for email in emails] == [CONTINUE, WORKER_FAILED, WORKER_FAILED, CONTINUE]
            broken = Broken()
            send(pool, broken)
            assert await broken.verdict() is WORKER_FAILED
            assert (pool.idle, pool.starts) == (1, 1)

    run_loop(main())


def test_job_that_is_too_large_for_a_frame(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("accepts", log, relay)) as pool:
            (first,) = pool.workers()
            huge = Email([bytes(1 << 20)] * (1 << 12))
            send(pool, huge)
            assert await huge.verdict() is WORKER_FAILED
            await replaced(pool, first.pid)
            assert await verdict(pool) is CONTINUE
            assert (pool.busy, pool.idle, pool.worker_failures) == (0, 1, 1)
        assert log.events("error") == ["an email cannot be sent to a worker", "worker lost"]
        assert log.record("worker lost") == {"reason": "an email could not be sent to it", "with_email": True}

    run_loop(main())


def test_job_that_raises_on_its_verdict(run_loop: Run, log: Log) -> None:
    class Broken(Email):
        def on_verdict(self, verdict: Verdict, waited_s: float, handling: Handling | None = None) -> None:
            super().on_verdict(verdict, waited_s, handling)
            raise ValueError("not interested")

    async def main() -> None:
        async with running(make_pool("accepts", log)) as pool:
            broken = Broken()
            send(pool, broken)
            assert await broken.verdict() is CONTINUE
            assert await verdict(pool) is CONTINUE
        assert log.events("error") == ["the verdict on an email could not be told"]

    run_loop(main())


def test_outcome_may_exec_the_next_email(run_loop: Run, log: Log, relay: str) -> None:
    class Chain(Email):
        left = 100

        def on_verdict(self, verdict: Verdict, waited_s: float, handling: Handling | None = None) -> None:
            self.left -= 1
            if self.left:
                pool.exec(self)
            else:
                super().on_verdict(verdict, waited_s, handling)

    async def main() -> None:
        nonlocal pool
        async with running(pool):
            chain = Chain()
            pool.exec(chain)
            assert await chain.verdict() is CONTINUE
            assert (chain.taken, pool.execs) == (100, 100)

    pool = make_pool("accepts", log, relay)
    run_loop(main())


@pytest.mark.parametrize("pidfd", [True, False], ids=["pidfd", "thread"])
def test_no_zombie_no_descriptor_after_50_respawns(
    run_loop: Run, log: Log, relay: str, pidfd: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not pidfd:
        monkeypatch.delattr(process_module.os, "pidfd_open")

    async def main() -> None:
        async with running(make_pool("accepts", log, relay, max_jobs=1)) as pool:
            assert await verdict(pool) is CONTINUE
            await until(lambda: pool.idle == len(pool.workers()) == 1)
            before = descriptors()
            for _ in range(50):
                assert await verdict(pool) is CONTINUE
            await until(lambda: pool.idle == len(pool.workers()) == 1)
            assert (len(descriptors()), len(children())) == (len(before), 1)

    run_loop(main())


# How workers are launched


def test_environment(run_loop: Run, log: Log, relay: str, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/ours")
    monkeypatch.setenv("RR_MODE", "ours")

    async def main() -> None:
        env = {"RR_RPC": "tcp://127.0.0.1:6001", "COLOUR": "green", "RR_VERSION": "1.2", "RR_MODE": "smtp"}
        async with running(make_pool("prints", log, relay, env)) as pool:
            assert await verdict(pool) is CONTINUE
        (told,) = [line for line in log.lines() if line.startswith("RR_RELAY=")]
        assert re.fullmatch(f"RR_RELAY={addresses.get(relay, TCP)}", told)
        assert sorted(log.lines()) == sorted(
            [
                told,
                "RR_RPC=tcp://127.0.0.1:6001",
                "RR_VERSION=1.2",
                "RR_MODE=smtp",
                "COLOUR=green",
                "HOME=/home/of/ours",
                *([] if relay == "pipes" else ["stdout speaking"]),
            ]
        )

    addresses = {"unix": rf"unix://{re.escape(str(scratch))}/fastsmtp-\w+/relay\.sock", "pipes": "pipes"}
    run_loop(main())


def test_long_lines_are_logged_in_pieces(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(make_pool("floods_stderr", log, relay)) as pool:
            assert await verdict(pool) is CONTINUE
        lengths = [len(line) for line in log.lines()]
        assert (sum(lengths), max(lengths)) == (100_000, process_module.MAX_LINE_BYTES)

    run_loop(main())


def test_wrapper_script(run_loop: Run, log: Log, relay: str, tmp_path: Path) -> None:
    async def main() -> None:
        started = launch("pid", relay, wrap=True, env={"PIDS": str(tmp_path / "pids")})
        async with running(Pool(PoolSettings(num_workers=3), started, log.logger)) as pool:
            assert await verdict(pool) is CONTINUE
            worker = int((tmp_path / "pids").read_text())
            (info,) = [info for info in pool.workers() if info.execs]
            assert info.pid == worker
            kill(worker)
            await until(lambda: pool.starts == 4 and len(pool.workers()) == 3)
        assert log.events("warning") == []

    run_loop(main())


def test_worker_is_described(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        async with running(make_pool("accepts", log)) as pool:
            (info,) = pool.workers()
            (pid,) = children()
            assert (info.pid, info.status, info.status_text, info.execs) == (pid, 1, "ready", 0)
            assert info.command == f"php {WORKERS}/accepts.php"
            assert 1_000_000 < info.memory_bytes < 200_000_000
            assert info.cpu_percent >= 0

    run_loop(main())


def test_private_socket(run_loop: Run, log: Log, scratch: Path) -> None:
    async def main() -> None:
        async with running(make_pool("accepts", log)):
            path = socket_in(scratch)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert not path.parent.exists()

    run_loop(main())


def test_named_socket(run_loop: Run, log: Log, tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"

    async def main() -> None:
        async with running(make_pool("accepts", log, f"unix://{path}")) as pool:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert await verdict(pool) is CONTINUE
            with pytest.raises(StartError) as caught:
                await make_pool("accepts", log, f"unix://{path}").start()
            assert str(caught.value) == f'cannot listen for workers on "unix://{path}": another server listens there'
        assert not path.exists()

    run_loop(main())


def test_private_socket_is_removed(run_loop: Run, log: Log, scratch: Path) -> None:
    async def main() -> None:
        async with running(make_pool("accepts", log, num_workers=2)) as pool:
            old = socket_in(scratch)
            shutil.rmtree(old.parent)
            await kill_all(pool)
            assert await verdict(pool) is CONTINUE
            new = socket_in(scratch)
            assert stat.S_IMODE(new.stat().st_mode) == 0o600
            assert stat.S_IMODE(new.parent.stat().st_mode) == 0o700
            assert (pool.idle, pool.start_failures) == (2, 0)
        assert not new.parent.exists()
        assert log.events("warning") == ["the workers' socket was removed, created again"]

    run_loop(main())


def test_named_socket_is_removed(run_loop: Run, log: Log, tmp_path: Path) -> None:
    path = tmp_path / "run" / "relay.sock"
    path.parent.mkdir()

    async def main() -> None:
        async with running(make_pool("accepts", log, f"unix://{path}", num_workers=2)) as pool:
            path.unlink()
            await kill_all(pool)
            assert (await verdict(pool), pool.idle, pool.start_failures) == (CONTINUE, 2, 0)
            shutil.rmtree(path.parent)
            for worker in pool.workers():
                kill(worker.pid)
            await until(lambda: pool.start_failures > 0)
            path.parent.mkdir()
            await until(lambda: pool.idle == 2)
            assert await verdict(pool) is CONTINUE
        assert not path.exists()
        reasons = {r["reason"] for r in log.records if r["event"] == "a worker cannot be started"}
        assert reasons == {f'cannot listen for workers on "unix://{path}": No such file or directory'}

    run_loop(main())


def socket_in(scratch: Path) -> Path:
    """The private socket of the only pool."""
    (path,) = scratch.glob("fastsmtp-*/relay.sock")
    return path


async def kill_all(pool: Pool) -> None:
    """Kill all workers and wait until as many others are idle."""
    before = {worker.pid for worker in pool.workers()}
    for pid in before:
        kill(pid)
    await until(lambda: pool.idle == len(before) and before.isdisjoint(worker.pid for worker in pool.workers()))


def test_socket_left_behind(run_loop: Run, log: Log, tmp_path: Path) -> None:
    import socket

    path = tmp_path / "relay.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    async def main() -> None:
        async with running(make_pool("accepts", log, f"unix://{path}")) as pool:
            assert await verdict(pool) is CONTINUE

    run_loop(main())


def test_file_in_the_place_of_the_socket(run_loop: Run, log: Log, tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"
    path.write_text("precious")

    async def main() -> None:
        with pytest.raises(StartError, match="Address already in use"):
            await make_pool("accepts", log, f"unix://{path}").start()

    run_loop(main())
    assert path.read_text() == "precious"


def test_stranger_on_the_socket(run_loop: Run, log: Log) -> None:
    """Over a unix socket it is not even asked: see `test_strangers.py`."""

    async def main() -> None:
        async with running(make_pool("accepts", log, "tcp://127.0.0.1:0")) as pool:
            port = int(environment(pool.workers()[0].pid)["RR_RELAY"].rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            while await reader.read(100):
                pass
            writer.close()
            assert await verdict(pool) is CONTINUE
        assert log.record("handshake on the workers' socket failed") == {
            "reason": "not a Goridge frame: b'GET / HTTP/1.1\\r\\n\\r\\n'"
        }

    run_loop(main())


def test_user(run_loop: Run, log: Log, relay: str, tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(StartError, match=r"^no such user: no-user-of-that-name$"):
            await Pool(PoolSettings(), Launch(("php",), relay, user="no-user-of-that-name"), log.logger).start()
        ours = str(os.getuid())
        async with running(Pool(PoolSettings(num_workers=1), launch("accepts", relay, user=ours), log.logger)) as pool:
            assert await verdict(pool) is CONTINUE

    run_loop(main())


def test_on_init(run_loop: Run, log: Log, tmp_path: Path) -> None:
    async def main() -> None:
        command = ["sh", "-c", 'echo "$GREETING"; echo done > "$0"', str(tmp_path / "done")]
        on_init = OnInitSettings(command=command, env={"GREETING": "hello"})
        async with running(Pool(PoolSettings(num_workers=1), launch("accepts", on_init=on_init), log.logger)):
            assert (tmp_path / "done").read_text() == "done\n"
        assert [r["event"] for r in log.records if r["channel"] == "on_init"] == ["hello"]

    run_loop(main())


@pytest.mark.parametrize(
    ("command", "timeout_s", "reason"),
    [
        ("sh -c 'echo broken >&2; exit 4'", 60.0, "failed: exit status 4\n  broken"),
        ("sleep 1000", 0.2, "did not end within 0.2 s"),
    ],
)
def test_on_init_fails(run_loop: Run, log: Log, command: str, timeout_s: float, reason: str) -> None:
    async def main() -> None:
        strict = OnInitSettings(command=command, exec_timeout_s=timeout_s, exit_on_error=True)
        with pytest.raises(StartError) as caught:
            await Pool(PoolSettings(), launch("accepts", on_init=strict), log.logger).start()
        assert str(caught.value) == f'on_init "{command}" {reason}'
        lenient = OnInitSettings(command=command, exec_timeout_s=timeout_s)
        async with running(Pool(PoolSettings(num_workers=1), launch("accepts", on_init=lenient), log.logger)):
            assert log.record("on_init failed") == {"reason": f'on_init "{command}" {reason}'}

    run_loop(main())
