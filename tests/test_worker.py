"""`fastsmtp.worker` against a real pool: Python workers as real processes, over every relay."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pools import Email, Log, Run, replaced, running, send, verdict
from waits import until

import fastsmtp
from fastsmtp.config.settings import PoolSettings
from fastsmtp.errors import WorkerError
from fastsmtp.smtp.events import Verdict
from fastsmtp.worker import Worker
from fastsmtp.workers.launch import Launch
from fastsmtp.workers.pool import Pool


def make_pool(tmp_path: Path, relay: str, log: Log, body: str) -> Pool:
    """A pool with one worker that runs `body` for each `email`."""
    script = tmp_path / "worker.py"
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    script.write_text(f"from fastsmtp.worker import Worker\nfor email in Worker():\n{lines}print('bye')\n")
    env = {"PYTHONPATH": str(Path(fastsmtp.__file__).parent.parent)}
    return Pool(PoolSettings(num_workers=1), Launch((sys.executable, str(script)), relay, env=env), log.logger)


ANSWERS = """\
kind = email["kind"]
if kind == "close":
    email.close()
if kind == "error":
    email.error("täglich")
if kind == "accept":
    email.accept()
    email.close()
assert email.answered == (kind != "nothing")
print("got", email.context, email.body)
"""


def test_answers(run_loop: Run, relay: str, log: Log, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(make_pool(tmp_path, relay, log, ANSWERS)) as pool:
            assert await verdict(pool, b'{"kind":"nothing"}') is Verdict.ACCEPT
            assert await verdict(pool, b'{"kind":"close"}') is Verdict.ACCEPT_AND_CLOSE
            assert await verdict(pool, b'{"kind":"accept"}') is Verdict.ACCEPT
            assert pool.errors == 0
            assert await verdict(pool, b'{"kind":"error"}') is Verdict.ACCEPT
            assert pool.errors == 1
        assert log.lines() == [
            *(f"got {{'kind': '{kind}'}} b''" for kind in ("nothing", "close", "accept", "error")),
            "bye",
        ]
        (warning,) = [record for record in log.records if record["level"] == "warning"]
        assert warning["error"] == "täglich"

    run_loop(main())


def test_large_email(run_loop: Run, relay: str, log: Log, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(make_pool(tmp_path, relay, log, "print(len(email['content']))")) as pool:
            email = Email([b'{"content":"', b"x" * 14_000_000, b'"}'])
            send(pool, email)
            assert await email.verdict() is Verdict.ACCEPT
        assert log.lines() == ["14000000", "bye"]

    run_loop(main())


def test_restart(run_loop: Run, relay: str, log: Log, tmp_path: Path) -> None:
    flag = tmp_path / "restarted"
    body = (
        f"import pathlib\nflag = pathlib.Path({str(flag)!r})\n"
        "if not flag.exists():\n    flag.touch()\n    email.restart()\n"
    )

    async def main() -> None:
        async with running(make_pool(tmp_path, relay, log, body)) as pool:
            (first,) = pool.workers()
            assert await verdict(pool, b"{}") is Verdict.ACCEPT
            await replaced(pool, first.pid)
        assert log.lines() == ["bye", "bye"]

    run_loop(main())


def test_exception(run_loop: Run, relay: str, log: Log, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(make_pool(tmp_path, relay, log, "raise ValueError(email['why'])")) as pool:
            (first,) = pool.workers()
            assert await verdict(pool, b'{"why":"full"}') is Verdict.WORKER_FAILED
            await replaced(pool, first.pid)
            await until(lambda: "ValueError: full" in log.lines())

    run_loop(main())


def test_unknown_relay() -> None:
    with pytest.raises(WorkerError, match=r'^unknown relay "carrier-pigeon"$'):
        Worker("carrier-pigeon")
