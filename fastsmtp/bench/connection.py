"""asyncio transport <-> dialogue: one connection of a load, without a task of its own once it is open."""

from __future__ import annotations

import asyncio
import ssl
from time import perf_counter
from typing import Final, Protocol, cast

from fastsmtp.client.dialogue import DISCONNECTED, TIMEOUT, Dialogue, Script
from fastsmtp.client.mail import Failure, Mail

CONNECT: Final = "connect"
TLS: Final = "TLS"

# Mail data that is larger has not left when `write` returns: the transport says when.
_WRITE_HIGH_WATER = 64 * 1024
_JOIN_OCTETS = 64 * 1024  # up to so many, one write is cheaper than several


class Owner(Protocol):
    """Who gives the mails and takes the outcomes. `now` is `perf_counter()`."""

    script: Script
    per_connection: int  # mails after which a connection says QUIT, 0 = as many as there are
    tls: ssl.SSLContext | None  # for STARTTLS; it verifies `script.host`

    def on_answered(self, mail: Mail, now: float) -> None:
        """A mail got its 250."""

    def on_failure(self, mail: Mail | None, failure: Failure, now: float) -> None:
        """A mail failed, or something that belongs to no mail."""

    def on_unsent(self, mail: Mail) -> None:
        """A mail that the server never looked at: it may go to another connection."""

    def on_open(self, connection: Connection, now: float) -> None:
        """Past EHLO and AUTH."""

    def on_room(self, connection: Connection, now: float) -> None:
        """The connection could take a mail."""

    def on_gone(self, connection: Connection, now: float) -> None:
        """The connection is no more, or never came to be. The last call."""


