"""Where SMTP processes hand their mails to the inbox."""

from __future__ import annotations

import asyncio
import functools
import socket
from time import monotonic
from typing import Final, cast

from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import FrameError, StoreError
from fastsmtp.goridge.frame import FrameDecoder
from fastsmtp.inbox.arrival import make_arrival
from fastsmtp.inbox.frames import MAX_FRAME_BYTES, Counts, MailFrame, Orders, orders_frame, read_frame, verdicts_frame
from fastsmtp.inbox.group import Arrival, Filed, reason_of
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.ledger import Reporter
from fastsmtp.system.loopdelay import BUSY_S, LoopDelay

_BACKLOG: Final = 256


class LinkServer:
    """Listens for SMTP processes, files what they send, and says when it is committed."""

    def __init__(self, inbox: Inbox, log: FilteringBoundLogger, loop_delay: LoopDelay | None = None) -> None:
        """`loop_delay` is told which mail takes long."""
        self.inbox: Final = inbox
        self.log: Final = log
        self.loop_delay: Final = loop_delay
        self._connections: set[_Connection] = set()
        self._server: asyncio.AbstractServer | None = None

    async def start(self, listener: socket.socket) -> None:
        """Accept connections at a bound Unix socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Connection(self), sock=listener, backlog=_BACKLOG)

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: _Connection) -> None:
        """A process has connected."""
        self._connections.add(connection)

    def remove(self, connection: _Connection) -> None:
        """A process is gone."""
        self._connections.discard(connection)

    async def close(self) -> None:
        """Take nothing more."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()


class _Connection(asyncio.Protocol):
    """One SMTP process."""

    def __init__(self, server: LinkServer) -> None:
        self._server = server
        self._decoder = FrameDecoder(MAX_FRAME_BYTES)
        self._transport: asyncio.Transport | None = None
        self._reporter = Reporter(server.inbox.ledger)
        self._verdicts: list[tuple[int, str]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.add(self)
        self._server.inbox.ports.add(self)

    def order(self, number: int, orders: Orders) -> None:
        """See `ports.PortProcess`."""
        if self._transport is not None:
            self._transport.write(orders_frame(number, orders))

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                said = read_frame(frame)
                if isinstance(said, Counts):
                    self._on_counts(said)
                else:
                    self._on_mail(said)
        except FrameError as error:
            self._server.log.error("an SMTP process sent what is not a mail", reason=str(error))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._reporter.end()
        self._server.inbox.gauges.pop(self, None)
        self._server.remove(self)
        self._server.inbox.ports.remove(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _on_counts(self, counts: Counts) -> None:
        self._reporter.report(counts.events)
        if counts.listening is not None:
            said = counts.listening
            self._server.inbox.ports.on_listening(self, said.number, said.wrong, said.addresses)
        if counts.gauges is not None:
            self._server.inbox.gauges[self] = counts.gauges
        if counts.withdrawn:
            self._server.inbox.withdraw(counts.withdrawn)

    def _on_mail(self, mail: MailFrame) -> None:
        head, began = mail.head, monotonic()
        if head.counted is None:
            arrival = make_arrival(
                mail.payload, head.spool or mail.raw, tuple(head.namespaces), head.received_at, head.outcome
            )
        else:
            arrival = Arrival.to_be_counted(
                head.counted.uuid, tuple(head.namespaces), head.received_at, head.outcome, head.counted.size
            )
        self._server.inbox.file(arrival, functools.partial(self._on_filed, mail.number))
        seconds, loop_delay = monotonic() - began, self._server.loop_delay
        if seconds > BUSY_S and loop_delay is not None:
            loop_delay.worked(arrival.uuid, seconds)

    def _on_filed(self, number: int, filed: list[Filed] | StoreError) -> None:
        if not self._verdicts:
            asyncio.get_running_loop().call_soon(self._send_verdicts)
        self._verdicts.append((number, reason_of(filed)))

    def _send_verdicts(self) -> None:
        verdicts, self._verdicts = self._verdicts, []
        if self._transport is not None:
            self._transport.write(verdicts_frame(verdicts))
