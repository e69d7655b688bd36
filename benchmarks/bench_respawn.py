"""Ten thousand respawns: does a pool leak descriptors, zombies or memory?

    python benchmarks/bench_respawn.py [--respawns 10000] [--relay unix|pipes]

Every worker is a PHP process that is replaced after one email (`max_jobs: 1`). Prints the counts before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from pathlib import Path

import structlog
import uvloop

from fastsmtp.config.settings import PoolSettings
from fastsmtp.smtp.events import Verdict
from fastsmtp.workers.launch import Launch
from fastsmtp.workers.pool import Pool

WORKER = Path(__file__).parents[1] / "tests" / "php" / "accepts.php"


class Emails:
    """Keeps so many jobs waiting until all have their verdict."""

    def __init__(self, pool: Pool, total: int) -> None:
        self._pool = pool
        self._left = total
        self.verdicts: dict[Verdict, int] = dict.fromkeys(Verdict, 0)
        self.done = asyncio.Event()

    def take_payload(self) -> tuple[list[bytes], list[bytes]]:
        """See `workers.queue.Job`."""
        return [b"{}"], []

    def on_verdict(self, verdict: Verdict, waited_s: float, handling: object = None) -> None:
        """See `workers.queue.Job`."""
        self.verdicts[verdict] += 1
        self._left -= 1
        if self._left > 0:
            self._pool.exec(self)
        else:
            self.done.set()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def children() -> list[str]:
    """States of our child processes; "Z" is one that has ended and was not reaped yet."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [Path(f"/proc/{pid}/stat").read_text().split()[2] for pid in listed]


def memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def show(when: str) -> None:
    zombies = children().count("Z")
    print(f"{when:>16}  {descriptors():5} descriptors  {zombies:3} zombies  {memory_mb():6.1f} MB", flush=True)


async def run(respawns: int, relay: str) -> None:
    log = structlog.wrap_logger(structlog.ReturnLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))
    pool = Pool(PoolSettings(num_workers=2, max_jobs=1), Launch(command=("php", str(WORKER)), relay=relay), log)
    show("before")
    await pool.start()
    show("started")
    began = time.perf_counter()
    for quarter in range(4):
        emails = Emails(pool, respawns // 4)
        pool.exec(emails)
        await emails.done.wait()
        show(f"{(quarter + 1) * respawns // 4} respawns")
        assert emails.verdicts[Verdict.ACCEPT] == respawns // 4, emails.verdicts
    print(f"{pool.starts} workers in {time.perf_counter() - began:.1f} s")
    await pool.stop()
    show("stopped")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--respawns", type=int, default=10_000)
    parser.add_argument("--relay", default="unix")
    arguments = parser.parse_args()
    uvloop.install()
    asyncio.run(run(arguments.respawns, arguments.relay))
