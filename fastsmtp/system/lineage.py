"""Where a process comes from, and which sockets it holds, as the kernel tells it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final

_MAX_GENERATIONS: Final = 64


def lineage(pid: int) -> Iterator[int]:
    """Yield `pid`, the leader of its session, then its parent and what that comes from; nothing for no process.

    A process whose parent has ended is still known by its session, unless that was made outside our PID namespace
    (`docker exec`, `nsenter`): the kernel calls its leader 0 then, and so its parents alone tell (pid_namespaces(7)).
    """
    session = _session_of(pid)
    if session is None:
        return
    yield pid
    if session:
        yield session
    for _ in range(_MAX_GENERATIONS):
        pid = _parent_of(pid)
        if pid <= 1:
            return
        yield pid


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid) if pid > 0 else None
    except (OSError, OverflowError):
        return None


def _parent_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def holds_socket(pid: int, inode: int) -> bool | None:
    """Whether a process has the socket with this inode open; None where we may not see that."""
    wanted = f"socket:[{inode}]"
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except (OSError, OverflowError):
        return None
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # closed meanwhile
            if os.readlink(f"/proc/{pid}/fd/{descriptor}") == wanted:
                return True
    return False
