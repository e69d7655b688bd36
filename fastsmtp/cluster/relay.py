"""The relay: mails go from the streams to workers, and what a worker did with each goes back.

| what the worker did                              | what becomes of the mail                            |
|--------------------------------------------------|-----------------------------------------------------|
| it answered                                      | acknowledged: it is not delivered again             |
| it died, was killed, sent garbage                | delivered again after a delay, to any relay         |
| the same, and it was the fifth delivery          | it goes to `dead.…`, and is then acknowledged       |
| there was none free in `allocate_timeout`        | it waits on, here                                   |

While a mail is in hand the servers are told so every five seconds: it is not delivered to another relay, however long
workers take. When this process dies, it is, after fifteen. So workers get each mail at least once, and its uuid tells
which they had.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.email import Segment
from fastsmtp.capture.handling import Handling
from fastsmtp.cluster.bodies import MissingError, WorkerShape, frame, frame_at_once, read_chunks
from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import Death, MailHeader, NATSMessage, Outgoing, read_header
from fastsmtp.cluster.publisher import NotConnectedError
from fastsmtp.cluster.pull import Puller
from fastsmtp.cluster.subjects import Subjects
from fastsmtp.delivery.destination import ACCEPTED
from fastsmtp.delivery.payload import Payload
from fastsmtp.delivery.workers import Executor
from fastsmtp.smtp.events import Verdict
from fastsmtp.text import timestamp

if TYPE_CHECKING:
    from nats.aio.msg import Msg

MAX_DELIVERIES: Final = 5
ACK_WAIT_S: Final = 15.0  # after which a mail of a relay that is gone is delivered again
_PROGRESS_S: Final = 5.0  # how often the servers are told that a mail is in hand, however long workers take
_DELAYS_S: Final = (0.2, 1.0, 2.0, 5.0)  # before a mail is delivered again
_RETRY_S: Final = 1.0  # for a mail for which there was no worker
_NANO: Final = 1_000_000_000

_ACK: Final = b"+ACK"
_IN_PROGRESS: Final = b"+WPI"
_TERM: Final = b"+TERM"


class DeadLetterPublishing(Protocol):
    """Publishes mails: a `publisher.Publisher`."""

    def publish(self, mail: Outgoing, answer: Callable[[Verdict], None]) -> None:
        """See `Publisher.publish`."""


@dataclass(slots=True)
class RelayCounts:
    """What has happened so far; the numbers only grow."""

    deliveries: int = 0  # of mails to this relay
    acknowledged: int = 0
    redeliveries: int = 0  # to be delivered again, because a worker failed
    dead: int = 0
    unreadable: int = 0  # messages that are not mails, or of which a part is gone


@dataclass(eq=False, slots=True)
class _InHand:
    """A mail that is here; a `Job` of the pool."""

    relay: ClusterRelay
    partition: int
    reply: str
    subject: str
    stream: str
    seq: int
    deliveries: int
    header: MailHeader
    body: Segment
    payload: Payload = field(default_factory=lambda: ([], []))

    def take_payload(self) -> tuple[Sequence[Segment], Sequence[Segment]]:
        """See `Job`."""
        return self.payload

    def on_verdict(self, verdict: Verdict, _waited_s: float, _handling: Handling | None = None) -> None:
        """See `Job`."""
        self.relay.on_verdict(self, verdict)


class ClusterRelay:
    """Gives mails of all partitions to the workers of this process."""

    def __init__(
        self,
        connection: NATSConnection,
        executor: Executor,
        publisher: DeadLetterPublishing,
        wanted: WorkerShape,
        log: FilteringBoundLogger,
        *,
        streams: Sequence[str],
        window: int,
        progress_s: float = _PROGRESS_S,
    ) -> None:
        """`window` is how many mails may be here at a time: some for each worker.

        The servers are told every `progress_s` that a mail is here: a fraction of the consumers' `ack_wait`.
        """
        self._connection: Final = connection
        self._executor: Final = executor
        self._publisher: Final = publisher
        self._wanted: Final = wanted
        self._log: Final = log
        self._progress_s: Final = progress_s
        self._loop = asyncio.get_running_loop()
        self._puller = Puller(connection, streams, window, log, self._on_mail)
        self._in_hand: dict[_InHand, None] = {}
        self._answers: deque[tuple[str, bytes]] = deque()  # to be written
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Future[None]] = set()
        self._stopping = False
        self.counts = RelayCounts()

    async def start(self) -> None:
        """Begin to take mails."""
        self._spawn(self._write_answers())
        self._spawn(self._tell_progress())
        await self._puller.start()

    def on_reconnected(self) -> None:
        """There is a connection again."""
        self._puller.on_reconnected()

    @property
    def in_hand(self) -> int:
        """Mails that are here."""
        return len(self._in_hand)

    def pause(self) -> None:
        """Take no more mails; those that come all the same, or wait for a worker, go to other relays."""
        self._stopping = True
        self._puller.pause()

    async def stop(self) -> None:
        """Write the answers that are left, as far as there is a connection. The pool has ended."""
        while self._answers and self._connection.connected:
            self._wake.set()
            await asyncio.sleep(0.01)
        self.abort()

    def abort(self) -> None:
        """End at once: what is in hand is delivered to another relay."""
        self.pause()
        for task in list(self._tasks):
            task.cancel()

    # the way of a mail

    def _on_mail(self, partition: int, message: Msg) -> None:
        self.counts.deliveries += 1
        about = message.metadata
        seq, stream = about.sequence.stream, about.stream
        try:
            header = read_header(message.headers)
        except ValueError as error:
            self._drop(partition, message.reply, stream, seq, f"not a mail: {error}")
            return
        mail = _InHand(
            self, partition, message.reply, message.subject, stream, seq, about.num_delivered, header, message.data
        )
        self._in_hand[mail] = None
        if self._stopping:
            self._give_back(mail, 0.0)
            return
        payload = frame_at_once(header, mail.body, self._wanted)
        if payload is None:
            self._spawn(self._prepare(mail))
        else:
            mail.payload = payload
            self._executor.exec(mail)

    async def _prepare(self, mail: _InHand) -> None:
        """Fetch the chunks of a large mail, and make the frame of it."""
        try:
            if mail.header.chunks:
                mail.body = await read_chunks(self._connection, mail.stream, mail.seq, mail.header)
            mail.payload = await frame(mail.header, mail.body, self._wanted)
        except MissingError as error:
            del self._in_hand[mail]
            self._drop(mail.partition, mail.reply, mail.stream, mail.seq, str(error))
        except Exception as error:  # the servers do not answer, or it is a fault of ours
            self._log.warning("a mail cannot be read", uuid=mail.header.uuid, reason=str(error) or type(error).__name__)
            self._fail(mail, "it cannot be read")
        else:
            self._executor.exec(mail)

    def on_verdict(self, mail: _InHand, verdict: Verdict) -> None:
        """The pool has decided."""
        if verdict in ACCEPTED:
            self.counts.acknowledged += 1
            self._finish(mail, _ACK)
        elif verdict is not Verdict.NO_WORKER:
            self._fail(mail, verdict.value)
        elif self._stopping:
            self._give_back(mail, 0.0)
        else:
            self._loop.call_later(_RETRY_S, self._executor.exec, mail)

    def _fail(self, mail: _InHand, reason: str) -> None:
        if mail.deliveries < MAX_DELIVERIES:
            self.counts.redeliveries += 1
            self._give_back(mail, _DELAYS_S[min(mail.deliveries, len(_DELAYS_S)) - 1])
        else:
            self._bury(mail, reason)

    def _give_back(self, mail: _InHand, delay_s: float) -> None:
        delay = f' {{"delay": {int(delay_s * _NANO)}}}' if delay_s else ""
        self._finish(mail, b"-NAK" + delay.encode())

    def _bury(self, mail: _InHand, reason: str) -> None:
        """Publish a mail among the dead; only then it is acknowledged."""
        death = Death(reason, mail.deliveries, timestamp(int(time.time())), mail.stream, mail.seq)
        copy = Outgoing(
            Subjects.of(mail.subject).dead(),
            f"dead.{mail.stream}.{mail.seq}",
            mail.header,
            [mail.body],
            len(mail.body),
            death,
        )
        self._log.error(
            "no worker takes a mail, it is among the dead now",
            uuid=mail.header.uuid,
            reason=reason,
            deliveries=mail.deliveries,
        )
        self._publisher.publish(copy, functools.partial(self._on_buried, mail))

    def _on_buried(self, mail: _InHand, verdict: Verdict) -> None:
        if verdict in ACCEPTED:
            self.counts.dead += 1
            self._finish(mail, _ACK)
        else:
            self._give_back(mail, _DELAYS_S[-1])

    def _drop(self, partition: int, reply: str, stream: str, seq: int, why: str) -> None:
        self.counts.unreadable += 1
        self._log.error("a message is left out", stream=stream, seq=seq, reason=why)
        self._answer(reply, _TERM)
        self._puller.done(partition)

    def _finish(self, mail: _InHand, answer: bytes) -> None:
        del self._in_hand[mail]
        mail.payload = [], []
        self._answer(mail.reply, answer)
        self._puller.done(mail.partition)

    # what is written

    def _answer(self, reply: str, answer: bytes) -> None:
        self._answers.append((reply, answer))
        self._wake.set()

    async def _write_answers(self) -> None:
        """Write answers in order; they wait for a connection, since one that is lost means another delivery."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._answers:
                reply, answer = self._answers[0]
                try:
                    await self._connection.publish(NATSMessage(reply, {}, answer))
                except NotConnectedError:
                    await asyncio.sleep(0.1)
                else:
                    self._answers.popleft()

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(self._progress_s)
            for mail in self._in_hand:
                self._answer(mail.reply, _IN_PROGRESS)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
