"""A server that gets no time for a while, as in a suspended virtual machine or beside a greedy neighbour."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator


@contextlib.contextmanager
def stalled(pid: int, seconds: float) -> Iterator[None]:
    """Stop the process for so long; what the block does, it does meanwhile."""
    ends = time.monotonic() + seconds
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
        select.select([], [], [], max(0.0, ends - time.monotonic()))
    finally:
        os.kill(pid, signal.SIGCONT)