class Connection(asyncio.Protocol):
    """One connection, from the attempt to connect to its end. `first` is what it was opened for."""

    __slots__ = (
        "_dialogue", "_first", "_gone", "_heard", "_loop", "_owner", "_paused", "_queued", "_starting_tls",
        "_transport", "began", "opening", "sent",
    )  # fmt: skip

    def __init__(
        self, owner: Owner, loop: asyncio.AbstractEventLoop, first: Mail | None, now: float, *, tls: bool
    ) -> None:
        self._owner = owner
        self._loop = loop
        self._dialogue = Dialogue(owner.script, tls=tls)
        self._transport: asyncio.Transport | None = None
        self._first = first
        self._starting_tls: asyncio.Task[None] | None = None
        self._gone = False
        self._paused = False  # mail data waits to be written
        self._queued = 0  # octets that waited at the last look
        self._heard = now  # when something last moved
        self.began = now
        self.opening: asyncio.Task[None] | None = None  # the attempt to connect, kept by the owner
        self.sent = 0  # mails that were begun

    # --- asyncio callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server speaks first."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER, low=0)

    def data_received(self, data: bytes) -> None:
        """Replies."""
        dialogue = self._dialogue
        was_ready = dialogue.ready
        dialogue.receive(data)
        self._heard = now = perf_counter()
        if dialogue.answered or dialogue.failures:
            self._tell(now)
        if dialogue.ready and not was_ready:
            self._owner.on_open(self, now)
            if self._first is not None:
                first, self._first = self._first, None
                self.send(first)
        if dialogue.room:
            self._owner.on_room(self, now)
        self._write(now)
        if dialogue.wants_tls and self._starting_tls is None:
            self._starting_tls = self._loop.create_task(self._start_tls())

    def eof_received(self) -> bool:
        """The server will say nothing more."""
        self.abort(DISCONNECTED)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The last callback."""
        self.abort(DISCONNECTED, "" if exc is None else str(exc))

    def pause_writing(self) -> None:
        """Large mail data is on its way."""
        self._paused = True

    def resume_writing(self) -> None:
        """It has left."""
        self._paused = False
        self._heard = now = perf_counter()
        if self._dialogue.mails:
            self._dialogue.mails[0].sent = now

    # --- for the owner

    @property
    def opened(self) -> bool:
        """Whether it ever was past EHLO and AUTH."""
        return self._dialogue.ready

    @property
    def busy(self) -> bool:
        """Whether it has a mail, be it one that waits for the connection to be opened."""
        return self._first is not None or bool(self._dialogue.mails)

    def send(self, mail: Mail) -> None:
        """Begin a mail, when there is room. Outside of `on_room`, `flush` has to follow."""
        self.sent += 1
        self._dialogue.send(mail, last=self.sent == self._owner.per_connection)

    def flush(self, now: float) -> None:
        """Write what there is to be said."""
        self._heard = now
        self._write(now)

    def quit(self) -> None:
        """Say goodbye. Outside of `on_room`, `flush` has to follow."""
        self._dialogue.quit()

    def check(self, now: float, timeout_s: float) -> None:
        """End it if what it waits for has not come in time."""
        if self._paused and self._transport is not None:
            queued = self._transport.get_write_buffer_size()
            if queued != self._queued:
                self._queued, self._heard = queued, now
        if now - self._heard <= timeout_s:
            return
        if self._transport is None:
            self.abort(TIMEOUT, step=CONNECT)
        elif self._starting_tls is not None:
            self.abort(TIMEOUT, step=TLS)
        elif self._dialogue.waiting:
            self.abort(TIMEOUT)

    def abort(self, what: str, text: str = "", step: str = "") -> None:
        """End it at once, with a failure. May be called twice."""
        if self._gone:
            return
        self._gone = True
        now = perf_counter()
        dialogue = self._dialogue
        goodbye = dialogue.done and dialogue.closing
        dialogue.abort(what, text, step or (TLS if self._starting_tls is not None else ""))
        self._tell(now)
        for task in (self.opening, self._starting_tls):
            if task is not None:
                task.cancel()
        if self._transport is not None:
            # After QUIT TLS says its goodbye, too; elsewhere the peer may not be listening any more.
            (self._transport.close if goodbye else self._transport.abort)()
        self._owner.on_gone(self, now)

    # --- inside

    def _write(self, now: float) -> None:
        dialogue = self._dialogue
        octets = dialogue.take_octets()
        if octets and self._transport is not None and not self._gone:
            if len(octets) == 1:
                self._transport.write(octets[0])
            elif sum(map(len, octets)) <= _JOIN_OCTETS:
                self._transport.write(b"".join(octets))
            else:
                self._transport.writelines(octets)
            if dialogue.data_written:
                dialogue.data_written = False
                dialogue.mails[0].sent = now
        if dialogue.done:
            self.abort("")

    def _tell(self, now: float) -> None:
        """Hand the outcomes on."""
        dialogue = self._dialogue
        for mail in dialogue.answered:
            self._owner.on_answered(mail, now)
        for failed, failure in dialogue.failures:
            if self._first is not None:  # it never got here
                failed, self._first = self._first, None
            self._owner.on_failure(failed, failure, now)
        dialogue.answered.clear()
        dialogue.failures.clear()
        if dialogue.unsent:
            for unsent in dialogue.unsent:
                self._owner.on_unsent(unsent)
            dialogue.unsent.clear()
        if dialogue.mails:
            dialogue.mails[0].began = now  # its envelope went ahead: only now is the connection its own

    async def _start_tls(self) -> None:
        owner = self._owner
        assert self._transport is not None
        assert owner.tls is not None
        try:
            transport = await self._loop.start_tls(self._transport, self, owner.tls, server_hostname=owner.script.host)
        except OSError as error:
            self._starting_tls = None
            self.abort(*reason(error), step=TLS)
            return
        if transport is None or self._gone:
            return
        self._transport = transport
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER, low=0)
        self._starting_tls = None
        self._dialogue.tls_started()
        self._write(perf_counter())


def reason(error: OSError) -> tuple[str, str]:
    """What to count an error as, and its text."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate not trusted", error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or "failed").replace("_", " ").lower(), str(error)
    return (error.strerror or type(error).__name__).lower(), ""
