"""Hands the mails of one connection on as they are complete, and has its session reply as was decided."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from fastsmtp.server.connectionfaults import ConnectionFaults
from fastsmtp.server.connectionlog import ConnectionLog
from fastsmtp.server.connectionmemory import ConnectionMemory
from fastsmtp.server.flowcontrol import VERDICT, FlowControl
from fastsmtp.server.reception import Reception
from fastsmtp.smtp.events import AbortReason, Verdict
from fastsmtp.smtp.policy import DATA_END
from fastsmtp.smtp.session import Session


class MailOwner(Protocol):
    """The connection: a `protocol.SMTPProtocol`."""

    @property
    def session(self) -> Session:
        """What replies to the mail."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None: the client is gone."""

    def have_faults(self) -> ConnectionFaults:
        """What fault plans do to the connection: they are to be asked."""

    def pump(self) -> None:
        """Carry out what the session has to say, and write its replies."""

    def give_up(self) -> None:
        """An exception is handled, which is a fault of ours: cut the connection."""


class MailDelivery:
    """From the end of a mail to its verdict. `faults` may change what becomes of it."""

    __slots__ = ("_flow", "_log", "_mails", "_memory", "_owner", "faults")

    def __init__(
        self, owner: MailOwner, log: ConnectionLog, mails: Reception, memory: ConnectionMemory, flow: FlowControl
    ) -> None:
        self._owner: Final = owner
        self._log: Final = log
        self._mails: Final = mails
        self._memory: Final = memory
        self._flow: Final = flow
        self.faults: ConnectionFaults | None = None  # from the first question to a plan on

    def complete(self) -> None:
        """The mail is complete: hand it on, or have plans asked about it first."""
        session, mails = self._owner.session, self._mails
        verdict = mails.complete(session, self._log.transcript)
        if verdict is None:
            facts = session.facts_at(DATA_END)
            if facts is not None:
                self._owner.have_faults().ask_about_mail(facts)
            elif self.faults is None:
                verdict = mails.deliver(self.on_verdict)
            else:
                verdict = self.faults.deliver()
        if verdict is not None:
            self._decide(verdict)

    def abort(self, reason: AbortReason) -> None:
        """The mail ends without its end."""
        self._mails.abort(reason)
        if self.faults is not None:
            self.faults.read_rate = 0
        self._memory.hold_mail(0)
        self._memory.count()

    def on_verdict(self, verdict: Verdict) -> None:
        """All destinations have decided about the email. Called by them, never while events are carried out."""
        self._mails.settle(verdict)
        if self.faults is None:
            self.finish(verdict)
        else:
            self.faults.settle(verdict)

    def finish(self, verdict: Verdict) -> None:
        """The reply to the mail is due."""
        owner = self._owner
        try:
            self._decide(verdict)
        except Exception:  # of what the client had sent behind the mail
            owner.give_up()
            return
        owner.pump()
        if not owner.session.waits:
            self._flow.resume(owner.transport, VERDICT)

    def _decide(self, verdict: Verdict) -> None:
        self._mails.decided(verdict)
        if self.faults is None:
            self._owner.session.decide(verdict)
        else:
            self.faults.decide(verdict)
        self._memory.forget_mail()
