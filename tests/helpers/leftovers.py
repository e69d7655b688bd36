"""What a failed test leaves behind is killed here, so that no later test, and not the end of the run, waits for it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


def children() -> list[int]:
    """Processes of ours that are alive or not reaped, whichever thread started them."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # the thread has ended
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return sorted(found)


def kill_children(spared: list[int]) -> list[int]:
    """Kill our children but for those spared, and the groups that they lead; return which. They are not reaped."""
    killed = [pid for pid in children() if pid not in spared]
    for pid in killed:
        for kill in (os.killpg, os.kill):  # most lead no group
            with contextlib.suppress(ProcessLookupError):
                kill(pid, signal.SIGKILL)
    return killed


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """Kill and reap the processes that the test has started and not waited for."""
    spared = children()
    yield
    for pid in kill_children(spared):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
