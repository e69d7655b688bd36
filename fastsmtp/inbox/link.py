"""The way from an SMTP process to the inbox: one connection with many mails in flight, made again where it breaks.

A mail whose acknowledgement was lost is sent again after a reconnect; the inbox knows it by its uuid. So are reports
for the ledger, which it knows by their numbers.

What is written and not acknowledged has a limit: `window` octets, and one mail more. Other mails wait here, at
most `patience_s`, and their sessions with them: backpressure counts them. However many mails are refused while the
inbox reads nothing, no more than the window stays in memory.

The JSON of a mail is made when it is written, and that of a large one in blocks, as the inbox takes them: mails that
wait, and large ones, have none. What there is of it is told to `on_json`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.email import Segment
from fastsmtp.capture.spool import Spool
from fastsmtp.delivery.deferred import Stretch, blocks_of, octets_of
from fastsmtp.errors import FrameError
from fastsmtp.goridge.frame import Frame, FrameDecoder
from fastsmtp.inbox.frames import (
    MAX_NUMBER,
    Asking,
    Counts,
    Decided,
    Gauges,
    Head,
    ListeningReport,
    Orders,
    counts_frame,
    mail_frame,
    question_frame,
    read_census,
    read_decision,
    read_orders,
    read_verdicts,
)
from fastsmtp.inbox.plansknown import PlansKnown
from fastsmtp.inbox.questions import Questions
from fastsmtp.inbox.sessionreports import SessionReports
from fastsmtp.system.backoff import Backoff
from fastsmtp.system.timeslices import SLICE_S

WINDOW: Final = 16 * 1024 * 1024  # octets: a group of mails is committed while the next one is on its way
PATIENCE_S: Final = 10.0  # for an inbox that was killed, or whose disk is stuck; then the mail is refused


class _Sent:
    """A mail that is not acknowledged yet."""

    __slots__ = ("answer", "deadline", "head", "payload", "raw", "uuid", "written")

    def __init__(
        self,
        uuid: str,
        head: Head,
        payload: Callable[[], Sequence[Stretch]],
        raw: Segment,
        deadline: float,
        answer: Callable[[str], None],
    ) -> None:
        self.uuid = uuid
        self.head = head
        self.payload = payload
        self.raw = raw
        self.written = False  # to some connection: the inbox may have it
        self.deadline = deadline  # loop time
        self.answer = answer


class Link:
    """Sends mails to the inbox at a Unix socket, and tells what became of each."""

    def __init__(
        self,
        path: str,
        log: FilteringBoundLogger,
        *,
        patience_s: float = PATIENCE_S,
        window: int = WINDOW,
        on_json: Callable[[int], None] = lambda _octets: None,
    ) -> None:
        """`on_json` is told how many octets of JSON are written and not acknowledged, whenever that changes."""
        self._path = path
        self._log = log
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._sent: dict[int, _Sent] = {}  # by number, the oldest first
        self._number = 0
        self._window = window
        self._waiting: dict[int, None] = {}  # numbers of mails that are not written, the oldest first
        # Octets of what is written and not acknowledged, and of JSON that is kept for it, by number.
        self._written: dict[int, tuple[int, int]] = {}
        self._in_flight = 0  # the sums of them
        self._json = 0
        self._on_json = on_json
        self._blocks: Iterator[Segment] | None = None  # what is left of a large mail that is being written
        self._blocks_of = 0  # its number
        self._behind: list[bytes] = []  # frames that wait for its end
        self._listening: ListeningReport | None = None  # not told yet
        self._writing: asyncio.Handle | None = None  # of what waits
        self._blocked = False  # the inbox reads nothing at the moment
        self._reports = SessionReports()
        self.spool: Final = Spool(self._reports.process)  # for large mails
        self._flushing: asyncio.Handle | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False
        self._told = asyncio.Event()
        self.ports: tuple[int, dict[str, str]] = (0, {})  # what the inbox has told last
        self.counting: frozenset[str] = frozenset()  # namespaces whose accepted mails the inbox only counts
        self.on_ports: Callable[[], None] = lambda: None  # it has told something new
        self.plans: Final = PlansKnown()
        self.count_connections: Callable[[str], int] = lambda _namespace: 0  # of a namespace, in this process
        self._questions = Questions(self._loop, patience_s)
        self.gauges: Callable[[], Gauges] = Gauges  # how this process is
        self._gauges = Gauges()  # as the inbox was told

    async def start(self) -> None:
        """Connect. Raises OSError."""
        await self._connect()
        self._sweeping = self._loop.call_later(1.0, self._sweep)

    async def first_ports(self) -> None:
        """Wait until the inbox has told, once, at which ports of namespaces to listen."""
        await self._told.wait()

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._transport is not None

    def send(
        self,
        uuid: str,
        head: Head,
        payload: Callable[[], Sequence[Stretch]],
        raw: Segment,
        answer: Callable[[str], None],
    ) -> None:
        """Send a mail; `answer` gets "" once it is committed, else what was wrong, and never from within this call.

        `payload` makes its JSON, each time it is written. Nothing of it may be changed before the answer.
        """
        self._number = (self._number + 1) % MAX_NUMBER
        self._sent[self._number] = _Sent(uuid, head, payload, raw, self._loop.time() + self._patience_s, answer)
        self._waiting[self._number] = None
        if self._writing is None:  # with what else comes before the loop looks at its sockets again
            self._writing = self._loop.call_soon(self._write_waiting)

    @property
    def in_flight(self) -> int:
        """Octets of mails that are written and not acknowledged."""
        return self._in_flight

    def _write_waiting(self) -> None:
        """Write the mails for which there is room, in the order in which they came."""
        self._writing = None
        transport = self._transport
        if transport is None or self._blocks is not None:
            return
        plain: list[Segment] = []
        while self._waiting and self._blocks is None:
            number = next(iter(self._waiting))
            sent = self._sent[number]
            if self._in_flight and self._in_flight + len(sent.raw) >= self._window:
                break
            del self._waiting[number]
            try:
                stretches = mail_frame(number, sent.head, sent.payload(), sent.raw)
            except Exception:
                self._fail(number)
                continue
            sent.written = True
            plain += self._written_of(number, stretches, len(sent.raw))
        if plain or self._blocks is not None:
            self._write_counts(transport)
            if plain:
                transport.writelines(plain)
            self._write_blocks()

    def _fail(self, number: int) -> None:
        """A fault of ours: the mail has no JSON."""
        self._log.exception("mail cannot be filed")
        if number in self._sent:
            self._refuse([number], "the mail cannot be encoded; the log says why")

    def _written_of(self, number: int, stretches: list[Stretch], raw_octets: int) -> list[Segment]:
        """Count a mail that is written. Returns its segments; those of a large one are written by `_write_blocks`."""
        octets = octets_of(stretches)
        plain = [one for one in stretches if isinstance(one, (bytes, bytearray))]
        json = octets_of(plain) - raw_octets
        self._written[number] = octets, json
        self._in_flight += octets
        self._json += json
        self._on_json(self._json)
        if len(plain) == len(stretches):
            return plain
        self._blocks = blocks_of(stretches)
        self._blocks_of = number
        return []

    def _write_blocks(self) -> None:
        """Go on with a large mail as far as the inbox takes it, but not for long; nothing else is written meanwhile."""
        ends = self._loop.time() + SLICE_S
        while self._blocks is not None and self._transport is not None and not self._blocked:
            if self._loop.time() > ends:
                self._loop.call_soon(self._write_blocks)
                return
            try:
                block = next(self._blocks, None)
            except Exception:
                self._fail(self._blocks_of)
                self._transport.abort()  # half of a frame is written
                return
            if block is not None:
                self._transport.write(block)
                continue
            self._blocks = None
            self._transport.writelines(self._behind)
            self._behind = []
            self._flush_counts()
            if self._listening is not None:
                self.tell_listening(self._listening)
            self._loop.call_soon(self._write_waiting)

    def count(self, namespace: str, event: str, step: int = 1) -> None:
        """Tell the ledger of a namespace about something that happened; sent with the next mail, or soon."""
        self._reports.count(namespace, event, step)
        if self._flushing is None:
            self._flushing = self._loop.call_later(0.02, self._flush_counts)

    # plans

    def ask(self, asking: Asking, answer: Callable[[Decided | None], None]) -> None:
        """Ask plans; `answer` gets what one does, and never from within this call.

        It is None, and the command goes on, where no plan acts, and where the inbox does not answer.
        """
        if self._transport is None:
            self._loop.call_soon(answer, None)
            return
        self._number = (self._number + 1) % MAX_NUMBER
        self._questions.add(self._number, answer)
        self._write_whole(question_frame(self._number, asking))

    def _write_whole(self, frame: bytes) -> None:
        """Write a frame, behind the mail that is being written."""
        if self._blocks is None and self._transport is not None:
            self._transport.write(frame)
        else:
            self._behind.append(frame)

    def on_decision(self, number: int, decided: Decided | None) -> None:
        """The inbox told what a plan does."""
        self._questions.answer(number, decided)

    def on_census(self, number: int, namespace: str) -> None:
        """The inbox wants to know how many connections a namespace has here."""
        self._write_whole(counts_frame(Counts(census=(number, self.count_connections(namespace)))))

    def _flush_counts(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self._transport is not None and not self._blocked and self._blocks is None:
            self._write_counts(self._transport)

    def _write_counts(self, transport: asyncio.Transport) -> None:
        counts = self._reports.take()
        if counts is not None:
            transport.write(counts_frame(counts))

    def close(self) -> None:
        """Refuse what is not acknowledged, and close."""
        self._closed = True
        self.spool.close()
        self._flush_counts()
        for task in (self._sweeping, self._connecting):
            if task is not None:
                task.cancel()
        self._refuse(list(self._sent), "the server stops")
        self._questions.let_pass()
        if self._transport is not None:
            if self._blocks is None:
                self._transport.write(counts_frame(Counts(left=True)))
            self._transport.close()

    def _sweep(self) -> None:
        self._sweeping = self._loop.call_later(1.0, self._sweep)
        self._tell_gauges()
        self._flush_counts()  # what could not be committed
        now = self._loop.time()
        overdue = [number for number, sent in self._sent.items() if sent.deadline <= now]
        if overdue:
            self._log.error("the inbox does not take mails", mails=len(overdue))
            self._refuse(overdue, "the inbox does not answer")
        self._questions.let_overdue_pass()

    def _tell_gauges(self) -> None:
        gauges = self.gauges()
        if self._transport is not None and not self._blocked and self._blocks is None and gauges != self._gauges:
            self._gauges = gauges
            self._transport.write(counts_frame(Counts(gauges=gauges)))

    def _refuse(self, numbers: list[int], why: str) -> None:
        for number in numbers:
            sent = self._sent.pop(number)
            self._waiting.pop(number, None)
            if sent.written:
                self._reports.withdraw(number, sent.uuid, sent.head)
            self._loop.call_soon(sent.answer, why)
        self._flush_counts()

    # the connection

    async def _connect(self) -> None:
        await self._loop.create_unix_connection(lambda: _Connection(self), self._path)

    def on_connected(self, transport: asyncio.Transport) -> None:
        """There is a connection: what is not acknowledged is sent again."""
        self._transport = transport
        self._gauges = Gauges()
        for counts in self._reports.hello():
            transport.write(counts_frame(counts))
        self._flush_counts()
        self._waiting = dict.fromkeys(self._sent)
        self._write_waiting()

    def on_verdicts(self, verdicts: list[tuple[int, str]]) -> None:
        """The inbox told what became of mails."""
        for number, wrong in verdicts:
            if number < 0:
                self._reports.on_reported(-number, wrong)
                continue
            octets, json = self._written.pop(number, (0, 0))
            self._in_flight -= octets
            self._json -= json
            sent = self._sent.pop(number, None)
            if sent is not None:
                sent.answer(wrong)
        self._on_json(self._json)
        self._write_waiting()

    def on_blocked(self, blocked: bool) -> None:
        """The inbox reads nothing, or reads on: counts of the ledger are added up meanwhile."""
        self._blocked = blocked
        self._flush_counts()
        self._write_blocks()

    def on_orders(self, number: int, orders: Orders) -> None:
        """The inbox told at which ports of namespaces to listen, and of which mails nothing is to be sent."""
        self.ports = number, orders.ports
        self.counting = orders.counting
        self.spool.use(orders.spool)
        self.plans.take(orders.plans)
        self._told.set()
        self.on_ports()

    def tell_listening(self, listening: ListeningReport) -> None:
        """Tell the inbox where this process listens."""
        self._listening = listening
        if self._transport is not None and self._blocks is None:
            self._transport.write(counts_frame(Counts(listening=listening)))
            self._listening = None

    def on_lost(self) -> None:
        """The connection is gone, and what was written with it."""
        self._transport = None
        self._blocked = False
        self._blocks = None
        self._written.clear()
        self._in_flight = self._json = 0
        self._behind = []
        self._on_json(0)
        self._questions.let_pass()
        self.plans.clear()
        if not self._closed:
            self._log.warning("the inbox is gone, connecting again", mails=len(self._sent))
            self._connecting = self._loop.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._connect()
            except OSError:
                await asyncio.sleep(backoff.after(0.0))
            else:
                return


class _Connection(asyncio.Protocol):
    """One connection of a link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._decoder = FrameDecoder()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._link.on_connected(self._transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            for frame in self._decoder.feed(data):
                self._on_frame(frame)
        except FrameError:  # it is no inbox
            self._transport.abort()

    def _on_frame(self, frame: Frame) -> None:
        link, options = self._link, frame.options
        if not options:
            link.on_verdicts(read_verdicts(frame))
        elif len(options) == 1:
            link.on_orders(options[0], read_orders(frame))
        elif len(options) == 2:
            link.on_decision(options[0], read_decision(frame))
        else:
            link.on_census(options[0], read_census(frame))

    def pause_writing(self) -> None:
        self._link.on_blocked(True)

    def resume_writing(self) -> None:
        self._link.on_blocked(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.on_lost()
