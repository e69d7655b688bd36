"""Three NATS servers in a network of their own, of which one is cut off from the others, but not from its clients.

    unshare --net python tests/helpers/partition.py DIRECTORY
    python tests/helpers/partition.py DIRECTORY frozen

A bridge connects this network with that of two servers and that of the third; the ports of the bridge are isolated from
each other while there is a partition. Where networks are not allowed, the third server is frozen. The last line that is
printed is a JSON object of what was found.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import structlog

sys.path.insert(0, str(Path(__file__).parent))

from captures import capture_email
from natsservers import NATSCluster
from waits import until

from fastsmtp.cluster.acknowledged import AcknowledgedMails, compare
from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import outgoing
from fastsmtp.cluster.publishing import start_publisher
from fastsmtp.cluster.streamreader import ask_state
from fastsmtp.cluster.streams import Streams
from fastsmtp.cluster.subjects import subjects_of
from fastsmtp.config.file import load
from fastsmtp.delivery.payload import encode_outline
from fastsmtp.system.loop import run

LOG = structlog.get_logger()
HOSTS = ["10.77.0.1", "10.77.0.2", "10.77.0.3"]
CUT = 2  # the server that is cut off


def ip(*words: str, inside: int = 0) -> None:
    """Run `ip`, in the network of a process or in ours."""
    where = ["nsenter", "--target", str(inside), "--net"] if inside else []
    subprocess.run([*where, "ip", *words], check=True)


class Partition(Protocol):
    """Cuts the third server off."""

    hosts: Sequence[str]

    def wrapper(self, number: int) -> list[str]:
        """What stands before the command of a server."""

    def part(self, servers: NATSCluster, *, cut: bool) -> None:
        """Cut the third server off, or let it be reached again."""

    def close(self) -> None:
        """End."""


class Frozen:
    """In place of a network: the server answers nothing, and its connections stay open."""

    hosts: Sequence[str] = ()

    def wrapper(self, number: int) -> list[str]:
        return []

    def part(self, servers: NATSCluster, *, cut: bool) -> None:
        os.kill(servers.pids[CUT], signal.SIGSTOP if cut else signal.SIGCONT)

    def close(self) -> None:
        pass


class Network:
    """The bridge, and what is behind its ports."""

    hosts: Sequence[str] = HOSTS

    def __init__(self) -> None:
        ip("link", "set", "lo", "up")
        ip("link", "add", "bridge", "type", "bridge")
        ip("link", "set", "bridge", "up")
        ip("address", "add", "10.77.0.100/24", "dev", "bridge")
        # Each keeps a network, for as long as it lives.
        self._keepers = [subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec cat"], **_PIPES) for _ in "ab"]
        for name, keeper, hosts in zip("ab", self._keepers, (HOSTS[:CUT], HOSTS[CUT:]), strict=True):
            assert keeper.stdout is not None
            keeper.stdout.readline()  # it has its network
            ip("link", "add", f"port-{name}", "type", "veth", "peer", "name", f"net-{name}")
            ip("link", "set", f"port-{name}", "master", "bridge", "up")
            ip("link", "set", f"net-{name}", "netns", str(keeper.pid))
            for device in ("lo", f"net-{name}"):
                ip("link", "set", device, "up", inside=keeper.pid)
            for host in hosts:
                ip("address", "add", f"{host}/24", "dev", f"net-{name}", inside=keeper.pid)

    def wrapper(self, number: int) -> list[str]:
        return ["nsenter", "--target", str(self._keepers[number == CUT].pid), "--net"]

    def part(self, servers: NATSCluster, *, cut: bool) -> None:
        for name in "ab":
            ip("link", "set", f"port-{name}", "type", "bridge_slave", "isolated", "on" if cut else "off")

    def close(self) -> None:
        for keeper in self._keepers:
            keeper.kill()
            keeper.wait()


_PIPES: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


async def scenario(network: Partition, servers: NATSCluster, directory: Path) -> dict[str, Any]:
    """Publish before, during and after a partition, by a connection with the server that is cut off."""
    section = {
        "role": ["front"],
        "servers": servers.urls(1),
        "stream": {"partitions": 1},
        "retention": {"max_bytes": "100MB"},
        "ack_timeout": "60s",
    }
    (directory / "front.yaml").write_text(json.dumps({"cluster": section}))
    settings = load(str(directory / "front.yaml")).cluster
    assert settings is not None
    connection = NATSConnection(settings, "front", LOG)
    streams = Streams(connection, settings, LOG)
    await connection.open()
    await streams.prepare()
    publisher = await start_publisher(connection, settings, LOG)
    acknowledged = AcknowledgedMails(connection, "front", LOG)
    publisher.on_confirmed = lambda mail, seq: acknowledged.note(mail.header.uuid, 0, seq)
    acknowledged.start()
    told: list[str] = []

    async def publish(count: int) -> None:
        goal = len(told) + count
        for number in range(count):
            email = capture_email(b"Subject: %d\r\n\r\nhello\r\n" % number, include_raw=True)
            assert email is not None
            mail = outgoing(email, [encode_outline(email)], subjects_of("x", 1), "front", ["x"])
            publisher.publish(mail, lambda verdict: told.append(verdict.value))
        await until(lambda: len(told) == goal)

    def server() -> str:
        url = connection.client.connected_url
        return "" if url is None else str(url.hostname)

    await publish(20)
    while server() != servers.hosts[CUT]:
        await connection.client.force_reconnect()
        await until(lambda: connection.connected)
    await asyncio.to_thread(network.part, servers, cut=True)
    await publish(20)
    during = server()
    await asyncio.to_thread(network.part, servers, cut=False)
    await publish(20)
    await until(servers.is_ready)  # the third has what came meanwhile
    await acknowledged.stop()
    ledger = await compare(connection, streams, settings.stream.prefix, LOG)
    last = (await ask_state(connection, "FASTSMTP-0")).last
    publisher.close()
    await connection.close()
    return {
        "verdicts": sorted(set(told)),
        "moved": during != servers.hosts[CUT],
        "ledger": [ledger.acknowledged, ledger.found, ledger.missing, ledger.twice],
        "messages": last,
    }


def main() -> None:
    """Print what was found."""
    directory = Path(sys.argv[1])
    network: Partition = Frozen() if sys.argv[2:] else Network()
    servers = NATSCluster(directory, hosts=network.hosts, wrapper=network.wrapper)
    try:
        servers.start()
        found = run(scenario(network, servers, directory))
    finally:
        servers.stop()
        network.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
