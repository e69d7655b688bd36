"""What the kernel says about processes, by pid."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from ready import readable
from waits import PATIENCE_S, wait_until


def alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return _fields(pid)[0] != "Z"
    except OSError:
        return False


def wait_until_gone(*pids: int) -> None:
    """Wait until these processes, which are not our children, have ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            process = os.pidfd_open(pid)
            try:
                assert readable(process, seconds=PATIENCE_S), f"{pid} does not end"
            finally:
                os.close(process)


def guard_of(pid: int) -> int:
    """The guard of a server, once it watches. It is not among the children."""
    found: list[int] = []

    def watches() -> bool:
        # What starts it is there beside it for a moment, or alone, and is ended by signals.
        found[:] = [guard for guard in guards_of(pid) if _ignores(guard, signal.SIGTERM)]
        return len(found) == 1

    wait_until(watches)
    return found[0]


def _ignores(pid: int, number: signal.Signals) -> bool:
    """Whether it ignores a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    ignored = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn:"))
    return bool(ignored >> (number - 1) & 1)


def guards_of(pid: int) -> list[int]:
    """Those that say so in their command lines, and live."""
    processes = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [process for process in processes if is_guard(process) and _command(process)[-1] == str(pid)]


def is_guard(pid: int) -> bool:
    """Whether it is the guard of some server."""
    return any(word.endswith("guardprocess.py") for word in _command(pid))


def _command(pid: int) -> list[str]:
    """The command line; [""] of a process that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().removesuffix("\0").split("\0")
    except OSError:
        return [""]


def children_of(pid: int) -> list[int]:
    """Its children, those that have ended and are not reaped too."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            found += [int(child) for child in task.read_text().split()]
    return sorted(found)


def cpu_seconds(pid: int) -> float:
    """CPU time that it has used."""
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def inbox_of(pid: int) -> int:
    """The inbox process of a server."""
    [inbox] = [
        child for child in children_of(pid) if any("from fastsmtp.inbox.process " in word for word in _command(child))
    ]
    return inbox


def memory_kb(pid: int, name: str = "VmRSS") -> int:
    """One of the sizes in its status."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:"))


def environment(pid: int) -> dict[str, str]:
    """The environment that it was started with."""
    pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def descriptors(pid: int | str = "self") -> list[str]:
    """Its open descriptors, by what they are open for; one of /dev/null is not counted: uvloop keeps it."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):  # the one that listdir had open
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return sorted(name for name in found if name != "/dev/null")


def _fields(pid: int) -> list[str]:
    """Those of `stat` from the state on, which is number 3 in proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
