"""A connection without sockets and workers: mails from the M of MAIL to the JSON and the reply, in this process."""

from __future__ import annotations

import asyncio
import logging

import corpus
import structlog

from fastsmtp.capture.attachments import Storage
from fastsmtp.capture.capture import Services
from fastsmtp.delivery.workers import Workers
from fastsmtp.server.backpressure import Backpressure
from fastsmtp.server.listening import READ_BYTES, Listening, ReadBuffer
from fastsmtp.server.protocol import SMTPProtocol
from fastsmtp.smtp.events import HEADROOM, Verdict
from fastsmtp.smtp.sessionsettings import SessionSettings
from fastsmtp.workers.queue import Job


class Transport(asyncio.Transport):
    """Swallows the replies, and remembers the last."""

    written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written = bytes(data)

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("192.0.2.1", 4321) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Worker:
    """Takes the payload, and answers when told to, as a real one does later."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.octets = 0

    def exec(self, job: Job) -> None:
        context, body = job.take_payload()
        self.octets = sum(map(len, context)) + sum(map(len, body))
        self.job = job

    def answer(self) -> None:
        assert self.job is not None
        self.job.on_verdict(Verdict.ACCEPT, 0.0)


class Connection:
    """An open connection to a server without sockets and workers."""

    def __init__(self, storage: Storage) -> None:
        self.worker = Worker()
        self._buffer = ReadBuffer()
        log = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        listening = Listening(
            server="default",
            settings=SessionSettings(hostname="bench.example.com", max_message_size=0),
            services=Services(storage, False, log.bind()),
            destination=Workers(self.worker),
            counters=None,
            backpressure=Backpressure(0),
            buffer=self._buffer,
            connections=set(),
            read_timeout_s=60,
            write_timeout_s=10,
        )
        self._loop = asyncio.new_event_loop()
        self._transport = Transport()
        self._protocol = SMTPProtocol(listening, self._loop)
        self._protocol.connection_made(self._transport)
        self._read(b"EHLO client.example.com\r\n")

    def close(self) -> None:
        self._protocol.connection_lost(None)
        self._loop.close()

    def _read(self, octets: bytes) -> None:
        self._buffer.octets[HEADROOM : HEADROOM + len(octets)] = octets
        self._protocol.buffer_updated(len(octets))

    def send(self, chunks: list[bytes]) -> None:
        """One transaction with this mail data."""
        self._read(b"MAIL FROM:<alice@example.com>\r\n")
        self._read(b"RCPT TO:<bob@example.com>\r\n")
        self._read(b"DATA\r\n")
        for chunk in chunks:
            self._read(chunk)
        self.worker.answer()
        assert self._transport.written.startswith(b"250 ")


def chunks_of(message: bytes) -> list[bytes]:
    octets = corpus.stuffed(message)
    return [octets[start : start + READ_BYTES] for start in range(0, len(octets), READ_BYTES)]
