"""What a publisher does with what servers answer: told by a wire that answers as the test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
import structlog
from captures import capture_email
from pools import Run
from waits import until

from fastsmtp.cluster.message import NATSMessage, Outgoing, outgoing
from fastsmtp.cluster.publisher import NotConnectedError, Publisher, PublisherCounts
from fastsmtp.cluster.subjects import Subjects
from fastsmtp.delivery.payload import encode_outline
from fastsmtp.smtp.events import Verdict

CONFIRMED = {"stream": "S", "seq": 1}
Answers = Callable[[int], object]  # to the attempt of this number; None: nothing


def refused(err_code: int) -> dict[str, object]:
    return {"error": {"code": 503, "err_code": err_code, "description": "why"}}


class AnsweringWire:
    """Answers each attempt that is complete; `connected` is as the test wants it."""

    max_payload = 1024 * 1024
    doubts = 0

    def doubt(self) -> None:
        self.doubts += 1

    def __init__(self, answers: Answers) -> None:
        self.connected = True
        self.written: list[NATSMessage] = []
        self.attempts = 0
        self.publisher: Publisher | None = None
        self._answers = answers

    async def publish(self, message: NATSMessage, reply: str = "") -> None:
        if not self.connected:
            raise NotConnectedError
        self.written.append(message)
        if reply:
            self.attempts += 1
            answer = self._answers(self.attempts)
            if answer is not None:
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                asyncio.get_running_loop().call_soon(self._answer, reply.rpartition(".")[2], body)

    def _answer(self, token: str, body: bytes) -> None:
        assert self.publisher is not None
        self.publisher.on_reply(token, body)


def mail(octets: int = 0) -> Outgoing:
    email = capture_email(b"Subject: x\r\n\r\n" + b"x" * octets, include_raw=True)
    assert email is not None
    return outgoing(email, [encode_outline(email)], Subjects("m.0.x", "c.0.x"), "n", ["x"])


def start(wire: AnsweringWire, *, mails: int = 10, octets: int = 10**8, ack_timeout_s: float = 20.0) -> Publisher:
    publisher = Publisher(
        wire, "_INBOX.x", structlog.get_logger(), mails=mails, octets=octets, ack_timeout_s=ack_timeout_s
    )
    wire.publisher = publisher
    publisher.start()
    return publisher


@pytest.mark.parametrize(
    ("answers", "verdict", "attempts"),
    [
        ([CONFIRMED], Verdict.ACCEPT, 1),
        ([{**CONFIRMED, "duplicate": True}], Verdict.ACCEPT, 1),
        ([refused(10201)], Verdict.ACCEPT, 1),
        ([refused(10077)], Verdict.STORAGE_FULL, 1),
        ([refused(10054)], Verdict.TOO_LARGE, 1),
        ([refused(10008), b"", refused(10158), CONFIRMED], Verdict.ACCEPT, 4),
    ],
    ids=["stored", "known", "known-batch", "full", "too-large", "later"],
)
def test_answers_of_servers(run_loop: Run, answers: list[object], verdict: Verdict, attempts: int) -> None:
    async def main() -> None:
        wire = AnsweringWire(lambda attempt: answers[attempt - 1])
        publisher, told = start(wire), list[Verdict]()
        publisher.publish(mail(), told.append)
        assert told == []
        await until(lambda: told)
        assert (told, wire.attempts, publisher.in_flight) == ([verdict], attempts, (0, 0))
        assert len({message.headers["Nats-Msg-Id"] for message in wire.written}) == 1
        publisher.close()

    run_loop(main())


def test_silence_is_a_451_and_counted(run_loop: Run) -> None:
    async def main() -> None:
        publisher, told = start(AnsweringWire(lambda _attempt: None), ack_timeout_s=0.2), list[Verdict]()
        publisher.publish(mail(), told.append)
        await until(lambda: told)
        assert (told, publisher.counts) == ([Verdict.STORAGE_FAILED], PublisherCounts(published=1, unknown=1))
        publisher.close()

    run_loop(main())


def test_a_mail_waits_for_a_connection(run_loop: Run) -> None:
    async def main() -> None:
        wire = AnsweringWire(lambda _attempt: CONFIRMED)
        publisher, told = start(wire), list[Verdict]()
        wire.connected = False
        publisher.publish(mail(), told.append)
        await asyncio.sleep(0)
        wire.connected = True
        publisher.on_reconnected()
        await until(lambda: told)
        assert (told, len(wire.written)) == ([Verdict.ACCEPT], 1)
        publisher.close()

    run_loop(main())


def test_credit(run_loop: Run) -> None:
    async def main() -> None:
        wire = AnsweringWire(lambda _attempt: None)
        publisher, told = start(wire, mails=2), list[Verdict]()
        for _ in range(3):
            publisher.publish(mail(), told.append)
        await until(lambda: len(wire.written) == 2)
        assert (publisher.in_flight[0], publisher.waiting) == (2, 1)
        publisher.on_reply("1", json.dumps(CONFIRMED).encode())
        await until(lambda: len(wire.written) == 3)
        assert (publisher.in_flight[0], publisher.waiting, told) == (2, 0, [Verdict.ACCEPT])
        publisher.close()
        assert told == [Verdict.ACCEPT, Verdict.STORAGE_FAILED, Verdict.STORAGE_FAILED]

    run_loop(main())


def test_one_mail_may_be_larger_than_the_credit(run_loop: Run) -> None:
    async def main() -> None:
        wire = AnsweringWire(lambda _attempt: CONFIRMED)
        publisher, told = start(wire, octets=1000), list[Verdict]()
        publisher.publish(mail(2_000_000), told.append)
        publisher.publish(mail(), told.append)
        await until(lambda: len(told) == 2)
        *chunks, large, small = wire.written
        assert ({chunk.subject for chunk in chunks}, large.subject, small.subject) == ({"c.0.x"}, "m.0.x", "m.0.x")
        assert publisher.counts == PublisherCounts(published=2, confirmed=2)
        publisher.close()

    run_loop(main())


@pytest.mark.parametrize("body", [b"x", b"[]", b'{"stream": 7}'])
def test_what_is_no_confirmation_is_left_out(run_loop: Run, body: bytes) -> None:
    async def main() -> None:
        wire = AnsweringWire(lambda _attempt: body)
        publisher, told = start(wire), list[Verdict]()
        publisher.publish(mail(), told.append)
        await until(lambda: wire.attempts)
        for token in ("7", "x", ""):
            publisher.on_reply(token, b"{}")
        assert told == []
        publisher.close()

    run_loop(main())
