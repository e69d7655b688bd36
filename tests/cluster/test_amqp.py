"""Outputs: mails as jobs of RoadRunner, with a real RabbitMQ and three real NATS servers."""

from __future__ import annotations

import asyncio
import collections
import json
import smtplib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue, AbstractRobustChannel
from clustermails import PLAIN, multipart, refused_start, without_varying
from crashload import CrashLoad
from natsservers import Settings
from rabbit import RabbitMQ
from servers import Serve, Server
from waits import wait_until

from fastsmtp.config.file import load
from fastsmtp.errors import ConfigError

pytestmark = pytest.mark.one_python

T = TypeVar("T")


@pytest.fixture(scope="module")
def shared_rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """One server for all tests of this module; each has a pipeline of its own."""
    server = RabbitMQ(tmp_path_factory.mktemp("rabbit"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def rabbit(shared_rabbit: RabbitMQ) -> RabbitMQ:
    """The same; one that a test has started is ended with that test."""
    if not shared_rabbit.runs:
        shared_rabbit.start()
    return shared_rabbit


@pytest.fixture
def pipeline(request: pytest.FixtureRequest) -> str:
    """The name of a pipeline that no other test has."""
    return str(request.node.name)


def output(rabbit: RabbitMQ, pipeline: str, **more: Any) -> dict[str, Any]:
    """The settings of an output."""
    return {"driver": "amqp", "addr": rabbit.url, "pipeline": pipeline, **more}


def on(rabbit: RabbitMQ, work: Callable[[AbstractRobustChannel], Awaitable[T]]) -> T:
    """What `work` returns, which has a channel."""

    async def main() -> T:
        async with await aio_pika.connect_robust(rabbit.url) as connection:
            channel = await connection.channel()
            return await work(channel)

    return asyncio.run(main())


def taken(rabbit: RabbitMQ, pipeline: str) -> list[AbstractIncomingMessage]:
    """All messages of a queue, which is empty then."""

    async def take(channel: AbstractRobustChannel) -> list[AbstractIncomingMessage]:
        queue: AbstractQueue = await channel.get_queue(pipeline)
        messages = []
        while (message := await queue.get(fail=False)) is not None:
            await message.ack()
            messages.append(message)
        return messages

    return on(rabbit, take)


def send(server: Server, message: bytes = PLAIN) -> None:
    with smtplib.SMTP(server.host, server.port, timeout=30) as smtp:
        smtp.sendmail("a@example.com", ["b@example.com"], message)


def test_a_mail_is_a_job(serve: Serve, node: Settings, rabbit: RabbitMQ, pipeline: str) -> None:
    front = serve(node("front", outputs=[output(rabbit, pipeline)]), worker=None)
    alone = serve({"smtp": {"payload": "jobs"}}, worker="job.php")
    for message in (PLAIN, multipart(20_000), multipart(1_000_000)):
        send(front, message)
        send(alone, message)
    jobs = taken(rabbit, pipeline)
    expected = [without_varying(record["body"]) for record in alone.records()]
    assert [without_varying(json.loads(job.body)) for job in jobs] == expected
    uuid = json.loads(jobs[0].body)["uuid"]
    headers = {"uuid": [uuid], "payload_class": ["smtp:handler"]}
    # RoadRunner reads text, a byte array and a boolean; it would end for an integer of less than 64 bits.
    assert {name: (type(value), value) for name, value in jobs[0].headers.items() if name[:2] != "x-"} == {
        "rr_id": (str, uuid),
        "rr_job": (str, "smtp.email"),
        "rr_pipeline": (str, pipeline),
        "rr_headers": (bytearray, bytearray(json.dumps(headers, separators=(",", ":")).encode())),
        "rr_auto_ack": (bool, False),
    }
    assert (jobs[0].delivery_mode, jobs[0].exchange, jobs[0].routing_key) == (2, "amqp.default", pipeline)


def test_a_relay_has_it_too(serve: Serve, node: Settings, rabbit: RabbitMQ, pipeline: str) -> None:
    server = serve(node("front", "relay", outputs=[output(rabbit, pipeline, exchange="x", job="j")]))
    send(server)
    wait_until(server.records)
    told = [(job.exchange, job.headers["rr_job"], job.headers["rr_id"]) for job in taken(rabbit, pipeline)]
    assert told == [("x", "j", record["uuid"]) for record in server.records()]


def test_a_mail_that_is_too_large_is_told(serve: Serve, node: Settings, rabbit: RabbitMQ, pipeline: str) -> None:
    front = serve(node("front", outputs=[output(rabbit, pipeline)]), worker=None)
    with smtplib.SMTP(front.host, front.port, timeout=30) as smtp:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            smtp.sendmail("a@example.com", ["b@example.com"], multipart(3_000_000))
        smtp.sendmail("a@example.com", ["b@example.com"], PLAIN)
    assert refused.value.smtp_code == 552
    assert [json.loads(job.body)["message"]["subject"] for job in taken(rabbit, pipeline)] == ["Grüße"]


def test_a_queue_that_is_gone_is_made_again(serve: Serve, node: Settings, rabbit: RabbitMQ, pipeline: str) -> None:
    front = serve(node("front", outputs=[output(rabbit, pipeline)]), worker=None)
    on(rabbit, lambda channel: channel.queue_delete(pipeline))
    send(front)
    assert len(taken(rabbit, pipeline)) == 1


def test_other_queues_are_not_used(node: Settings, rabbit: RabbitMQ, pipeline: str, tmp_path: Path) -> None:
    on(rabbit, lambda channel: channel.declare_queue(pipeline, durable=True))
    settings = {**node("front", outputs=[output(rabbit, pipeline)]), "smtp": {"addr": "127.0.0.1:0"}}
    told = refused_start(settings, tmp_path)
    assert f"fastsmtp: cluster.outputs: amqp://127.0.0.1:{rabbit.port}/: " in told
    assert "inequivalent arg 'x-queue-type'" in told


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("role: [relay], outputs: [{driver: amqp, addr: 'amqp://h'}]", "cluster.outputs: expected none"),
        (
            "outputs: [{driver: kafka, addr: 'amqp://h'}]",
            'cluster.outputs[0].driver: expected one of "amqp", got "kafka"',
        ),
        ("outputs: [{driver: amqp}]", "cluster.outputs[0].addr: required, but missing"),
        ("outputs: [{driver: amqp, addr: 'nats://h'}]", "cluster.outputs[0].addr: expected a server like"),
        ("outputs: [{driver: amqp, addr: 'amqp://h:x'}]", "cluster.outputs[0].addr: expected a server like"),
        (
            "outputs: [{driver: amqp, addr: 'amqp://h', pipeline: amq.x}]",
            "cluster.outputs[0].pipeline: expected a name",
        ),
    ],
)
def test_faults_of_the_configuration(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"cluster: {{{text}}}\n")
    with pytest.raises(ConfigError) as refused:
        load(str(tmp_path / "c.yaml"))
    assert [fault in line for line in refused.value.faults] == [True]


def test_a_server_that_is_gone_for_a_while_loses_nothing(
    serve: Serve, node: Settings, rabbit: RabbitMQ, pipeline: str
) -> None:
    front = serve(node("front", outputs=[output(rabbit, pipeline)]), worker=None)
    with CrashLoad(front.host, front.port) as load:
        wait_until(lambda: load.accepted >= 20)
        rabbit.end()
        with smtplib.SMTP(front.host, front.port) as smtp:
            smtp.ehlo()
            wait_until(lambda: smtp.mail("a@example.com")[0] == 451)
        rabbit.start()
        goal = load.accepted + 20
        wait_until(lambda: load.accepted >= goal)
        fates = load.stop()
    arrived = collections.Counter(json.loads(job.body)["message"]["subject"] for job in taken(rabbit, pipeline))
    assert fates.accepted - set(arrived) == set()
    assert any("RabbitMQ is gone" in line for line in front.lines)
