"""One connection of a load, without a socket: when a mail counts as sent, and what a silent server is."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from transports import Transport

from fastsmtp.bench.connection import Connection
from fastsmtp.client.dialogue import Script
from fastsmtp.client.mail import Content, Failure, Mail

CONTENT = Content(b"Subject: x\r\n\r\nx\r\n", b"Subject: x\r\n\r\nx\r\n", False)


class Clock:
    """Stands in the place of `perf_counter`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Owner:
    """Has one mail to give, and writes down what it is told."""

    script = Script("me", "a@b", ["c@d"])
    per_connection = 0
    tls: ssl.SSLContext | None = None

    def __init__(self) -> None:
        self.mail = Mail("0123abcd-00000001", b"", CONTENT)
        self.told: list[object] = []

    def on_answered(self, mail: Mail, now: float) -> None:
        self.told.append(("answered", mail.sent, now))

    def on_failure(self, mail: Mail | None, failure: Failure, now: float) -> None:
        self.told.append((failure.kind, now))

    def on_unsent(self, mail: Mail) -> None:
        self.told.append("unsent")

    def on_open(self, connection: Connection, now: float) -> None:
        self.told.append(("open", now))

    def on_room(self, connection: Connection, now: float) -> None:
        pass

    def on_gone(self, connection: Connection, now: float) -> None:
        self.told.append(("gone", now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("fastsmtp.bench.connection.perf_counter", clock)
    return clock


def in_data(owner: Owner, clock: Clock) -> tuple[Connection, Transport]:
    """A connection whose server waits for mail data, which begin to leave at 101."""
    loop = asyncio.new_event_loop()
    loop.close()
    connection, transport = Connection(owner, loop, owner.mail, clock.now, tls=False), Transport()
    connection.connection_made(transport)
    connection.data_received(b"220 hi\r\n")
    connection.data_received(b"250 peer\r\n")
    connection.data_received(b"250 ok\r\n")
    connection.data_received(b"250 ok\r\n")
    clock.now = 101.0
    connection.data_received(b"354 go\r\n")
    assert transport.take().endswith(b"\r\nx\r\n.\r\n")
    assert owner.told == [("open", 100.0)]
    owner.told.clear()
    return connection, transport


def test_mail_data_that_leaves_at_once_is_sent_when_it_is_written(clock: Clock) -> None:
    owner = Owner()
    connection, _ = in_data(owner, clock)
    clock.now = 105.0
    connection.data_received(b"250 kept\r\n")
    assert owner.told == [("answered", 101.0, 105.0)]


def test_mail_data_to_a_slow_reader_is_sent_when_the_last_of_it_has_left(clock: Clock) -> None:
    owner = Owner()
    connection, _ = in_data(owner, clock)
    connection.pause_writing()
    clock.now = 103.0
    connection.resume_writing()
    clock.now = 105.0
    connection.data_received(b"250 kept\r\n")
    assert owner.told == [("answered", 103.0, 105.0)]


def test_a_reader_is_slow_as_long_as_it_reads_and_silent_after_that(clock: Clock) -> None:
    owner = Owner()
    connection, transport = in_data(owner, clock)
    connection.pause_writing()
    for clock.now, transport.unwritten in ((110.0, 3000), (120.0, 2000), (130.0, 1000)):
        connection.check(clock.now, 10.0)
    connection.check(140.0, 10.0)
    assert owner.told == []
    clock.now = 140.1
    connection.check(clock.now, 10.0)
    assert owner.told == [("end of data: timeout", 140.1), ("gone", 140.1)]
    assert transport.closed == "aborted"
