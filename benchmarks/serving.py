"""A real `fastsmtp serve` to be measured: what it costs by the kernel's account, its workers apart."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from loadtest import cpu_seconds, memory_mb

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
_YOUNG_S = 1.0  # a worker that has been forked, and is no PHP yet
SETTINGS = ("smtp.addr=127.0.0.1:0", "smtp.pool.num_workers=2", "smtp.max_message_size=20MiB", "logs.mode=none")


class Server:
    """A running server, and all processes it has started."""

    def __init__(self, pid: int, host: str, port: int) -> None:
        self.pid = pid
        self.host = host
        self.port = port

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{self.host}:{self.port}"

    def cpu_s(self) -> tuple[float, float]:
        """User and system time so far: of the server's own processes, and of its workers'."""
        own, workers = self._processes()
        return sum(map(_cpu_or_0, own)), sum(map(_cpu_or_0, workers))

    def memory_mb(self, key: str = "VmRSS") -> float:
        """Of the server's own processes together."""
        return sum(memory_mb(pid, key) for pid in self._processes()[0])

    def descriptors(self) -> int:
        """Open files of the server's own processes."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self._processes()[0])

    def _processes(self) -> tuple[list[int], list[int]]:
        """The server's own, and its workers."""
        own, workers, left = [], [], [self.pid]
        while left:
            pid = left.pop()
            with contextlib.suppress(OSError):  # a worker may end meanwhile
                if Path(f"/proc/{pid}/comm").read_text() == "php\n":
                    workers.append(pid)
                elif pid == self.pid or _age_s(pid) > _YOUNG_S:
                    own.append(pid)
                for task in os.listdir(f"/proc/{pid}/task"):
                    left += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        return own, workers


def _age_s(pid: int) -> float:
    started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - started / os.sysconf("SC_CLK_TCK")


def _cpu_or_0(pid: int) -> float:
    try:
        return cpu_seconds(pid)
    except OSError:
        return 0.0


@contextlib.contextmanager
def serving(directory: Path, *settings: str, worker: str = "accepts.php") -> Iterator[Server]:
    """A server with PHP workers, and with `settings`, like `smtp.strict=true`, in place of what is usual here."""
    ready = directory / "ready"
    command = [sys.executable, "-m", "fastsmtp", "serve", "--ready-file", str(ready)]
    for setting in (f"server.command=php {ROOT / 'tests' / 'php' / worker}", *SETTINGS, *settings):
        command += ["-o", setting]
    with (
        tempfile.TemporaryFile("w+") as told,
        subprocess.Popen(command, cwd=directory, stderr=told, env=ENVIRONMENT) as process,
    ):
        while not ready.exists():  # it appears whole
            if process.poll() is not None:
                told.seek(0)
                sys.exit(f"the server did not start: {told.read()}")
            time.sleep(0.005)
        host, _, port = json.loads(ready.read_text())["listeners"]["default"][0].rpartition(":")
        try:
            yield Server(process.pid, host, int(port))
        finally:
            process.terminate()


def bench_command(address: str, *arguments: str) -> list[str]:
    """The command of a load, whose output is JSON."""
    return [sys.executable, "-m", "fastsmtp", "bench", "--json", *arguments, address]


def bench(address: str, *arguments: str) -> dict[str, Any]:
    """Put a load on a server, from a process of its own, and return what it printed. It must not fail."""
    done = subprocess.run(
        bench_command(address, *arguments), capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    if done.returncode:
        sys.exit(f"the load failed: {done.stderr or done.stdout}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def raise_limit(wanted: int) -> None:
    """As many open files as are wanted, or the end."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < wanted:
        sys.exit(f"{wanted} open files are needed, {hard} are allowed: ulimit -Hn")


def sparkline(values: Sequence[float], width: int = 72) -> str:
    """A curve in one line; it begins at 0."""
    step = max(1, -(-len(values) // width))
    means = [sum(values[at : at + step]) / len(values[at : at + step]) for at in range(0, len(values), step)]
    highest = max(means, default=0.0) or 1.0
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * value / highest))] for value in means)
