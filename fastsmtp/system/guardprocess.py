"""Kills what a server leaves running when it is killed. A program of its own, which `guard.py` starts.

Its arguments are two descriptors of pipes and a number of seconds. From the first come the pids of processes that lead
a group of their own, a line each. Of the second the server alone holds the other end: that it is closed means that the
server has ended, however. What is in the groups has the seconds then to leave by itself, and is killed.

A number that was a group's can become another process's, a pidfd cannot: one is held of each leader, and from the end
of the server on of each process in its group. As long as one of them lives the number stands for that group.

It imports next to nothing: there is one beside each server.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

_READ_BYTES = 65536


class Groups:
    """Process groups with a live member, as far as is known."""

    def __init__(self, poll: select.poll) -> None:
        self._poll = poll
        self._held: dict[int, int] = {}  # pidfd -> group
        self._rest = b""  # of a line

    def __len__(self) -> int:
        return len(self._held)

    def read(self, source: int) -> bool:
        """Take the pids of leaders; False at the end of the pipe."""
        octets = os.read(source, _READ_BYTES)
        *lines, self._rest = (self._rest + octets).split(b"\n")
        for pid in map(int, lines):
            if pid != os.getpid():
                self._hold(pid, pid)
        return bool(octets)

    def hold_members(self) -> None:
        """From now on a group lives as long as one of those that are in it."""
        groups = set(self._held.values())
        for name in filter(str.isdigit, os.listdir("/proc")):
            pid = int(name)
            if pid not in groups and (group := _group_of(pid)) in groups:
                self._hold(pid, group)

    def forget(self, pidfd: int) -> None:
        """The process has ended."""
        self._poll.unregister(pidfd)
        os.close(pidfd)
        del self._held[pidfd]

    def kill(self) -> None:
        """Kill all that are in the groups."""
        for group in set(self._held.values()):
            try:
                os.killpg(group, signal.SIGKILL)
            except OSError:  # it has left at this moment
                continue

    def _hold(self, pid: int, group: int) -> None:
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:  # it is gone
            return
        self._held[pidfd] = group
        self._poll.register(pidfd, select.POLLIN)


def main() -> None:
    """Watch until the server has ended, and everything that it had started."""
    source, life, grace_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the server, which ends us by its end
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(life, select.POLLIN)
    groups = Groups(poll)
    deadline = 0.0  # 0.0: the server lives
    while not deadline or (groups and time.monotonic() < deadline):
        left_ms = max(0.0, deadline - time.monotonic()) * 1000 + 1 if deadline else None
        ready = [descriptor for descriptor, _event in poll.poll(left_ms)]
        for descriptor in ready:
            if descriptor == source:
                if not groups.read(source):
                    poll.unregister(source)
            elif descriptor != life:
                groups.forget(descriptor)
        if life in ready:
            poll.unregister(life)
            deadline = time.monotonic() + grace_s
            groups.hold_members()
    groups.kill()


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


if __name__ == "__main__":
    main()
