"""The way from an SMTP process to the inbox: one connection with many mails in flight, made again where it breaks.

A mail whose acknowledgement was lost is sent again after a reconnect; the inbox knows it by its uuid.

What is written and not acknowledged has a limit: `window` octets, or one mail that is larger. Other mails wait here, at
most `patience_s`, and their sessions with them: backpressure counts them. However many mails are refused while the
inbox reads nothing, no more than the window stays in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, cast

from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import FrameError
from fastsmtp.goridge.frame import FrameDecoder
from fastsmtp.inbox.frames import (
    MAX_NUMBER,
    Counts,
    Gauges,
    Head,
    ListeningReport,
    Orders,
    counts_frame,
    mail_frame,
    read_orders,
    read_verdicts,
)
from fastsmtp.inbox.ledger import BEGUN, ENDS, MAX_NAMES
from fastsmtp.system.backoff import Backoff

WINDOW: Final = 16 * 1024 * 1024  # octets: a group of mails is committed while the next one is on its way
PATIENCE_S: Final = 10.0  # for an inbox that was killed, or whose disk is stuck; then the mail is refused


class _Sent:
    """A mail that is not acknowledged yet."""

    __slots__ = ("answer", "deadline", "octets", "segments", "uuid", "written")

    def __init__(
        self, uuid: str, segments: list[bytes | bytearray], deadline: float, answer: Callable[[str], None]
    ) -> None:
        self.uuid = uuid
        self.segments = segments
        self.octets = sum(map(len, segments))
        self.written = False  # to some connection: the inbox may have it
        self.deadline = deadline  # loop time
        self.answer = answer


class Link:
    """Sends mails to the inbox at a Unix socket, and tells what became of each."""

    def __init__(
        self, path: str, log: FilteringBoundLogger, *, patience_s: float = PATIENCE_S, window: int = WINDOW
    ) -> None:
        self._path = path
        self._log = log
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._sent: dict[int, _Sent] = {}  # by number, the oldest first
        self._number = 0
        self._window = window
        self._waiting: dict[int, None] = {}  # numbers of mails that are not written, the oldest first
        self._written: dict[int, int] = {}  # octets of what is written and not acknowledged, by number
        self._in_flight = 0  # the sum of them
        self._writing: asyncio.Handle | None = None  # of what waits
        self._blocked = False  # the inbox reads nothing at the moment
        self._withdrawn: list[str] = []
        self._events: dict[str, dict[str, int]] = {}  # not told yet, by namespace
        self._open: dict[str, int] = {}  # mails that have begun and not ended, by namespace
        self._flushing: asyncio.Handle | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False
        self._told = asyncio.Event()
        self.ports: tuple[int, dict[str, str]] = (0, {})  # what the inbox has told last
        self.counting: frozenset[str] = frozenset()  # namespaces whose accepted mails the inbox only counts
        self.on_ports: Callable[[], None] = lambda: None  # it has told something new
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
        payload: Sequence[bytes | bytearray],
        raw: bytes | bytearray,
        answer: Callable[[str], None],
    ) -> None:
        """Send a mail; `answer` gets "" once it is committed, else what was wrong, and never from within this call.

        Nothing of it may be changed before that.
        """
        self._number = (self._number + 1) % MAX_NUMBER
        segments = mail_frame(self._number, head, payload, raw)
        self._sent[self._number] = _Sent(uuid, segments, self._loop.time() + self._patience_s, answer)
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
        if self._transport is None:
            return
        segments: list[bytes | bytearray] = []
        while self._waiting:
            number = next(iter(self._waiting))
            sent = self._sent[number]
            if self._in_flight and self._in_flight + sent.octets > self._window:
                break
            del self._waiting[number]
            self._written[number] = sent.octets
            self._in_flight += sent.octets
            sent.written = True
            segments += sent.segments
        if segments:
            self._write_counts(self._transport)
            self._transport.writelines(segments)

    def count(self, namespace: str, event: str, step: int = 1) -> None:
        """Tell the ledger of a namespace about something that happened; sent with the next mail, or soon.

        While the inbox reads nothing, what is beyond `MAX_NAMES` namespaces is counted for none of them.
        """
        known = namespace in self._events or len(self._events) < MAX_NAMES
        events = self._events.setdefault(namespace if known else "", {})
        events[event] = events.get(event, 0) + step
        if event == BEGUN or event in ENDS:
            left = self._open.get(namespace, 0) + (step if event == BEGUN else -step)
            if left:
                self._open[namespace] = left
            else:
                self._open.pop(namespace, None)
        if self._flushing is None:
            self._flushing = self._loop.call_later(0.02, self._flush_counts)

    def _flush_counts(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self._transport is not None and not self._blocked:
            self._write_counts(self._transport)

    def _write_counts(self, transport: asyncio.Transport) -> None:
        if self._events or self._withdrawn:
            transport.write(counts_frame(Counts(self._events, self._withdrawn)))
            self._events, self._withdrawn = {}, []

    def close(self) -> None:
        """Refuse what is not acknowledged, and close."""
        self._closed = True
        self._flush_counts()
        for task in (self._sweeping, self._connecting):
            if task is not None:
                task.cancel()
        if self._transport is not None:
            self._transport.close()
        self._refuse(list(self._sent), "the server stops")

    def _sweep(self) -> None:
        self._sweeping = self._loop.call_later(1.0, self._sweep)
        self._tell_gauges()
        now = self._loop.time()
        overdue = [number for number, sent in self._sent.items() if sent.deadline <= now]
        if overdue:
            self._log.error("the inbox does not take mails", mails=len(overdue))
            self._refuse(overdue, "the inbox does not answer")

    def _tell_gauges(self) -> None:
        gauges = self.gauges()
        if self._transport is not None and not self._blocked and gauges != self._gauges:
            self._gauges = gauges
            self._transport.write(counts_frame(Counts(gauges=gauges)))

    def _refuse(self, numbers: list[int], why: str) -> None:
        for number in numbers:
            sent = self._sent.pop(number)
            self._waiting.pop(number, None)
            if sent.written:
                self._withdrawn.append(sent.uuid)  # it may have been committed all the same
            self._loop.call_soon(sent.answer, why)
        self._flush_counts()

    # the connection

    async def _connect(self) -> None:
        await self._loop.create_unix_connection(lambda: _Connection(self), self._path)

    def on_connected(self, transport: asyncio.Transport) -> None:
        """There is a connection: what is not acknowledged is sent again, and what is in flight begins again."""
        self._transport = transport
        self._gauges = Gauges()
        for namespace, count in self._open.items():
            events = self._events.setdefault(namespace, {})
            events[BEGUN] = count + sum(events.get(event, 0) for event in ENDS)
        self._flush_counts()
        self._waiting = dict.fromkeys(self._sent)
        self._write_waiting()

    def on_verdicts(self, verdicts: list[tuple[int, str]]) -> None:
        """The inbox told what became of mails."""
        for number, wrong in verdicts:
            self._in_flight -= self._written.pop(number, 0)
            sent = self._sent.pop(number, None)
            if sent is not None:
                sent.answer(wrong)
        self._write_waiting()

    def on_blocked(self, blocked: bool) -> None:
        """The inbox reads nothing, or reads on: counts of the ledger are added up meanwhile."""
        self._blocked = blocked
        self._flush_counts()

    def on_orders(self, number: int, orders: Orders) -> None:
        """The inbox told at which ports of namespaces to listen, and of which mails nothing is to be sent."""
        self.ports = number, orders.ports
        self.counting = orders.counting
        self._told.set()
        self.on_ports()

    def tell_listening(self, listening: ListeningReport) -> None:
        """Tell the inbox where this process listens."""
        if self._transport is not None:
            self._transport.write(counts_frame(Counts(listening=listening)))

    def on_lost(self) -> None:
        """The connection is gone, and what was written with it."""
        self._transport = None
        self._blocked = False
        self._written.clear()
        self._in_flight = 0
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
                orders = read_orders(frame)
                if orders is None:
                    self._link.on_verdicts(read_verdicts(frame))
                else:
                    self._link.on_orders(*orders)
        except FrameError:  # it is no inbox
            self._transport.abort()

    def pause_writing(self) -> None:
        self._link.on_blocked(True)

    def resume_writing(self) -> None:
        self._link.on_blocked(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.on_lost()
