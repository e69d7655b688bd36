"""What a relay tells the servers of the mails it has: with three real NATS servers, and workers that the test plays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import structlog
from captures import capture_email
from natsservers import Settings
from servers import Serve
from waits import until

from fastsmtp.cluster.bodies import WorkerShape
from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import outgoing, whole
from fastsmtp.cluster.relay import ACK_WAIT_S, ClusterRelay
from fastsmtp.cluster.streams import Streams
from fastsmtp.cluster.subjects import CONSUMER, subjects_of
from fastsmtp.config.file import load
from fastsmtp.delivery.payload import encode_outline
from fastsmtp.inbox.workerpayload import Shape
from fastsmtp.smtp.events import Verdict
from fastsmtp.system.loop import run

pytestmark = pytest.mark.one_python

ACK_WAIT = 3.0
PROGRESS = 0.5
LOG = structlog.get_logger()


class Hands:
    """Keeps jobs until the test is done with them; an executor."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []

    def exec(self, job: Any) -> None:
        """See `Executor`."""
        self.jobs.append(job)

    def subjects(self) -> list[str]:
        """Those of the mails that are here."""
        return [json.loads(b"".join(job.take_payload()[0]))["message"]["subject"] for job in self.jobs]


class Cluster:
    """One connection with the servers, and what a test wants of it."""

    def __init__(self, settings: dict[str, Any], directory: Path) -> None:
        (directory / "node.yaml").write_text(json.dumps(settings))
        read = load(str(directory / "node.yaml")).cluster
        assert read is not None
        self._settings = read
        self.connection = NATSConnection(self._settings, "test", LOG)
        self.streams = Streams(self.connection, self._settings, LOG)

    async def publish(self, subject: str) -> None:
        """Publish a mail with this subject."""
        email = capture_email(b"Subject: %s\r\n\r\n" % subject.encode(), include_raw=True)
        assert email is not None
        subjects = subjects_of("x", self._settings.stream.partitions)
        message = whole(outgoing(email, [encode_outline(email)], subjects, "n", ["x"]))
        await self.connection.jetstream.publish(message.subject, message.body, headers=message.headers)

    async def relay(self, hands: Hands) -> ClusterRelay:
        """A relay that has begun to take mails."""
        names, shape = self.streams.names(), WorkerShape(Shape(jobs=False, include_raw=False))
        relay = ClusterRelay(
            self.connection, hands, NoPublisher(), shape, LOG, streams=names, window=4, progress_s=PROGRESS
        )
        await relay.start()
        return relay


class NoPublisher:
    """In place of the one that mails go to the dead by: none does here."""

    def publish(self, mail: object, answer: object) -> None:
        """See `Publisher.publish`."""
        raise AssertionError("a mail has gone to the dead")


def test_a_mail_in_hand_stays_there_and_that_of_a_dead_relay_goes_on(node: Settings, tmp_path: Path) -> None:
    async def main() -> None:
        first, second = (Cluster(node("relay", stream={"partitions": 1}), tmp_path) for _ in range(2))
        await first.connection.open()
        await second.connection.open()
        await first.streams.prepare()
        await first.streams.make_consumers(70.0)
        await first.streams.make_consumers(ACK_WAIT)  # a consumer of an older version
        progress: list[bytes] = []
        await second.connection.subscribe("$JS.ACK.>", lambda message: progress.append(message.data))
        slow, other = Hands(), Hands()
        relays = [await first.relay(slow)]
        await first.publish("slow")
        await until(lambda: slow.jobs)
        relays.append(await second.relay(other))
        await until(lambda: len(progress) * PROGRESS > 1.5 * ACK_WAIT)
        assert (set(progress), slow.subjects(), other.jobs) == ({b"+WPI"}, ["slow"], [])
        relays[0].abort()
        await until(lambda: other.jobs)
        assert other.subjects() == ["slow"]
        other.jobs[0].on_verdict(Verdict.ACCEPT, 0.0)
        await until(lambda: b"+ACK" in progress)
        relays[1].abort()
        info = await first.connection.jetstream.consumer_info(first.streams.names()[0], CONSUMER)
        assert (info.config.ack_wait, info.num_ack_pending, info.num_pending) == (ACK_WAIT, 0, 0)
        await first.connection.close()
        await second.connection.close()

    run(main())


def test_consumers_of_a_node_wait_fifteen_seconds(serve: Serve, node: Settings, tmp_path: Path) -> None:
    settings = node("relay")
    serve({**settings, "smtp": {"pool": {"supervisor": {"exec_ttl": "10m"}}}})

    async def main() -> None:
        looking = Cluster(settings, tmp_path)
        await looking.connection.open()
        found = [await looking.connection.jetstream.consumer_info(name, CONSUMER) for name in looking.streams.names()]
        await looking.connection.close()
        assert [info.config.ack_wait for info in found] == [15.0, 15.0] == [ACK_WAIT_S] * 2

    run(main())
