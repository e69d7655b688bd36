"""Fault plans of a cluster: one stream has each plan, and each question to one. Every front and inbox reads all of it.

A plan is a machine: what it does depends on what it was asked, in which order, and when. The stream says both, the same
to each node. So all of them have the same counters, "the next three" are three over all fronts, and none of them has
to be asked by others.

1. A front publishes a question, and knows the answer when it reads it back. Plans are for tests: commands that no plan
   is asked about cost nothing.
2. A plan that is put, or removed, stands in the same order. Who put it waits until all live fronts have read it.
3. A node that starts reads what there is; what is behind a plan is deleted with it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.identifier import uuid7
from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import MESSAGE_ID
from fastsmtp.cluster.publisher import Confirmation
from fastsmtp.cluster.streamreader import StreamReader
from fastsmtp.cluster.subjects import PLAN, QUESTION, namespace_of, plan_stream_name, token_of
from fastsmtp.errors import ClusterAwayError
from fastsmtp.faults.plan import FaultPlan
from fastsmtp.faults.question import PlanError, Question
from fastsmtp.inbox.frames import Asking, Decided
from fastsmtp.inbox.planset import PlanAct, PlanSet
from fastsmtp.inbox.plansknown import PlansKnown

if TYPE_CHECKING:
    from nats.aio.msg import Msg

PATIENCE_S: Final = 10.0
_AGAIN_S: Final = 0.1


class PlanChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of the plan of a namespace. `spec` None: it is removed, unless `magic` alone is told."""

    spec: dict[str, Any] | None = None
    magic: bool | None = None


class PublishedQuestion(msgspec.Struct, frozen=True):
    """A question, and what names it."""

    ident: str
    asking: Asking


_CHANGES: Final = msgspec.json.Decoder(PlanChange)
_QUESTIONS: Final = msgspec.json.Decoder(PublishedQuestion)


