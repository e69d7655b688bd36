"""What idle connections cost: memory each, and the rate of mails on other connections.

usage: python benchmarks/bench_idle.py [--connections 10000] [--seconds 5]

Starts `python -m fastsmtp serve` with PHP workers, opens idle connections from a process of its own (many source
addresses 127.0.0.x, so that ports do not run out), and sends mails over eight other connections before, with and after
them. Prints JSON: bytes of resident server memory per idle connection, and mails per second, median of rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.metadata
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import uvloop
from serving import raise_limit, serving

ADDRESSES = 50  # source addresses of the idle connections
SENDERS = 8
ROUNDS = 3
BEGIN = b"MAIL FROM:<s@example.com>\r\nRCPT TO:<r@example.com>\r\nDATA\r\n"
MAIL = b"Subject: x\r\n\r\n" + b"x" * 70 * 14 + b"\r\n.\r\n"


@contextlib.contextmanager
def hold_connections(host: str, port: int, count: int) -> Iterator[None]:
    """Idle connections of another process, all greeted and past EHLO."""
    command = [sys.executable, __file__, "--hold", f"{host}:{port}", "--connections", str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n", "the idle connections could not be opened"
        yield
        process.stdin.close()


def hold(address: str, count: int) -> None:
    host, _, port = address.rpartition(":")
    raise_limit(count + 50)
    held = []
    for number in range(count):
        held.append(socket.create_connection((host, int(port)), 30, (f"127.0.0.{2 + number % ADDRESSES}", 0)))
        held[-1].recv(1000)
        held[-1].sendall(b"EHLO idle.example.com\r\n")
        held[-1].recv(1000)
    print("ready", flush=True)
    sys.stdin.read()


async def send_mails(host: str, port: int, until: float) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    await reader.readline()
    writer.write(b"HELO bench\r\n")
    await reader.readline()
    loop, sent = asyncio.get_running_loop(), 0
    while loop.time() < until:
        writer.write(BEGIN)
        for _ in range(3):
            await reader.readline()
        writer.write(MAIL)
        assert (await reader.readline()).startswith(b"250 ")
        sent += 1
    writer.close()
    return sent


async def one_round(host: str, port: int, seconds: float) -> float:
    until = asyncio.get_running_loop().time() + seconds
    return sum(await asyncio.gather(*[send_mails(host, port, until) for _ in range(SENDERS)])) / seconds


def rate(host: str, port: int, seconds: float) -> float:
    """Mails per second."""
    rounds = []
    for _ in range(ROUNDS):
        loop = uvloop.new_event_loop()
        rounds.append(loop.run_until_complete(one_round(host, port, seconds)))
        loop.close()
    return statistics.median(rounds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each of three rounds")
    parser.add_argument("--hold", metavar="ADDRESS", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.hold:
        hold(chosen.hold, chosen.connections)
        return
    raise_limit(chosen.connections + 200)
    with tempfile.TemporaryDirectory() as directory, serving(Path(directory), "smtp.read_timeout=1h") as server:
        host, port = server.host, server.port
        rate(host, port, 1.0)  # warm
        without = rate(host, port, chosen.seconds)
        before = server.memory_mb()
        with hold_connections(host, port, chosen.connections):
            each = (server.memory_mb() - before) / chosen.connections * 1024 * 1024
            beside = rate(host, port, chosen.seconds)
        afterwards = rate(host, port, chosen.seconds)
    figures = {
        "connections": chosen.connections,
        "bytes_per_idle_connection": round(each),
        "mails_per_second_without": round(without),
        "mails_per_second_beside": round(beside),
        "mails_per_second_afterwards": round(afterwards),
        "ratio": round(2 * beside / (without + afterwards), 3),
        "python": platform.python_version(),
        "uvloop": importlib.metadata.version("uvloop"),
        "cpus": os.cpu_count(),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
