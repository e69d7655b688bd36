"""Publishes mails, and tells of each when a quorum of the servers has it.

A strategy in five steps:
1. A mail is published when there is credit for it: at most so many mails and octets are not confirmed at a time. The
   others wait here, and their sessions read nothing meanwhile.
2. All confirmations come to one reply subject, whose last token is the number of an attempt.
3. Without a confirmation in two seconds, after an answer that may be another one later, or when the connection was
   lost, the mail is published again under the same `Nats-Msg-Id`, by which the servers know it, with growing delay.
   Where nothing is confirmed for four seconds, the server may be cut off from the others: it is left for another one.
4. A confirmation is a 250, that of a duplicate, too. A full stream, or a mail that is too large, is told at once.
5. After `ack_timeout` the mail is given up: the client is told 451, though the mail may be there. That is counted.

A large mail is published by chunks, one large mail at a time, so that small ones come in between.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.message import NATSMessage, Outgoing, batch, fits, whole
from fastsmtp.smtp.events import Verdict

_PATIENCE_S: Final = 2.0  # for a confirmation, before the mail is published again
_FIRST_S: Final = 0.05  # of the delays before that ...
_LAST_S: Final = 1.0
_SWEEP_S: Final = 0.1
_DEAF_S: Final = 4.0

# Error codes of JetStream.
_DUPLICATE: Final = 10201  # in a batch
_FULL: Final = frozenset({10023, 10028, 10047, 10077})  # resources of server, account or stream
_TOO_LARGE: Final = frozenset({10054, 10199})  # the message, or the number of chunks


class PublishError(msgspec.Struct, frozen=True):
    """Why a server refuses a message."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class Confirmation(msgspec.Struct, frozen=True):
    """What a server says of a message."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: PublishError | None = None


class Wire(Protocol):
    """The connection with the servers: a `connection.NATSConnection`."""

    @property
    def connected(self) -> bool:
        """Whether there is one at the moment."""

    @property
    def max_payload(self) -> int:
        """Octets of the largest message that the server takes, its header included."""

    def doubt(self) -> None:
        """Nothing is heard of what was published: go to another server."""

    async def publish(self, message: NATSMessage, reply: str = "") -> None:
        """Write a message. Raises `NotConnectedError`; waits while the server reads nothing."""


class NotConnectedError(Exception):
    """There is no connection at the moment."""


@dataclass(slots=True)
class PublisherCounts:
    """What has happened so far; the numbers only grow."""

    published: int = 0  # mails
    confirmed: int = 0
    duplicates: int = 0  # of those confirmed, mails that an earlier attempt had published
    repeated: int = 0  # attempts after the first
    refused: int = 0  # mails for which there is no room, or which are too large
    unknown: int = 0  # mails of which nothing was heard: they may be there


class _Pending:
    """A mail that is not confirmed yet."""

    __slots__ = ("answer", "attempts", "deadline", "due", "mail", "queued", "tokens")

    def __init__(self, mail: Outgoing, deadline: float, answer: Callable[[Verdict], None]) -> None:
        self.mail = mail
        self.deadline = deadline  # loop time
        self.answer = answer
        self.attempts = 0
        self.queued = False  # to be written, or being written
        self.due = 0.0  # when it is to be published again, loop time
        self.tokens: list[int] = []  # its attempts


class Publisher:
    """Publishes mails over one connection."""

    def __init__(
        self, wire: Wire, inbox: str, log: FilteringBoundLogger, *, mails: int, octets: int, ack_timeout_s: float
    ) -> None:
        """`inbox` is the reply subject without its last token. At most `mails` and `octets` are in flight."""
        self._wire: Final = wire
        self._inbox: Final = inbox
        self._log: Final = log
        self._mails: Final = mails
        self._octets: Final = octets
        self._ack_timeout_s: Final = ack_timeout_s
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Pending] = deque()  # without credit
        self._pending: dict[_Pending, None] = {}  # with credit, the oldest first
        self._by_token: dict[int, _Pending] = {}
        self._token = 0
        self._in_flight = 0  # octets
        self._heard = 0.0  # loop time of the last confirmation, or when one was awaited first
        self._small: deque[_Pending] = deque()  # to be written now
        self._large: deque[_Pending] = deque()
        self._wake_small = asyncio.Event()
        self._wake_large = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False
        self.on_confirmed: Callable[[Outgoing, int], None] = lambda _mail, _seq: None  # with its number, 0 = not known
        self.counts = PublisherCounts()

    def start(self) -> None:
        """Begin to write."""
        self._tasks = [
            asyncio.ensure_future(self._write(self._small, self._wake_small)),
            asyncio.ensure_future(self._write(self._large, self._wake_large)),
        ]
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)

    @property
    def in_flight(self) -> tuple[int, int]:
        """Mails and octets that are published and not confirmed."""
        return len(self._pending), self._in_flight

    @property
    def waiting(self) -> int:
        """Mails for which there is no credit."""
        return len(self._waiting)

    def publish(self, mail: Outgoing, answer: Callable[[Verdict], None]) -> None:
        """Publish a mail; `answer` is called once, and never from within this call."""
        pending = _Pending(mail, self._loop.time() + self._ack_timeout_s, answer)
        if self._closed:
            self._loop.call_soon(answer, Verdict.STORAGE_FAILED)
            return
        self.counts.published += 1
        self._waiting.append(pending)
        self._give_credit()

    def _give_credit(self) -> None:
        """Write mails that wait, as far as there is credit; one may always be in flight."""
        while self._waiting and len(self._pending) < self._mails:
            size = self._waiting[0].mail.size
            if self._pending and self._in_flight + size > self._octets:
                break
            pending = self._waiting.popleft()
            if not self._pending:
                self._heard = self._loop.time()
            self._pending[pending] = None
            self._in_flight += size
            self._write_soon(pending)

    def _write_soon(self, pending: _Pending) -> None:
        pending.queued = True
        if fits(pending.mail, self._wire.max_payload):
            self._small.append(pending)
            self._wake_small.set()
        else:
            self._large.append(pending)
            self._wake_large.set()

    async def _write(self, queue: deque[_Pending], wake: asyncio.Event) -> None:
        while True:
            await wake.wait()
            wake.clear()
            while queue:
                pending = queue.popleft()
                if pending in self._pending:
                    await self._write_one(pending)
                pending.queued = False

    async def _write_one(self, pending: _Pending) -> None:
        mail = pending.mail
        self._token += 1
        token = self._token
        self._by_token[token] = pending
        pending.tokens.append(token)
        pending.attempts += 1
        if pending.attempts > 1:
            self.counts.repeated += 1
        try:
            if fits(mail, self._wire.max_payload):
                await self._wire.publish(whole(mail), f"{self._inbox}.{token}")
            else:
                await self._write_batch(pending, token)
            pending.due = self._loop.time() + _PATIENCE_S
        except NotConnectedError:
            self._later(pending)
        except Exception:  # a fault of ours: it does not become another one by being tried again
            self._log.exception("a mail cannot be published", uuid=mail.header.uuid)
            self._settle(pending, Verdict.STORAGE_FAILED)

    async def _write_batch(self, pending: _Pending, token: int) -> None:
        """Publish in chunks. The batch has a name of its own for each attempt: one that broke off leaves nothing."""
        mail, reply = pending.mail, f"{self._inbox}.{token}"
        for message in batch(mail, f"{mail.header.uuid}-{pending.attempts}", self._wire.max_payload):
            is_last = not message.body
            await self._wire.publish(message, reply if is_last else "")
            await asyncio.sleep(0)  # each is copied some times: others have their turn in between

    def on_reply(self, token: str, body: bytes) -> None:
        """The servers have answered an attempt; an empty body says that there is no server for the subject."""
        pending = self._by_token.get(int(token)) if token.isdecimal() else None
        if pending is None:
            return
        try:
            confirmation = msgspec.json.decode(body, type=Confirmation) if body else Confirmation()
        except ValueError:
            self._log.error("no confirmation of a server", body=body[:200].decode("utf-8", "replace"))
            return
        self._judge(pending, confirmation)

    def _judge(self, pending: _Pending, confirmation: Confirmation) -> None:
        error = confirmation.error
        if error is None and confirmation.stream:
            self.counts.duplicates += confirmation.duplicate
            self._confirm(pending, confirmation.seq)
        elif error is not None and error.err_code == _DUPLICATE:
            self.counts.duplicates += 1
            self._confirm(pending, 0)
        elif error is not None and (error.err_code in _FULL or error.err_code in _TOO_LARGE):
            verdict = Verdict.STORAGE_FULL if error.err_code in _FULL else Verdict.TOO_LARGE
            self._log.error("a mail is refused by the cluster", uuid=pending.mail.header.uuid, reason=error.description)
            self.counts.refused += 1
            self._settle(pending, verdict)
        else:
            self._later(pending)

    def _confirm(self, pending: _Pending, seq: int) -> None:
        self._heard = self._loop.time()
        self.on_confirmed(pending.mail, seq)
        self._settle(pending, Verdict.ACCEPT)

    def _later(self, pending: _Pending) -> None:
        """Publish it again, after a delay that grows."""
        delay_s = min(_LAST_S, _FIRST_S * 2 ** max(0, pending.attempts - 1))
        pending.due = self._loop.time() + delay_s * random.uniform(0.5, 1.0)

    def on_reconnected(self) -> None:
        """There is a connection again: what was written to the last one may be lost with it."""
        now = self._loop.time()
        for pending in self._pending:
            pending.due = min(pending.due, now + random.uniform(0.0, _FIRST_S))

    def _sweep(self) -> None:
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)
        now = self._loop.time()
        while self._waiting and self._waiting[0].deadline <= now:
            self._give_up(self._waiting.popleft())
        connected = self._wire.connected
        if self._pending and connected and now - self._heard > _DEAF_S:
            self._heard = now
            self._wire.doubt()
        for pending in list(self._pending):
            if pending.deadline <= now:
                self._give_up(pending)
            elif pending.due <= now and connected and not pending.queued:
                self._write_soon(pending)

    def _give_up(self, pending: _Pending) -> None:
        if pending.attempts:
            self.counts.unknown += 1
        self._log.error("the cluster does not confirm a mail", uuid=pending.mail.header.uuid, attempts=pending.attempts)
        self._settle(pending, Verdict.STORAGE_FAILED)

    def _settle(self, pending: _Pending, verdict: Verdict) -> None:
        if pending in self._pending:
            del self._pending[pending]
            self._in_flight -= pending.mail.size
        for token in pending.tokens:
            del self._by_token[token]
        pending.tokens.clear()
        if verdict is Verdict.ACCEPT:
            self.counts.confirmed += 1
        try:
            pending.answer(verdict)
        except Exception:
            self._log.exception("the verdict on a mail could not be told")
        self._give_credit()

    def close(self) -> None:
        """Refuse what is not confirmed, and write nothing more."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._sweeping is not None:
            self._sweeping.cancel()
        waiting, self._waiting = list(self._waiting), deque()
        for pending in [*self._pending, *waiting]:
            self._give_up(pending)
