"""How a session takes mail data: by DATA up to CRLF.CRLF, or by BDAT in chunks of a known size. Base of `Session`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from fastsmtp._parse import BodyLines
from fastsmtp.smtp import command, replies, violations
from fastsmtp.smtp.envelope import Credentials, Envelope, TLSInfo
from fastsmtp.smtp.events import AbortReason, Closed, MailAborted, MailBegin, MailData, MailEnd
from fastsmtp.smtp.outbox import Channel, SessionSettings
from fastsmtp.smtp.transaction import Transaction, line_faults
from fastsmtp.smtp.violations import CLAUSES

# Who looks at the next octets.
COMMANDS: Final = 0
MAIL_DATA: Final = 1
CHUNK: Final = 2
DECISION: Final = 3  # nobody: they are kept until `decide`
TLS: Final = 4  # nobody: they are dropped until `tls_established`
OVER: Final = 5  # nobody, for good

_MAIL_END: Final = MailEnd()


class Decoder(Protocol):
    """Undoes dot-stuffing and finds the end of mail data, as `_parse.DataDecoder` says."""

    def feed(self, buf: bytearray, start: int, end: int) -> tuple[int, int, int, bool]: ...


class MailTransfer(Channel):
    """The open transaction and its mail data; who it is from, as the envelope will say."""

    __slots__ = (
        "_chunk_last",
        "_chunk_left",
        "_chunk_refusal",
        "_decoder",
        "_make_decoder",
        "_reading",
        "_stopping",
        "_transaction",
        "auth_attempted",
        "credentials",
        "esmtp",
        "helo",
        "tls",
    )

    def __init__(self, settings: SessionSettings, tls: TLSInfo | None, make_decoder: Callable[[], Decoder]) -> None:
        super().__init__(settings)
        self._make_decoder = make_decoder
        # Connection
        self.tls = tls
        self._reading = COMMANDS
        self._stopping = False  # the server is: close as soon as no transaction is open
        # What the client said about itself; forgotten when TLS starts
        self.helo = ""
        self.esmtp = False
        self.auth_attempted = False
        self.credentials: Credentials | None = None
        # Transaction
        self._transaction: Transaction | None = None
        self._decoder: Decoder | None = None
        self._chunk_left = 0  # octets of the chunk that have not come
        self._chunk_last = False
        self._chunk_refusal = b""  # what to reply after a chunk that is swallowed

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
            self._begin_mail(transaction)
            self._decoder = self._make_decoder()
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
        # Whatever the answer: the octets of the chunk come, and are no commands (RFC 3030 section 2).
        self._chunk_left = chunk.size
        self._chunk_last = chunk.last
        self._chunk_refusal = self._refuse_chunk(transaction, chunk)
        if transaction is not None and not self._chunk_refusal and not transaction.chunked:
            transaction.chunked = True
            self._begin_mail(transaction)
        if chunk.size:
            self._reading = CHUNK
        else:
            self._on_chunk_end()

    def _refuse_chunk(self, transaction: Transaction | None, chunk: command.ChunkArgument) -> bytes:
        """The refusal of a chunk, or b"". Without one of its chunks a mail is broken: the transaction is over."""
        if transaction is None:
            return replies.MAIL_FIRST
        if not transaction.forward_paths:
            return replies.RCPT_FIRST
        if not chunk.well_formed:
            self._abort(AbortReason.CHUNK)
            return replies.BDAT_SYNTAX
        limit = self._settings.max_message_size
        if limit and transaction.octets + chunk.size > limit:
            self._abort(AbortReason.SIZE)
            return replies.TOO_BIG
        return b""

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
        self._events.append(MailBegin(envelope))

    def _on_mail_data(self, buf: bytearray, start: int, end: int) -> None:
        transaction = self._transaction
        assert transaction is not None
        if transaction.failed:
            return
        transaction.octets += end - start
        limit = self._settings.max_message_size
        if limit and transaction.octets > limit:
            transaction.failed = replies.TOO_BIG
            self._events.append(MailAborted(AbortReason.SIZE))
            return
        if transaction.lines is not None:
            transaction.lines.feed(buf, start, end)
        self._events.append(MailData(buf, start, end))

    def _on_chunk_end(self) -> None:
        self._reading = COMMANDS
        if self._chunk_refusal:
            self._reply(self._chunk_refusal)
        elif self._chunk_last:
            self._on_mail_end()
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
        if not refusal:
            self._reading = DECISION
            self._events.append(_MAIL_END)
            return
        self._transaction = None
        self._reading = COMMANDS
        self._reply(refusal)
        if self._stopping:
            self._stop_if_idle()

    def _judge_lines(self, lines: BodyLines) -> bytes:
        """Record what was wrong with the lines of the mail; the refusal of the first fault in strict mode."""
        refusal = b""
        for code in line_faults(lines):
            self.record(code)
            if self._settings.strict and not refusal:
                refusal = CLAUSES[code].refusal
                self._events.append(MailAborted(AbortReason.STRICT))
        return refusal

    def _read_mail_data(self, buf: bytearray, start: int, end: int) -> int:
        assert self._decoder is not None
        out_start, out_end, next_start, done = self._decoder.feed(buf, start, end)
        if out_start < out_end:
            self._on_mail_data(buf, out_start, out_end)
        if done:
            self._decoder = None
            self._on_mail_end()
        return next_start

    def _read_chunk(self, buf: bytearray, start: int, end: int) -> int:
        stop = min(end, start + self._chunk_left)
        self._chunk_left -= stop - start
        if not self._chunk_refusal:
            self._on_mail_data(buf, start, stop)
        if self._chunk_left == 0:
            self._on_chunk_end()
        return stop

    def _without(self, argument: str) -> bool:
        """Whether a command that takes no argument may go on; blanks at the end are none (RFC 5321 section 4.1.1)."""
        extra = argument.strip(" \t")
        return not extra or self._forgive(violations.UNEXPECTED_ARGUMENT, extra)

    def _abort(self, reason: AbortReason) -> None:
        """End the open transaction, if there is one, and with it the mail that has begun."""
        transaction = self._transaction
        if transaction is None:
            return
        if (transaction.chunked or self._reading == MAIL_DATA) and not transaction.failed:
            self._events.append(MailAborted(reason))
        self._transaction = None
        self._decoder = None

    def _close(self) -> None:
        self._reading = OVER
        self._events.append(Closed())

    def _stop_if_idle(self) -> None:
        if self._reading == COMMANDS and self._transaction is None:
            self._reply(replies.SHUTTING_DOWN)
            self._close()
