"""A listener and its connections, on a fake transport, clock and worker."""

from __future__ import annotations

import asyncio
from typing import Any

from listenings import make_listening
from transports import Transport

from fastsmtp.delivery.deferred import blocks_of
from fastsmtp.delivery.workers import Workers
from fastsmtp.server.protocol import SMTPProtocol
from fastsmtp.smtp.events import Verdict
from fastsmtp.workers.queue import Job

GREETING = b"220 mx.test ESMTP fastsmtp\r\n"
BEGIN = b"HELO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"
BEGUN = b"".join(
    [
        b"250 mx.test\r\n",
        b"250 2.1.0 Sender accepted\r\n",
        b"250 2.1.5 Recipient accepted\r\n",
        b"354 End data with <CR><LF>.<CR><LF>\r\n",
    ]
)
MAIL = b"Subject: x\r\n\r\nx\r\n.\r\n"
ACCEPTED = b"250 2.0.0 Message accepted\r\n"


class Pool:
    """Keeps jobs until told how they ended."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def exec(self, job: Job) -> None:
        self.jobs.append(job)

    def end(self, verdict: Verdict = Verdict.ACCEPT) -> bytes:
        """The first job ends; what the worker got."""
        job = self.jobs.pop(0)
        context, _ = job.take_payload()
        job.on_verdict(verdict, 0.0)
        return b"".join(blocks_of(context))


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time stands still."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def turn(self) -> None:
        """Run what is due."""
        self.call_soon(self.stop)
        self.run_forever()


class House:
    """A listener and its connections."""

    def __init__(self, loop: Clock, **changes: Any) -> None:
        self.loop = loop
        self.workers = Pool()
        self.lines: list[dict[str, Any]] = []
        self.closed = 0
        destination = changes.pop("destination", Workers(self.workers))
        self.listening = make_listening(self.lines, destination, on_closed=self._on_closed, **changes)

    def _on_closed(self) -> None:
        self.closed += 1

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]

    def connect(self, **extra: Any) -> Line:
        """`extra` is what the transport tells of its socket."""
        return Line(self, **extra)


class Line:
    """One connection."""

    def __init__(self, house: House, **extra: Any) -> None:
        self.house = house
        self.transport = Transport(**extra)
        self.protocol = SMTPProtocol(house.listening, house.loop)
        self.protocol.connection_made(self.transport)

    def send(self, octets: bytes) -> bytes:
        """What comes back at once."""
        buffer = self.protocol.get_buffer(-1)
        buffer[: len(octets)] = octets
        self.protocol.buffer_updated(len(octets))
        return self.transport.take()

    def send_all(self, octets: bytes) -> bytes:
        """What comes back until all is read."""
        replies = b""
        while octets:
            size = min(len(octets), len(self.protocol.get_buffer(-1)))
            replies += self.send(octets[:size])
            octets = octets[size:]
            while not self.transport.reading and not self.transport.closed:
                self.house.loop.turn()
                replies += self.transport.take()
        return replies

    def begin(self) -> Line:
        self.transport.take()
        assert self.send(BEGIN) == BEGUN
        return self

    def after(self, seconds: float, stalled_s: float = 0.0) -> str:
        """How the transport is closed when it is looked at so much later."""
        self.house.loop.now += seconds
        self.protocol.check_timeouts(self.house.loop.now, stalled_s)
        return self.transport.closed
