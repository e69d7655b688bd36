"""A test that fails leaves no worker, process or loop behind for which a later test, or the end of the run, waits."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent

SUITE = """
import asyncio
import subprocess

import pytest
from leftovers import children
from pools import LOOPS, Log, make_pool, run, running

both_loops = pytest.mark.parametrize("make_loop", LOOPS.values(), ids=LOOPS)


@both_loops
@pytest.mark.timeout(1)
def test_runs_out_of_time(make_loop):
    async def main():
        async with running(make_pool("accepts", Log())):
            await asyncio.Event().wait()

    run(make_loop, main())


@both_loops
def test_does_not_stop_its_pool(make_loop):
    async def main():
        await make_pool("ignores_stop", Log()).start()
        assert False

    run(make_loop, main())


@both_loops
def test_leaves_a_task(make_loop):
    async def main():
        never = asyncio.ensure_future(asyncio.Event().wait())
        assert never.done()

    run(make_loop, main())


def test_leaves_a_process():
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    subprocess.Popen(["sleep", "1000"])
    assert False


def test_finds_nothing_left():
    assert children() == []
"""


def test_failing_tests_end(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from leftovers import no_leftovers\n")
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {TESTS / 'helpers'}\ntimeout = 20\n")
    (tmp_path / "test_suite.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    failed = re.findall(r"^FAILED test_suite\.py::(\S+) - (\w+)", done.stdout, re.M)
    assert failed == [
        ("test_runs_out_of_time[asyncio]", "Failed"),
        ("test_runs_out_of_time[uvloop]", "Failed"),
        ("test_does_not_stop_its_pool[asyncio]", "assert"),
        ("test_does_not_stop_its_pool[uvloop]", "assert"),
        ("test_leaves_a_task[asyncio]", "AssertionError"),
        ("test_leaves_a_task[uvloop]", "AssertionError"),
        ("test_leaves_a_process", "assert"),
    ], done.stdout
    assert "7 failed, 1 passed" in done.stdout
