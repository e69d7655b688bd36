"""What each command of a session does: from its line to its effect, or its refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastsmtp.smtp import command, policy, replies, violations
from fastsmtp.smtp.authentication import Authentication
from fastsmtp.smtp.chunkcommand import judge_chunk
from fastsmtp.smtp.events import AbortReason, StartTLS
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.mailreader import MailReader
from fastsmtp.smtp.openingcommands import ehlo_reply, may_start_tls, take_name
from fastsmtp.smtp.pathcommands import add_recipient, open_transaction
from fastsmtp.smtp.proxycommands import take_xclient, take_xforward
from fastsmtp.smtp.sessionsettings import SessionSettings
from fastsmtp.smtp.sessionstate import TLS, SessionState


class Verbs:
    """Performs the commands of one session. Where a plan has to be asked first, one is taken twice: see `Gate`."""

    __slots__ = ("_authentication", "_gate", "_mail", "_out", "_settings", "_state")

    def __init__(
        self,
        settings: SessionSettings,
        gate: Gate,
        state: SessionState,
        authentication: Authentication,
        mail: MailReader,
    ) -> None:
        self._settings: Final = settings
        self._gate: Final = gate
        self._out: Final = gate.out
        self._state: Final = state
        self._authentication: Final = authentication
        self._mail: Final = mail

    def take(self, text: str) -> None:
        """Take a command line, or a response to a challenge of AUTH, without its end."""
        if self._authentication.under_way:
            self._authentication.respond(text)
            return
        verb = text[:5]
        perform = _USUAL_VERBS.get(verb)
        if perform is None:
            perform = _USUAL_VERBS.get(verb.upper())
            if perform is None:
                self._take_unusual(text)
                return
            self._record_lower_case(verb[:4])
        perform(self, text[5:])

    def _take_unusual(self, text: str) -> None:
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

    # Names, TLS, authentication

    def _on_helo(self, argument: str) -> None:
        if self._introduce(argument, esmtp=False):
            self._out.reply(replies.helo(self._settings.hostname))

    def _on_ehlo(self, argument: str) -> None:
        if self._introduce(argument, esmtp=True):
            self._out.reply(ehlo_reply(self._settings, self._gate.peer))

    def _introduce(self, argument: str, *, esmtp: bool) -> bool:
        name = take_name(self._gate, argument)
        if name is None:
            return False
        self._state.abort(AbortReason.RESET)  # "exactly as if a RSET command had been issued" (RFC 5321 section 4.1.4)
        self._gate.peer.introduce(name, esmtp)
        return True

    def _on_starttls(self, argument: str) -> None:
        state = self._state
        if may_start_tls(self._gate, self._settings, argument, in_transaction=state.transaction is not None):
            self._out.reply(replies.READY_FOR_TLS)
            state.reading = TLS
            self._out.events.append(StartTLS())

    def _on_auth(self, argument: str) -> None:
        if self._state.transaction is not None:
            self._out.reply(replies.NOT_IN_TRANSACTION)
        else:
            self._authentication.start(argument)

    def _on_xclient(self, argument: str) -> None:
        if self._state.transaction is not None:
            self._out.reply(replies.NOT_IN_TRANSACTION)
        elif take_xclient(self._gate, argument):
            self._out.reply(replies.greeting(self._settings.hostname))  # the session begins again

    def _on_xforward(self, argument: str) -> None:
        if self._state.transaction is not None:
            self._out.reply(replies.NOT_IN_TRANSACTION)
        elif take_xforward(self._gate, argument):
            self._out.reply(replies.XFORWARD_OK)

    # Transaction

    def _on_mail(self, argument: str) -> None:
        if self._state.transaction is not None:
            self._out.reply(replies.NESTED_MAIL)
        else:
            self._state.transaction = open_transaction(self._gate, argument)

    def _on_rcpt(self, argument: str) -> None:
        transaction = self._state.transaction
        if transaction is None:
            self._out.reply(replies.MAIL_FIRST)
        elif transaction.chunked:
            self._out.reply(replies.CHUNKS_STARTED)
        else:
            add_recipient(self._gate, transaction, argument)

    def _on_data(self, argument: str) -> None:
        transaction = self._state.transaction
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
            self._mail.start_data(transaction)
            self._out.reply(replies.START_MAIL_INPUT)

    def _on_bdat(self, argument: str) -> None:
        state = self._state
        transaction = state.transaction
        try:
            chunk = command.parse_chunk(argument)
        except command.ArgumentError:
            if transaction is not None and transaction.chunked:
                state.abort(AbortReason.CHUNK)
            self._out.reply(replies.BDAT_SYNTAX)
            return
        refusal, reason = judge_chunk(self._gate, transaction, chunk)
        if self._gate.asking is not None:
            return
        if reason is not None:
            state.abort(reason)
        self._mail.start_chunk(transaction, chunk.size, chunk.last, refusal)

    # The rest

    def _on_rset(self, argument: str) -> None:
        if self._gate.forgive_argument(argument) and self._gate.lets(policy.RSET, "", self._state.transaction):
            self._state.abort(AbortReason.RESET)
            self._gate.peer.forget_xforward()
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
        if self._gate.forgive_argument(argument) and self._gate.lets(policy.QUIT, "", self._state.transaction):
            self._state.abort(AbortReason.RESET)
            self._state.end(replies.BYE)


VERBS: Final[dict[str, Callable[[Verbs, str], None]]] = {
    "HELO": Verbs._on_helo,
    "EHLO": Verbs._on_ehlo,
    "STARTTLS": Verbs._on_starttls,
    "AUTH": Verbs._on_auth,
    "XCLIENT": Verbs._on_xclient,
    "XFORWARD": Verbs._on_xforward,
    "MAIL": Verbs._on_mail,
    "RCPT": Verbs._on_rcpt,
    "DATA": Verbs._on_data,
    "BDAT": Verbs._on_bdat,
    "RSET": Verbs._on_rset,
    "NOOP": Verbs._on_noop,
    "VRFY": Verbs._on_vrfy,
    "EXPN": Verbs._on_expn,
    "HELP": Verbs._on_help,
    "QUIT": Verbs._on_quit,
}
# The first five characters of what well-behaved clients send: a verb in upper case alone, or with one blank behind it.
_USUAL_VERBS: Final = {key: perform for verb, perform in VERBS.items() if len(verb) == 4 for key in (verb, verb + " ")}
