"""Processes that become our children when their parent has ended: we wait for them, or they stay zombies for ever.

That is so where we are process 1 of a container, and where we are a "child subreaper" (prctl(2)). What a worker starts
and leaves behind in a session of its own comes to us then, and nothing else would ever wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Container, Iterator
from pathlib import Path

_AGAIN_S = 0.02


@contextlib.contextmanager
def reaping(own: Callable[[], Container[int]]) -> Iterator[None]:
    """Reap, soon after its end, every child of this process but its `own`, for as long as the block runs.

    To be entered in the main thread, with the event loop running. Of no child of its own the exit status is taken.
    """
    loop = asyncio.get_running_loop()
    again: asyncio.TimerHandle | None = None

    def look() -> None:
        nonlocal again
        if again is not None:
            again.cancel()
        # One of its own that has ended hides the others, until it is waited for where it was started.
        again = None if reap(own()) else loop.call_later(_AGAIN_S, look)

    # Not `loop.add_signal_handler`: uvloop keeps this signal for children that it starts itself, and it starts none.
    previous = signal.signal(signal.SIGCHLD, lambda *_: loop.call_soon_threadsafe(look))
    signal.siginterrupt(signal.SIGCHLD, False)
    try:
        look()  # a program that became this one by exec may have left some
        yield
    finally:
        signal.signal(signal.SIGCHLD, previous or signal.SIG_DFL)
        if again is not None:
            again.cancel()


def reap(own: Container[int]) -> bool:
    """Wait for children that have ended, without blocking; False as soon as one of our `own` is among them."""
    try:
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return True
            if ended.si_pid in own:
                return False
            os.waitpid(ended.si_pid, os.WNOHANG)
    except ChildProcessError:  # there is no child
        return True


def children() -> list[int]:
    """Return the pids of our children; none where the kernel does not list them."""
    pids: list[int] = []
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            pids += map(int, path.read_text().split())
    return pids
