"""What fault plans do to one connection: to its commands, its mails, its handshake, and how it is read and written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from fastsmtp.delivery.destination import ACCEPTED
from fastsmtp.faults.actions import Action
from fastsmtp.goridge._queues import is_reset
from fastsmtp.inbox.frames import Decided
from fastsmtp.inbox.listenerplans import ListenerPlans
from fastsmtp.server.clienttimeouts import ClientTimeouts
from fastsmtp.server.connectionlog import ConnectionLog
from fastsmtp.server.connectionmemory import ConnectionMemory
from fastsmtp.server.consultation import Consultation
from fastsmtp.server.earlyoctets import EarlyOctets
from fastsmtp.server.flowcontrol import RATE, SHAPED, VERDICT, FlowControl
from fastsmtp.server.planquestion import make_question, shown_fields
from fastsmtp.server.reception import Reception
from fastsmtp.server.resetting import reset
from fastsmtp.server.shapedwriter import ShapedWriter
from fastsmtp.smtp.events import Verdict
from fastsmtp.smtp.planner import Fault
from fastsmtp.smtp.policy import BODY, DATA_END, Facts
from fastsmtp.smtp.session import Session


class FaultyConnection(Protocol):
    """The connection that plans act on: a `protocol.SMTPProtocol`."""

    @property
    def session(self) -> Session:
        """Its session; where TLS is implicit, there is another one behind the handshake."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None: the client is gone."""

    @property
    def descriptor(self) -> int:
        """Of its socket."""

    def pump(self) -> None:
        """Carry out what the session has to say, and write its replies."""

    def end_writing(self) -> None:
        """All replies are written: close, or go on, as the session wants it."""

    def encrypt(self, early: bytes = b"") -> None:
        """Begin a handshake, of which octets may have come already."""

    def give_up(self) -> None:
        """An exception is handled, which is a fault of ours: cut the connection."""


class PlannedDelivery(Protocol):
    """What hands the mails of the connection on: a `maildelivery.MailDelivery`."""

    def on_verdict(self, verdict: Verdict) -> None:
        """All destinations have decided about the mail."""

    def finish(self, verdict: Verdict) -> None:
        """The reply to the mail is due."""


