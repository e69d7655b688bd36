"""One number of each process, the sum for all, and the lock while it is compared with a limit."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fastsmtp.system.sharedcount import SharedCount, shared_file


@pytest.fixture
def shared() -> Iterator[int]:
    """The file of three processes."""
    descriptor = shared_file(3)
    yield descriptor
    os.close(descriptor)


def test_each_has_a_number_and_all_know_the_sum(shared: int) -> None:
    first, last = SharedCount(shared, 0), SharedCount(shared, 2)
    assert first.total() == 0
    first.set(5)
    last.set(7)
    last.set(6)
    assert (first.total(), last.total()) == (11, 11)
    first.clear(2)
    assert last.total() == 5


def test_the_numbers_of_another_process_are_seen(shared: int) -> None:
    code = "import sys; from fastsmtp.system.sharedcount import SharedCount; SharedCount(int(sys.argv[1]), 1).set(9)"
    subprocess.run([sys.executable, "-c", code, str(shared)], pass_fds=(shared,), check=True)
    assert SharedCount(shared).total() == 9


def test_the_last_place_is_taken_once(shared: int) -> None:
    """Two processes take places one by one, at the same time, up to a limit of both."""
    code = (
        "import sys; from fastsmtp.system.sharedcount import SharedCount\n"
        "count, own = SharedCount(int(sys.argv[1]), int(sys.argv[2])), 0\n"
        "for _ in range(5000):\n"
        "    with count.locked():\n"
        "        if count.total() < 6000:\n"
        "            own += 1\n"
        "            count.set(own)\n"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(shared), str(index)], pass_fds=(shared,)) for index in (0, 1)
    ]
    assert [run.wait() for run in runs] == [0, 0]
    assert SharedCount(shared).total() == 6000


def test_one_that_was_stopped_in_the_middle_is_not_waited_for(shared: int) -> None:
    code = "import fcntl, sys; fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(shared)], pass_fds=(shared,), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"\n"
        with pytest.raises(BlockingIOError):
            fcntl.lockf(shared, fcntl.LOCK_EX | fcntl.LOCK_NB)
        count = SharedCount(shared)
        with count.locked():
            count.set(1)
        assert count.total() == 1
