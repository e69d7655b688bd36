"""What a mail costs on a cluster, beside one machine with workers: the front, the NATS servers, the relay.

    ci/install-nats && python benchmarks/bench_cluster.py [--mails 10000] [--only front,relay,large,publishing]

Three NATS servers with `sync_interval: always`, one front, one relay and the client share the machine: compare CPU per
mail, and only figures of one run. Mails of 1 KB over 100 kept connections, unless a case says otherwise.

`publishing` compares ways to publish 1 KB with nats-py, without SMTP: its own `js.publish`, one after the other and 200
at a time, and `cluster.publisher`, which has one reply subject and its own table of what is not confirmed.

Found on two cores that were busy with other things, too: CPU of one machine 240 us a mail, of a front 378, of a
front that is a relay, too, 397; of the three NATS servers together 287 to publish, 418 with the relay. `js.publish`
takes 626 us one by one and 149 at 200 a time, the publisher 94. A protocol of our own, without nats-py, is left to try.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from loadtest import cpu_seconds
from natsservers import NATSCluster
from serving import Server, bench, serving

from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import MailHeader, Outgoing
from fastsmtp.cluster.publisher import Publisher
from fastsmtp.cluster.streams import Streams
from fastsmtp.cluster.subjects import subjects_of
from fastsmtp.config.cluster import ClusterSettings, StreamRetentionSettings, StreamSettings
from fastsmtp.smtp.events import Verdict
from fastsmtp.system.table import lines

HEADS = ["case", "mails/s", "p50 ms", "p99 ms", "server us/mail", "workers us/mail", "NATS us/mail", "peak MB"]


def settings_of(cluster: NATSCluster, account: int, *roles: str) -> list[str]:
    """The options of a node."""
    return [
        f"cluster.role={json.dumps(roles)}",
        f"cluster.servers={json.dumps(cluster.urls(account))}",
        "cluster.stream.partitions=4",
        "cluster.retention.max_bytes=600MB",
    ]


@contextlib.contextmanager
def three() -> Iterator[NATSCluster]:
    """Three NATS servers."""
    with tempfile.TemporaryDirectory() as directory:
        cluster = NATSCluster(Path(directory))
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


def measured(name: str, cluster: NATSCluster | None, server: Server, load: list[str]) -> list[str]:
    """The row of a case."""
    pids = [] if cluster is None else cluster.pids
    bench(server.address, "-n", "200")  # warm
    own, workers = server.cpu_s()
    brokers = sum(map(cpu_seconds, pids))
    found = bench(server.address, *load)
    own_after, workers_after = server.cpu_s()
    spent = [own_after - own, workers_after - workers, sum(map(cpu_seconds, pids)) - brokers]
    mails, latency = found["answered"], found["latency_ms"]["mail"]
    numbers = [found["rate"], latency["p50"], latency["p99"], *(1e6 * one / mails for one in spent)]
    return [name, *(f"{value:.0f}" for value in (*numbers, server.memory_mb("VmHWM")))]


def front(cluster: NATSCluster, load: list[str]) -> list[list[str]]:
    """A front, and one machine with workers."""
    rows = []
    with tempfile.TemporaryDirectory() as directory, serving(Path(directory), "smtp.pool.num_workers=4") as server:
        rows.append(measured("one machine", None, server, load))
    options = settings_of(cluster, 1, "front")
    with tempfile.TemporaryDirectory() as directory, serving(Path(directory), *options) as server:
        rows.append(measured("front", cluster, server, load))
    return rows


def relay(cluster: NATSCluster, load: list[str]) -> list[list[str]]:
    """A front that is a relay, too: what both roles cost together."""
    options = [*settings_of(cluster, 2, "front", "relay"), "smtp.pool.num_workers=4"]
    with tempfile.TemporaryDirectory() as directory, serving(Path(directory), *options) as server:
        return [measured("front and relay", cluster, server, load)]


def large(cluster: NATSCluster, _load: list[str]) -> list[list[str]]:
    """Four mails of 50 MB at once."""
    options = [*settings_of(cluster, 3, "front"), "smtp.max_message_size=100MB"]
    with tempfile.TemporaryDirectory() as directory, serving(Path(directory), *options) as server:
        return [measured("50 MB", cluster, server, ["-n", "8", "--connections=4", "--size=50MB", "--attachments=1"])]


def publishing(cluster: NATSCluster, mails: int) -> list[list[str]]:
    """Ways to publish: rows of a name, mails a second, and CPU of this process for each."""
    return asyncio.run(_publishing(cluster, mails))


async def _publishing(cluster: NATSCluster, mails: int) -> list[list[str]]:
    settings = ClusterSettings(
        servers=cluster.urls(4),
        stream=StreamSettings(partitions=1),
        retention=StreamRetentionSettings(max_bytes=300 * 1000**2),
    )
    log = structlog.get_logger()
    connection = NATSConnection(settings, "bench", log)
    await connection.open()
    await Streams(connection, settings, log).prepare()
    rows = [await _timed("js.publish, one by one", mails // 20, lambda count: _one_by_one(connection, count))]
    rows.append(await _timed("js.publish, 200 at a time", mails, lambda count: _many(connection, count)))
    rows.append(await _timed("publisher", mails, lambda count: _published(connection, count)))
    await connection.close()
    return rows


async def _timed(name: str, mails: int, work) -> list[str]:  # type: ignore[no-untyped-def]
    began, cpu = time.monotonic(), time.process_time()
    await work(mails)
    wall, spent = time.monotonic() - began, time.process_time() - cpu
    return [name, f"{mails / wall:.0f}", f"{1e6 * spent / mails:.0f}"]


async def _one_by_one(connection: NATSConnection, mails: int) -> None:
    jetstream = connection.jetstream
    for number in range(mails):
        await jetstream.publish("m.0.a", b"x" * 1024, headers={"Nats-Msg-Id": f"a{number}"})


async def _many(connection: NATSConnection, mails: int) -> None:
    jetstream, free = connection.jetstream, asyncio.Semaphore(200)

    async def one(number: int) -> None:
        async with free:
            await jetstream.publish("m.0.b", b"x" * 1024, headers={"Nats-Msg-Id": f"b{number}"}, timeout=30)

    await asyncio.gather(*map(one, range(mails)))


async def _published(connection: NATSConnection, mails: int) -> None:
    inbox = connection.new_inbox()
    publisher = Publisher(connection, inbox, structlog.get_logger(), mails=200, octets=10**8, ack_timeout_s=mails)
    await connection.subscribe_replies(inbox, publisher.on_reply)
    publisher.start()
    done, left = asyncio.Event(), [mails]

    def answered(_verdict: Verdict) -> None:
        left[0] -= 1
        if not left[0]:
            done.set()

    header = MailHeader("", "n", "", "", [], 0, [], 0, None, 0)
    for number in range(mails):
        mail = Outgoing(subjects_of("c", 1), f"c{number}", header, [b"x" * 1024], 1024)
        publisher.publish(mail, answered)
    await done.wait()
    publisher.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--only", default="front,relay,large,publishing", help="cases, with commas")
    chosen = parser.parse_args()
    load = ["-n", str(chosen.mails), "--connections=100"]
    cases = {"front": front, "relay": relay, "large": large}
    wanted = chosen.only.split(",")
    with three() as cluster:
        rows = [row for name, case in cases.items() if name in wanted for row in case(cluster, load)]
        if rows:
            print("\n".join(lines(HEADS, rows, frozenset(HEADS[1:]))))
        if "publishing" in wanted:
            heads = ["way", "mails/s", "us of CPU a mail"]
            print("\n".join(lines(heads, publishing(cluster, chosen.mails), frozenset(heads[1:]))))


if __name__ == "__main__":
    main()
