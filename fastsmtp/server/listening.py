"""What all connections of one listener share."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fastsmtp.capture.capture import Services
from fastsmtp.delivery.destination import Destination
from fastsmtp.delivery.workers import Slices
from fastsmtp.inbox.listenerplans import ListenerPlans
from fastsmtp.inbox.sessions import MailLedger
from fastsmtp.ops.counters import Counters
from fastsmtp.server.backpressure import Backpressure
from fastsmtp.server.openconnection import OpenConnection
from fastsmtp.server.proxies import Proxies
from fastsmtp.smtp.events import HEADROOM
from fastsmtp.smtp.sessionsettings import SessionSettings
from fastsmtp.system.loopdelay import LoopDelay
from fastsmtp.system.sharedcount import SharedCount

READ_BYTES: Final = 256 * 1024  # of mail data
SMALL_READ_BYTES: Final = 16 * 1024  # of anything else: a client has little to say before it is answered
TINY_READ_BYTES: Final = 1024  # while memory is short: what is read may take sixty times as much of it
# How many clients above max_connections may do the handshake of implicit TLS all the same, to be told 421 under it.
TURNED_AWAY_UNDER_TLS: Final = 16


class ReadBuffer:
    """The one read buffer of a process: HEADROOM free octets, then what the last read brought."""

    __slots__ = ("octets", "small_view", "tiny_view", "view")

    def __init__(self) -> None:
        self.octets = bytearray(HEADROOM + READ_BYTES)
        self.view = memoryview(self.octets)[HEADROOM:]
        self.small_view = self.view[:SMALL_READ_BYTES]
        self.tiny_view = self.view[:TINY_READ_BYTES]


@dataclass(slots=True)
class Listening:
    """What all connections of one listener share. Timeouts in seconds, 0 = none."""

    server: str
    settings: SessionSettings
    services: Services
    destination: Destination
    counters: Counters | None  # for metrics; None without
    backpressure: Backpressure
    buffer: ReadBuffer
    connections: set[OpenConnection]
    read_timeout_s: float
    write_timeout_s: float
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    include_transcript: bool = False  # `settings.trace` must be set
    quiet: bool = False  # mails are shown where the log is: their connections are logged at DEBUG
    on_closed: Callable[[], None] = field(default=lambda: None)  # a connection is gone
    ledger: MailLedger | None = None  # of the inbox, which is told of each mail that begins and ends
    inbox: Destination | None = None  # the inbox alone
    planner: ListenerPlans | None = None  # asks fault plans; None: there are none
    proxies: Proxies = field(default_factory=lambda: Proxies(()))
    slices: Slices | None = None  # what takes long is done in; None: nothing else is served meanwhile
    loop_delay: LoopDelay | None = None  # is told which mail takes long
    shared: SharedCount | None = None  # the connections of several processes; None: ours are all there are

    def enter(self, connection: OpenConnection) -> int:
        """Count a connection, from its first moment on; return how many others are open."""
        if self.shared is None:
            others = len(self.connections)
        else:
            with self.shared.locked():
                others = self.shared.total()
                self.shared.set(len(self.connections) + 1)
        self.connections.add(connection)
        return others

    def leave(self, connection: OpenConnection) -> None:
        """The connection is over."""
        self.connections.discard(connection)
        if self.shared is not None:
            self.shared.set(len(self.connections))

    def may_shake_hands(self, others: int) -> bool:
        """Whether a client, where so many others are open and they are too many, can be told so under TLS."""
        policies = self.settings.policies
        limit = 0 if policies is None else policies.max_connections
        return not limit or others < limit + TURNED_AWAY_UNDER_TLS
