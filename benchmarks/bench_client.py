"""What our load generator costs beside Postfix `smtp-source`, in C; both load `smtp-sink`, which discards everything.

    python benchmarks/bench_client.py [--rounds 5]

A load generator on the machine of the server it measures takes time from it, so its CPU per mail counts. Prints a
table: CPU per mail of either client (user and system time, our start-up left out), mails per second, and the
ratio. `smtp-source` says HELO and knows no PIPELINING; each command waits for its reply, as with `--no-pipelining`.

Findings (CPython 3.11, uvloop 0.23, Postfix 3.7; 2 shared cores, medians of 3 rounds):

    load                           smtp-source us  mails/s  ours us  mails/s   ratio
    1 KB, kept, step by step                 40.1    22679     45.6     21554   1.14
    1 KB, kept, pipelining                   39.8    11690     21.4     22681   0.54
    1 KB, kept, BDAT                         40.6    10523     18.6     25523   0.46
    1 KB, reconnect, step by step           126.7     3948    151.0      3436   1.19
    1 KB, reconnect, pipelining             134.0     5732    109.5      8972   0.82
    100 KB, kept, pipelining                104.6     2257     81.0      2446   0.77
    10 MB, kept, pipelining                3379.0       25   1966.4        26   0.58

- Step by step, four reads and four writes a mail: two thirds of the time is theirs, the rest is Python.
- The envelope of the next mail goes along with the mail data: one read and one write a mail.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fastsmtp.bench.message import HEAD_OCTETS, Style, compose, head
from fastsmtp.system.table import lines

ROOT = Path(__file__).resolve().parent.parent
STYLE = Style("bench@example.com", ["you@example.com"], None, 1)


class Case(NamedTuple):
    """One load, as both clients are told it."""

    name: str
    octets: int
    mails: int
    source: Sequence[str]
    ours: Sequence[str]


CASES = [
    Case("1 KB, kept, step by step", 1000, 20_000, ["-d", "-s", "100"], ["--connections=100", "--no-pipelining"]),
    Case("1 KB, kept, pipelining", 1000, 20_000, ["-d", "-s", "100"], ["--connections=100"]),
    Case("1 KB, kept, BDAT", 1000, 20_000, ["-d", "-s", "100"], ["--connections=100", "--chunking"]),
    Case(
        "1 KB, reconnect, step by step",
        1000,
        6_000,
        ["-s", "100"],
        ["--connections=100", "--per-connection=1", "--no-pipelining"],
    ),
    Case("1 KB, reconnect, pipelining", 1000, 6_000, ["-s", "100"], ["--connections=100", "--per-connection=1"]),
    Case("100 KB, kept, pipelining", 100_000, 3_000, ["-d", "-s", "50"], ["--connections=50"]),
    Case("10 MB, kept, pipelining", 10_000_000, 60, ["-d", "-s", "10"], ["--connections=10"]),
]


def measured(command: Sequence[str]) -> tuple[float, float]:
    """CPU and wall time of a command, in seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def bench(address: str, *arguments: str) -> tuple[float, float]:
    """CPU and mails per second of our own, which tells them: its start-up counts for neither."""
    command = [sys.executable, "-m", "fastsmtp", "bench", "--json", *arguments, address]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found["client_cpu_s"], found["rate"]


def compare(case: Case, address: str, directory: Path, rounds: int) -> list[str]:
    message = directory / f"{case.octets}.eml"
    whole = head("0123abcd", 1) + compose(case.octets - HEAD_OCTETS, random.Random(1), STYLE)
    message.write_bytes(whole.replace(b"\r\n", b"\n"))
    figures: list[tuple[float, float, float, float]] = []
    for _ in range(rounds):
        cpu, wall = measured(["smtp-source", *case.source, "-m", str(case.mails), "-F", str(message), address])
        ours, rate = bench(address, f"--mails={case.mails}", f"--size={case.octets}", *case.ours)
        figures.append((1e6 * cpu / case.mails, case.mails / wall, 1e6 * ours / case.mails, rate))
    source, source_rate, own, own_rate = (statistics.median(column) for column in zip(*figures, strict=True))
    return [
        case.name, f"{source:.1f}", f"{source_rate:.0f}", f"{own:.1f}", f"{own_rate:.0f}", f"{own / source:.2f}",
    ]  # fmt: skip


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if shutil.which("smtp-source") is None or shutil.which("smtp-sink") is None:
        sys.exit("smtp-source and smtp-sink are needed: apt install postfix")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    address = f"127.0.0.1:{free_port()}"
    with (
        tempfile.TemporaryDirectory() as directory,
        subprocess.Popen(["smtp-sink", *(["-u", "nobody"] if os.geteuid() == 0 else []), address, "1000"]) as sink,
    ):
        try:
            while socket.socket().connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))):
                time.sleep(0.05)
            rows = [compare(case, address, Path(directory), rounds) for case in CASES]
        finally:
            sink.terminate()
    heads = ["load", "smtp-source us", "mails/s", "ours us", "mails/s ", "ratio"]
    print("\n".join(lines(heads, rows, frozenset(heads[1:]))))


if __name__ == "__main__":
    main()
