"""The whole server under the loads of the yardstick, driven by `fastsmtp bench`: rate, latency, CPU per mail, memory.

    python benchmarks/bench_serve.py [--rounds 3] [--only 1k-keep,10m]

`test_load.py` proves that limits are kept, with checks of every reply; this one shows what a change to the server
costs or gains, case by case. Client, server and workers share the machine: compare CPU per mail, and only within one
machine. Medians of the rounds; the server is started again for each.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from serving import bench, serving

from fastsmtp.system.table import lines

CASES: dict[str, tuple[list[str], list[str]]] = {  # arguments of the load, settings of the server
    "1k-keep": (["-n", "20000", "--connections=100"], []),
    "1k-keep-steps": (["-n", "20000", "--connections=100", "--no-pipelining"], []),
    "1k-keep-bdat": (["-n", "20000", "--connections=100", "--chunking"], []),
    "1k-reconnect": (["-n", "6000", "--connections=100", "--per-connection=1", "--no-pipelining"], []),
    "1k-500-a-second": (["-n", "2500", "--connections=20", "--rate=500"], []),
    "100k-keep": (["-n", "3000", "--connections=50", "--size=100KB", "--attachments=2"], []),
    "10m": (["-n", "40", "--connections=10", "--size=10MB"], []),
    "10m-tempfile": (["-n", "40", "--connections=10", "--size=10MB"], ["smtp.attachment_storage.mode=tempfile"]),
}
HEADS = ["load", "mails/s", "p50 ms", "p99 ms", "server us/mail", "workers us/mail", "client us/mail", "peak MB"]


def measured(name: str) -> list[float]:
    """One round."""
    arguments, settings = CASES[name]
    with tempfile.TemporaryDirectory() as directory:
        storage = f"smtp.attachment_storage.temp_dir={directory}/attachments"
        with serving(Path(directory), "smtp.pool.num_workers=4", storage, *settings) as server:
            bench(server.address, "-n", "200")  # warm
            own, workers = server.cpu_s()
            found = bench(server.address, *arguments)
            own_after, workers_after = server.cpu_s()
            peak = server.memory_mb("VmHWM")
    mails, latency = found["answered"], found["latency_ms"]["mail"]
    per_mail = [1e6 * seconds / mails for seconds in (own_after - own, workers_after - workers, found["client_cpu_s"])]
    return [found["rate"], latency["p50"], latency["p99"], *per_mail, peak]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(CASES), help="cases, with commas")
    chosen = parser.parse_args()
    rows = []
    for name in chosen.only.split(","):
        columns = zip(*[measured(name) for _ in range(chosen.rounds)], strict=True)
        medians = [statistics.median(column) for column in columns]
        rows.append([name, *(f"{value:.1f}" if value < 10 else f"{value:.0f}" for value in medians)])
    print("\n".join(lines(HEADS, rows, frozenset(HEADS[1:]))))


if __name__ == "__main__":
    main()
