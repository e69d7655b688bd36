"""Where SMTP processes hand their mails to the inbox."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Generator
from time import monotonic
from typing import Final, cast

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import FrameError, StoreError
from fastsmtp.faults.question import Question
from fastsmtp.inbox.arrival import Incoming, arrival_steps
from fastsmtp.inbox.census import Census
from fastsmtp.inbox.documents import Octets
from fastsmtp.inbox.frames import (
    Asking,
    Counts,
    Decided,
    LinkDecoder,
    MailFrame,
    Orders,
    QuestionFrame,
    census_frame,
    decision_frame,
    orders_frame,
    verdicts_frame,
)
from fastsmtp.inbox.group import Arrival, Filed, reason_of
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.incoming import IncomingFiles
from fastsmtp.inbox.ledger import Report
from fastsmtp.system.loopdelay import BUSY_S, LoopDelay
from fastsmtp.system.timeslices import TimeSlices

_BACKLOG: Final = 256
_LEFT_S: Final = 2.0  # after which a process whose connection broke does not come back
_RETURN_S: Final = 15.0  # after which processes that an inbox knew which was killed do not come back


class LinkServer:
    """Listens for SMTP processes, files what they send, and says when it is committed."""

    def __init__(
        self,
        inbox: Inbox,
        log: FilteringBoundLogger,
        loop_delay: LoopDelay | None = None,
        incoming: IncomingFiles | None = None,
    ) -> None:
        """`loop_delay` is told which mail takes long; large mails are in files of `incoming`, or there are none."""
        self.inbox: Final = inbox
        self.log: Final = log
        self.loop_delay: Final = loop_delay
        self._incoming: Final = incoming
        self._deleting: set[asyncio.Future[int]] = set()
        if incoming is not None:
            inbox.ports.spool = incoming.path
        self.slices: Final = TimeSlices(asyncio.get_running_loop())
        self.census: Final = Census()
        self._connections: set[_Connection] = set()
        self._judging: set[asyncio.Future[None]] = set()  # questions that a thread looks at
        self._leaving: dict[str, asyncio.TimerHandle] = {}  # processes whose connection broke
        self._settling: asyncio.Future[None] | None = None
        self._returning: asyncio.TimerHandle | None = None
        self._closing = False
        self._server: asyncio.AbstractServer | None = None

    async def start(self, listener: socket.socket) -> None:
        """Accept connections at a bound Unix socket."""
        loop = asyncio.get_running_loop()
        self._returning = loop.call_later(_RETURN_S, self._settle)
        self._server = await loop.create_unix_server(lambda: _Connection(self), sock=listener, backlog=_BACKLOG)

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: _Connection) -> None:
        """A process has connected."""
        self._connections.add(connection)

    def remove(self, connection: _Connection) -> None:
        """A connection is gone, and its process, if it does not come back."""
        self._connections.discard(connection)
        self.census.forget(connection)
        if connection.process and not self._closing:
            self._leaving[connection.process] = asyncio.get_running_loop().call_later(
                _LEFT_S, self.leave, connection.process
            )

    def enter(self, process: str) -> None:
        """A process has said which one it is."""
        leaving = self._leaving.pop(process, None)
        if leaving is not None:
            leaving.cancel()

    def leave(self, process: str) -> None:
        """A process is gone: nothing is in flight in it any more."""
        self.enter(process)
        # When what came before is committed, its files have other names.
        self.inbox.tell(Report(process, left=True), lambda _filed: self._delete_files(process.__eq__))

    def _settle(self) -> None:
        there = {*(connection.process for connection in self._connections), *self._leaving}
        self._settling = asyncio.ensure_future(self.inbox.leave_processes(there))
        self._delete_files(lambda process: process not in there)

    def _delete_files(self, is_gone: Callable[[str], bool]) -> None:
        if self._incoming is not None:  # in a thread: a file of 1 GB takes its time
            deleting = asyncio.ensure_future(asyncio.to_thread(self._incoming.delete, is_gone))
            self._deleting.add(deleting)
            deleting.add_done_callback(self._deleting.discard)

    def octets_of(self, mail: MailFrame, process: str) -> Octets | str:
        """Return the mail as it came, or the path of its file. Raises FrameError."""
        name = mail.head.spool
        if not name:
            return mail.raw
        if self._incoming is None:
            raise FrameError("there are no files of mails")
        return self._incoming.path_of(name, process)

    def decide(self, asking: Asking, answer: Callable[[Decided | None], None]) -> None:
        """Ask plans; where one wants to know how many connections there are, the processes are asked first."""
        plans = self.inbox.plans
        counted = plans.counts_connections(asking.namespaces)
        if not counted:
            self._decide(asking.namespaces, asking.question, answer)
            return

        def decide(connections: int) -> None:
            question = msgspec.structs.replace(asking.question, connections=connections)
            self._decide(asking.namespaces, question, answer)

        self.census.take(counted, self._connections, decide)

    def _decide(self, names: list[str], question: Question, answer: Callable[[Decided | None], None]) -> None:
        """Answer at once, or where texts are compared with many patterns, when a thread has done it."""
        plans = self.inbox.plans
        much = plans.find_much(names, question)
        if not much:
            answer(plans.decide(names, question))
            return

        async def judge() -> None:
            holding = {running: await asyncio.to_thread(running.find_holding, question) for running in much}
            answer(plans.decide(names, question, holding))

        judging = asyncio.ensure_future(judge())
        self._judging.add(judging)
        judging.add_done_callback(self._judging.discard)

    async def close(self) -> None:
        """Take nothing more. What is in flight in processes that are there still is known to the next inbox."""
        self._closing = True
        for timer in (self._returning, *self._leaving.values()):
            if timer is not None:
                timer.cancel()
        for judging in self._judging:
            judging.cancel()
        if self._deleting:
            await asyncio.wait(self._deleting)
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()


class _Connection(asyncio.Protocol):
    """One SMTP process."""

    def __init__(self, server: LinkServer) -> None:
        self._server = server
        self._decoder = LinkDecoder()
        self._reading = 0  # large mails that are not filed yet
        self._withdrawn: list[str] = []  # perhaps one of them
        self._transport: asyncio.Transport | None = None
        self.process = ""  # which one it is
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
            for said in self._decoder.feed(data):
                if isinstance(said, MailFrame):
                    self._on_mail(said)
                elif isinstance(said, Counts):
                    self._on_counts(said)
                else:
                    self._on_question(said)
        except FrameError as error:
            self._server.log.error("an SMTP process sent what is not a mail", reason=str(error))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.inbox.gauges.pop(self, None)
        self._server.remove(self)
        self._server.inbox.ports.remove(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def count_connections(self, number: int, namespace: str) -> None:
        """See `census.CensusProcess`."""
        if self._transport is not None:
            self._transport.write(census_frame(number, namespace))

    def _on_question(self, asked: QuestionFrame) -> None:
        self._server.decide(asked.asking, functools.partial(self._on_decided, asked.number))

    def _on_decided(self, number: int, decided: Decided | None) -> None:
        if self._transport is not None:
            self._transport.write(decision_frame(number, decided))

    def _on_counts(self, counts: Counts) -> None:
        if counts.process:
            self.process = counts.process
            self._server.enter(self.process)
            self._server.inbox.tell(Report(self.process, open=counts.open))
        if counts.uncounted:
            uncounted = [(one.number, one.outcome, one.namespaces) for one in counts.uncounted]
            self._server.inbox.tell(Report(self.process, uncounted=uncounted))
        if counts.number:
            report = Report(self.process, counts.number, counts.events)
            self._server.inbox.tell(report, functools.partial(self._on_filed, -counts.number))
        if counts.census is not None:
            self._server.census.on_count(self, *counts.census)
        if counts.listening is not None:
            said = counts.listening
            self._server.inbox.ports.on_listening(self, said.number, said.wrong, said.addresses)
        if counts.gauges is not None:
            self._server.inbox.gauges[self] = counts.gauges
        self._withdrawn += counts.withdrawn
        self._withdraw()
        if counts.left and self.process:
            process, self.process = self.process, ""
            self._server.leave(process)

    def _withdraw(self) -> None:
        if self._withdrawn and not self._reading:
            self._server.inbox.withdraw(self._withdrawn, self.process)
            self._withdrawn = []

    def _on_mail(self, mail: MailFrame) -> None:
        head = mail.head
        names = tuple(head.namespaces)
        if head.counted is not None:
            counted = head.counted
            sender = self.process, mail.number
            arrival = Arrival.to_be_counted(counted.uuid, names, head.received_at, head.outcome, counted.size, sender)
            self._server.inbox.file(arrival, functools.partial(self._on_filed, mail.number))
            return
        raw = self._server.octets_of(mail, self.process)
        told = head.received_at, head.outcome, head.faults, head.worker
        made = arrival_steps(Incoming(mail.payload, raw, names, *told))
        step = functools.partial(self._read_on, mail.number, made)
        self._reading += 1
        if step():
            self._server.slices.add(step)

    def _read_on(self, number: int, steps: Generator[None, None, Arrival]) -> bool:
        """Read a mail on; whether there is more of it to read."""
        began, loop_delay = monotonic(), self._server.loop_delay
        try:
            next(steps)
            return True
        except StopIteration as end:
            arrival: Arrival = end.value
        except Exception:  # a fault of ours: the mail is refused when its time is over
            self._server.log.exception("a mail cannot be read")
            self._reading -= 1
            return False
        self._reading -= 1
        sent = arrival._replace(sender=(self.process, number))
        self._server.inbox.file(sent, functools.partial(self._on_filed, number))
        self._withdraw()
        seconds = monotonic() - began
        if seconds > BUSY_S and loop_delay is not None:
            loop_delay.worked(arrival.uuid, seconds)
        return False

    def _on_filed(self, number: int, filed: list[Filed] | StoreError) -> None:
        if not self._verdicts:
            asyncio.get_running_loop().call_soon(self._send_verdicts)
        self._verdicts.append((number, reason_of(filed)))

    def _send_verdicts(self) -> None:
        verdicts, self._verdicts = self._verdicts, []
        if self._transport is not None:
            self._transport.write(verdicts_frame(verdicts))
