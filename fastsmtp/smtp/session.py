"""The state machine of one SMTP session (RFC 5321): bytes in, replies and events out. No time, no IO, no asyncio.

Strategy: what is being read decides who looks at the next octets: command lines, mail data up to its end, the octets of
a chunk, or nobody (a decision is awaited, TLS is being started, the session is over). Complete lines in a read are
handled where they stand; only a line cut off by the end of a read is copied. Mail data is never copied.

Capture first: what has a meaning is accepted and recorded (`violations.CLAUSES`); in strict mode the same
places refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastsmtp._parse import DataDecoder, take_line
from fastsmtp.smtp import auth, command, replies, violations
from fastsmtp.smtp.envelope import TLSInfo
from fastsmtp.smtp.events import HEADROOM, AbortReason, Command, StartTLS, Verdict
from fastsmtp.smtp.maildata import CHUNK, COMMANDS, DECISION, MAIL_DATA, OVER, TLS, Decoder, MailTransfer
from fastsmtp.smtp.outbox import SessionSettings
from fastsmtp.smtp.partialline import MAX_COMMAND_LINE, PartialLine
from fastsmtp.smtp.transaction import Transaction
from fastsmtp.smtp.violations import CLAUSES

__all__ = ["Session", "SessionSettings"]

VERDICT_REPLIES: Final = {
    Verdict.ACCEPT: replies.MESSAGE_ACCEPTED,
    Verdict.ACCEPT_AND_CLOSE: replies.MESSAGE_ACCEPTED,
    Verdict.WORKER_FAILED: replies.WORKER_FAILED,
    Verdict.NO_WORKER: replies.NO_WORKER,
    Verdict.STORAGE_FAILED: replies.STORAGE_FAILED,
    Verdict.MALFORMED: replies.MALFORMED_MESSAGE,
}


class Session(MailTransfer):
    """One connection's side of the protocol.

    Feed it with `receive`, `receive_eof` and `decide`; after each take `take_events` and `take_output`. Nothing a
    client sends raises. The owner asks `waiting_for_decision`, `receiving_mail` and `closing` to know what it
    waits for.
    """

    __slots__ = ("_eof", "_exchange", "_held", "_held_start", "_partial")

    def __init__(
        self,
        settings: SessionSettings,
        *,
        tls: TLSInfo | None = None,
        make_decoder: Callable[[], Decoder] = DataDecoder,
    ) -> None:
        """`make_decoder` is for tests, which have a slow one that is obviously right."""
        super().__init__(settings, tls, make_decoder)
        self._eof = False  # the client is gone, but a decision about its mail is still awaited
        self._partial: PartialLine | None = None  # a command line whose end has not come
        self._exchange: auth.Exchange | None = None  # lines are AUTH responses
        self._held: bytearray | None = None  # octets behind the mail that is being decided, from _held_start on
        self._held_start = 0

    # What the owner feeds ---------------------------------------------------------------------------------------------

    def greet(self) -> None:
        """Queue the greeting."""
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
                if reading == TLS and violations.PLAINTEXT_AFTER_STARTTLS not in self.violations:
                    self.record(violations.PLAINTEXT_AFTER_STARTTLS)
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
                    self._events.append(Command(text))
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
            self._events.append(Command(text))
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
            self.record(violations.LOWER_CASE_VERB, verb[:4])  # never refused (RFC 5321 section 2.4)
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
            self.record(violations.LOWER_CASE_VERB, verb)
        perform(self, argument)

    # Greeting, TLS, authentication ------------------------------------------------------------------------------------

    def _on_helo(self, argument: str) -> None:
        if self._introduce(argument, esmtp=False):
            self._reply(replies.helo(self._settings.hostname))

    def _on_ehlo(self, argument: str) -> None:
        if self._introduce(argument, esmtp=True):
            settings = self._settings
            offer_tls = settings.tls_available and self.tls is None
            self._reply(replies.ehlo(settings.hostname, settings.max_message_size, offer_tls))

    def _introduce(self, argument: str, *, esmtp: bool) -> bool:
        name = argument.strip(" \t")
        if not name:
            self._reply(replies.BAD_ARGUMENT)
            return False
        if not command.is_helo(name) and not self._forgive(violations.INVALID_HELO, name):
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
            self._reply(replies.READY_FOR_TLS)
            self._reading = TLS
            self._events.append(StartTLS())

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
        self._transaction = transaction
        self._reply(replies.MAIL_OK)

    def _use_parameters(self, transaction: Transaction) -> bool:
        """Give the parameters of MAIL their effect. False when one was refused."""
        if not self._may_have(transaction.mail_parameters):
            return False
        limit = self._settings.max_message_size
        for keyword, value in transaction.mail_parameters.items():
            name = keyword.upper()
            if name == "SIZE":
                if limit and command.parse_size(value) > limit:
                    self._reply(replies.TOO_BIG)
                    return False
            elif name == "BODY":
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
        limit = self._settings.max_recipients
        if limit and len(transaction.forward_paths) >= limit:
            self._reply(replies.TOO_MANY_RECIPIENTS)
            return
        for code, detail in quirks:
            if not self._forgive(code, detail, CLAUSES[code].rcpt_refusal):
                return
        if parameters and not self._may_have(parameters):
            return
        if not transaction.utf8 and not self._forgive_utf8(argument, replies.UTF8_FORWARD_PATH):
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

    # Helpers ----------------------------------------------------------------------------------------------------------


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
