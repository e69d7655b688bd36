"""A load while it runs: which connection gets which mail when, and when it is over.

With a rate the mails are due at fixed times, whatever the server does (an open loop): one that has to wait for a free
connection is late from its due time on, so a server that stalls is measured by all the mails that had to wait, not only
by the few it stalled on.
Without a rate each connection sends its next mail as soon as it can (a closed loop).
"""

from __future__ import annotations

import asyncio
import math
import secrets
import signal
import socket
import ssl
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import uvloop

from fastsmtp.addresses import TCPAddress, UnixAddress
from fastsmtp.bench.alarm import Alarm
from fastsmtp.bench.connection import CONNECT, TLS, Connection, reason
from fastsmtp.bench.dialogue import Failure, Mail, Script
from fastsmtp.bench.ledger import Ledger
from fastsmtp.bench.measures import Measures
from fastsmtp.bench.message import Template, head

TICK_S = 0.25
_OPENING_AT_ONCE = 64  # less than any server's backlog
_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)  # of one connection, after so many failures to open it
_PATIENCE_S = 10.0  # without one open connection, before the rest of the mails is given up
_GRACE, _GRACE_S = 0.1, 1.0  # of the duration, or at least so long: for mails that are late at the end of a load
_GOODBYE_S = 5.0  # for replies to QUIT at the end


class CannotOpen(Exception):
    """Not even a first connection could be opened: because of `failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.step}: {failure.text or failure.what}")
        self.failure = failure

    @property
    def nobody_there(self) -> bool:
        """No server answers at all."""
        return self.failure.step == CONNECT


@dataclass
class Plan:
    """What is wanted. Without `mails` the load ends after `duration_s`; with both, at what comes first."""

    address: TCPAddress | UnixAddress
    script: Script
    templates: Iterator[Template]
    connections: int = 10
    mails: int = 0
    duration_s: float = 0.0
    rate: float = 0.0  # mails per second over all connections, 0 = as fast as they go
    per_connection: int = 0  # mails, 0 = as many as there are
    timeout_s: float = 60.0  # of each reply
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    run: str = field(default_factory=lambda: secrets.token_hex(4))  # what the IDs of the mails begin with


def run(plan: Plan, measures: Measures, ledger: Ledger, on_tick: Callable[[], None]) -> None:
    """Run the load on uvloop. SIGINT ends it early, a second one at once.

    Raises CannotOpen, OSError of the ledger, and KeyboardInterrupt.
    """
    loop = uvloop.new_event_loop()
    try:
        load = Load(plan, measures, ledger, on_tick, loop)
        loop.add_signal_handler(signal.SIGINT, load.interrupt)
        loop.run_until_complete(load.run())
    finally:
        loop.run_until_complete(asyncio.sleep(0))  # what was cancelled ends
        loop.close()


def _planned(plan: Plan) -> int:
    """How many mails there are to be, 0 = nobody knows."""
    due = math.ceil(plan.duration_s * plan.rate)
    return min(due, plan.mails) if due and plan.mails else due or plan.mails


class Load:
    """The owner of all connections."""

    def __init__(
        self,
        plan: Plan,
        measures: Measures,
        ledger: Ledger,
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
        # Mails
        self._given = 0
        self._limit = _planned(plan)
        self._returned: deque[Mail] = deque()  # a server hung up before it looked at them
        self._stopped = False  # there are no more, whatever was planned
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
        self._clock = 0.0  # when it started, 0 = not yet
        self._alarm = Alarm(loop, self._dispatch) if plan.rate else None  # for the next mail that is due
        self._probe: Failure | None = None
        self._probing = True
        self._ending = 0.0  # since when all mails have an outcome
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
            self._clock = self._last_open = now
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
            self._stopped = True
            for connection in list(self._connections):
                connection.abort("interrupted")
            if self._alarm is not None:
                self._alarm.close()

    def interrupt(self) -> None:
        """First: no more mails, and a report of what there is. Then: the end."""
        if self._stopped or not self._clock:
            self._end(KeyboardInterrupt())
        self._stopped = True
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
        self._returned.append(mail)

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
        mail = self._next(now)
        if mail is not None:
            connection.send(mail)
        elif not connection.busy:
            if self._exhausted:
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

    @property
    def _exhausted(self) -> bool:
        """Whether there is no mail to be given any more."""
        return not self._returned and (self._stopped or 0 < self._limit <= self._given)

    def _next(self, now: float) -> Mail | None:
        """The next mail that is due."""
        if not self._clock or self._exhausted:
            return None
        if self._returned:
            return self._returned.popleft()
        due = self._due() if self._plan.rate else now
        if due > now:
            return None
        self._given = number = self._given + 1
        run = self._plan.run
        mail = Mail(f"{run}-{number:08d}", head(run, number), next(self._plan.templates))
        mail.began = due
        return mail

    def _due(self) -> float:
        """When the next mail is due."""
        return self._clock + self._given / self._plan.rate

    def _dispatch(self) -> None:
        """Give the mails that are due to connections that are free, and to new ones."""
        now = perf_counter()
        while self._parked or self._places:
            mail = self._next(now)
            if mail is None:
                break
            if self._parked:
                connection, _ = self._parked.popitem(last=False)
                connection.send(mail)
                connection.flush(now)
            else:
                self._connect(mail, now)
        if self._clock and self._exhausted:
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
        if self._alarm is not None and self._clock and (self._parked or self._places) and not self._alarm.set:
            self._alarm.arm(self._due() - now)

    def _grace_s(self) -> float:
        """With a rate the mails end by themselves, and this is for those that were due and had to wait."""
        return max(_GRACE_S, _GRACE * self._plan.duration_s) if self._plan.rate else 0.0

    def _stop(self) -> None:
        """No more mails; those that were due and could not even be sent count as failed."""
        if self._stopped:
            return
        self._dispatch()
        if self._plan.rate:
            self._abandon(self._limit - self._given)
        self._stopped = True
        self._dispatch()

    def _abandon(self, count: int) -> None:
        if count > 0:
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
            connection.abort(*reason(error), step=TLS if isinstance(error, ssl.SSLError) else CONNECT)
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
        if self._clock:
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
        elif not self._stopped and now - self._last_open > _PATIENCE_S:
            self._stopped = True
            self._abandon(self._limit - self._given)
            self._dispatch()
        if self._exhausted and not any(connection.busy for connection in self._connections):
            self._ending = self._ending or now
            if now - self._ending > _GOODBYE_S:
                self._end()

    def _end(self, error: BaseException | None = None) -> None:
        if self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)
