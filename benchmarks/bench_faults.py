"""What fault plans cost those that have none.

    python benchmarks/bench_faults.py [--only plans,stalled] [--rounds 7] [--namespaces 1000] [--connections 500]

| case    | what is measured                                                                                        |
|---------|---------------------------------------------------------------------------------------------------------|
| plans   | two servers with so many namespaces, each with a plan on one of them: mails of a namespace without one,   |
|         | alone, and beside a load on all others; a plan refuses every fifth recipient                             |
| stalled | memory of the SMTP process for each connection that a plan stalls before the greeting, and before 354    |

The servers' loads alternate: medians, and the ratio of the one with plans to the other.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop
from loadtest import memory_mb
from serving import Server, raise_limit, serving

from fastsmtp.system.table import lines

MAIL = b"Subject: x\r\n\r\n" + b"x" * 70 * 14 + b"\r\n.\r\n"
PLAIN = 1000  # mails of a round without a plan
LOADS = 4  # connections of the load
PLAN = {
    "rules": [
        {"when": {"at": "rcpt", "rcpt": ["gone@*", "away@*"]}, "do": {"reply": "550 5.1.1 Unknown"}},
        {"when": {"at": "rcpt", "nth": "every 5"}, "do": {"reply": "451 4.7.1 Later"}},
    ]
}
STALLS = {"greeting": "banner", "354": "data"}


class Client:
    """A connection behind EHLO."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, server: Server, address: str) -> Client:
        reader, writer = await asyncio.open_connection(server.host, server.port, local_addr=(address, 0))
        client = cls(reader, writer)
        await client._reply()
        await client.ask(b"EHLO x.example\r\n")
        return client

    async def ask(self, octets: bytes) -> bytes:
        """The last line of the reply."""
        self._writer.write(octets)
        return await self._reply()

    async def send(self, recipient: bytes) -> bool:
        """Send a mail; whether it was accepted."""
        await self.ask(b"MAIL FROM:<s@example.com>\r\n")
        if (await self.ask(b"RCPT TO:<%b>\r\n" % recipient))[:1] != b"2":
            await self.ask(b"RSET\r\n")
            return False
        await self.ask(b"DATA\r\n")
        return (await self.ask(MAIL))[:3] == b"250"

    def close(self) -> None:
        self._writer.close()

    async def _reply(self) -> bytes:
        while (line := await self._reader.readline())[3:4] == b"-":
            pass
        return line


async def plain(server: Server) -> list[float]:
    """The seconds of each mail of a namespace without a plan."""
    client = await Client.connect(server, "127.0.0.1")
    took = []
    for _ in range(PLAIN):
        began = time.perf_counter()
        assert await client.send(b"r@plain.ns.test")
        took.append(time.perf_counter() - began)
    client.close()
    return took


async def load(server: Server, namespaces: int, number: int, sent: list[bool]) -> None:
    """Send to one namespace after another until cancelled."""
    client = await Client.connect(server, "127.0.0.1")
    try:
        for count in range(number, 10**9, LOADS):
            sent.append(await client.send(b"r@t%d.ns.test" % (count % namespaces)))
    finally:
        client.close()


async def round_of(server: Server, namespaces: int) -> dict[str, float]:
    before = sum(server.cpu_s())
    alone = await plain(server)
    cpu = 1e6 * (sum(server.cpu_s()) - before) / PLAIN
    sent: list[bool] = []
    loads = [asyncio.create_task(load(server, namespaces, number, sent)) for number in range(LOADS)]
    beside = await plain(server)
    for task in loads:
        task.cancel()
    await asyncio.gather(*loads, return_exceptions=True)
    return {
        "CPU us/mail": cpu,
        "alone us": 1e6 * statistics.median(alone),
        "beside a load us": 1e6 * statistics.median(beside),
        "refused of the load": sent.count(False) / len(sent),
    }


def ask(url: str, method: str, document: Any = None) -> None:
    request = urllib.request.Request(url, None if document is None else json.dumps(document).encode(), method=method)
    with urllib.request.urlopen(request, timeout=120):
        pass


@contextlib.contextmanager
def with_inbox(*settings: str) -> Iterator[tuple[Server, str]]:
    """A server, and the URL of its inbox."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with serving(directory, "inbox.address=127.0.0.1:0", *settings) as server:
            yield server, str(json.loads((directory / "ready").read_text())["inbox"])


def plans(chosen: argparse.Namespace) -> list[str]:
    with with_inbox() as (without, first), with_inbox() as (planned, second):
        for number in range(chosen.namespaces):
            ask(f"{first}/api/ns/t{number}", "PUT", {"quota": {"mails": 10}})
            ask(f"{second}/api/ns/t{number}", "PUT", {"quota": {"mails": 10}, "faults": PLAN})
        found: list[list[dict[str, float]]] = [[], []]
        for _ in range(chosen.rounds):
            for place, server in enumerate((without, planned)):
                found[place].append(uvloop.run(round_of(server, chosen.namespaces)))
    rows = []
    for name in found[0][0]:
        early, late = (statistics.median(each[name] for each in rounds) for rounds in found)
        ratios = [b[name] / a[name] for a, b in zip(*found, strict=True) if a[name]]
        shown = f"{statistics.median(ratios):.3f}" if ratios else ""
        rows.append([name, f"{early:.2f}", f"{late:.2f}", shown])
    heads = [f"{chosen.namespaces} namespaces", "no plans", "a plan each", "ratio"]
    return lines(heads, rows, frozenset(heads[1:]))


def stalled(chosen: argparse.Namespace) -> list[str]:
    """Connect many clients that a plan stalls."""
    raise_limit(2 * chosen.connections + 100)
    rows = []
    for name, at in STALLS.items():
        rule = {"when": {"at": at}, "do": {"stall": True}}
        with with_inbox(f"smtp.max_connections={chosen.connections + 10}") as (server, url):
            ask(f"{url}/api/ns/default/faults", "PUT", {"rules": [rule]})
            idle = memory_mb(server.pid, "VmRSS")
            held = uvloop.run(stall(server, chosen.connections, at))
            rows.append([name, f"{1e6 * (held - idle) / chosen.connections:.0f}"])
    return lines([f"{chosen.connections} stalled before", "octets each"], rows, {"octets each"})


async def stall(server: Server, count: int, at: str) -> float:
    """Memory of the process while so many wait, in MB."""
    writers = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writers.append(writer)
        if at == "data":
            await reader.readline()
            writer.write(b"EHLO x.example\r\nMAIL FROM:<s@example.com>\r\nRCPT TO:<r@example.com>\r\nDATA\r\n")
            while not (await reader.readline()).startswith(b"250 2.1.5"):
                pass
    await asyncio.sleep(1)
    held = memory_mb(server.pid, "VmRSS")
    for writer in writers:
        writer.close()
    return held


CASES = {"plans": plans, "stalled": stalled}


def main() -> None:
    """Print a table for each case."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--namespaces", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=500)
    chosen = parser.parse_args()
    for name in chosen.only.split(","):
        print("\n".join(CASES[name](chosen)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
