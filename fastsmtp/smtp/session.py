"""The state machine of one SMTP session (RFC 5321): bytes in, replies and events out. No time, no IO, no asyncio.

Strategy: what is being read decides what becomes of the next octets: they are command lines, mail data up to its end,
a chunk, or they have to wait (a decision, or a plan's answer, is awaited) or are dropped (TLS is being started, the
session is over). Mail data is never copied.

The session has the objects that do this - `CommandLines`, `Authentication`, `MailData`, `HeldOctets` -, one `Peer` with
what it knows of the client, and one `Gate` that every command has to pass; here is in which order they act.

Capture first: what has a meaning is accepted and recorded (`violations.CLAUSES`); in strict mode the same
places refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from fastsmtp._parse import DataDecoder
from fastsmtp.smtp import command, policy, replies, violations
from fastsmtp.smtp.authentication import Authentication
from fastsmtp.smtp.chunkcommand import judge_chunk
from fastsmtp.smtp.commandlines import CommandLines
from fastsmtp.smtp.envelope import TLSInfo
from fastsmtp.smtp.events import (
    HEADROOM,
    AbortReason,
    Asked,
    Closed,
    Event,
    MailAborted,
    MailEnd,
    StartTLS,
    Verdict,
)
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.heldoctets import HeldOctets
from fastsmtp.smtp.maildata import MailData, MailDataDecoder
from fastsmtp.smtp.opening import SPECIAL_OCTETS, Opening
from fastsmtp.smtp.openingcommands import ehlo_reply, may_start_tls, take_name
from fastsmtp.smtp.outbox import ENOUGH, Outbox
from fastsmtp.smtp.pathcommands import add_recipient, open_transaction
from fastsmtp.smtp.peer import Peer
from fastsmtp.smtp.planner import Fault, Planner
from fastsmtp.smtp.policy import Facts
from fastsmtp.smtp.proxycommands import take_header, take_xclient, take_xforward
from fastsmtp.smtp.proxyheader import ProxyHeader
from fastsmtp.smtp.sessionsettings import SessionSettings
from fastsmtp.smtp.transaction import Transaction
from fastsmtp.smtp.violations import Violation

# What is being read: what becomes of the next octets. The transitions:
#
#   OPENING --the first octets are no PROXY header, or a whole one--> COMMANDS
#   COMMANDS --DATA--> MAIL_DATA --CRLF.CRLF--> DECISION --decide--> COMMANDS
#   COMMANDS --BDAT--> CHUNK --its last octet--> COMMANDS, after LAST: DECISION
#   COMMANDS --STARTTLS--> TLS --tls_established--> COMMANDS
#   OPENING, COMMANDS, MAIL_DATA, CHUNK --a plan has to be asked--> ASKED --answer--> where it was, and the command
#   any but DECISION --QUIT, end of input, a refusal that closes--> OVER; DECISION gets there after `decide`
COMMANDS: Final = 0
MAIL_DATA: Final = 1
CHUNK: Final = 2
DECISION: Final = 3  # octets are kept until `decide`
TLS: Final = 4  # octets are dropped until `tls_established`
OVER: Final = 5  # octets are dropped
OPENING: Final = 6  # there may be a PROXY header
ASKED: Final = 7  # octets are kept until `answer`
_STATES: Final = {
    OPENING: "idle",
    MAIL_DATA: "receiving",
    CHUNK: "receiving",
    DECISION: "waiting",
    ASKED: "waiting",
    TLS: "tls",
    OVER: "closing",
}

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
_MAIL_END: Final = MailEnd()
_GOOD: Final = {policy.DATA: b"3", policy.BODY: b""}  # how a good reply begins where it is not with 2


class Session:
    """One connection's side of the protocol.

    Feed it with `receive`, `receive_eof`, `decide` and `answer`; after each take `take_events` and `take_output`.
    Nothing a client sends raises. The owner asks `waiting_for_decision`, `receiving_mail` and `closing` to know what it
    waits for, and `has_more_to_say`, to call `go_on` when the client has taken its replies.
    """

    __slots__ = (
        "_asked",
        "_asked_in",
        "_authentication",
        "_data",
        "_eof",
        "_gate",
        "_held",
        "_lines",
        "_marks",
        "_opening",
        "_out",
        "_reading",
        "_resume",
        "_settings",
        "_stopping",
        "_transaction",
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
        # Parts
        self._settings: Final = settings
        self._out: Final = Outbox(settings.trace)
        self.peer: Final = Peer(tls, remote_addr, believed)
        self._gate: Final = Gate(settings.policies, self._out, self.peer, settings.memory, planner)
        self._authentication: Final = Authentication(settings, self._gate)
        self._lines: Final = CommandLines(self._gate, self._authentication, settings.trace)
        self._data: Final = MailData(self._gate, make_decoder)
        self._held: HeldOctets | None = None  # what has to wait
        self._opening: Opening | None = None  # once its first octet has come, if it is no command's
        # State
        self._reading = OPENING if tls is None else COMMANDS
        self._transaction: Transaction | None = None
        self._stopping = False  # the server is: close as soon as no transaction is open
        self._eof = False  # the client is gone, but a decision about its mail is still awaited
        # Plans
        self._asked = ""  # the stage that one is asked about
        self._asked_in = COMMANDS  # what was being read then
        self._resume: Callable[[], None] | None = None  # the command
        self._marks: tuple[int, ...] = ()  # octets of the mail after which one is asked about it

    # What the owner feeds ---------------------------------------------------------------------------------------------

    def greet(self, connections: int = 0) -> None:
        """Queue the greeting, or the refusal of a client that comes when so many connections are open already."""
        self.peer.connections = connections
        policies = self._settings.policies
        refusal = policies.limit_connections(connections) if policies is not None else b""
        if refusal:
            self._end(refusal)
        else:
            self._on_connect()

    def receive(self, buf: bytearray, start: int, end: int) -> None:
        """Take the octets `buf[start:end]`; they, and the one before, may be overwritten. `start` is at least 1."""
        held = self._held
        if held is not None and held.octets is not buf:
            held.keep(buf, start, end)
        else:
            self._read(buf, start, end)

    def _read(self, buf: bytearray, start: int, end: int) -> None:
        while start < end:
            reading = self._reading
            if reading == COMMANDS:
                if self._out.octets >= ENOUGH:
                    self._hold(buf, start, end)
                    return
                start = self._read_commands(buf, start, end)
            elif reading == MAIL_DATA:
                start = self._read_mail_data(buf, start, end)
            elif reading == CHUNK:
                start = self._read_chunk(buf, start, end)
            elif reading == OPENING:
                start = self._read_opening(buf, start, end)
            elif reading == DECISION or reading == ASKED:  # noqa: SIM109 - a tuple is made of no use
                self._hold(buf, start, end)
                return
            else:
                if reading == TLS and violations.PLAINTEXT_AFTER_STARTTLS not in self._out.violations:
                    self._out.record(violations.PLAINTEXT_AFTER_STARTTLS)
                return

    def take_header(self, header: ProxyHeader) -> None:
        """Take what a PROXY header says that came before the first octet of the session."""
        if not take_header(self._gate, header):
            self._close()

    def receive_eof(self) -> None:
        """The client sends no more. A mail under way is aborted; one that is being decided is not."""
        self._eof = True
        reading = self._reading
        if reading != DECISION and reading != ASKED and reading != OVER and self._held is None:
            self._abort(AbortReason.EOF)
            self._close()

    def decide(self, verdict: Verdict, fault: Fault | None = None) -> None:
        """The decision about the mail announced by `MailEnd`. Goes on with the octets that came behind it.

        A `fault` is what a plan makes of the reply: call `go_on` then, when that was taken.
        """
        assert self._reading == DECISION, "no mail is waiting for a decision"
        self._transaction = None
        self._reading = COMMANDS
        if fault is not None:
            self._end_by_plan(fault, verdict)
            return
        self._out.reply(VERDICT_REPLIES[verdict])
        if verdict is Verdict.ACCEPT_AND_CLOSE:
            self._end(replies.BYE)
        elif self._stopping:
            self._stop_if_idle()
        self._release()

    def answer(self, fault: Fault | None) -> None:
        """The answer to `Asked`; None lets the command have its way. Call `go_on` when its reply was taken."""
        assert self._reading == ASKED, "no plan was asked"
        resume, self._resume = self._resume, None
        assert resume is not None
        self._reading = self._asked_in
        gate = self._gate
        if fault is not None and fault.silent:
            self._authentication.captured = None
            self._abort(AbortReason.POLICY)
            self._close()
            return
        refuses = fault is not None and bool(fault.reply) and fault.reply[:1] != _GOOD.get(self._asked, b"2")
        gate.answered, gate.answer = True, fault if refuses else None
        resume()
        gate.answered, gate.answer = False, None
        if fault is not None and not refuses:
            if fault.edits:
                self._out.edit(fault)
            gate.closes = gate.closes or fault.close
        if gate.closes and self._reading != OVER:
            self._abort(AbortReason.POLICY)
            self._close()
        if self._stopping:
            self._stop_if_idle()

    def go_on(self) -> None:
        """Read the commands that had to wait for the replies to others; call it when these were taken and written."""
        if self._reading != DECISION and self._reading != ASKED:
            self._release()

    def shed(self) -> None:
        """Memory is short: give up the mail that arrives, if there is one. The rest is swallowed, the reply is 452."""
        transaction = self._transaction
        if transaction is None or transaction.failed or self._reading == DECISION or self._reading == ASKED:
            return
        if transaction.chunked or self._reading == MAIL_DATA:
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
        self._stopping = True
        self._stop_if_idle()

    def tls_established(self, tls: TLSInfo) -> None:
        """The handshake that `StartTLS` asked for is done."""
        assert self._reading == TLS, "STARTTLS was not asked for"
        self.peer.protect(tls)
        self._reading = COMMANDS
        if self._stopping:
            self._stop_if_idle()

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
        return self._reading == DECISION

    def facts_at(self, stage: str) -> Facts | None:
        """What plans have to be asked about a mail that is complete, or a handshake; None where they have not."""
        return self._gate.facts_at(stage, self._transaction)

    @property
    def stopping(self) -> bool:
        """`shutdown` was called."""
        return self._stopping

    @property
    def waits(self) -> bool:
        """A decision or an answer is awaited: reading should pause."""
        return self._reading == DECISION or self._reading == ASKED

    @property
    def waiting_for_answer(self) -> bool:
        """Between `Asked` and `answer`."""
        return self._reading == ASKED

    @property
    def held(self) -> int:
        """Octets in memory, about: what the client said, and what of it has to wait. Mail data is the owner's."""
        held, transaction = self.peer.held + self._lines.held + self._authentication.held, self._transaction
        if transaction is not None:
            held += transaction.held
        return held if self._held is None else held + len(self._held.octets)

    @property
    def has_more_to_say(self) -> bool:
        """Commands are left unread until the replies that there are were taken: see `go_on`."""
        return self._held is not None and self._reading == COMMANDS

    @property
    def receiving_mail(self) -> bool:
        """The next octets are mail data, or a chunk. False between two chunks: there a command is awaited."""
        return self._reading == MAIL_DATA or self._reading == CHUNK

    @property
    def transaction(self) -> Transaction | None:
        """The open transaction, from MAIL until its mail is decided, refused or reset; to look at."""
        return self._transaction

    @property
    def state(self) -> str:
        """What is going on, in a word for people."""
        if self._reading == COMMANDS:
            return "idle" if self._transaction is None else "transaction"
        return _STATES[self._reading]

    @property
    def closing(self) -> bool:
        """`Closed` was emitted: no more input is looked at."""
        return self._reading == OVER

    # Commands ---------------------------------------------------------------------------------------------------------

    def _read_opening(self, buf: bytearray, start: int, end: int) -> int:
        if self._opening is None and buf[start] not in SPECIAL_OCTETS:
            self._reading = COMMANDS
            return start
        opening = self._opening = self._opening or Opening(self._gate)
        start = opening.read(buf, start, end)
        if opening.decided:
            self._opening = None
            self._reading = COMMANDS
            if self._gate.closes:
                self._close()
            # What was looked at comes first: in one piece with the rest, of which some may have to wait.
            octets = bytearray(HEADROOM) + opening.octets + buf[start:end]
            self._read(octets, HEADROOM, len(octets))
            return end
        return start

    def _read_commands(self, buf: bytearray, start: int, end: int) -> int:
        lines, out = self._lines, self._out
        while start < end and self._reading == COMMANDS and out.octets < ENOUGH:
            start = lines.read(buf, start, end)
            text = lines.text
            if text is not None:
                lines.text = None  # it may be long
                self._on_text(text)
            if self._gate.closes:
                if self._gate.asking is not None and text is not None:
                    self._ask_about(text)
                    return start
                self._abort(AbortReason.POLICY)
                self._close()
            if self._stopping:
                self._stop_if_idle()
        return start

    def _hold(self, buf: bytearray, start: int, end: int) -> None:
        """Keep octets that have to wait."""
        if self._held is None:
            self._held = HeldOctets()
        self._held.keep(buf, start, end)

    def _release(self) -> None:
        """Feed what was kept, as far as it need not wait again."""
        held = self._held
        if held is not None:
            self.receive(held.octets, held.take(), len(held.octets))
            if held.empty:
                self._held = None
        if self._eof:
            self.receive_eof()

    def _on_text(self, text: str) -> None:
        if self._authentication.under_way:
            self._authentication.respond(text)
            return
        verb = text[:5]
        perform = _USUAL_VERBS.get(verb)
        if perform is None:
            perform = _USUAL_VERBS.get(verb.upper())
            if perform is None:
                self._on_unusual_verb(text)
                return
            self._record_lower_case(verb[:4])
        perform(self, text[5:])

    def _on_unusual_verb(self, text: str) -> None:
        stripped = text.lstrip(" \t")
        verb, _, argument = stripped.replace("\t", " ").partition(" ")
        name = verb.upper()
        perform = VERBS.get(name)
        if perform is None:
            self._out.reply(replies.UNKNOWN_COMMAND)
            return
        if len(stripped) != len(text) and not self._gate.forgive(violations.LEADING_SPACE, name):
            return
        if verb != name:
            self._record_lower_case(verb)
        perform(self, argument)

    def _record_lower_case(self, verb: str) -> None:
        """It is never refused (RFC 5321 section 2.4)."""
        if not self._gate.answered:  # or it was recorded when the plan was asked
            self._out.record(violations.LOWER_CASE_VERB, verb)

    def _ask_about(self, text: str) -> None:
        """A plan has to be asked about a command line, which is taken again then."""
        authentication = self._authentication
        self._ask(partial(self._on_text, text) if authentication.captured is None else authentication.finish)

    def _ask(self, resume: Callable[[], None]) -> None:
        """A plan has to be asked about a command, which `resume` performs then."""
        facts, self._gate.asking, self._gate.closes = self._gate.asking, None, False
        assert facts is not None
        self._asked = facts.stage
        self._asked_in = self._reading
        self._resume = resume
        self._reading = ASKED
        self._out.events.append(Asked(facts))

    # Greeting, TLS, authentication

    def _on_connect(self) -> None:
        if self._gate.lets(policy.CONNECT, ""):
            self._on_banner()
        elif self._gate.asking is not None:
            self._ask(self._on_connect)
        else:
            self._close()  # without a greeting there is no session

    def _on_banner(self) -> None:
        if self._gate.lets(policy.BANNER, ""):
            self._out.reply(replies.greeting(self._settings.hostname))
        elif self._gate.asking is not None:
            self._ask(self._on_banner)
        else:
            self._close()

    def _on_helo(self, argument: str) -> None:
        if self._introduce(argument, esmtp=False):
            self._out.reply(replies.helo(self._settings.hostname))

    def _on_ehlo(self, argument: str) -> None:
        if self._introduce(argument, esmtp=True):
            self._out.reply(ehlo_reply(self._settings, self.peer))

    def _introduce(self, argument: str, *, esmtp: bool) -> bool:
        name = take_name(self._gate, argument)
        if name is None:
            return False
        self._abort(AbortReason.RESET)  # "exactly as if a RSET command had been issued" (RFC 5321 section 4.1.4)
        self.peer.introduce(name, esmtp)
        return True

    def _on_starttls(self, argument: str) -> None:
        if may_start_tls(self._gate, self._settings, argument, in_transaction=self._transaction is not None):
            self._out.reply(replies.READY_FOR_TLS)
            self._reading = TLS
            self._out.events.append(StartTLS())

    def _on_auth(self, argument: str) -> None:
        if self._transaction is not None:
            self._out.reply(replies.NOT_IN_TRANSACTION)
        else:
            self._authentication.start(argument)

    def _on_xclient(self, argument: str) -> None:
        if self._transaction is not None:
            self._out.reply(replies.NOT_IN_TRANSACTION)
        elif take_xclient(self._gate, argument):
            self._out.reply(replies.greeting(self._settings.hostname))  # the session begins again

    def _on_xforward(self, argument: str) -> None:
        if self._transaction is not None:
            self._out.reply(replies.NOT_IN_TRANSACTION)
        elif take_xforward(self._gate, argument):
            self._out.reply(replies.XFORWARD_OK)

    # Transaction

    def _on_mail(self, argument: str) -> None:
        if self._transaction is not None:
            self._out.reply(replies.NESTED_MAIL)
        else:
            self._transaction = open_transaction(self._gate, argument)

    def _on_rcpt(self, argument: str) -> None:
        transaction = self._transaction
        if transaction is None:
            self._out.reply(replies.MAIL_FIRST)
        elif transaction.chunked:
            self._out.reply(replies.CHUNKS_STARTED)
        else:
            add_recipient(self._gate, transaction, argument)

    def _on_data(self, argument: str) -> None:
        transaction = self._transaction
        if argument and not self._gate.forgive_argument(argument):
            return
        if transaction is None:
            self._out.reply(replies.MAIL_FIRST)
        elif transaction.chunked:
            self._out.reply(replies.CHUNKS_STARTED)
        elif not transaction.forward_paths:
            self._out.reply(replies.RCPT_FIRST)
        elif transaction.binary:
            self._out.reply(replies.BINARY_NEEDS_BDAT)
        elif self._gate.lets(policy.DATA, "", transaction):
            self._data.begin(transaction)
            self._data.start_data()
            self._marks = () if self._gate.plans.stages is None else self._gate.body_marks(transaction)
            self._reading = MAIL_DATA
            self._out.reply(replies.START_MAIL_INPUT)

    def _on_bdat(self, argument: str) -> None:
        transaction = self._transaction
        try:
            chunk = command.parse_chunk(argument)
        except command.ArgumentError:
            if transaction is not None and transaction.chunked:
                self._abort(AbortReason.CHUNK)
            self._out.reply(replies.BDAT_SYNTAX)
            return
        refusal, reason = judge_chunk(self._gate, transaction, chunk)
        if self._gate.asking is not None:
            return
        if reason is not None:
            self._abort(reason)
        if transaction is not None and refusal is None and not transaction.chunked:
            transaction.chunked = True
            self._data.begin(transaction)
            self._marks = () if self._gate.plans.stages is None else self._gate.body_marks(transaction)
        # Whatever the answer: the octets of the chunk come, and are no commands (RFC 3030 section 2).
        if refusal is None:
            self._data.start_chunk(chunk.size, chunk.last)
        else:
            self._data.start_chunk(chunk.size, chunk.last, refusal)
        if chunk.size:
            self._reading = CHUNK
        else:
            self._on_chunk_end()

    # The rest

    def _on_rset(self, argument: str) -> None:
        if self._gate.forgive_argument(argument) and self._gate.lets(policy.RSET, "", self._transaction):
            self._abort(AbortReason.RESET)
            self.peer.forget_xforward()
            self._out.reply(replies.RSET_OK)

    def _on_noop(self, argument: str) -> None:
        self._out.reply(replies.NOOP_OK)  # "NOOP" [ SP String ]: whatever stands there

    def _on_help(self, argument: str) -> None:
        self._out.reply(replies.HELP)

    def _on_vrfy(self, argument: str) -> None:
        self._out.reply(replies.CANNOT_VERIFY if argument.strip(" \t") else replies.BAD_ARGUMENT)

    def _on_expn(self, argument: str) -> None:
        self._out.reply(replies.NOT_IMPLEMENTED)

    def _on_quit(self, argument: str) -> None:
        if self._gate.forgive_argument(argument) and self._gate.lets(policy.QUIT, "", self._transaction):
            self._abort(AbortReason.RESET)
            self._end(replies.BYE)

    # Mail data --------------------------------------------------------------------------------------------------------

    def _read_mail_data(self, buf: bytearray, start: int, end: int) -> int:
        transaction, data = self._transaction, self._data
        assert transaction is not None
        if self._marks:
            end = self._up_to_mark(transaction, start, end)
            if start == end:
                return start
        next_start = data.read_data(transaction, buf, start, end)
        if data.done:
            self._on_mail_end(transaction)
        return next_start

    def _read_chunk(self, buf: bytearray, start: int, end: int) -> int:
        data, transaction = self._data, self._transaction
        if self._marks and transaction is not None and not data.refusal:
            end = self._up_to_mark(transaction, start, end)
            if start == end:
                return start
        stop = data.read_chunk(transaction, buf, start, end)
        if data.done:
            self._on_chunk_end()
        return stop

    def _up_to_mark(self, transaction: Transaction, start: int, end: int) -> int:
        """Where to stop reading, `start` if plans are asked now: so many octets of the mail have come."""
        mark = self._marks[0]
        if transaction.failed:
            return end
        if transaction.octets < mark:
            return min(end, start + mark - transaction.octets)
        self._marks = self._marks[1:]
        self._gate.ask_body(mark, transaction)
        self._ask(self._on_body_answer)
        return start

    def _on_body_answer(self) -> None:
        """Refused, the mail is read to its end all the same, and the reply comes there."""
        refusal, transaction = self._gate.answer, self._transaction
        if refusal is not None and transaction is not None:
            transaction.failed = refusal.reply
            transaction.failed_close = refusal.close
            transaction.failed_by = refusal.rule
            self._out.events.append(MailAborted(AbortReason.POLICY))

    def _on_chunk_end(self) -> None:
        data, transaction = self._data, self._transaction
        self._reading = COMMANDS
        if data.refusal:
            self._refuse(data.refusal, data.close, data.refused_by)
        else:
            assert transaction is not None
            self._on_whole_chunk(transaction)
        if self._stopping:
            self._stop_if_idle()

    def _on_whole_chunk(self, transaction: Transaction) -> None:
        if self._data.last:
            self._on_mail_end(transaction)
        elif transaction.failed:
            # The refusal belongs to this chunk, and without it the mail is broken (RFC 3030 section 2).
            self._transaction = None
            self._refuse(transaction.failed, transaction.failed_close, transaction.failed_by)
        else:
            self._out.reply(replies.CHUNK_ACCEPTED)

    def _on_mail_end(self, transaction: Transaction) -> None:
        refusal = self._data.finish(transaction)
        if refusal is None:
            self._reading = DECISION
            self._out.events.append(_MAIL_END)
            return
        self._transaction = None
        self._reading = COMMANDS
        self._refuse(refusal.reply, refusal.close, transaction.failed_by)
        if self._stopping:
            self._stop_if_idle()

    # The end of a transaction, and of the session ---------------------------------------------------------------------

    def _refuse(self, reply: bytes, close: bool, rule: str = "") -> None:
        """Reply with a refusal, that of a `rule` of a plan if there is one."""
        self._out.fault = rule
        self._out.reply(reply)
        self._out.fault = ""
        if close:
            self._close()

    def _end_by_plan(self, fault: Fault, verdict: Verdict) -> None:
        """Reply to a mail as a plan wants it."""
        if fault.silent:
            self._close()
            return
        self._refuse(fault.reply or VERDICT_REPLIES[verdict], fault.close, fault.rule if fault.reply else "")
        if verdict is Verdict.ACCEPT_AND_CLOSE and not fault.close:
            self._end(replies.BYE)
        elif self._stopping:
            self._stop_if_idle()

    def _end(self, reply: bytes) -> None:
        """Close the session with a last reply."""
        self._out.reply(reply)
        self._close()

    def _abort(self, reason: AbortReason) -> None:
        """End the open transaction, if there is one, and with it the mail that has begun."""
        transaction = self._transaction
        if transaction is None:
            return
        if (transaction.chunked or self._reading == MAIL_DATA) and not transaction.failed:
            self._out.events.append(MailAborted(reason))
        self._transaction = None
        self._data.stop()

    def _close(self) -> None:
        self._reading = OVER
        self._held = None
        self._out.events.append(Closed())

    def _stop_if_idle(self) -> None:
        if (self._reading == COMMANDS or self._reading == OPENING) and self._transaction is None:
            self._end(replies.SHUTTING_DOWN)


VERBS: Final[dict[str, Callable[[Session, str], None]]] = {
    "HELO": Session._on_helo,
    "EHLO": Session._on_ehlo,
    "STARTTLS": Session._on_starttls,
    "AUTH": Session._on_auth,
    "XCLIENT": Session._on_xclient,
    "XFORWARD": Session._on_xforward,
    "MAIL": Session._on_mail,
    "RCPT": Session._on_rcpt,
    "DATA": Session._on_data,
    "BDAT": Session._on_bdat,
    "RSET": Session._on_rset,
    "NOOP": Session._on_noop,
    "VRFY": Session._on_vrfy,
    "EXPN": Session._on_expn,
    "HELP": Session._on_help,
    "QUIT": Session._on_quit,
}
# The first five characters of what well-behaved clients send: a verb in upper case alone, or with one blank behind it.
_USUAL_VERBS: Final = {key: perform for verb, perform in VERBS.items() if len(verb) == 4 for key in (verb, verb + " ")}
