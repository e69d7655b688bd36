"""The state machine of one SMTP session (RFC 5321): bytes in, replies and events out. No time, no IO, no asyncio.

Strategy: what is being read decides who looks at the next octets: command lines, mail data up to its end, the octets of
a chunk, or nobody (a decision is awaited, TLS is being started, the session is over). Complete lines in a read are
handled where they stand; only a line cut off by the end of a read is copied. Mail data is never copied.

Capture first: what has a meaning is accepted and recorded (`violations.CLAUSES`); in strict mode the same
places refuse.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Final

from fastsmtp._parse import BodyLines, DataDecoder, take_line
from fastsmtp.smtp import auth, command, policy, replies, violations
from fastsmtp.smtp.envelope import Credentials, Envelope, TLSInfo
from fastsmtp.smtp.events import (
    HEADROOM,
    AbortReason,
    Closed,
    Command,
    Event,
    MailAborted,
    MailBegin,
    MailEnd,
    MailOctets,
    StartTLS,
    Verdict,
)
from fastsmtp.smtp.maildata import Decoder, MailData, line_faults
from fastsmtp.smtp.outbox import Outbox
from fastsmtp.smtp.partialline import MAX_COMMAND_LINE, PartialLine
from fastsmtp.smtp.policy import Facts, Policies, Policy, Refusal
from fastsmtp.smtp.transaction import Transaction
from fastsmtp.smtp.violations import CLAUSES, Violation

# What is being read: who looks at the next octets. The transitions:
#
#   COMMANDS --DATA--> MAIL_DATA --CRLF.CRLF--> DECISION --decide--> COMMANDS
#   COMMANDS --BDAT--> CHUNK --its last octet--> COMMANDS, after LAST: DECISION
#   COMMANDS --STARTTLS--> TLS --tls_established--> COMMANDS
#   any but DECISION --QUIT, end of input, a refusal that closes--> OVER; DECISION gets there after `decide`
COMMANDS: Final = 0
MAIL_DATA: Final = 1
CHUNK: Final = 2
DECISION: Final = 3  # octets are kept until `decide`
TLS: Final = 4  # octets are dropped until `tls_established`
OVER: Final = 5  # octets are dropped

VERDICT_REPLIES: Final = {
    Verdict.ACCEPT: replies.MESSAGE_ACCEPTED,
    Verdict.ACCEPT_AND_CLOSE: replies.MESSAGE_ACCEPTED,
    Verdict.WORKER_FAILED: replies.WORKER_FAILED,
    Verdict.NO_WORKER: replies.NO_WORKER,
    Verdict.STORAGE_FAILED: replies.STORAGE_FAILED,
    Verdict.MALFORMED: replies.MALFORMED_MESSAGE,
}
_MAIL_END: Final = MailEnd()


def _random_nonce() -> str:
    return secrets.token_hex(12)


class SessionSettings:
    """What a listener's sessions have in common."""

    __slots__ = (
        "auth_mechanisms",
        "hostname",
        "make_nonce",
        "max_message_size",
        "policies",
        "tls_available",
        "trace",
    )

    def __init__(
        self,
        hostname: str = "localhost",
        max_message_size: int = 10 * 1024 * 1024,
        max_recipients: int = 100,
        strict: bool = False,
        tls_available: bool = False,
        trace: bool = False,
        make_nonce: Callable[[], str] = _random_nonce,
        max_connections: int = 0,
        policies: Sequence[Policy] = (),
        auth_mechanisms: Sequence[str] = replies.OFFERED_MECHANISMS,
    ) -> None:
        """Limits of 0 are none; `max_message_size` counts octets of mail data after dot-unstuffing.

        `auth_mechanisms` are those that EHLO offers; a client may use any of `replies.MECHANISMS`.
        `strict` refuses what is otherwise accepted and recorded, `tls_available` offers STARTTLS, `trace` emits
        `Command` and `Replied`, `make_nonce` returns the unique part of a CRAM-MD5 challenge.
        """
        self.hostname: Final = hostname
        self.max_message_size: Final = max_message_size
        self.tls_available: Final = tls_available
        self.trace: Final = trace
        self.make_nonce: Final = make_nonce
        self.auth_mechanisms: Final = tuple(auth_mechanisms)
        wanted = max_message_size or max_recipients or max_connections or strict or policies
        self.policies: Final = (
            Policies(max_message_size, max_recipients, max_connections, strict, policies) if wanted else None
        )