class ConnectionFaults:
    """Of one connection, from its first question to a plan on."""

    __slots__ = (
        "_certificate",
        "_connection",
        "_consultation",
        "_decided",
        "_delivery",
        "_flow",
        "_log",
        "_loop",
        "_mails",
        "_memory",
        "_timeouts",
        "_writer",
        "cut",
        "read_rate",
    )

    def __init__(
        self,
        connection: FaultyConnection,
        delivery: PlannedDelivery,
        plans: ListenerPlans,
        loop: asyncio.AbstractEventLoop,
        log: ConnectionLog,
        mails: Reception,
        memory: ConnectionMemory,
        flow: FlowControl,
        timeouts: ClientTimeouts,
    ) -> None:
        # Of the connection
        self._connection: Final = connection
        self._delivery: Final = delivery
        self._loop: Final = loop
        self._log: Final = log
        self._mails: Final = mails
        self._memory: Final = memory
        self._flow: Final = flow
        self._timeouts: Final = timeouts
        # Of plans
        self._consultation: Final = Consultation(plans, loop)
        self._decided: Decided | None = None  # what one does to the mail that is being decided
        self._writer: ShapedWriter | None = None  # of replies that are written as one wants it
        self._certificate = ""  # that the next handshake has in the place of ours
        self.read_rate = 0  # octets a second of mail data, 0 = as fast as they come
        self.cut = False  # the connection ends with a reset

    def _ask(self, facts: Facts, then: Callable[[Decided | None], None]) -> None:
        """Have plans asked; `then` gets the answer, and never from within this call."""
        consultation, mails = self._consultation, self._mails
        if self._connection.session.stopping:
            consultation.hurry()
        email = mails.email
        fields = [] if email is None else shown_fields(email.message.fields)
        mail = mails.email_uuid if facts.stage in (BODY, DATA_END) else ""
        consultation.ask(facts, make_question(facts, self._log.uuid, self._log.peer, mail, fields), then)

    def stop(self) -> None:
        """The server stops: nothing waits any more."""
        self._consultation.hurry()
        self._hurry()

    def end(self) -> None:
        """The client is gone: what plans make it wait for is over, and a mail that they hold is not kept."""
        session, consultation = self._connection.session, self._consultation
        if self._writer is not None:
            self._writer.end()
            self._writer = None
        if session.waiting_for_answer:
            session.answer(Fault(close=True, silent=True))
        elif self._mails.email is not None and session.waiting_for_decision:
            consultation.end()
            self._mails.discard()
            self._delivery.finish(Verdict.REFUSED)
        elif self._decided is not None:
            consultation.hurry()
            consultation.stop_shaping()
            return
        consultation.end()

    # Commands

    def ask_about_command(self, facts: Facts) -> None:
        """Ask about a command, or a mail that arrives; the session gets the answer."""
        self._ask(facts, self._on_answer)

    def _on_answer(self, decided: Decided | None) -> None:
        """A plan has answered about a command, and the time that it wants is over."""
        connection = self._connection
        session = connection.session
        if not session.waiting_for_answer or connection.transport is None:
            return
        try:
            self._timeouts.since = self._loop.time()
            session.answer(None if decided is None else fault_of(decided.rule, decided.action))
            self._consultation.follow(session.transaction)
            self._go_on(decided)
        except Exception:  # a fault of a policy, or of ours
            connection.give_up()

    def _go_on(self, decided: Decided | None) -> None:
        """Write the reply to the command or the mail that a plan has had its way with, and read on behind it."""
        connection = self._connection
        transport, session = connection.transport, connection.session
        if decided is not None and transport is not None:
            self.cut = decided.action.close == "rst"
            self._certificate = decided.action.certificate
            self._shape(decided, transport)
        connection.pump()
        if session.closing and self._writer is not None:
            self._writer.skip()
        session.go_on()
        connection.pump()
        if not session.waits:
            self._flow.resume(connection.transport, VERDICT)
        self._memory.recount()

    # Mails

    def ask_about_mail(self, facts: Facts) -> None:
        """Ask about a mail that is complete."""
        self._ask(facts, self._on_mail_answer)

    def _on_mail_answer(self, decided: Decided | None) -> None:
        """A plan has answered about a mail that is complete, and the time that it wants is over."""
        self._decided = decided
        verdict = self.deliver(None if decided is None else decided.action)
        if verdict is not None:
            self._delivery.finish(verdict)

    def deliver(self, action: Action | None = None) -> Verdict | None:
        """Hand the mail on as an action says, or do not; return the verdict where there is one at once."""
        mails, on_verdict = self._mails, self._delivery.on_verdict
        acted = self._consultation.acted_on(self._connection.session.transaction)
        if action is None:
            return mails.deliver(on_verdict, acted)
        if action.drop:
            return mails.keep(Verdict.DROPPED, on_verdict, acted)
        if not action.refuses or (action.store and not action.reply):
            return mails.deliver(on_verdict, acted, max(1, action.duplicate))
        if action.store:
            return mails.keep(Verdict.REFUSED, on_verdict, acted)
        mails.discard()
        return Verdict.REFUSED

    def settle(self, verdict: Verdict) -> None:
        """The mail is decided: reply; where it was to be stored first, once the time that a plan wants is over."""
        decided = self._decided
        if decided is not None and decided.action.store:
            self._consultation.wait(decided, partial(self._delivery.finish, verdict))
        else:
            self._delivery.finish(verdict)

    def decide(self, verdict: Verdict) -> None:
        """Tell the session what became of the mail, and what a plan makes of its reply."""
        decided, self._decided = self._decided, None
        self.read_rate = 0
        if decided is None:
            self._connection.session.decide(verdict)
            return
        fault = fault_of(decided.rule, decided.action)
        if fault.reply[:1] == b"2" and verdict not in ACCEPTED:
            fault = Fault(close=fault.close)
        self._connection.session.decide(verdict, fault)
        self._go_on(decided)

    # Reading and writing

    @property
    def resting(self) -> bool:
        """Whether the client waits, because a plan wants it so."""
        return self._consultation.waits

    @property
    def writing(self) -> bool:
        """Whether replies wait, because a plan wants it so."""
        return self._writer is not None

    def write(self, octets: bytes, transport: asyncio.Transport) -> None:
        """Write replies."""
        if self._writer is None:
            transport.write(octets)
        else:
            self._writer.write(octets)

    def _shape(self, decided: Decided, transport: asyncio.Transport) -> None:
        """Read and write as an action says."""
        action, consultation = decided.action, self._consultation
        if not (action.shapes or action.read_rate):
            return
        self.read_rate = action.read_rate or self.read_rate
        if action.shapes:
            self._flow.pause(transport, SHAPED)
            self._writer = self._writer or ShapedWriter(transport, self._loop, self._on_written)
            self._writer.shape(action)
        if self._connection.session.stopping or not consultation.is_current(decided):
            self._hurry()
        else:
            consultation.shape(decided, self._hurry)

    def _hurry(self) -> None:
        """Read and write as fast as it can be: the server stops, or a plan is no more."""
        self.read_rate = 0
        self._read_on()
        if self._writer is not None:
            self._writer.hurry()

    def _on_written(self) -> None:
        """All is written, as a plan wanted it."""
        self._writer = None
        self._timeouts.since = self._loop.time()
        self._flow.resume(self._connection.transport, SHAPED)
        self._connection.end_writing()

    def rest(self, octets: int) -> None:
        """Do not read for as long as so many octets take at the rate that a plan wants."""
        self._flow.pause(self._connection.transport, RATE)
        self._loop.call_later(octets / self.read_rate, self._read_on)

    def _read_on(self) -> None:
        if self._flow.reasons & RATE:
            if is_reset(self._connection.descriptor):  # what the client has sent may still be there to be read
                self.read_rate = 0
            self._timeouts.since = self._loop.time()
            self._flow.resume(self._connection.transport, RATE)

    # The handshake

    def ask_about_handshake(self, facts: Facts, transport: asyncio.Transport, early: EarlyOctets | None = None) -> None:
        """Ask about a handshake, of which `early` has what comes meanwhile; it begins when there is an answer."""
        self._flow.pause(transport, VERDICT)
        self._ask(facts, partial(self._on_handshake_answer, early))

    def _on_handshake_answer(self, early: EarlyOctets | None, decided: Decided | None) -> None:
        octets = b"" if early is None else early.end()
        connection = self._connection
        transport = connection.transport
        if transport is None:
            return
        self._timeouts.since = self._loop.time()
        self._flow.resume(transport, VERDICT)
        if connection.session.stopping:
            transport.abort()
        elif decided is not None and decided.action.close:
            self._refuse_handshake(decided, transport)
        else:
            if decided is not None and decided.action.certificate:
                self._certificate = decided.action.certificate
            connection.encrypt(octets)

    def _refuse_handshake(self, decided: Decided, transport: asyncio.Transport) -> None:
        self._log.handshake_failed(f"rule {decided.rule} of a plan", probe=False)
        if decided.action.close == "rst":
            reset(self._loop, transport, self._connection.descriptor)
        else:
            transport.close()

    def take_certificate(self) -> str:
        """Return which certificate the handshake has in the place of ours, "" for ours."""
        certificate, self._certificate = self._certificate, ""
        return certificate


def fault_of(rule: str, action: Action) -> Fault:
    """Return what of an action concerns the session."""
    reply = "".join(f"{line}\r\n" for line in action.reply).encode()
    return Fault(rule, reply, bool(action.close), action.silent, tuple(action.ehlo_remove), tuple(action.ehlo_add))
