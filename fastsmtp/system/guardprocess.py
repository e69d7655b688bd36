"""Kills what a server leaves running when it is killed. A program of its own, which `guard.py` starts.

Its arguments are three descriptors of pipes, a number of seconds, and the pid of the server, which is there for people
only. From the first come the pids of processes that lead a group of their own, a line each. Of the second the server
alone holds the other end: that it is closed means that the server has ended, however. What is in the groups has the
seconds then to leave by itself, and is killed. To the third our own pid is written when all is watched.

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
    """Leave the server's children, then watch until it has ended, and everything that it had started."""
    source, life, hello = map(int, sys.argv[1:4])
    _leave_family()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the server, which ends us by its end
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(life, select.POLLIN)
    os.write(hello, b"%d" % os.getpid())
    os.close(hello)
    _watch(source, life, float(sys.argv[4]), Groups(poll), poll)


def _watch(source: int, life: int, grace_s: float, groups: Groups, poll: select.poll) -> None:
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


def _leave_family() -> None:
    """Go on as a process whose parent has ended, in a group of its own: with that of the parent it would be killed."""
    moved, ours = os.pipe()
    if os.fork():
        os.close(ours)
        os.read(moved, 1)  # to the end of the pipe
        os._exit(0)
    os.setpgid(0, 0)
    os.close(moved)
    os.close(ours)


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


if __name__ == "__main__":
    main()
