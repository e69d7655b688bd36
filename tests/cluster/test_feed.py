"""Streams that are read into a store, with three real NATS servers: each mail once, over restarts and failures."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import structlog
from captures import capture_email
from clustermails import multipart
from natsservers import NATSCluster, Settings
from waits import until

from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.feed import FeedCounts, StreamFeed
from fastsmtp.cluster.message import outgoing
from fastsmtp.cluster.publisher import Publisher
from fastsmtp.cluster.streams import Streams
from fastsmtp.cluster.subjects import subjects_of
from fastsmtp.config.cluster import ClusterSettings
from fastsmtp.config.file import load
from fastsmtp.delivery.payload import encode_outline
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.store import Store
from fastsmtp.smtp.events import Verdict
from fastsmtp.system.loop import run

pytestmark = pytest.mark.one_python

LOG = structlog.get_logger()
STREAM = "FASTSMTP-0"


class Front:
    """Publishes mails, as a front does."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.connection = NATSConnection(settings, "front", LOG)
        self._settings = settings

    async def open(self) -> None:
        """Connect, make the streams."""
        await self.connection.open()
        await Streams(self.connection, self._settings, LOG).prepare()
        inbox = self.connection.new_inbox()
        self._publisher = Publisher(self.connection, inbox, LOG, mails=100, octets=10**8, ack_timeout_s=30)
        await self.connection.subscribe_replies(inbox, self._publisher.on_reply)
        self.connection.on_reconnected = self._publisher.on_reconnected
        self._publisher.start()

    async def publish(self, *mails: bytes) -> None:
        """Publish mails, and wait until a quorum has them."""
        told: list[Verdict] = []
        for octets in mails:
            email = capture_email(octets, include_raw=True)
            assert email is not None
            self._publisher.publish(
                outgoing(email, [encode_outline(email)], subjects_of("x", 1), "n", ["x"]), told.append
            )
        await until(lambda: len(told) == len(mails))
        assert set(told) == {Verdict.ACCEPT}

    async def close(self) -> None:
        self._publisher.close()
        await self.connection.close()


