"""asyncio transport <-> session: one object per connection, no task, no thread.

All connections of a process read into one buffer: the loop calls `get_buffer` and `buffer_updated` back to back, so
no other connection can write into it in between, and an idle connection owns no buffer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final, cast

from fastsmtp.capture.identifier import uuid7
from fastsmtp.delivery.destination import ACCEPTED
from fastsmtp.faults.actions import Action
from fastsmtp.goridge._queues import unread
from fastsmtp.inbox.frames import Decided
from fastsmtp.server.clienttimeouts import ClientTimeouts
from fastsmtp.server.connectionfaults import ConnectionFaults, fault_of, make_question, shown_fields
from fastsmtp.server.connectionlog import ConnectionLog
from fastsmtp.server.earlyoctets import EarlyOctets
from fastsmtp.server.flowcontrol import (
    COMMANDS,
    INFLIGHT,
    LATE,
    NOT_THE_CLIENTS,
    OUTPUT,
    RATE,
    SHAPED,
    VERDICT,
    FlowControl,
)
from fastsmtp.server.listening import Listening
from fastsmtp.server.reception import Reception
from fastsmtp.server.resetting import reset
from fastsmtp.server.shapedwriter import ShapedWriter
from fastsmtp.server.tls import faulty_context, tls_info
from fastsmtp.server.tlshandshake import TLSHandshake
from fastsmtp.smtp.envelope import TLSInfo
from fastsmtp.smtp.events import (
    HEADROOM,
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
    Verdict,
    kept,
)
from fastsmtp.smtp.planner import Fault
from fastsmtp.smtp.policy import DATA_END, TLS, Facts
from fastsmtp.smtp.proxyheader import ProxyHeader
from fastsmtp.smtp.session import Session
from fastsmtp.smtp.transcript import CLIENT, SERVER
from fastsmtp.system.addresses import format_peer
from fastsmtp.system.loopdelay import BUSY_S
from fastsmtp.text import timestamp

# Bytes of replies the kernel would not take, above which a client that never reads is waited for no longer than
# write_timeout. Replies are short: a client has to send hundreds of commands without reading to get there.
_WRITE_HIGH_WATER: Final = 8 * 1024
_UNCOUNTED_OCTETS: Final = 2048  # of commands, after which it is counted what they have left in memory
_NEGLECTED_OCTETS: Final = 1024  # of memory that are not worth being counted


class SMTPProtocol(asyncio.BufferedProtocol):
    """One connection: feeds the session, carries out its events, writes its replies, one write per read."""

    __slots__ = (
        "_by_plan",
        "_certificate",
        "_cut",
        "_faults",
        "_fd",
        "_flow",
        "_going_on",
        "_handshake",
        "_late",
        "_listening",
        "_log",
        "_loop",
        "_lost",
        "_mail_held",
        "_mails",
        "_others",
        "_own_held",
        "_pumping",
        "_read_rate",
        "_session",
        "_timeouts",
        "_tls_wanted",
        "_transport",
        "_uncounted",
        "_wall_since",
        "_writer",
    )

    def __init__(self, listening: Listening, loop: asyncio.AbstractEventLoop) -> None:
        # Server
        self._listening = listening
        self._loop = loop
        # Connection
        self._log: Final = ConnectionLog(listening)
        self._mails = Reception(listening)
        self._flow: Final = FlowControl()
        self._timeouts: Final = ClientTimeouts(listening.read_timeout_s, listening.write_timeout_s)
        self._wall_since = 0.0  # Unix time at which the client connected
        self._transport: asyncio.Transport | None = None
        self._others = 0  # connections that were open when this one came
        self._own_held = 0  # octets in memory that are not of the mail, as they were counted last
        self._uncounted = 0  # octets of commands that were read since then
        self._fd = -1  # of the socket
        self._pumping = False
        self._going_on = False  # `_go_on` is called soon
        self._late: list[Event] = []  # what is still to be carried out, when it is our turn again
        self._lost = False  # the client is gone while events are late
        self._tls_wanted = False  # a handshake is to begin once the replies are written
        self._handshake: TLSHandshake | None = None  # under way, or a PROXY header is awaited before it
        self._mail_held = 0  # octets in memory of the mail
        # What plans do; see `connectionfaults`
        self._faults: ConnectionFaults | None = None  # from the first question on
        self._by_plan: Decided | None = None  # what one does to the mail that is being decided
        self._writer: ShapedWriter | None = None  # of replies that are written as one wants it
        self._read_rate = 0  # octets a second of mail data, 0 = as fast as they come
        self._cut = False  # the connection ends with a reset
        self._certificate = ""  # that the next handshake has in the place of ours

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
            self._give_up()
            return
        if self._session.closing:
            self._turn_away()
            return
        self._log.opened()
        if header is not None:
            self._session.take_header(header)
        self._pump()

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
            return buffer.small_view if backpressure.has_turn(self) else buffer.tiny_view
        if not self._session.receiving_mail:
            return buffer.small_view
        return buffer.view if not self._read_rate else buffer.view[: max(1, self._read_rate // 4)]

    def buffer_updated(self, nbytes: int) -> None:
        """`nbytes` were read into the shared buffer."""
        session = self._session
        if session.waits:
            # The session keeps this one read. Stopping only now saves two system calls per mail: few clients go on.
            self._flow.pause(self._transport, VERDICT)
        try:
            session.receive(self._listening.buffer.octets, HEADROOM, HEADROOM + nbytes)
        except Exception:  # a fault of a policy, or of ours
            self._give_up()
            return
        self._pump()
        if session.receiving_mail:
            self._timeouts.since = self._loop.time()
            if self._read_rate:
                self._rest(nbytes)
        else:
            self._uncounted += nbytes
            if self._uncounted >= _UNCOUNTED_OCTETS:
                self._count_held()

    def _count_held(self) -> None:
        """Tell how much is held in memory for the connection, without the mail that arrives: it is told as it does."""
        self._uncounted = 0
        held = 0
        if self._transport is not None:
            held = self._session.held
            transcript = self._log.transcript
            if transcript is not None:
                if self._listening.backpressure.is_short:
                    transcript.shorten()
                held += transcript.held
        self._own_held = held if held > _NEGLECTED_OCTETS else 0
        self._listening.backpressure.hold(self, self._own_held + self._mail_held)

    def eof_received(self) -> bool:
        """The client will send nothing more: a mail that is complete still gets its reply, then the end."""
        session = self._session
        session.receive_eof()
        self._pump()
        return session.waits or session.has_more_to_say or self._writer is not None

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone. A mail without its end is dropped; one that is complete goes its way to a worker."""
        self._transport = None
        self._fd = -1  # soon another's
        listening = self._listening
        if self._writer is not None:
            self._writer.end()
        if self not in listening.connections:  # turned away
            return
        self._end_faults()
        if self._handshake is not None:
            self._fail_handshake("the client is gone" if exc is None else str(exc) or type(exc).__name__)
        if listening.implicit_tls and self._session.peer.tls is None:  # there was no session
            listening.leave(self)
            listening.on_closed()
            return
        self._session.receive_eof()
        self._pump()
        if self._late:
            self._lost = True
        else:
            self._end()

    def _end(self) -> None:
        """All events are carried out, and no more come."""
        listening, session, log = self._listening, self._session, self._log
        listening.leave(self)
        self._count_held()
        log.tell_violations(session.violations.values())
        log.count_login(session.peer.credentials)
        log.closed(self._mails.count)
        listening.on_closed()

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
        elif self._handshake is not None:
            if timeouts.handshake_is_late(now):
                handshake, self._handshake = self._handshake, None
                handshake.time_out()
        elif not self._is_awaited(now) and timeouts.sender_is_late(now):
            self._time_out(transport, "read timeout")

    def _time_out(self, transport: asyncio.Transport, waited_for: str) -> None:
        self._log.timed_out(waited_for)
        transport.abort()

    def _is_awaited(self, now: float) -> bool:
        """Whether it is not the client that something is awaited from."""
        if self._flow.reasons == INFLIGHT and not self._session.waiting_for_decision and not self.has_unread:
            return False  # that we do not read makes no difference to a client that does not send
        if self._flow.reasons & INFLIGHT:
            self._timeouts.since = now
        return bool(self._flow.reasons & NOT_THE_CLIENTS) or self._session.waits or self._writer is not None

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
        session = self._session
        transaction = session.transaction
        credentials = session.peer.credentials
        return {
            "uuid": self.uuid,
            "remote_addr": self.remote_addr,
            "server": self._listening.server,
            "since": timestamp(int(self._wall_since)),
            "emails": self._mails.count,
            "email_uuid": self.email_uuid,
            "state": session.state if self._handshake is None else "tls",
            "helo": session.peer.helo,
            "from": "" if transaction is None else transaction.reverse_path,
            "to": [] if transaction is None else transaction.forward_paths,
            "authenticated": credentials is not None,
            "username": "" if credentials is None else credentials.username or "",
        }

    @property
    def server(self) -> str:
        """The name of its listener."""
        return self._listening.server

    def shutdown(self) -> None:
        """The server stops: 421 now, or after the transaction that is under way; in a TLS handshake there is none."""
        if self._handshake is not None or (self._listening.implicit_tls and self._session.peer.tls is None):
            self.abort()
            return
        self._session.shutdown()
        self._pump()
        if self._faults is not None:
            self._faults.hurry()
            self._hurry()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    # Back-pressure: called by Backpressure

    @property
    def complete(self) -> bool:
        """See `backpressure.Reader`."""
        return self._session.waiting_for_decision

    @property
    def has_unread(self) -> bool:
        """See `backpressure.Reader`."""
        return self._fd >= 0 and unread(self._fd) > 0

    def pause(self) -> None:
        """See `backpressure.Reader`."""
        self._flow.pause(self._transport, INFLIGHT)

    def shed(self) -> None:
        """See `backpressure.Reader`."""
        self._session.shed()
        self._pump()

    def resume(self) -> None:
        """See `backpressure.Reader`."""
        if self.has_unread:
            self._timeouts.since = self._loop.time()
        self._flow.resume(self._transport, INFLIGHT)

    # Session -> world

    def _pump(self) -> None:
        """Carry out what the session has to say, and write its replies at once. Never raises.

        A verdict may come while events are carried out; the session then has more to say, and the loop goes on.
        """
        if self._pumping:
            return
        self._pumping = True
        session, transport = self._session, self._transport
        try:
            while session.has_events:
                events = session.take_events()
                if self._late:
                    self._postpone(events)
                else:
                    self._carry_out_all(events)
        except Exception:
            self._give_up()
            return
        finally:
            self._pumping = False
        output = session.take_output()
        if self._late:
            self._catch_up_later()
        elif session.has_more_to_say:
            self._flow.pause(self._transport, COMMANDS)
            self._go_on_soon()
        if transport is None:
            return
        if output:
            self._timeouts.since = self._loop.time()
            if self._writer is None:
                transport.write(output)
            else:
                self._writer.write(output)
        if self._writer is None:
            self._go_over(transport)

    def _go_over(self, transport: asyncio.Transport) -> None:
        """All is written: close, or begin the handshake, where the session wants it."""
        if self._session.closing:
            # What is not yet written has as long as a client that does not read.
            self._await_client()
            if self._cut:
                reset(self._loop, transport, self._fd)
            else:
                transport.close()
        elif self._tls_wanted:
            self._start_tls()

    def _carry_out_all(self, events: list[Event]) -> None:
        """Carry out events; what is `_late` then has to wait."""
        for place in range(len(events)):
            self._carry_out(events[place])
            if self._late:
                self._late += map(kept, events[place + 1 :])
                return

    def _postpone(self, events: list[Event]) -> None:
        """Keep events behind those that are late; the mail data of a mail that is broken off is not looked at."""
        for event in events:
            if isinstance(event, MailAborted):
                self._late = _without_last_mail(self._late)
            self._late.append(kept(event))

    def _catch_up_later(self) -> None:
        if not self._flow.reasons & LATE:
            self._flow.pause(self._transport, LATE)
            slices = self._listening.slices
            assert slices is not None
            slices.add(self._catch_up)

    def _catch_up(self) -> bool:
        """Go on with events that are late; whether there are more. Never raises."""
        began = monotonic()
        late, self._late = self._late, []
        self._pumping = True
        try:
            self._carry_out_all(late)
        except Exception:
            self._give_up()
        finally:
            self._pumping = False
        self._tell_work(began)
        if self._late:
            return True
        self._flow.resume(self._transport, LATE)
        self._pump()
        if self._lost and not self._late:
            self._end()
        return False

    def _go_on_soon(self) -> None:
        """Others are served before the session reads on in the commands that it has."""
        if not self._going_on:
            self._going_on = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._going_on = False
        if self._late or (self._flow.reasons & OUTPUT and self._transport is not None):
            return  # `_catch_up` or `resume_writing` comes back to it
        try:
            self._session.go_on()
        except Exception:  # a fault of a policy, or of ours
            self._give_up()
            return
        self._pump()
        if not self._session.has_more_to_say:
            self._flow.resume(self._transport, COMMANDS)
            self._count_held()

    def _give_up(self) -> None:
        """A fault of ours: one connection pays for it, and the mail it was sending is dropped."""
        self._log.given_up()
        self._late = []
        if self._transport is not None:
            self._transport.abort()

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
            self._on_mail_aborted(event)
        elif isinstance(event, StartTLS):
            self._on_start_tls()
        elif isinstance(event, ClientNamed):
            self._log.client_named(event.remote_addr)
        elif isinstance(event, Asked):
            self._ask(event.facts, self._on_answer)
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
            self._late.append(kept(MailOctets(event.buf, start, event.end)))
            self._mail_held = mails.held + late
        else:
            self._mail_held = mails.held
        self._listening.backpressure.hold(self, self._own_held + self._mail_held)

    def _on_mail_end(self) -> None:
        began = 0.0 if self._listening.loop_delay is None else monotonic()
        verdict = self._mails.complete(self._session, self._log.transcript)
        if verdict is None:
            facts = self._session.facts_at(DATA_END)
            if facts is None:
                verdict = self._mails.deliver(self._on_verdict, self._acted())
            else:
                self._ask_about_mail(facts)
        if verdict is not None:
            self._decide(verdict)
        self._tell_work(began)

    def _tell_work(self, began: float) -> None:
        """Such a piece of work is over. One in a thousand is long."""
        loop_delay = self._listening.loop_delay
        if loop_delay is None:
            return
        seconds = monotonic() - began
        if seconds > BUSY_S:
            loop_delay.worked(self.email_uuid, seconds)

    def _on_mail_aborted(self, event: MailAborted) -> None:
        self._mails.abort(event.reason)
        self._read_rate = 0
        self._mail_held = 0
        self._count_held()

    def _on_verdict(self, verdict: Verdict) -> None:
        """All destinations have decided about the email. Called by them, never while events are carried out."""
        self._mails.settle(verdict)
        decided = self._by_plan
        if decided is not None and decided.action.store and self._faults is not None:
            self._faults.wait(decided, partial(self._finish, verdict))
        else:
            self._finish(verdict)

    def _finish(self, verdict: Verdict) -> None:
        """The reply to the mail is due."""
        try:
            self._decide(verdict)
        except Exception:  # of what the client had sent behind the mail
            self._give_up()
            return
        self._pump()
        if not self._session.waits:
            self._flow.resume(self._transport, VERDICT)

    def _decide(self, verdict: Verdict) -> None:
        self._mail_held = 0
        self._read_rate = 0
        self._mails.decided(verdict)
        if self._by_plan is None:
            self._session.decide(verdict)
        else:
            self._decide_by_plan(verdict)
        if self._own_held:
            self._count_held()
        else:
            self._listening.backpressure.hold(self, 0)

    def _on_start_tls(self) -> None:
        self._log.count_login(self._session.peer.credentials)  # STARTTLS makes the session forget them
        self._tls_wanted = True

    # Fault plans

    def _ask(self, facts: Facts, then: Callable[[Decided | None], None]) -> None:
        """Have plans asked; `then` gets the answer, and never from within this call."""
        planner = self._listening.planner
        assert planner is not None  # or there were no question
        if self._faults is None:
            self._faults = ConnectionFaults(planner, self._loop)
        if self._session.stopping:
            self._faults.hurry()
        email = self._mails.email
        fields = [] if email is None else shown_fields(email.message.fields)
        mail = self.email_uuid if self._session.receiving_mail or email is not None else ""
        self._faults.ask(facts, make_question(facts, self._log.uuid, self._log.peer, mail, fields), then)

    def belongs_to(self, namespace: str) -> bool:
        """See `openconnection.OpenConnection`."""
        planner = self._listening.planner
        return planner is not None and planner.holds(namespace, self._session.peer, self._session.transaction)

    def _acted(self) -> list[tuple[str, str]]:
        """What plans did to the mail that is being decided."""
        return [] if self._faults is None else self._faults.acted_on(self._session.transaction)

    def _on_answer(self, decided: Decided | None) -> None:
        """A plan has answered about a command, and the time that it wants is over."""
        if not self._session.waiting_for_answer or self._transport is None:
            return
        try:
            self._timeouts.since = self._loop.time()
            self._session.answer(None if decided is None else fault_of(decided.rule, decided.action))
            if self._faults is not None:
                self._faults.follow(self._session.transaction)
            self._go_on_by_plan(decided)
        except Exception:  # a fault of a policy, or of ours
            self._give_up()

    def _go_on_by_plan(self, decided: Decided | None) -> None:
        """Write the reply to the command or the mail that a plan has had its way with, and read on behind it."""
        if decided is not None and self._transport is not None:
            self._cut = decided.action.close == "rst"
            self._certificate = decided.action.certificate
            self._shape(decided, self._transport)
        self._pump()
        if self._session.closing and self._writer is not None:
            self._writer.skip()
        self._session.go_on()
        self._pump()
        if not self._session.waits:
            self._flow.resume(self._transport, VERDICT)
        if self._own_held:
            self._count_held()

    def _shape(self, decided: Decided, transport: asyncio.Transport) -> None:
        """Read and write as an action says."""
        action, faults = decided.action, self._faults
        if faults is None or not (action.shapes or action.read_rate):
            return
        self._read_rate = action.read_rate or self._read_rate
        if action.shapes:
            self._flow.pause(transport, SHAPED)
            self._writer = self._writer or ShapedWriter(transport, self._loop, self._on_written)
            self._writer.shape(action)
        if self._session.stopping or not faults.is_current(decided):
            self._hurry()
        else:
            faults.shape(decided, self._hurry)

    def _hurry(self) -> None:
        """Read and write as fast as it can be: the server stops, or a plan is no more."""
        self._read_rate = 0
        self._read_on()
        if self._writer is not None:
            self._writer.hurry()

    def _on_written(self) -> None:
        """All is written, as a plan wanted it."""
        self._writer = None
        self._timeouts.since = self._loop.time()
        self._flow.resume(self._transport, SHAPED)
        if self._transport is not None and not self._pumping:
            self._go_over(self._transport)

    def _ask_about_mail(self, facts: Facts) -> None:
        self._ask(facts, self._on_mail_answer)

    def _on_mail_answer(self, decided: Decided | None) -> None:
        """A plan has answered about a mail that is complete, and the time that it wants is over."""
        self._by_plan = decided
        verdict = self._deliver_by_plan(None if decided is None else decided.action)
        if verdict is not None:
            self._finish(verdict)

    def _deliver_by_plan(self, action: Action | None) -> Verdict | None:
        """Hand the mail on as an action says, or do not; return the verdict where there is one at once."""
        mails, acted = self._mails, self._acted()
        if action is None:
            return mails.deliver(self._on_verdict, acted)
        if action.drop:
            return mails.keep(Verdict.DROPPED, self._on_verdict, acted)
        if not action.refuses or (action.store and not action.reply):
            return mails.deliver(self._on_verdict, acted, max(1, action.duplicate))
        if action.store:
            return mails.keep(Verdict.REFUSED, self._on_verdict, acted)
        mails.discard()
        return Verdict.REFUSED

    def _decide_by_plan(self, verdict: Verdict) -> None:
        decided, self._by_plan = self._by_plan, None
        assert decided is not None
        action = decided.action
        fault = fault_of(decided.rule, action)
        if fault.reply[:1] == b"2" and verdict not in ACCEPTED:
            fault = Fault(close=fault.close)
        self._session.decide(verdict, fault)
        self._go_on_by_plan(decided)

    def _end_faults(self) -> None:
        """The client is gone: what plans make it wait for is over, and a mail that they hold is not kept."""
        faults = self._faults
        if faults is None:
            return
        if self._session.waiting_for_answer:
            self._session.answer(Fault(close=True, silent=True))
        elif self._mails.email is not None and self._session.waiting_for_decision:
            faults.end()
            self._mails.discard()
            self._decide(Verdict.REFUSED)
        elif self._by_plan is not None:
            faults.hurry()
            return
        faults.end()

    def _rest(self, octets: int) -> None:
        """Do not read for as long as so many octets take at the rate that a plan wants."""
        self._flow.pause(self._transport, RATE)
        self._loop.call_later(octets / self._read_rate, self._read_on)

    def _read_on(self) -> None:
        if self._flow.reasons & RATE:
            self._timeouts.since = self._loop.time()
            self._flow.resume(self._transport, RATE)

    # TLS

    def _begin_tls(self, transport: asyncio.Transport) -> None:
        """TLS comes before the session, and a PROXY header, where there is one, before TLS."""
        facts = self._session.facts_at(TLS)
        if facts is None:
            self._encrypt(transport, proxied=bool(self._listening.proxies))
        else:
            self._flow.pause(transport, VERDICT)
            early = EarlyOctets(transport, self)
            self._ask(facts, partial(self._on_early_answer, early))

    def _on_early_answer(self, early: EarlyOctets, decided: Decided | None) -> None:
        """A plan has answered about a handshake that comes first."""
        octets = early.end()
        self._on_tls_answer(decided)
        if self._handshake is not None and octets:
            self._handshake.feed(octets)

    def _on_tls_answer(self, decided: Decided | None) -> None:
        """A plan has answered about a handshake."""
        transport = self._transport
        if transport is None:
            return
        self._timeouts.since = self._loop.time()
        self._flow.resume(transport, VERDICT)
        if self._session.stopping:
            transport.abort()
            return
        if decided is not None and decided.action.close:
            self._log.handshake_failed(f"rule {decided.rule} of a plan", probe=False)
            if decided.action.close == "rst":
                reset(self._loop, transport, self._fd)
            else:
                transport.close()
            return
        if decided is not None and decided.action.certificate:
            self._certificate = decided.action.certificate
        implicit = self._listening.implicit_tls
        self._encrypt(transport, proxied=implicit and bool(self._listening.proxies))

    def _start_tls(self) -> None:
        """The handshake that STARTTLS has asked for."""
        transport = self._transport
        assert transport is not None
        self._tls_wanted = False
        self._timeouts.since = self._loop.time()
        facts = self._session.facts_at(TLS)
        if facts is None:
            self._encrypt(transport)
        else:
            self._flow.pause(transport, VERDICT)
            self._ask(facts, self._on_tls_answer)

    def _encrypt(self, plain: asyncio.Transport, *, proxied: bool = False) -> None:
        listening = self._listening
        context = listening.tls
        assert context is not None
        if self._certificate:
            context = faulty_context(self._certificate, listening.settings.hostname)
            self._certificate = ""
        self._flow.begin_handshake(plain)
        handshake = TLSHandshake(
            self._loop, plain, self, context, self._log, implicit=listening.implicit_tls, proxied=proxied
        )
        self._handshake = handshake
        self._transport = handshake.transport

    def on_proxy_header(self, header: ProxyHeader) -> None:
        """See `tlstransport.Encrypted`."""
        assert self._handshake is not None
        self._handshake.header = header

    def on_malformed_header(self, octets: bytes) -> None:
        """See `tlstransport.Encrypted`."""
        self._handshake = None
        self._log.malformed_header(octets)

    def on_tls(self) -> None:
        """Go on over TLS: the handshake is done."""
        transport, handshake = self._transport, self._handshake
        assert transport is not None
        assert handshake is not None
        self._handshake = None
        self._flow.end_handshake(transport)
        self._timeouts.since = self._loop.time()
        info = tls_info(transport)
        if self._listening.implicit_tls:
            self._session = self._make_session(transport, info)
            self._begin(handshake.header)
        else:
            self._session.tls_established(info)
            self._pump()

    def on_tls_failure(self, error: Exception) -> None:
        """See `tlstransport.Encrypted`."""
        self._fail_handshake(str(error))

    def _fail_handshake(self, reason: str) -> None:
        handshake, self._handshake = self._handshake, None
        assert handshake is not None
        handshake.fail(reason)


def _without_last_mail(late: list[Event]) -> list[Event]:
    """The events without the octets of the mail that is under way at their end."""
    begins = len(late)
    while begins and not isinstance(late[begins - 1], (MailBegin, MailEnd)):
        begins -= 1
    return [*late[:begins], *(event for event in late[begins:] if not isinstance(event, MailOctets))]
