"""Carries out what a session says has happened; what takes long goes on when others were served."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final, Protocol

from fastsmtp.server.connectionlog import ConnectionLog
from fastsmtp.server.connectionmemory import ConnectionMemory
from fastsmtp.server.flowcontrol import LATE, FlowControl
from fastsmtp.server.listening import Listening
from fastsmtp.server.maildelivery import MailDelivery
from fastsmtp.server.reception import Reception
from fastsmtp.smtp.events import (
    Asked,
    ClientNamed,
    Closed,
    Command,
    Event,
    MailAborted,
    MailBegin,
    MailEnd,
    MailOctets,
    Replied,
    StartTLS,
    kept,
)
from fastsmtp.smtp.policy import Facts
from fastsmtp.smtp.transcript import CLIENT, SERVER
from fastsmtp.system.loopdelay import BUSY_S


class EventOwner(Protocol):
    """The connection of the session: a `protocol.SMTPProtocol`."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None: the client is gone."""

    def give_up(self) -> None:
        """An exception is handled, which is a fault of ours: cut the connection."""

    def on_caught_up(self) -> None:
        """Nothing is late any more."""

    def on_start_tls(self) -> None:
        """A handshake comes next."""

    def on_asked(self, facts: Facts) -> None:
        """A plan is to be asked."""


class SessionEvents:
    """Of one connection. Mail data that takes too long to take apart, and all that came behind it, is `late`."""

    __slots__ = ("_delivery", "_flow", "_listening", "_log", "_mails", "_memory", "_owner", "busy", "late")

    def __init__(
        self,
        owner: EventOwner,
        listening: Listening,
        log: ConnectionLog,
        mails: Reception,
        delivery: MailDelivery,
        memory: ConnectionMemory,
        flow: FlowControl,
    ) -> None:
        self._owner: Final = owner
        self._listening: Final = listening
        self._log: Final = log
        self._mails: Final = mails
        self._delivery: Final = delivery
        self._memory: Final = memory
        self._flow: Final = flow
        self.busy = False  # events are being carried out
        self.late: list[Event] = []  # what is still to be carried out

    def carry_out(self, events: list[Event]) -> None:
        """Carry out events in their order, behind those that are late."""
        if self.late:
            self._postpone(events)
        else:
            self._carry_out_all(events)

    def catch_up_later(self) -> None:
        """Go on with events that are late when others were served."""
        if not self._flow.reasons & LATE:
            self._flow.pause(self._owner.transport, LATE)
            slices = self._listening.slices
            assert slices is not None
            slices.add(self._catch_up)

    def _catch_up(self) -> bool:
        """Go on with events that are late; whether there are more. Never raises."""
        began = monotonic()
        late, self.late = self.late, []
        self.busy = True
        try:
            self._carry_out_all(late)
        except Exception:
            self._owner.give_up()
        finally:
            self.busy = False
        self._tell_work(began)
        if self.late:
            return True
        self._flow.resume(self._owner.transport, LATE)
        self._owner.on_caught_up()
        return False

    def _tell_work(self, began: float) -> None:
        """Such a piece of work is over. One in a thousand is long."""
        loop_delay = self._listening.loop_delay
        if loop_delay is None:
            return
        seconds = monotonic() - began
        if seconds > BUSY_S:
            loop_delay.worked(self._mails.email_uuid, seconds)

    def forget(self) -> None:
        """The connection is given up."""
        self.late = []

    def _carry_out_all(self, events: list[Event]) -> None:
        for place in range(len(events)):
            self._carry_out(events[place])
            if self.late:
                self.late += map(kept, events[place + 1 :])
                return

    def _postpone(self, events: list[Event]) -> None:
        """Keep events behind those that are late; the mail data of a mail that is broken off is not looked at."""
        for event in events:
            if isinstance(event, MailAborted):
                self.late = _without_last_mail(self.late)
            self.late.append(kept(event))

    def _carry_out(self, event: Event) -> None:
        # The most frequent first.
        if isinstance(event, MailOctets):
            self._on_mail_data(event)
        elif isinstance(event, MailBegin):
            self._on_mail_begin(event)
        elif isinstance(event, MailEnd):
            self._on_mail_end()
        elif isinstance(event, Command):
            self._log.add_line("command", CLIENT, event.line)
        elif isinstance(event, Replied):
            self._log.add_line("reply", SERVER, event.line, event.fault)
        elif isinstance(event, MailAborted):
            self._delivery.abort(event.reason)
        elif isinstance(event, StartTLS):
            self._owner.on_start_tls()
        elif isinstance(event, ClientNamed):
            self._log.client_named(event.remote_addr)
        elif isinstance(event, Asked):
            self._owner.on_asked(event.facts)
        else:
            assert isinstance(event, Closed)  # `Session.closing` says the same, and for as long as it is true

    def _on_mail_begin(self, event: MailBegin) -> None:
        self._mails.begin(event.envelope, self._log.uuid, self._log.peer)
        if event.envelope.credentials is not None:
            self._log.count_login(event.envelope.credentials)

    def _on_mail_data(self, event: MailOctets) -> None:
        mails = self._mails
        start = mails.feed(event)
        late = event.end - start
        if late > 0:
            self.late.append(kept(MailOctets(event.buf, start, event.end)))
            self._memory.hold_mail(mails.held + late)
        else:
            self._memory.hold_mail(mails.held)

    def _on_mail_end(self) -> None:
        began = 0.0 if self._listening.loop_delay is None else monotonic()
        self._delivery.complete()
        self._tell_work(began)


def _without_last_mail(late: list[Event]) -> list[Event]:
    """The events without the octets of the mail that is under way at their end."""
    begins = len(late)
    while begins and not isinstance(late[begins - 1], (MailBegin, MailEnd)):
        begins -= 1
    return [*late[:begins], *(event for event in late[begins:] if not isinstance(event, MailOctets))]