class InboxNode:
    """A node that has a store: its inbox, and the feed of its one stream."""

    def __init__(self, settings: ClusterSettings, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        store = Store(str(directory))
        self.inbox = Inbox(store, LOG)
        self.connection = NATSConnection(settings, "inbox", LOG)
        self.counts = FeedCounts()
        position = store.positions.get(STREAM, 0)
        self.feed = StreamFeed(
            self.connection,
            STREAM,
            0,
            key=STREAM,
            position=position,
            file=self.inbox.file,
            carry_out=self._carry_out,
            log=LOG,
            counts=self.counts,
        )
        self.reader = self.feed.reader
        self.orders: list[tuple[str, int, bytes]] = []

    async def _carry_out(self, *order: Any) -> None:
        if order[2] == b"no order":
            raise ValueError("no order")
        self.orders.append(order)

    async def open(self) -> None:
        await self.connection.open()
        self.reader.start()

    async def subjects(self) -> list[str]:
        """Those of the mails that are there, the oldest first, once all that are in the stream are."""
        await asyncio.wait_for(self.reader.reach(await self.reader.last()), 30)
        namespace = self.inbox.namespace("x")
        assert namespace is not None
        rows = (await self.inbox.find(namespace, newest_first=False, limit=1000)).rows
        return [json.loads(row.summary)["subject"] for row in rows]

    async def close(self) -> None:
        await self.reader.stop()
        await self.inbox.close()
        await self.connection.close()


def read(settings: dict[str, object], directory: Path) -> ClusterSettings:
    """The section of a node's configuration."""
    (directory / "node.yaml").write_text(json.dumps(settings))
    found = load(str(directory / "node.yaml")).cluster
    assert found is not None
    return found


def mail(subject: str) -> bytes:
    return b"Subject: %s\r\n\r\nhello\r\n" % subject.encode()


def test_each_node_has_each_mail_and_a_restart_goes_on(node: Settings, tmp_path: Path) -> None:
    settings = read(node("front", stream={"partitions": 1}), tmp_path)

    async def main() -> None:
        front, first, second = Front(settings), InboxNode(settings, tmp_path / "1"), InboxNode(settings, tmp_path / "2")
        await front.open()
        for octets in (mail("0"), multipart(2_000_000), mail("1")):
            await front.publish(octets)
        await first.open()
        assert await first.subjects() == ["0", "large", "1"]  # a large one is there as a whole
        await front.publish(mail("2"))
        assert await first.subjects() == ["0", "large", "1", "2"]  # what got its 250 before the question
        await first.close()
        await front.publish(*(mail(str(number)) for number in range(3, 300)))
        again = InboxNode(settings, tmp_path / "1")
        assert again.reader.position == await first_position(front)
        await again.open()
        await second.open()
        expected = ["0", "large", *(str(number) for number in range(1, 300))]
        assert (await again.subjects(), again.counts.fed) == (expected, 297)
        assert (await second.subjects(), second.counts.fed) == (expected, 301)
        for one in (again, second, front):
            await one.close()

    run(main())


def test_a_mail_that_was_deleted_does_not_come_again(node: Settings, tmp_path: Path) -> None:
    settings = read(node("front", stream={"partitions": 1}), tmp_path)

    async def main() -> None:
        front, first = Front(settings), InboxNode(settings, tmp_path / "1")
        await front.open()
        await front.publish(mail("0"), mail("1"))
        await first.open()
        assert await first.subjects() == ["0", "1"]
        namespace = first.inbox.namespace("x")
        assert namespace is not None
        assert await first.inbox.empty(namespace) == 2
        await first.close()
        await front.publish(mail("2"))
        again = InboxNode(settings, tmp_path / "1")
        await again.open()
        assert (await again.subjects(), again.counts.fed) == (["2"], 1)
        await again.close()
        await front.close()

    run(main())


def test_what_is_no_mail_is_left_out(node: Settings, tmp_path: Path) -> None:
    settings = read(node("front", stream={"partitions": 1}), tmp_path)

    async def main() -> None:
        front, first = Front(settings), InboxNode(settings, tmp_path / "1")
        await front.open()
        await front.publish(mail("0"))
        for headers in (None, {"Fastsmtp-Mail": "{}"}, {"Fastsmtp-Mail": "7"}):
            await front.connection.jetstream.publish("m.0.x", b"no mail", headers=headers)
        for body in (b"an order", b"no order"):
            await front.connection.jetstream.publish("x.0.x~y", body)
        await first.open()
        assert await first.subjects() == ["0"]
        await front.publish(mail("1"))
        assert (await first.subjects(), first.counts.feed_unreadable) == (["0", "1"], 4)
        assert first.orders == [("x.y", 5, b"an order")]
        await first.close()
        await front.close()

    run(main())


# QUIRK: nats-py leaves the writer of a connection that broke to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_killed_servers_leave_nothing_out(tmp_path: Path) -> None:
    servers = NATSCluster(tmp_path, kin=1)
    servers.start()
    limits = {"retention": {"max_bytes": "100MB"}, "stream": {"partitions": 1}}
    settings = read({"cluster": {"role": ["front"], "servers": servers.urls(1), **limits}}, tmp_path)

    async def main() -> None:
        front, first = Front(settings), InboxNode(settings, tmp_path / "1")
        await front.open()
        await first.open()
        await front.publish(mail("0"))
        assert await first.subjects() == ["0"]
        servers.kill(servers.leader_of(1, STREAM))
        await front.publish(*(mail(str(number)) for number in range(1, 50)))
        await until(lambda: first.counts.fed >= 50)
        await asyncio.get_running_loop().run_in_executor(None, servers.start)
        subjects = await first.subjects()  # what was published again stands behind what was not
        assert (sorted(subjects, key=int), first.counts.fed) == ([str(number) for number in range(50)], 50)
        await first.close()
        await front.close()

    run(main())
    servers.stop()


async def first_position(front: Front) -> int:
    """The number of the mail "2" in the stream: chunks of the large one stand before it."""
    found = await front.connection.jetstream.get_msg(STREAM, 1)
    seq = 1
    while b'"subject":"2"' not in (found.data or b""):
        seq += 1
        found = await front.connection.jetstream.get_msg(STREAM, seq)
    return seq
