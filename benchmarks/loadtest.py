"""Load on a real server: asyncio clients, a ledger to balance, and what it cost by the kernel's account."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Load:
    """What was measured: `latencies` in seconds from the last octet of mail data to its 250, by subject."""

    latencies: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Mails per second."""
        return len(self.latencies) / self.seconds


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(percent * 10) // 1000) - 1)]


class Client:
    """One SMTP connection; every reply is checked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, host: str, port: int) -> Client:
        """Connect and say HELO."""
        client = cls(*await asyncio.open_connection(host, port))
        await client._expect(b"220")
        await client._command(b"HELO load\r\n", b"250")
        return client

    async def send(self, subject: str, body: bytes) -> float:
        """Send a mail; the seconds from its last octet to the 250. `body` is dot-stuffed and ends in CRLF."""
        await self._command(b"MAIL FROM:<s@example.com>\r\n", b"250")
        await self._command(b"RCPT TO:<r@example.com>\r\n", b"250")
        await self._command(b"DATA\r\n", b"354")
        self._writer.write(b"Subject: " + subject.encode() + b"\r\n" + body)
        await self._writer.drain()
        self._writer.write(b".\r\n")
        began = time.perf_counter()
        await self._expect(b"250")
        return time.perf_counter() - began

    async def quit(self) -> None:
        """Say goodbye."""
        await self._command(b"QUIT\r\n", b"221")
        self._writer.close()
        await self._writer.wait_closed()

    async def _command(self, line: bytes, code: bytes) -> None:
        self._writer.write(line)
        await self._expect(code)

    async def _expect(self, code: bytes) -> None:
        line = await self._reader.readline()
        assert line[:4] == code + b" ", line


def run_load(
    host: str,
    port: int,
    body: bytes,
    *,
    connections: int,
    mails: int,
    rate: float = 0.0,
    on_all_open: Callable[[], None] = lambda: None,
) -> Load:
    """Send `mails` mails over each of `connections` connections; with `rate`, that many a second over all of them.

    No mail is sent before all connections are open, and none is closed before all mails are answered; at both moments
    `on_all_open` is called.
    """

    async def converse(client: Client, number: int, load: Load, begin: float) -> None:
        loop = asyncio.get_running_loop()
        for count in range(mails):
            if rate:
                due = begin + (count * connections + number) / rate
                await asyncio.sleep(max(0.0, due - loop.time()))
            subject = f"{number}/{count}"
            load.latencies[subject] = await client.send(subject, body)

    async def main() -> Load:
        load = Load()
        clients = await asyncio.gather(*[Client.connect(host, port) for _ in range(connections)])
        on_all_open()
        began = time.perf_counter()
        now = asyncio.get_running_loop().time()
        await asyncio.gather(*[converse(client, number, load, now) for number, client in enumerate(clients)])
        load.seconds = time.perf_counter() - began
        on_all_open()
        await asyncio.gather(*[client.quit() for client in clients])
        return load

    return asyncio.run(main())


def read_ledger(directory: Path) -> tuple[Counter[str], dict[str, float]]:
    """What `ledger.php` workers wrote: how often each subject came, and the worker's own seconds for it."""
    seen: Counter[str] = Counter()
    own: dict[str, float] = {}
    for path in directory.glob("ledger-*"):
        for line in path.read_text().splitlines():
            subject, nanoseconds = line.split()
            seen[subject] += 1
            own[subject] = int(nanoseconds) / 1e9
    return seen, own


def cpu_seconds(pid: int) -> float:
    """User and system time of one process, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int, key: str) -> float:
    """`VmRSS` or `VmHWM` of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{key}:")[2].split()[0]) / 1024
