"""A load while it runs: which connection gets which mail when, and when it is over.

With a rate the mails are due at fixed times, whatever the server does (an open loop): one that has to wait for a free
connection is late from its due time on, so a server that stalls is measured by all the mails that had to wait, not only
by the few it stalled on. Without a rate each connection sends its next mail as soon as it can (a closed loop).
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from time import perf_counter
from typing import Any

import uvloop

from fastsmtp.bench.alarm import Alarm
from fastsmtp.bench.connection import CONNECT, TLS, Connection, reason
from fastsmtp.bench.ledger import LoadLedger
from fastsmtp.bench.measures import Measures
from fastsmtp.bench.plan import Agenda, Plan
from fastsmtp.client.mail import Failure, Mail
from fastsmtp.system.addresses import UnixAddress
from fastsmtp.system.signals import signal_handlers

TICK_S = 0.25
_OPENING_AT_ONCE = 64  # less than any server's backlog
_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)  # of one connection, after so many failures to open it
PATIENCE_S = 10.0  # without one open connection, before the rest of the mails is given up
_GRACE, _GRACE_S = 0.1, 1.0  # of the duration, or at least so long: for mails that are late at the end of a load
_HANDSHAKE_ERRORS = (ssl.SSLError, ConnectionResetError, ConnectionAbortedError)  # it did connect
GOODBYE_S = 5.0  # for replies to QUIT at the end


class CannotOpen(Exception):
    """Not even a first connection could be opened: because of `failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.step}: {failure.text or failure.what}")
        self.failure = failure

    @property
    def nobody_there(self) -> bool:
        """No server answers at all."""
        return self.failure.step == CONNECT


def run(plan: Plan, measures: Measures, ledger: LoadLedger, on_tick: Callable[[], None]) -> None:
    """Run the load on uvloop. SIGINT ends it early, a second one at once.

    Raises CannotOpen, OSError of the ledger, and KeyboardInterrupt.
    """
    loop = uvloop.new_event_loop()
    try:
        load = Load(plan, measures, ledger, on_tick, loop)
        with signal_handlers(loop) as handle:
            handle(signal.SIGINT, load.interrupt)
            loop.run_until_complete(load.run())
    finally:
        loop.run_until_complete(asyncio.sleep(0))  # what was cancelled ends
        loop.close()


class Load:
    """The owner of all connections."""

    def __init__(
        self,
        plan: Plan,
        measures: Measures,
        ledger: LoadLedger,
        on_tick: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.script = plan.script
        self.per_connection = plan.per_connection
        self.tls = plan.tls
        self._plan = plan
        self._measures = measures
        self._ledger = ledger
        self._on_tick = on_tick
        self._loop = loop
        self._address = ("", 0)  # resolved
        self._agenda = Agenda(plan)
        # Connections
        self._connections: dict[Connection, None] = {}
        self._parked: OrderedDict[Connection, None] = (
            OrderedDict()
        )  # open, without a mail that is due; first come first
        self._places = plan.connections  # for more of them
        self._failed_openings = 0  # in a row
        self._last_open = 0.0  # when there last was an open one
        self._open = 0
        # The run
        self._alarm = Alarm(loop, self._dispatch) if plan.rate else None  # for the next mail that is due
        self._probe: Failure | None = None
        self._probing = True
        self._ending = 0.0  # since when all mails have an outcome
        self._interrupted = False
        self._over: asyncio.Future[None] = loop.create_future()
        self._changed = asyncio.Event()  # a connection was opened, or is gone

    async def run(self) -> None:
        """Open connections, start the clock, return when all is over.

        Raises CannotOpen, OSError of the ledger, and KeyboardInterrupt.
        """
        self._tick()
        try:
            await self._open_ahead()
            now = perf_counter()
            cpu = time.process_time()
            self._last_open = now
            self._agenda.start(now)
            self._measures.start(now)
            if self._plan.duration_s:
                self._loop.call_later(self._plan.duration_s + self._grace_s(), self._stop)
            self._dispatch()
            await self._over
            self._measures.cpu_s = time.process_time() - cpu
            self._measures.turn(perf_counter(), end=True)
            self._ledger.flush()
            self._on_tick()
        finally:
            self._agenda.stop()
            for connection in list(self._connections):
                connection.abort("interrupted")
            if self._alarm is not None:
                self._alarm.close()

    def interrupt(self) -> None:
        """First: no more mails, and a report of what there is. Then: the end."""
        if self._interrupted or not self._agenda.started:
            self._end(KeyboardInterrupt())
        self._interrupted = True
        self._agenda.stop()
        self._dispatch()

    # --- connection.Owner

    def on_answered(self, mail: Mail, now: float) -> None:
        """A mail got its 250."""
        self._measures.on_answered(mail, now)
        try:
            self._ledger.on_answered(mail, now)
        except OSError as error:
            self._end(error)

    def on_failure(self, mail: Mail | None, failure: Failure, now: float) -> None:
        """A mail failed, or something that belongs to no mail."""
        if self._probing:
            self._probe = failure
        elif not self._over.done():
            self._measures.on_failure(mail, failure, now)

    def on_unsent(self, mail: Mail) -> None:
        """It goes to another connection."""
        self._agenda.give_back(mail)

    def on_open(self, connection: Connection, now: float) -> None:
        """A connection is ready for mails."""
        self._open += 1
        self._failed_openings = 0
        self._measures.connections += 1
        self._measures.opening.add(now - connection.began)
        self._changed.set()

    def on_room(self, connection: Connection, now: float) -> None:
        """The next mail, if one is due; with a rate only to a connection without one: another may be free sooner."""
        if connection.busy and self._plan.rate:
            return
        mail = self._agenda.next(now)
        if mail is not None:
            connection.send(mail)
        elif not connection.busy:
            if self._agenda.exhausted:
                connection.quit()
            else:
                self._parked[connection] = None
                self._arm(now)

    def on_gone(self, connection: Connection, now: float) -> None:
        """Its place is free, at once or, where it could not be opened, after a while."""
        del self._connections[connection]
        self._parked.pop(connection, None)
        self._changed.set()
        if connection.opened:
            self._open -= 1
            self._last_open = now
            self._free_place()
        else:
            tries = self._failed_openings // self._plan.connections
            self._failed_openings += 1
            self._loop.call_later(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)], self._free_place)

    # --- mails

    def _dispatch(self) -> None:
        """Give the mails that are due to connections that are free, and to new ones."""
        if self._over.done():  # a mail of a connection that was cut off at the end comes back
            return
        now = perf_counter()
        while self._parked or self._places:
            mail = self._agenda.next(now)
            if mail is None:
                break
            if self._parked:
                connection, _ = self._parked.popitem(last=False)
                connection.send(mail)
                connection.flush(now)
            else:
                self._connect(mail, now)
        if self._agenda.exhausted:
            for connection in list(self._parked):
                connection.quit()
                connection.flush(now)
            self._parked.clear()
            if not self._connections:
                self._end()
        else:
            self._arm(now)

    def _arm(self, now: float) -> None:
        """Come back when the next mail is due, if there will be a connection for it."""
        if self._alarm is not None and not self._alarm.set and self._agenda.started and (self._parked or self._places):
            self._alarm.arm(self._agenda.next_due - now)

    def _grace_s(self) -> float:
        """With a rate the mails end by themselves, and this is for those that were due and had to wait."""
        return max(_GRACE_S, _GRACE * self._plan.duration_s) if self._plan.rate else 0.0

    def _stop(self) -> None:
        """No more mails; those that were due and could not even be sent count as failed."""
        self._dispatch()
        never_sent = self._agenda.stop()
        if self._plan.rate:
            self._abandon(never_sent)
        self._dispatch()

    def _abandon(self, count: int) -> None:
        if count:
            self._measures.on_abandoned(count, perf_counter())

    # --- connections

    def _connect(self, mail: Mail | None, now: float) -> None:
        connection = Connection(self, self._loop, mail, now, tls=self._plan.implicit_tls)
        self._connections[connection] = None
        self._places -= 1
        connection.opening = self._loop.create_task(self._open_connection(connection))

    async def _open_connection(self, connection: Connection) -> None:
        plan = self._plan
        tls: Any = {"ssl": plan.tls, "server_hostname": plan.script.host} if plan.implicit_tls else {}
        try:
            if isinstance(plan.address, UnixAddress):
                await self._loop.create_unix_connection(lambda: connection, plan.address.path, **tls)
            else:
                await self._loop.create_connection(lambda: connection, *self._address, **tls)
        except OSError as error:
            connection.opening = None
            connection.abort(*reason(error), step=TLS if isinstance(error, _HANDSHAKE_ERRORS) else CONNECT)
        connection.opening = None

    def _free_place(self) -> None:
        self._places += 1
        self._dispatch()

    async def _open_ahead(self) -> None:
        """One connection at least, and where they are kept all of them, before the clock starts. Raises CannotOpen."""
        plan = self._plan
        for address in await self._addresses():
            self._address = address
            await self._open_some(1)
            if self._parked:
                break
        else:
            assert self._probe is not None
            raise CannotOpen(self._probe)
        self._probing = False
        wanted = 1 if plan.per_connection else min(plan.connections, plan.mails or plan.connections)
        while len(self._parked) < wanted and not self._failed_openings:
            await self._open_some(min(wanted - len(self._parked), _OPENING_AT_ONCE))

    async def _open_some(self, count: int) -> None:
        before = len(self._parked)
        for _ in range(count):
            self._connect(None, perf_counter())
        while len(self._connections) > len(self._parked) >= before:
            self._changed.clear()
            await self._changed.wait()

    async def _addresses(self) -> list[tuple[str, int]]:
        address = self._plan.address
        if isinstance(address, UnixAddress):
            return [("", 0)]
        try:
            found = await self._loop.getaddrinfo(address.host or "127.0.0.1", address.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise CannotOpen(Failure(CONNECT, *reason(error))) from None
        return [(str(info[4][0]), int(info[4][1])) for info in found]

    # --- time

    def _tick(self) -> None:
        """Time limits, the interval, the progress."""
        now = perf_counter()
        for connection in list(self._connections):
            connection.check(now, self._plan.timeout_s)
        if self._agenda.started:
            self._check_end(now)
            self._measures.turn(now)
            try:
                self._ledger.flush()
            except OSError as error:
                self._end(error)
            self._on_tick()
        if not self._over.done():
            self._loop.call_later(min(TICK_S, self._plan.timeout_s), self._tick)

    def _check_end(self, now: float) -> None:
        """Give up on a server that is gone, and on replies to QUIT."""
        if self._open:
            self._last_open = now
        elif now - self._last_open > PATIENCE_S:
            self._abandon(self._agenda.stop())
            self._dispatch()
        if self._agenda.exhausted and not any(connection.busy for connection in self._connections):
            self._ending = self._ending or now
            if now - self._ending > GOODBYE_S:
                self._end()

    def _end(self, error: BaseException | None = None) -> None:
        if self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)
