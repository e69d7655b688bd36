"""asyncio transport <-> session: one object per connection, no task, no thread.

All connections of a process read into one buffer: the loop calls `get_buffer` and `buffer_updated` back to back, so
no other connection can write into it in between, and an idle connection owns no buffer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, cast

from fastsmtp.capture.identifier import uuid7
from fastsmtp.goridge._queues import has_ended
from fastsmtp.server.clienttimeouts import ClientTimeouts
from fastsmtp.server.connectiondescription import describe
from fastsmtp.server.connectionfaults import ConnectionFaults
from fastsmtp.server.connectionlog import ConnectionLog
from fastsmtp.server.connectionmemory import ConnectionMemory
from fastsmtp.server.earlyoctets import EarlyOctets
from fastsmtp.server.flowcontrol import COMMANDS, INFLIGHT, NOT_THE_CLIENTS, OUTPUT, VERDICT, FlowControl
from fastsmtp.server.listening import Listening
from fastsmtp.server.maildelivery import MailDelivery
from fastsmtp.server.reception import Reception
from fastsmtp.server.resetting import reset
from fastsmtp.server.sessionevents import SessionEvents
from fastsmtp.server.tlshandshake import TLSHandshake
from fastsmtp.smtp.envelope import TLSInfo
from fastsmtp.smtp.events import HEADROOM
from fastsmtp.smtp.policy import TLS, Facts
from fastsmtp.smtp.proxyheader import ProxyHeader
from fastsmtp.smtp.session import Session
from fastsmtp.system.addresses import format_peer

# Bytes of replies the kernel would not take, above which a client that never reads is waited for no longer than
# write_timeout. Replies are short: a client has to send hundreds of commands without reading to get there.
_WRITE_HIGH_WATER: Final = 8 * 1024


class SMTPProtocol(asyncio.BufferedProtocol):
    """One connection: feeds the session, carries out its events, writes its replies, one write per read."""

    __slots__ = (
        "_delivery",
        "_ended",
        "_events",
        "_faults",
        "_fd",
        "_flow",
        "_going_on",
        "_gone",
        "_handshake",
        "_listening",
        "_log",
        "_loop",
        "_lost",
        "_mails",
        "_others",
        "_session",
        "_timeouts",
        "_tls_wanted",
        "_transport",
        "_wall_since",
        "memory",
    )
    __deletable__ = ("_delivery", "_events", "_handshake", "memory")  # for mypyc: see `_let_go`

    def __init__(self, listening: Listening, loop: asyncio.AbstractEventLoop) -> None:
        # Server
        self._listening = listening
        self._loop = loop
        # Connection
        self._log: Final = ConnectionLog(listening)
        self._flow: Final = FlowControl()
        self._timeouts: Final = ClientTimeouts(listening.read_timeout_s, listening.write_timeout_s)
        self._mails: Final = Reception(listening)
        self.memory = ConnectionMemory(self, listening.backpressure, loop, self._log, self._flow, self._timeouts)
        self._delivery = MailDelivery(self, self._log, self._mails, self.memory, self._flow)
        self._events = SessionEvents(self, listening, self._log, self._mails, self._delivery, self.memory, self._flow)
        self._handshake = TLSHandshake(self, listening, loop, self._log, self._flow, self._timeouts)
        self._faults: ConnectionFaults | None = None  # from the first question to a fault plan on
        self._wall_since = 0.0  # Unix time at which the client connected
        self._transport: asyncio.Transport | None = None
        self._others = 0  # connections that were open when this one came
        self._fd = -1  # of the socket
        self._going_on = False  # `_go_on` is called soon
        self._lost = False  # the client is gone while events are late
        self._ended = False  # all events are carried out, and no more come
        self._gone = False  # not even a verdict is awaited
        self._tls_wanted = False  # a handshake is to begin once the replies are written

    # asyncio callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session; where TLS is implicit, its handshake, behind which the session begins."""
        transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        listening = self._listening
        self._transport = transport
        ours = transport.get_extra_info("socket")
        if ours is not None:
            self._fd = ours.fileno()
        transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER)
        self._log.uuid = uuid7()
        self._log.peer = format_peer(transport.get_extra_info("peername"))
        self._timeouts.since = self._loop.time()
        self._wall_since = time.time()
        self._others = listening.enter(self)
        self._session = self._make_session(transport)
        if not listening.implicit_tls:
            self._begin(None)
        elif listening.may_shake_hands(self._others):
            self._begin_tls(transport)
        else:
            listening.leave(self)
            self._log.turned_away(b"")
            transport.abort()

    def _make_session(self, transport: asyncio.Transport, tls: TLSInfo | None = None) -> Session:
        listening = self._listening
        believed = listening.proxies.believes(transport.get_extra_info("peername"))
        return Session(
            listening.settings, tls=tls, remote_addr=self._log.peer, believed=believed, planner=listening.planner
        )

    def _begin(self, header: ProxyHeader | None) -> None:
        """Greet, or turn away when there are too many; a PROXY header may have come before TLS."""
        try:
            self._session.greet(self._others)
        except Exception:  # a fault of a policy
            self._listening.leave(self)
            self.give_up()
            return
        if self._session.closing:
            self._turn_away()
            return
        self._log.opened()
        if header is not None:
            self._session.take_header(header)
        self.pump()

    def _turn_away(self) -> None:
        """The session refused the client before its greeting."""
        transport = self._transport
        assert transport is not None
        self._listening.leave(self)
        output = self._session.take_output()
        self._log.turned_away(output)
        transport.write(output)  # any kernel takes that much
        transport.close()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop reads to: the buffer shared by all connections, or the start of it."""
        buffer, backpressure = self._listening.buffer, self._listening.backpressure
        if backpressure.is_short:
            return buffer.small_view if backpressure.has_turn(self.memory) else buffer.tiny_view
        if not self._session.receiving_mail:
            return buffer.small_view
        faults = self._faults
        if faults is None or not faults.read_rate:
            return buffer.view
        return buffer.view[: max(1, faults.read_rate // 4)]

    def buffer_updated(self, nbytes: int) -> None:
        """`nbytes` were read into the shared buffer."""
        session = self._session
        if session.waits:
            # The session keeps this one read. Stopping only now saves two system calls per mail: few clients go on.
            self._flow.pause(self._transport, VERDICT)
        try:
            session.receive(self._listening.buffer.octets, HEADROOM, HEADROOM + nbytes)
        except Exception:  # a fault of a policy, or of ours
            self.give_up()
            return
        self.pump()
        if session.receiving_mail:
            self._timeouts.since = self._loop.time()
            if self._faults is not None and self._faults.read_rate:
                self._faults.rest(nbytes)
        else:
            self.memory.read_commands(nbytes)

    def eof_received(self) -> bool:
        """The client will send nothing more: a mail that is complete still gets its reply, then the end."""
        session = self._session
        session.receive_eof()
        self.pump()
        return session.waits or session.has_more_to_say or self._by_plan

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone. A mail without its end is dropped; one that is complete goes its way to a worker."""
        self._transport = None
        self._fd = -1  # soon another's
        listening = self._listening
        if self not in listening.connections:  # turned away
            self._let_go()
            return
        if self._faults is not None:
            self._faults.end()
        self._handshake.lose(exc)
        if listening.implicit_tls and self._session.peer.tls is None:  # there was no session
            listening.leave(self)
            self._let_go()
            listening.on_closed()
            return
        self._session.receive_eof()
        self.pump()
        if self._events.late:
            self._lost = True
        else:
            self._end()

    def _end(self) -> None:
        """All events are carried out, and no more come."""
        listening, session, log = self._listening, self._session, self._log
        listening.leave(self)
        self.memory.count()
        log.tell_violations(session.violations.values())
        log.count_login(session.peer.credentials)
        log.closed(self._mails.count)
        self._ended = True
        self._let_go_at_last()
        listening.on_closed()

    def _let_go_at_last(self) -> None:
        """Let go, once the session has dealt with all that it has read."""
        session = self._session
        if self._ended and not session.waits and not session.has_more_to_say:
            self._let_go()

    def _let_go(self) -> None:
        """Part from what holds this connection: else both stayed in memory until garbage is collected."""
        if self._gone:
            return
        self._gone = True
        self._faults = self._delivery.faults = None
        del self.memory, self._delivery, self._events, self._handshake

    def pause_writing(self) -> None:
        """The client does not read its replies: do not read more of its commands."""
        self._await_client()
        self._flow.pause(self._transport, OUTPUT)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._timeouts.end_waiting(self._loop.time())
        self._flow.resume(self._transport, OUTPUT)
        if self._session.has_more_to_say:
            self._go_on_soon()

    # What the server asks of a connection

    def check_timeouts(self, now: float, stalled_s: float = 0.0) -> None:
        """Called about once a second by a `Sweep`: closes silently what took too long."""
        transport, timeouts = self._transport, self._timeouts
        if transport is None:
            return
        if stalled_s:
            timeouts.stand_still(stalled_s, now)
        if timeouts.awaits_reader:
            if timeouts.reader_is_late(now, transport.get_write_buffer_size()):
                self._time_out(transport, "write timeout")
        elif self._handshake.under_way:
            if timeouts.handshake_is_late(now):
                self._handshake.time_out()
        elif not self._is_awaited(now) and timeouts.sender_is_late(now):
            self._time_out(transport, "read timeout")

    def _time_out(self, transport: asyncio.Transport, waited_for: str) -> None:
        self._log.timed_out(waited_for)
        transport.abort()

    def _is_awaited(self, now: float) -> bool:
        """Whether it is not the client that something is awaited from."""
        if self._flow.reasons == INFLIGHT and not self._session.waiting_for_decision and not self.memory.has_unread:
            return False  # that we do not read makes no difference to a client that does not send
        if self._flow.reasons & INFLIGHT:
            self._timeouts.since = now
        if self._faults is not None and self._faults.resting and has_ended(self._fd):
            return False  # a plan may let it wait for an hour, and for nothing: it has probably gone
        return bool(self._flow.reasons & NOT_THE_CLIENTS) or self._session.waits or self._by_plan

    def _await_client(self) -> None:
        """Replies wait to be written."""
        unread = 0 if self._transport is None else self._transport.get_write_buffer_size()
        self._timeouts.await_reader(self._loop.time(), unread)

    @property
    def uuid(self) -> str:
        """Of the connection."""
        return self._log.uuid

    @property
    def remote_addr(self) -> str:
        """Of the client; of its proxy, until that says who it is."""
        return self._log.peer

    @property
    def email_uuid(self) -> str:
        """Of its last email, which may be under way; "" before the first."""
        return self._mails.email_uuid

    def describe(self) -> dict[str, object]:
        """Who is connected and what the session is doing, for people; all that is unknown yet is empty."""
        return describe(
            self._session,
            self._mails,
            self._log,
            self.server,
            self._wall_since,
            shakes_hands=self._handshake.under_way,
        )

    @property
    def server(self) -> str:
        """The name of its listener."""
        return self._listening.server

    def shutdown(self) -> None:
        """The server stops: 421 now, or after the transaction that is under way; in a TLS handshake there is none."""
        if self._handshake.under_way or (self._listening.implicit_tls and self._session.peer.tls is None):
            self.abort()
            return
        self._session.shutdown()
        self.pump()
        if self._faults is not None:
            self._faults.stop()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def shed(self) -> None:
        """Memory is short: give up the mail that arrives."""
        self._session.shed()
        self.pump()

    # Session -> world

    def pump(self) -> None:
        """Carry out what the session has to say, and write its replies at once. Never raises.

        A verdict may come while events are carried out; the session then has more to say, and the loop goes on.
        """
        if self._gone:
            return
        session, transport, happened = self._session, self._transport, self._events
        if happened.busy:
            return
        happened.busy = True
        try:
            while session.has_events:
                happened.carry_out(session.take_events())
        except Exception:
            self.give_up()
            return
        finally:
            happened.busy = False
        output = session.take_output()
        if happened.late:
            happened.catch_up_later()
        elif session.has_more_to_say:
            self._flow.pause(self._transport, COMMANDS)
            self._go_on_soon()
        if transport is None:
            self._let_go_at_last()
            return
        if output:
            self._timeouts.since = self._loop.time()
            if self._faults is None:
                transport.write(output)
            else:
                self._faults.write(output, transport)
        if not self._by_plan:
            self._end_writing(transport)

    def _end_writing(self, transport: asyncio.Transport) -> None:
        """All is written: close, or begin the handshake, where the session wants it."""
        if self._session.closing:
            # What is not yet written has as long as a client that does not read.
            self._await_client()
            if self._faults is not None and self._faults.cut:
                reset(self._loop, transport, self._fd)
            else:
                transport.close()
        elif self._tls_wanted:
            self._start_tls(transport)

    def on_caught_up(self) -> None:
        """Events that were late are carried out."""
        self.pump()
        if self._lost and not self._events.late:
            self._end()

    def _go_on_soon(self) -> None:
        """Others are served before the session reads on in the commands that it has."""
        if not self._going_on:
            self._going_on = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._going_on = False
        if self._gone or self._events.late or (self._flow.reasons & OUTPUT and self._transport is not None):
            return  # `_catch_up` or `resume_writing` comes back to it
        try:
            self._session.go_on()
        except Exception:  # a fault of a policy, or of ours
            self.give_up()
            return
        self.pump()
        if not self._gone and not self._session.has_more_to_say:
            self._flow.resume(self._transport, COMMANDS)
            self.memory.count()

    def give_up(self) -> None:
        """A fault of ours: one connection pays for it, and the mail it was sending is dropped."""
        self._log.given_up()
        if not self._gone:
            self._events.forget()
        if self._transport is not None:
            self._transport.abort()

    # What session events ask for: see `sessionevents.EventOwner`

    def on_start_tls(self) -> None:
        """A handshake comes next; STARTTLS makes the session forget its credentials."""
        self._log.count_login(self._session.peer.credentials)
        self._tls_wanted = True

    def on_asked(self, facts: Facts) -> None:
        """A plan is to be asked about a command."""
        self.have_faults().ask_about_command(facts)

    # Fault plans: see `connectionfaults.FaultyConnection`

    @property
    def session(self) -> Session:
        """Where TLS is implicit, there is another one behind the handshake."""
        return self._session

    @property
    def transport(self) -> asyncio.Transport | None:
        """None: the client is gone."""
        return self._transport

    @property
    def descriptor(self) -> int:
        """Of the socket."""
        return self._fd

    @property
    def _by_plan(self) -> bool:
        """Whether replies wait to be written, because a plan wants it so."""
        return self._faults is not None and self._faults.writing

    def end_writing(self) -> None:
        """What a plan made wait is written."""
        if self._transport is not None and not self._events.busy:
            self._end_writing(self._transport)

    def have_faults(self) -> ConnectionFaults:
        """What plans do to this connection; there is a question now."""
        planner = self._listening.planner
        assert planner is not None  # or there were no question
        if self._faults is None:
            self._faults = self._delivery.faults = ConnectionFaults(
                self,
                self._delivery,
                planner,
                self._loop,
                self._log,
                self._mails,
                self.memory,
                self._flow,
                self._timeouts,
            )
        return self._faults

    def belongs_to(self, namespace: str) -> bool:
        """See `openconnection.OpenConnection`."""
        planner = self._listening.planner
        return planner is not None and planner.holds(namespace, self._session.peer, self._session.transaction)

    # TLS

    def _begin_tls(self, transport: asyncio.Transport) -> None:
        """TLS comes before the session, and a PROXY header, where there is one, before TLS."""
        facts = self._session.facts_at(TLS)
        if facts is None:
            self.encrypt()
        else:
            self.have_faults().ask_about_handshake(facts, transport, EarlyOctets(transport, self))

    def _start_tls(self, transport: asyncio.Transport) -> None:
        """The handshake that STARTTLS has asked for."""
        self._tls_wanted = False
        self._timeouts.since = self._loop.time()
        facts = self._session.facts_at(TLS)
        if facts is None:
            self.encrypt()
        else:
            self.have_faults().ask_about_handshake(facts, transport)

    def encrypt(self, early: bytes = b"") -> None:
        """Begin the handshake, of which octets may have come already."""
        plain = self._transport
        assert plain is not None
        certificate = "" if self._faults is None else self._faults.take_certificate()
        self._transport = self._handshake.begin(plain, certificate)
        if early:
            self._handshake.feed(early)

    def on_encrypted(self, tls: TLSInfo, header: ProxyHeader | None) -> None:
        """Go on over TLS: the handshake is done."""
        transport = self._transport
        assert transport is not None
        if self._listening.implicit_tls:
            self._session = self._make_session(transport, tls)
            self._begin(header)
        else:
            self._session.tls_established(tls)
            self.pump()
