"""Children that nothing else waits for are reaped; of those that we launched the exit status is left to us."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from leftovers import children
from pools import Run
from waits import until

from fastsmtp.system import reaper
from fastsmtp.system.process import Identity, Process, launched
from fastsmtp.system.reaper import reap, reaping


def spawn(*command: str) -> int:
    """A child that no part of ours waits for."""
    return os.posix_spawnp(command[0], command, os.environ)


def ended(*pids: int) -> None:
    """Wait until these children have ended; they are zombies then."""
    for pid in pids:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def launch(script: str) -> Process:
    return Process(
        ("sh", "-c", script), Identity(), os.environ, pipes=False, on_line=lambda _: None, on_change=lambda: None
    )


@pytest.mark.parametrize("script", ["exit 7", "kill -9 $$"], ids=["exits", "is killed"])
def test_who_was_launched_keeps_the_exit_status(run_loop: Run, script: str) -> None:
    async def main() -> None:
        with reaping(launched):
            before = [spawn("true") for _ in range(20)]
            process = launch(script)
            assert process.pid in launched()
            after = [spawn("true") for _ in range(20)]
            assert process.pid not in (*before, *after)
            await until(lambda: children() == [] and process.quiet)
        assert process.returncode == (7 if script == "exit 7" else -signal.SIGKILL)
        assert process.pid not in launched()

    run_loop(main())


def test_those_from_before_are_reaped(run_loop: Run) -> None:
    async def main() -> None:
        ended(spawn("true"), spawn("false"))
        with reaping(launched):
            assert children() == []

    run_loop(main())


def test_one_of_our_own_hides_the_others_no_longer_than_it_is_there(run_loop: Run) -> None:
    async def main() -> None:
        own = spawn("sh", "-c", "exit 7")
        others = [spawn("true") for _ in range(3)]
        ended(own, *others)
        with reaping(lambda: {own}):
            assert own in children()
            assert os.waitstatus_to_exitcode(os.waitpid(own, 0)[1]) == 7
            await until(lambda: children() == [])

    run_loop(main())


def test_reap_says_whether_it_saw_all() -> None:
    assert reap({1}) is True
    running, own = spawn("sleep", "1000"), spawn("true")
    ended(own)
    assert reap({own, running}) is False
    assert reap({running}) is True
    assert (children(), reaper.children()) == ([running], [running])
    os.kill(running, signal.SIGKILL)
    ended(running)
    assert reap(()) is True
    assert (children(), reaper.children()) == ([], [])


def test_afterwards_all_is_as_it_was(run_loop: Run) -> None:
    handler = signal.getsignal(signal.SIGCHLD)

    async def main() -> None:
        with reaping(launched):
            assert signal.getsignal(signal.SIGCHLD) != handler
        assert signal.getsignal(signal.SIGCHLD) == handler
        assert subprocess.run(["false"], check=False).returncode == 1

    run_loop(main())
