"""The file that holds the pid of a server, and whether that server still lives."""

from __future__ import annotations

import os
from pathlib import Path

_SLACK_S = 2.0  # the kernel tells in whole seconds when it was booted


def read_pid(path: Path) -> int:
    """Return the pid in the file. Raises OSError, and ValueError with what the file holds where that is not a pid."""
    text = path.read_text(errors="replace").strip()
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{path} holds no pid, but {text[:40]!r}")
    return int(text)


def find_owner(path: Path) -> int:
    """Return the pid of the live process that the file is of, 0 where it has ended or there is no such file.

    A process that was started after the file was written has nothing but the number in common with its writer. Raises
    ValueError where the file holds no pid.
    """
    try:
        written = path.stat().st_mtime
        pid = read_pid(path)
        started = _started(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pid if started is not None and started <= written + _SLACK_S else 0


def _started(pid: int) -> float | None:
    """When a process was started, as Unix time; None where it has ended and waits for its parent to notice.

    Raises FileNotFoundError or ProcessLookupError where there is none (proc(5)).
    """
    # The name, in brackets, may hold anything.
    state, *fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    if state in ("Z", "X"):
        return None
    ticks = int(fields[18])  # starttime, field 22
    return _booted() + ticks / os.sysconf("SC_CLK_TCK")


def _booted() -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        name, _, seconds = line.partition(" ")
        if name == "btime":
            return float(seconds)
    return 0.0