class PlanLog:
    """The plans as one node reads them; a `ReaderOwner`, and a source of plans for listeners."""

    def __init__(self, connection: NATSConnection, prefix: str, log: FilteringBoundLogger) -> None:
        self._connection: Final = connection
        self._stream: Final = plan_stream_name(prefix)
        self._log: Final = log
        self._asked: dict[str, Callable[[Decided | None], None]] = {}  # questions of this node
        self._tasks: set[asyncio.Task[None]] = set()
        subjects = [f"{kind}.0.>" for kind in (PLAN, QUESTION)]
        self.reader: Final = StreamReader(connection, self._stream, subjects, 0, self, log)
        self.set: Final = PlanSet()
        self._numbers: dict[str, int] = {}  # of the message that a namespace's plan is from
        self.known: Final = PlansKnown()
        self.plans: Final = self.known  # as `Link` calls it
        self.on_act: Callable[[PlanAct, Question], None] = lambda _act, _question: None
        self.on_change: Callable[[], None] = lambda: None  # a plan was put or removed
        self.count_connections: Callable[[str], int] = lambda _namespace: 0  # of a namespace, in this process

    def start(self) -> None:
        """Begin to read."""
        self.reader.start()

    async def stop(self) -> None:
        """Read no more: questions that are open are answered by None."""
        for task in list(self._tasks):
            task.cancel()
        await self.reader.stop()
        for ident in list(self._asked):
            self._answer(ident, None)

    async def catch_up(self) -> None:
        """Return when all plans are known that there are now. Raises ClusterAwayError."""
        try:
            await asyncio.wait_for(self._reach_last(), PATIENCE_S)
        except Exception:  # those of nats-py have no common base but this
            raise ClusterAwayError("the plans of the cluster cannot be read") from None

    async def _reach_last(self) -> None:
        await self.reader.reach(await self.reader.last())

    # `ReaderOwner`

    def begin(self) -> int:
        """See `ReaderOwner`."""
        return self.reader.position

    async def take(self, message: Msg) -> None:
        """See `ReaderOwner`."""
        about = message.metadata
        seq, name = about.sequence.stream, namespace_of(message.subject)
        try:
            if message.subject.startswith(f"{PLAN}."):
                self._change(name, seq, _CHANGES.decode(message.data))
            else:
                self._decide(_QUESTIONS.decode(message.data), about.timestamp.timestamp())
        except (ValueError, PlanError) as error:
            self._log.error("a message about plans is left out", seq=seq, reason=str(error))
        self.reader.move(seq)
        if message.subject.startswith(f"{PLAN}."):
            self.on_change()

    async def settle(self) -> None:
        """See `ReaderOwner`."""

    def _change(self, name: str, seq: int, change: PlanChange) -> None:
        """Raises PlanError for what is not a plan."""
        if change.magic is not None:
            self.set.set_magic(name, magic=change.magic)
        elif change.spec is not None:
            self.set.put(name, FaultPlan(change.spec))
        else:
            self.set.running.pop(name, None)
        self._numbers[name] = seq
        self.known.take({name: self.set.order(name, seq)})

    def _decide(self, published: PublishedQuestion, now: float) -> None:
        asking = published.asking
        act = self.set.decide(asking.namespaces, asking.question, now)
        decided = None
        if act is not None:
            self.on_act(act, asking.question)
            decided = Decided(act.namespace, self._numbers[act.namespace], act.rule, act.action, act.delay_s)
        self._answer(published.ident, decided)

    # a source of plans for listeners

    def ask(self, asking: Asking, answer: Callable[[Decided | None], None]) -> None:
        """See `Link.ask`."""
        counted = self.set.counts_connections(asking.namespaces)
        if counted:
            question = msgspec.structs.replace(asking.question, connections=self.count_connections(counted))
            asking = Asking(asking.namespaces, question)
        ident = uuid7()
        self._asked[ident] = answer
        task = asyncio.ensure_future(self._ask(PublishedQuestion(ident, asking)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, published: PublishedQuestion) -> None:
        """Publish a question; where it is not read back in time, nothing is done to the command."""
        name, ident = published.asking.namespaces[0], published.ident
        try:
            await self._publish(f"{QUESTION}.0.{token_of(name)}", ident, msgspec.json.encode(published))
            await asyncio.sleep(PATIENCE_S)
        except ClusterAwayError as error:
            self._log.warning("a plan cannot be asked", namespace=name, reason=str(error))
        self._answer(ident, None)

    def _answer(self, ident: str, decided: Decided | None) -> None:
        answer = self._asked.pop(ident, None)
        if answer is not None:
            answer(decided)

    def count(self, namespace: str, event: str) -> None:
        """See `Link.count`: what plans did is in their reports, on every inbox."""

    # for inboxes

    async def change(self, name: str, change: PlanChange) -> int:
        """Publish a change, and return its number once it is known here. Raises ClusterAwayError."""
        subject = f"{PLAN}.0.{token_of(name)}"
        seq = await self._publish(subject, uuid7(), msgspec.json.encode(change))
        try:
            await asyncio.wait_for(self.reader.reach(seq), PATIENCE_S)
        except asyncio.TimeoutError:
            raise ClusterAwayError("the plan is in the cluster, and not known here yet") from None
        return seq

    async def _publish(self, subject: str, ident: str, body: bytes) -> int:
        """Return the number of the message. Raises ClusterAwayError."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while asyncio.get_running_loop().time() < deadline:
            try:
                told = await self._connection.request(subject, body, {MESSAGE_ID: ident})
                confirmation = msgspec.json.decode(told.body, type=Confirmation)
            except Exception:  # those of nats-py have no common base but this: there is no server at the moment
                confirmation = Confirmation()
            if confirmation.stream:
                return confirmation.seq
            await asyncio.sleep(_AGAIN_S * random.uniform(0.5, 1.0))
        raise ClusterAwayError("the cluster does not answer")
