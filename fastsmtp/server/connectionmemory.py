"""How much one connection holds in memory, as it tells `Backpressure`, and what that makes it do."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from fastsmtp.goridge._queues import unread
from fastsmtp.server.backpressure import Backpressure
from fastsmtp.server.clienttimeouts import ClientTimeouts
from fastsmtp.server.connectionlog import ConnectionLog
from fastsmtp.server.flowcontrol import INFLIGHT, FlowControl
from fastsmtp.smtp.session import Session

_UNCOUNTED_OCTETS: Final = 2048  # of commands, after which it is counted what they have left in memory
_NEGLECTED_OCTETS: Final = 1024  # of memory that are not worth being counted


class MemoryOwner(Protocol):
    """The connection: a `protocol.SMTPProtocol`."""

    @property
    def session(self) -> Session:
        """What holds the octets of its commands."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None: the client is gone."""

    @property
    def descriptor(self) -> int:
        """Of its socket, -1 where there is none."""

    def shed(self) -> None:
        """Give up the mail that arrives."""


class ConnectionMemory:
    """Counts what commands leave now and then, and a mail whenever some of it comes. A `backpressure.Reader`."""

    __slots__ = ("_backpressure", "_flow", "_log", "_loop", "_mail", "_own", "_owner", "_timeouts", "_uncounted")

    def __init__(
        self,
        owner: MemoryOwner,
        backpressure: Backpressure,
        loop: asyncio.AbstractEventLoop,
        log: ConnectionLog,
        flow: FlowControl,
        timeouts: ClientTimeouts,
    ) -> None:
        self._owner: Final = owner
        self._backpressure: Final = backpressure
        self._loop: Final = loop
        self._log: Final = log
        self._flow: Final = flow
        self._timeouts: Final = timeouts
        self._mail = 0  # octets of the mail
        self._own = 0  # octets that are not of the mail, as they were counted last
        self._uncounted = 0  # octets of commands that were read since then

    def read_commands(self, octets: int) -> None:
        """So many octets of commands were read."""
        self._uncounted += octets
        if self._uncounted >= _UNCOUNTED_OCTETS:
            self.count()

    def count(self) -> None:
        """Tell how much is held, without the mail that arrives: it is told as it does."""
        self._uncounted = 0
        held = 0
        if self._owner.transport is not None:
            held = self._owner.session.held
            transcript = self._log.transcript
            if transcript is not None:
                if self._backpressure.is_short:
                    transcript.shorten()
                held += transcript.held
        self._own = held if held > _NEGLECTED_OCTETS else 0
        self._backpressure.hold(self, self._own + self._mail)

    def recount(self) -> None:
        """Some of what was counted may be gone."""
        if self._own:
            self.count()

    def hold_mail(self, octets: int) -> None:
        """So many octets of the mail are held now."""
        self._mail = octets
        self._backpressure.hold(self, self._own + octets)

    def forget_mail(self) -> None:
        """The mail is no longer held."""
        self._mail = 0
        if self._own:
            self.count()
        else:
            self._backpressure.hold(self, 0)

    # Called by `Backpressure`: see `backpressure.Reader`

    @property
    def complete(self) -> bool:
        """See `backpressure.Reader`."""
        return self._owner.session.waiting_for_decision

    @property
    def has_unread(self) -> bool:
        """See `backpressure.Reader`."""
        descriptor = self._owner.descriptor
        return descriptor >= 0 and unread(descriptor) > 0

    def pause(self) -> None:
        """See `backpressure.Reader`."""
        self._flow.pause(self._owner.transport, INFLIGHT)

    def shed(self) -> None:
        """See `backpressure.Reader`."""
        self._owner.shed()

    def resume(self) -> None:
        """See `backpressure.Reader`."""
        if self.has_unread:
            self._timeouts.since = self._loop.time()  # the client did not let us wait
        self._flow.resume(self._owner.transport, INFLIGHT)
