"""The state machine of one SMTP session (RFC 5321): bytes in, replies and events out. No time, no IO, no asyncio.

Strategy: what is being read decides what becomes of the next octets: they are command lines, mail data up to its end,
a chunk, or they have to wait (a decision, or a plan's answer, is awaited) or are dropped (TLS is being started, the
session is over). Mail data is never copied.

The session has the objects that do this - `CommandLines`, `Verbs`, `Authentication`, `MailReader` -, one `SessionState`
that these share, one `Peer` with what it knows of the client, and one `Gate` that every command has to pass; here is in
which order they act.

Capture first: what has a meaning is accepted and recorded (`violations.CLAUSES`); in strict mode the same
places refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from fastsmtp._parse import DataDecoder
from fastsmtp.smtp import policy, replies, violations
from fastsmtp.smtp.askedcommand import AskedCommand
from fastsmtp.smtp.authentication import Authentication
from fastsmtp.smtp.commandlines import CommandLines
from fastsmtp.smtp.envelope import TLSInfo
from fastsmtp.smtp.events import HEADROOM, AbortReason, Event, MailAborted, Verdict
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.maildata import MailDataDecoder
from fastsmtp.smtp.mailreader import MailReader
from fastsmtp.smtp.opening import SPECIAL_OCTETS, Opening
from fastsmtp.smtp.outbox import ENOUGH, Outbox
from fastsmtp.smtp.peer import Peer
from fastsmtp.smtp.planner import Fault, Planner
from fastsmtp.smtp.policy import Facts
from fastsmtp.smtp.proxycommands import take_header
from fastsmtp.smtp.proxyheader import ProxyHeader
from fastsmtp.smtp.sessionsettings import SessionSettings
from fastsmtp.smtp.sessionstate import ASKED, CHUNK, COMMANDS, DECISION, MAIL_DATA, OPENING, OVER, TLS, SessionState
from fastsmtp.smtp.transaction import Transaction
from fastsmtp.smtp.verbs import Verbs
from fastsmtp.smtp.violations import Violation

VERDICT_REPLIES: Final = {
    Verdict.ACCEPT: replies.MESSAGE_ACCEPTED,
    Verdict.ACCEPT_AND_CLOSE: replies.MESSAGE_ACCEPTED,
    Verdict.WORKER_FAILED: replies.WORKER_FAILED,
    Verdict.NO_WORKER: replies.NO_WORKER,
    Verdict.STORAGE_FAILED: replies.STORAGE_FAILED,
    Verdict.STORAGE_FULL: replies.STORAGE_FULL,
    Verdict.TOO_LARGE: replies.TOO_BIG,
    Verdict.MALFORMED: replies.MALFORMED_MESSAGE,
    Verdict.REFUSED: replies.STORAGE_FAILED,  # the plan has another one
    Verdict.DROPPED: replies.MESSAGE_ACCEPTED,
}


class Session:
    """One connection's side of the protocol.

    Feed it with `receive`, `receive_eof`, `decide` and `answer`; after each take `take_events` and `take_output`.
    Nothing a client sends raises. The owner asks `waiting_for_decision`, `receiving_mail` and `closing` to know what it
    waits for, and `has_more_to_say`, to call `go_on` when the client has taken its replies.
    """

    __slots__ = (
        "_asked",
        "_authentication",
        "_eof",
        "_gate",
        "_lines",
        "_mail",
        "_opening",
        "_out",
        "_settings",
        "_state",
        "_verbs",
        "peer",
    )

    def __init__(
        self,
        settings: SessionSettings,
        *,
        tls: TLSInfo | None = None,
        remote_addr: str = "",
        believed: bool = False,
        make_decoder: Callable[[], MailDataDecoder] = DataDecoder,
        planner: Planner | None = None,
    ) -> None:
        """`remote_addr` is the other end of the connection; `believed`: it is a proxy, and may say who its client is.

        With `tls` no PROXY header is looked for: it comes before the handshake, and is given to `take_header`.
        `make_decoder` is for tests, which have a slow one that is obviously right.
        """
        self._settings: Final = settings
        self._out: Final = Outbox(settings.trace)
        self.peer: Final = Peer(tls, remote_addr, believed)
        self._state: Final = SessionState(self._out, OPENING if tls is None else COMMANDS)
        self._gate: Final = Gate(settings.policies, self._out, self.peer, settings.memory, planner)
        self._asked: Final = AskedCommand(self._gate, self._state)
        self._authentication: Final = Authentication(settings, self._gate)
        self._lines: Final = CommandLines(self._gate, self._authentication, settings.trace)
        self._mail: Final = MailReader(self._gate, self._state, self._asked, make_decoder)
        self._verbs: Final = Verbs(settings, self._gate, self._state, self._authentication, self._mail)
        self._opening: Opening | None = None  # once its first octet has come, if it is no command's
        self._eof = False  # the client is gone, but a decision about its mail is still awaited

    # What the owner feeds ---------------------------------------------------------------------------------------------

    def greet(self, connections: int = 0) -> None:
        """Queue the greeting, or the refusal of a client that comes when so many connections are open already."""
        self.peer.connections = connections
        policies = self._settings.policies
        refusal = policies.limit_connections(connections) if policies is not None else b""
        if refusal:
            self._state.end(refusal)
        else:
            self._on_connect()

    def receive(self, buf: bytearray, start: int, end: int) -> None:
        """Take the octets `buf[start:end]`; they, and the one before, may be overwritten. `start` is at least 1."""
        held = self._state.held
        if held is not None and held.octets is not buf:
            held.keep(buf, start, end)
        else:
            self._read(buf, start, end)

    def _read(self, buf: bytearray, start: int, end: int) -> None:
        while start < end:
            reading = self._state.reading
            if reading == COMMANDS:
                if self._out.octets >= ENOUGH:
                    self._state.hold(buf, start, end)
                    return
                start = self._read_commands(buf, start, end)
            elif reading == MAIL_DATA:
                start = self._mail.read_data(buf, start, end)
            elif reading == CHUNK:
                start = self._mail.read_chunk(buf, start, end)
            elif reading == OPENING:
                start = self._read_opening(buf, start, end)
            elif reading == DECISION or reading == ASKED:  # noqa: SIM109 - a tuple is made of no use
                self._state.hold(buf, start, end)
                return
            else:
                if reading == TLS and violations.PLAINTEXT_AFTER_STARTTLS not in self._out.violations:
                    self._out.record(violations.PLAINTEXT_AFTER_STARTTLS)
                return

    def take_header(self, header: ProxyHeader) -> None:
        """Take what a PROXY header says that came before the first octet of the session."""
        if not take_header(self._gate, header):
            self._state.close()

    def receive_eof(self) -> None:
        """The client sends no more. A mail under way is aborted; one that is being decided is not."""
        self._eof = True
        state = self._state
        if not self.waits and state.reading != OVER and state.held is None:
            state.abort(AbortReason.EOF)
            state.close()

    def decide(self, verdict: Verdict, fault: Fault | None = None) -> None:
        """The decision about the mail announced by `MailEnd`. Goes on with the octets that came behind it.

        A `fault` is what a plan makes of the reply: call `go_on` then, when that was taken.
        """
        state = self._state
        assert state.reading == DECISION, "no mail is waiting for a decision"
        state.transaction = None
        state.reading = COMMANDS
        if fault is not None:
            self._end_by_plan(fault, verdict)
            return
        self._out.reply(VERDICT_REPLIES[verdict])
        if verdict is Verdict.ACCEPT_AND_CLOSE:
            state.end(replies.BYE)
        elif state.stopping:
            state.stop_if_idle()
        self._release()

    def answer(self, fault: Fault | None) -> None:
        """The answer to `Asked`; None lets the command have its way. Call `go_on` when its reply was taken."""
        if fault is not None and fault.silent:
            self._authentication.captured = None
        self._asked.answer(fault)
        self._mail.go_on()
        if self._state.stopping:
            self._state.stop_if_idle()

    def go_on(self) -> None:
        """Read the commands that had to wait for the replies to others; call it when these were taken and written."""
        if not self.waits:
            self._release()

    def shed(self) -> None:
        """Memory is short: give up the mail that arrives, if there is one. The rest is swallowed, the reply is 452."""
        transaction = self._state.transaction
        if transaction is None or transaction.failed or self.waits:
            return
        if transaction.chunked or self._state.reading == MAIL_DATA:
            transaction.failed = replies.OUT_OF_MEMORY
            self._out.events.append(MailAborted(AbortReason.MEMORY))

    def judge(self, codes: Sequence[str]) -> Verdict | None:
        """Record violations that only the complete message shows; the verdict that refuses it, None to go on.

        Asked between `MailEnd` and `decide`; a verdict is to be given to `decide`.
        """
        for code in codes:
            self._out.record(code)
        policies = self._settings.policies
        if codes and policies is not None and policies.refuse_violation(codes[0], b""):
            return Verdict.MALFORMED
        return None

    def shutdown(self) -> None:
        """The server is stopping: 421 now, or as soon as the open transaction has ended."""
        self._state.stopping = True
        self._state.stop_if_idle()

    def tls_established(self, tls: TLSInfo) -> None:
        """The handshake that `StartTLS` asked for is done."""
        assert self._state.reading == TLS, "STARTTLS was not asked for"
        self.peer.protect(tls)
        self._state.reading = COMMANDS
        if self._state.stopping:
            self._state.stop_if_idle()

    # What the owner asks ----------------------------------------------------------------------------------------------

    @property
    def has_events(self) -> bool:
        """Whether `take_events` would return any."""
        return bool(self._out.events)

    def take_events(self) -> list[Event]:
        """What happened since the last call, in order."""
        return self._out.take_events()

    def take_output(self) -> bytes:
        """All replies since the last call, in one piece."""
        return self._out.take_output()

    @property
    def violations(self) -> dict[str, Violation]:
        """What was recorded so far, by code."""
        return self._out.violations

    @property
    def waiting_for_decision(self) -> bool:
        """Between `MailEnd` and `decide`: reading should pause."""
        return self._state.reading == DECISION

    def facts_at(self, stage: str) -> Facts | None:
        """What plans have to be asked about a mail that is complete, or a handshake; None where they have not."""
        return self._gate.facts_at(stage, self._state.transaction)

    @property
    def stopping(self) -> bool:
        """`shutdown` was called."""
        return self._state.stopping

    @property
    def waits(self) -> bool:
        """A decision or an answer is awaited: reading should pause."""
        return self._state.reading == DECISION or self._state.reading == ASKED

    @property
    def waiting_for_answer(self) -> bool:
        """Between `Asked` and `answer`."""
        return self._state.reading == ASKED

    @property
    def held(self) -> int:
        """Octets in memory, about: what the client said, and what of it has to wait. Mail data is the owner's."""
        held, transaction = self.peer.held + self._lines.held + self._authentication.held, self._state.transaction
        if transaction is not None:
            held += transaction.held
        return held if self._state.held is None else held + len(self._state.held.octets)

    @property
    def has_more_to_say(self) -> bool:
        """Commands are left unread until the replies that there are were taken: see `go_on`."""
        return self._state.held is not None and self._state.reading == COMMANDS

    @property
    def receiving_mail(self) -> bool:
        """The next octets are mail data, or a chunk. False between two chunks: there a command is awaited."""
        return self._state.reading == MAIL_DATA or self._state.reading == CHUNK

    @property
    def transaction(self) -> Transaction | None:
        """The open transaction, from MAIL until its mail is decided, refused or reset; to look at."""
        return self._state.transaction

    @property
    def state(self) -> str:
        """What is going on, in a word for people."""
        return self._state.word

    @property
    def closing(self) -> bool:
        """`Closed` was emitted: no more input is looked at."""
        return self._state.reading == OVER

    # Commands ---------------------------------------------------------------------------------------------------------

    def _read_opening(self, buf: bytearray, start: int, end: int) -> int:
        if self._opening is None and buf[start] not in SPECIAL_OCTETS:
            self._state.reading = COMMANDS
            return start
        opening = self._opening = self._opening or Opening(self._gate)
        start = opening.read(buf, start, end)
        if opening.decided:
            self._opening = None
            self._state.reading = COMMANDS
            if self._gate.closes:
                self._state.close()
            # What was looked at comes first: in one piece with the rest, of which some may have to wait.
            octets = bytearray(HEADROOM) + opening.octets + buf[start:end]
            self._read(octets, HEADROOM, len(octets))
            return end
        return start

    def _read_commands(self, buf: bytearray, start: int, end: int) -> int:
        lines, out, state = self._lines, self._out, self._state
        while start < end and state.reading == COMMANDS and out.octets < ENOUGH:
            start = lines.read(buf, start, end)
            text = lines.text
            if text is not None:
                lines.text = None  # it may be long
                self._verbs.take(text)
            if self._gate.closes:
                if self._gate.asking is not None and text is not None:
                    self._ask_about(text)
                    return start
                state.abort(AbortReason.POLICY)
                state.close()
            if state.stopping:
                state.stop_if_idle()
        return start

    def _release(self) -> None:
        """Feed what was kept, as far as it need not wait again."""
        held = self._state.held
        if held is not None:
            self.receive(held.octets, held.take(), len(held.octets))
            if held.empty:
                self._state.held = None
        if self._eof:
            self.receive_eof()

    def _ask_about(self, text: str) -> None:
        """A plan has to be asked about a command line, which is taken again then."""
        authentication = self._authentication
        self._asked.ask(partial(self._verbs.take, text) if authentication.captured is None else authentication.finish)

    def _on_connect(self) -> None:
        if self._gate.lets(policy.CONNECT, ""):
            self._on_banner()
        elif self._gate.asking is not None:
            self._asked.ask(self._on_connect)
        else:
            self._state.close()  # without a greeting there is no session

    def _on_banner(self) -> None:
        if self._gate.lets(policy.BANNER, ""):
            self._out.reply(replies.greeting(self._settings.hostname))
        elif self._gate.asking is not None:
            self._asked.ask(self._on_banner)
        else:
            self._state.close()

    def _end_by_plan(self, fault: Fault, verdict: Verdict) -> None:
        """Reply to a mail as a plan wants it."""
        if fault.silent:
            self._state.close()
            return
        self._state.refuse(fault.reply or VERDICT_REPLIES[verdict], fault.close, fault.rule if fault.reply else "")
        if verdict is Verdict.ACCEPT_AND_CLOSE and not fault.close:
            self._state.end(replies.BYE)
        elif self._state.stopping:
            self._state.stop_if_idle()