class Session:
    """One connection's side of the protocol.

    Feed it with `receive`, `receive_eof` and `decide`; after each take `take_events` and `take_output`. Nothing a
    client sends raises. The owner asks `waiting_for_decision`, `receiving_mail` and `closing` to know what it
    waits for.
    """

    __slots__ = (
        "_connections",
        "_data",
        "_eof",
        "_exchange",
        "_held",
        "_held_start",
        "_out",
        "_partial",
        "_policies",
        "_reading",
        "_settings",
        "_stopping",
        "_trace",
        "_transaction",
        "auth_attempted",
        "credentials",
        "esmtp",
        "helo",
        "tls",
    )

    def __init__(
        self,
        settings: SessionSettings,
        *,
        tls: TLSInfo | None = None,
        make_decoder: Callable[[], Decoder] = DataDecoder,
    ) -> None:
        """`make_decoder` is for tests, which have a slow one that is obviously right."""
        self._settings = settings
        self._policies = settings.policies
        self._trace = settings.trace
        self._out = Outbox(settings.trace)
        self._data = MailData(make_decoder)
        # Connection
        self.tls = tls
        self._connections = 0  # open when this one was accepted
        self._reading = COMMANDS
        self._stopping = False  # the server is: close as soon as no transaction is open
        self._eof = False  # the client is gone, but a decision about its mail is still awaited
        # What the client said about itself; forgotten when TLS starts
        self.helo = ""
        self.esmtp = False
        self.auth_attempted = False
        self.credentials: Credentials | None = None
        # Input
        self._partial: PartialLine | None = None  # a command line whose end has not come
        self._exchange: auth.Exchange | None = None  # lines are AUTH responses
        self._held: bytearray | None = None  # octets behind the mail that is being decided, from _held_start on
        self._held_start = 0
        self._transaction: Transaction | None = None

    # What the owner feeds ---------------------------------------------------------------------------------------------

    def greet(self, connections: int = 0) -> None:
        """Queue the greeting, or the refusal of a client that comes when so many connections are open already."""
        self._connections = connections
        policies = self._policies
        if policies is not None:
            refusal = policies.limit_connections(connections)
            if refusal:
                self._reply(refusal)
                self._close()
                return
            if self._refused(policies, policy.CONNECT, ""):
                if self._reading != OVER:
                    self._close()  # without a greeting there is no session
                return
        self._reply(replies.greeting(self._settings.hostname))

    def receive(self, buf: bytearray, start: int, end: int) -> None:
        """Take the octets `buf[start:end]`; they, and the one before, may be overwritten. `start` is at least 1."""
        while start < end:
            reading = self._reading
            if reading == COMMANDS:
                start = self._read_commands(buf, start, end)
            elif reading == MAIL_DATA:
                start = self._read_mail_data(buf, start, end)
            elif reading == CHUNK:
                start = self._read_chunk(buf, start, end)
            elif reading == DECISION:
                self._hold(buf, start, end)
                return
            else:
                if reading == TLS and violations.PLAINTEXT_AFTER_STARTTLS not in self._out.violations:
                    self._out.record(violations.PLAINTEXT_AFTER_STARTTLS)
                return

    def receive_eof(self) -> None:
        """The client sends no more. A mail under way is aborted; one that is being decided is not."""
        self._eof = True
        if self._reading != DECISION and self._reading != OVER:
            self._abort(AbortReason.EOF)
            self._close()

    def decide(self, verdict: Verdict) -> None:
        """The decision about the mail announced by `MailEnd`. Goes on with the octets that came behind it."""
        assert self._reading == DECISION, "no mail is waiting for a decision"
        self._transaction = None
        self._reading = COMMANDS
        self._reply(VERDICT_REPLIES[verdict])
        if verdict is Verdict.ACCEPT_AND_CLOSE:
            self._reply(replies.BYE)
            self._close()
        elif self._stopping:
            self._stop_if_idle()
        if self._held is not None:
            self._release(self._held)
        if self._eof:
            self.receive_eof()

    def judge(self, codes: Sequence[str]) -> Verdict | None:
        """Record violations that only the complete message shows; the verdict that refuses it, None to go on.

        Asked between `MailEnd` and `decide`; a verdict is to be given to `decide`.
        """
        for code in codes:
            self._out.record(code)
        policies = self._policies
        if codes and policies is not None and policies.refuse_violation(codes[0], b""):
            return Verdict.MALFORMED
        return None

    def shutdown(self) -> None:
        """The server is stopping: 421 now, or as soon as the open transaction has ended."""
        self._stopping = True
        self._stop_if_idle()

    def tls_established(self, tls: TLSInfo) -> None:
        """The handshake that `StartTLS` asked for is done. "The server MUST discard any knowledge obtained from the
        client" (RFC 3207 section 4.2)."""
        assert self._reading == TLS, "STARTTLS was not asked for"
        self.tls = tls
        self.helo = ""
        self.esmtp = False
        self.auth_attempted = False
        self.credentials = None
        self._reading = COMMANDS
        if self._stopping:
            self._stop_if_idle()

    # What the owner asks ----------------------------------------------------------------------------------------------

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

    # Input ------------------------------------------------------------------------------------------------------------

    def _read_commands(self, buf: bytearray, start: int, end: int) -> int:
        while start < end and self._reading == COMMANDS:
            text, next_line = take_line(buf, start, end)
            if next_line < 0:
                if self._partial is None:
                    self._partial = PartialLine(auth=self._exchange is not None)
                self._partial.keep(buf, start, end)
                return end
            if self._partial is not None or next_line - start > MAX_COMMAND_LINE:
                self._on_long_line(buf, start, next_line - 1)
            elif text is None:
                self._on_odd_line(buf[start : next_line - 1])
            else:
                if self._trace:
                    self._out.events.append(Command(text))
                self._on_text(text)
            start = next_line
            if self._stopping:
                self._stop_if_idle()
        return start

    def _on_long_line(self, buf: bytearray, start: int, feed: int) -> None:
        """A line that is long or came in pieces ends at `buf[feed]`."""
        partial = self._partial or PartialLine(auth=self._exchange is not None)
        self._partial = None
        line = partial.join(buf, start, feed)
        if partial.refusal:
            self._exchange = None
            self._reply(partial.refusal)
        else:
            self._on_odd_line(line)

    def _hold(self, buf: bytearray, start: int, end: int) -> None:
        """Keep what came behind the mail that is being decided."""
        if self._held is None:
            self._held = bytearray(HEADROOM)
            self._held_start = HEADROOM
        if self._held is buf:
            self._held_start = start  # still there from the decision before
        else:
            self._held += buf[start:end]

    def _release(self, held: bytearray) -> None:
        """Feed what was kept, up to the end of the next mail in it."""
        start, self._held_start = self._held_start, len(held)
        self.receive(held, start, len(held))
        if self._held_start == len(held):
            self._held = None

    # Lines ------------------------------------------------------------------------------------------------------------

    def _on_odd_line(self, line: bytearray) -> None:
        """A line that may have any octets in it, without its LF."""
        bare_lf = line[-1:] != b"\r"
        if not bare_lf:
            del line[-1]
        try:
            text, utf8 = line.decode(), True
        except UnicodeDecodeError:
            text, utf8 = line.decode("latin-1"), False
        if self._trace:
            self._out.events.append(Command(text))
        if bare_lf or not text.isascii() or "\r" in text:
            if not self._forgive_line(text, bare_lf, utf8):
                self._exchange = None
                return
            # QUIRK: "NOOP<CR><CR><LF>", from text mode files under Windows.
            text = text.rstrip("\r")
        self._on_text(text)

    def _on_text(self, text: str) -> None:
        if self._exchange is not None:
            self._on_response(self._exchange, text)
            return
        verb = text[:5]
        perform = _USUAL_VERBS.get(verb)
        if perform is None:
            perform = _USUAL_VERBS.get(verb.upper())
            if perform is None:
                self._on_unusual_verb(text)
                return
            self._out.record(violations.LOWER_CASE_VERB, verb[:4])  # never refused (RFC 5321 section 2.4)
        perform(self, text[5:])

    def _forgive_line(self, text: str, bare_lf: bool, utf8: bool) -> bool:
        """Record what is wrong with the octets of a line. False when that was refused."""
        verb = text.lstrip(" \t")[:4].upper()
        # What a client says in AUTH is nobody's business but the capture's.
        detail = "AUTH" if self._exchange is not None or verb == "AUTH" else text
        if bare_lf and not self._forgive(violations.BARE_LF_IN_COMMAND, detail):
            return False
        if "\r" in text and not self._forgive(violations.BARE_CR_IN_COMMAND, detail):
            return False
        if not utf8:
            return self._forgive(violations.NOT_UTF8_COMMAND, detail)
        # UTF-8 in paths depends on SMTPUTF8 in MAIL; VRFY and EXPN carry their own (RFC 6531 section 3.7.4.2).
        allowed = verb in ("MAIL", "RCPT") or (verb in ("VRFY", "EXPN") and text.upper().endswith(" SMTPUTF8"))
        return text.isascii() or allowed or self._forgive(violations.EIGHT_BIT_COMMAND, detail)

    def _on_unusual_verb(self, text: str) -> None:
        stripped = text.lstrip(" \t")
        verb, _, argument = stripped.replace("\t", " ").partition(" ")
        name = verb.upper()
        perform = _VERBS.get(name)
        if perform is None:
            self._reply(replies.UNKNOWN_COMMAND)
            return
        if len(stripped) != len(text) and not self._forgive(violations.LEADING_SPACE, name):
            return
        if verb != name:
            self._out.record(violations.LOWER_CASE_VERB, verb)
        perform(self, argument)

    # Greeting, TLS, authentication ------------------------------------------------------------------------------------

    def _on_helo(self, argument: str) -> None:
        if self._introduce(argument, esmtp=False):
            self._reply(replies.helo(self._settings.hostname))

    def _on_ehlo(self, argument: str) -> None:
        if self._introduce(argument, esmtp=True):
            settings = self._settings
            offer_tls = settings.tls_available and self.tls is None
            self._reply(replies.ehlo(settings.hostname, settings.max_message_size, offer_tls, settings.auth_mechanisms))

    def _introduce(self, argument: str, *, esmtp: bool) -> bool:
        name = argument.strip(" \t")
        if not name:
            self._reply(replies.BAD_ARGUMENT)
            return False
        if not command.is_helo(name) and not self._forgive(violations.INVALID_HELO, name):
            return False
        policies = self._policies
        if policies is not None and self._refused(policies, policy.EHLO, name):
            return False
        self._abort(AbortReason.RESET)  # "exactly as if a RSET command had been issued" (RFC 5321 section 4.1.4)
        self.helo = name
        self.esmtp = esmtp
        return True

    def _on_starttls(self, argument: str) -> None:
        if not self._without(argument):
            return
        if self.tls is not None:
            self._reply(replies.TLS_ACTIVE)
        elif not self._settings.tls_available:
            self._reply(replies.NOT_IMPLEMENTED)
        elif self._transaction is not None:
            self._reply(replies.NOT_IN_TRANSACTION)
        elif self.esmtp or self._forgive(violations.STARTTLS_WITHOUT_EHLO):
            policies = self._policies
            if policies is not None and self._refused(policies, policy.STARTTLS, ""):
                return
            self._reply(replies.READY_FOR_TLS)
            self._reading = TLS
            self._out.events.append(StartTLS())

    def _on_auth(self, argument: str) -> None:
        if self._transaction is not None:
            self._reply(replies.NOT_IN_TRANSACTION)
            return
        if self.credentials is not None:
            self._reply(replies.ALREADY_AUTHENTICATED)
            return
        if not self.esmtp and not self._forgive(violations.AUTH_WITHOUT_EHLO):
            return
        mechanism, _, initial = argument.strip(" \t").partition(" ")
        self.auth_attempted = True
        exchange = auth.start_exchange(mechanism.upper(), self._settings.make_nonce(), self._settings.hostname)
        initial = initial.strip(" \t")
        if not mechanism:
            self._reply(replies.BAD_ARGUMENT)
        elif exchange is None:
            self._reply(replies.UNKNOWN_MECHANISM)
        elif not initial:
            self._challenge(exchange, exchange.challenge())
        elif not exchange.takes_initial_response:
            self._reply(replies.NO_INITIAL_RESPONSE)
        else:
            # "a single equals sign ... indicates that the response is present, but contains no data" (RFC 4954 4)
            self._on_response(exchange, "" if initial == "=" else initial)

    def _challenge(self, exchange: auth.Exchange, challenge: bytes) -> None:
        self._exchange = exchange
        self._reply(replies.challenge(auth.encode_challenge(challenge)))

    def _on_response(self, exchange: auth.Exchange, text: str) -> None:
        self._exchange = None
        if text == "*":
            self._reply(replies.AUTH_CANCELLED)
            return
        try:
            answer = exchange.respond(auth.decode_response(text.rstrip(" \t")))
        except auth.ResponseError:
            self._reply(replies.BAD_BASE64)
            return
        if not isinstance(answer, auth.Captured):
            self._challenge(exchange, answer)
        elif answer.well_formed or self._forgive(violations.MALFORMED_CREDENTIALS, answer.credentials.mechanism):
            policies = self._policies
            if policies is not None and self._refused(policies, policy.AUTH, answer.credentials.mechanism):
                return
            self.credentials = answer.credentials
            self._reply(replies.AUTHENTICATED)

    # Transaction ------------------------------------------------------------------------------------------------------

    def _on_mail(self, argument: str) -> None:
        if self._transaction is not None:
            self._reply(replies.NESTED_MAIL)
            return
        if not self.helo and not self._forgive(violations.MAIL_WITHOUT_HELO):
            return
        try:
            path, parameters, quirks = command.parse_mail(argument)
        except command.ArgumentError:
            self._reply(replies.MAIL_SYNTAX)
            return
        for code, detail in quirks:
            if not self._forgive(code, detail):
                return
        transaction = Transaction(path, parameters)
        if parameters and not self._use_parameters(transaction):
            return
        if not transaction.utf8 and not self._forgive_utf8(argument, replies.UTF8_REVERSE_PATH):
            return
        policies = self._policies
        if policies is not None and self._refused(policies, policy.MAIL, path, transaction):
            return
        self._transaction = transaction
        self._reply(replies.MAIL_OK)

    def _use_parameters(self, transaction: Transaction) -> bool:
        """Give the parameters of MAIL their effect. False when one was refused."""
        if not self._may_have(transaction.mail_parameters):
            return False
        policies = self._policies
        if policies is not None:
            refusal = policies.limit_announced_size(transaction.mail_parameters)
            if refusal:
                self._reply(refusal)
                return False
        for keyword, value in transaction.mail_parameters.items():
            name = keyword.upper()
            if name == "BODY":
                transaction.binary = value is not None and value.upper() == "BINARYMIME"
            elif name == "SMTPUTF8":
                transaction.utf8 = True
        return True

    def _on_rcpt(self, argument: str) -> None:
        transaction = self._transaction
        if transaction is None:
            self._reply(replies.MAIL_FIRST)
            return
        if transaction.chunked:
            self._reply(replies.CHUNKS_STARTED)
            return
        try:
            path, parameters, quirks = command.parse_rcpt(argument)
        except command.ArgumentError:
            self._reply(replies.RCPT_SYNTAX)
            return
        policies = self._policies
        if policies is not None:
            refusal = policies.limit_recipients(transaction)
            if refusal:
                self._reply(refusal)
                return
        for code, detail in quirks:
            if not self._forgive(code, detail, CLAUSES[code].rcpt_refusal):
                return
        if parameters and not self._may_have(parameters):
            return
        if not transaction.utf8 and not self._forgive_utf8(argument, replies.UTF8_FORWARD_PATH):
            return
        if policies is not None and self._refused(policies, policy.RCPT, path, transaction):
            return
        transaction.forward_paths.append(path)
        transaction.rcpt_parameters.append(parameters)
        self._reply(replies.RCPT_OK)

    def _may_have(self, parameters: dict[str, str | None]) -> bool:
        return self.esmtp or self._forgive(violations.PARAMETER_WITHOUT_EHLO, next(iter(parameters)))

    def _forgive_utf8(self, argument: str, refusal: bytes) -> bool:
        """RFC 6531 section 3.5: without SMTPUTF8 a path is ASCII."""
        return argument.isascii() or self._forgive(violations.EIGHT_BIT_COMMAND, argument, refusal)

    # The rest ---------------------------------------------------------------------------------------------------------

    def _on_rset(self, argument: str) -> None:
        if self._without(argument):
            self._abort(AbortReason.RESET)
            self._reply(replies.RSET_OK)

    def _on_noop(self, argument: str) -> None:
        self._reply(replies.NOOP_OK)  # "NOOP" [ SP String ]: whatever stands there

    def _on_help(self, argument: str) -> None:
        self._reply(replies.HELP)

    def _on_vrfy(self, argument: str) -> None:
        self._reply(replies.CANNOT_VERIFY if argument.strip(" \t") else replies.BAD_ARGUMENT)

    def _on_expn(self, argument: str) -> None:
        self._reply(replies.NOT_IMPLEMENTED)

    def _on_quit(self, argument: str) -> None:
        if self._without(argument):
            self._abort(AbortReason.RESET)
            self._reply(replies.BYE)
            self._close()

    # Mail data --------------------------------------------------------------------------------------------------------

    def _on_data(self, argument: str) -> None:
        transaction = self._transaction
        if argument and not self._without(argument):
            return
        if transaction is None:
            self._reply(replies.MAIL_FIRST)
        elif transaction.chunked:
            self._reply(replies.CHUNKS_STARTED)
        elif not transaction.forward_paths:
            self._reply(replies.RCPT_FIRST)
        elif transaction.binary:
            self._reply(replies.BINARY_NEEDS_BDAT)
        else:
            policies = self._policies
            if policies is not None and self._refused(policies, policy.DATA, "", transaction):
                return
            self._begin_mail(transaction)
            self._data.start_data()
            self._reading = MAIL_DATA
            self._reply(replies.START_MAIL_INPUT)

    def _on_bdat(self, argument: str) -> None:
        transaction = self._transaction
        try:
            chunk = command.parse_chunk(argument)
        except command.ArgumentError:
            if transaction is not None and transaction.chunked:
                self._abort(AbortReason.CHUNK)
            self._reply(replies.BDAT_SYNTAX)
            return
        refusal = self._refuse_chunk(transaction, chunk)
        if transaction is not None and refusal is None and not transaction.chunked:
            transaction.chunked = True
            self._begin_mail(transaction)
        # Whatever the answer: the octets of the chunk come, and are no commands (RFC 3030 section 2).
        if refusal is None:
            self._data.start_chunk(chunk.size, chunk.last, b"", False)
        else:
            self._data.start_chunk(chunk.size, chunk.last, refusal.reply, refusal.close)
        if chunk.size:
            self._reading = CHUNK
        else:
            self._on_chunk_end()

    def _refuse_chunk(self, transaction: Transaction | None, chunk: command.ChunkArgument) -> Refusal | None:
        """The refusal of a chunk. Without one of its chunks a mail is broken: the transaction is over."""
        if transaction is None:
            return Refusal(replies.MAIL_FIRST)
        if not transaction.forward_paths:
            return Refusal(replies.RCPT_FIRST)
        if not chunk.well_formed:
            self._abort(AbortReason.CHUNK)
            return Refusal(replies.BDAT_SYNTAX)
        policies = self._policies
        if policies is None:
            return None
        octets = transaction.octets + chunk.size
        too_big = policies.limit_size(octets)
        if too_big:
            self._abort(AbortReason.SIZE)
            return Refusal(too_big)
        refusal = None
        if policies.others:
            if not transaction.chunked:
                refusal = policies.ask(self._facts(policy.DATA, "", 0, transaction))
            if refusal is None:
                refusal = policies.ask(self._facts(policy.BODY, "", octets, transaction))
            if refusal is not None:
                self._abort(AbortReason.POLICY)
        return refusal

    def _begin_mail(self, transaction: Transaction) -> None:
        if not transaction.binary:
            transaction.lines = BodyLines()
        envelope = Envelope(
            self.helo,
            self.esmtp,
            transaction.reverse_path,
            tuple(transaction.forward_paths),
            transaction.mail_parameters,
            tuple(transaction.rcpt_parameters),
            self.auth_attempted,
            self.credentials,
            self.tls,
        )
        self._out.events.append(MailBegin(envelope))

    def _read_mail_data(self, buf: bytearray, start: int, end: int) -> int:
        data = self._data
        next_start = data.read_data(buf, start, end)
        if data.begin < data.end:
            self._on_octets(buf, data.begin, data.end)
        if data.done:
            self._on_mail_end()
        return next_start

    def _read_chunk(self, buf: bytearray, start: int, end: int) -> int:
        data = self._data
        stop = data.read_chunk(start, end)
        if not data.refusal:
            self._on_octets(buf, start, stop)
        if data.done:
            self._on_chunk_end()
        return stop

    def _on_octets(self, buf: bytearray, start: int, end: int) -> None:
        """Content of the mail: `buf[start:end]`."""
        transaction = self._transaction
        assert transaction is not None
        if transaction.failed:
            return
        transaction.octets += end - start
        policies = self._policies
        if policies is not None and self._fails(policies, transaction):
            return
        if transaction.lines is not None:
            transaction.lines.feed(buf, start, end)
        self._out.events.append(MailOctets(buf, start, end))

    def _fails(self, policies: Policies, transaction: Transaction) -> bool:
        """Whether a policy refuses the mail while it arrives: the rest is swallowed, the reply comes at the end."""
        too_big = policies.limit_size(transaction.octets)
        if too_big:
            transaction.failed = too_big
            self._out.events.append(MailAborted(AbortReason.SIZE))
            return True
        if not policies.others:
            return False
        refusal = policies.ask(self._facts(policy.BODY, "", transaction.octets, transaction))
        if refusal is None:
            return False
        transaction.failed = refusal.reply
        transaction.failed_close = refusal.close
        self._out.events.append(MailAborted(AbortReason.POLICY))
        return True

    def _on_chunk_end(self) -> None:
        data, transaction = self._data, self._transaction
        self._reading = COMMANDS
        if data.refusal:
            self._refuse(data.refusal, data.close)
        elif data.last:
            self._on_mail_end()
        elif transaction is not None and transaction.failed:
            # The refusal belongs to this chunk, and without it the mail is broken (RFC 3030 section 2).
            self._transaction = None
            self._refuse(transaction.failed, transaction.failed_close)
        else:
            self._reply(replies.CHUNK_ACCEPTED)
        if self._stopping:
            self._stop_if_idle()

    def _on_mail_end(self) -> None:
        transaction = self._transaction
        assert transaction is not None
        refusal = transaction.failed
        if not refusal and transaction.lines is not None:
            refusal = self._judge_lines(transaction.lines)
        policies = self._policies
        if not refusal and (policies is None or not self._refused_at_end(policies, transaction)):
            self._reading = DECISION
            self._out.events.append(_MAIL_END)
            return
        self._transaction = None
        if self._reading != OVER:
            self._reading = COMMANDS
            if refusal:
                self._refuse(refusal, transaction.failed_close)
            if self._stopping:
                self._stop_if_idle()

    def _refuse(self, reply: bytes, close: bool) -> None:
        self._reply(reply)
        if close:
            self._close()

    def _judge_lines(self, lines: BodyLines) -> bytes:
        """Record what was wrong with the lines of the mail; the refusal of the first fault in strict mode."""
        refusal = b""
        for code in line_faults(lines):
            self._out.record(code)
            policies = self._policies
            if policies is not None and not refusal:
                refusal = policies.refuse_violation(code, b"")
                if refusal:
                    self._out.events.append(MailAborted(AbortReason.STRICT))
        return refusal

    def _refused_at_end(self, policies: Policies, transaction: Transaction) -> bool:
        """Whether a further policy refuses the complete mail; its reply is queued then."""
        if not policies.others:
            return False
        asked = policies.ask(self._facts(policy.DATA_END, "", transaction.octets, transaction))
        if asked is None:
            return False
        self._out.events.append(MailAborted(AbortReason.POLICY))
        self._refuse(asked.reply, asked.close)
        return True

    # Policies ---------------------------------------------------------------------------------------------------------

    def _refused(self, policies: Policies, stage: str, subject: str, transaction: Transaction | None = None) -> bool:
        """Ask the further policies about a command that is in order. True: its refusal is queued."""
        if not policies.others:
            return False
        asked = policies.ask(self._facts(stage, subject, 0, transaction))
        if asked is None:
            return False
        self._reply(asked.reply)
        if asked.close:
            self._abort(AbortReason.POLICY)
            self._close()
        return True

    def _facts(self, stage: str, subject: str, octets: int, transaction: Transaction | None) -> Facts:
        return Facts(
            stage=stage,
            subject=subject,
            octets=octets,
            connections=self._connections,
            helo=self.helo,
            esmtp=self.esmtp,
            tls=self.tls,
            credentials=self.credentials,
            transaction=transaction,
        )

    def _forgive(self, code: str, detail: str = "", refusal: bytes = b"") -> bool:
        """Record a violation. In strict mode reply with `refusal`, else the one of its clause, and return False."""
        self._out.record(code, detail)
        policies = self._policies
        if policies is not None:
            wire = policies.refuse_violation(code, refusal)
            if wire:
                self._reply(wire)
                return False
        return True

    def _without(self, argument: str) -> bool:
        """Whether a command that takes no argument may go on; blanks at the end are none (RFC 5321 section 4.1.1)."""
        extra = argument.strip(" \t")
        return not extra or self._forgive(violations.UNEXPECTED_ARGUMENT, extra)

    # The end of a transaction, and of the session ---------------------------------------------------------------------

    def _reply(self, wire: bytes) -> None:
        self._out.reply(wire)

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
        self._out.events.append(Closed())

    def _stop_if_idle(self) -> None:
        if self._reading == COMMANDS and self._transaction is None:
            self._reply(replies.SHUTTING_DOWN)
            self._close()


_STATES: Final = {MAIL_DATA: "receiving", CHUNK: "receiving", DECISION: "waiting", TLS: "tls", OVER: "closing"}
_VERBS: Final[dict[str, Callable[[Session, str], None]]] = {
    "HELO": Session._on_helo,
    "EHLO": Session._on_ehlo,
    "STARTTLS": Session._on_starttls,
    "AUTH": Session._on_auth,
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
_USUAL_VERBS: Final = {key: perform for verb, perform in _VERBS.items() if len(verb) == 4 for key in (verb, verb + " ")}
