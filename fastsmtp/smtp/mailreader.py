"""Reads the mail of a session, by DATA or BDAT, up to its end: then it waits for a decision, or was refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastsmtp.smtp import replies
from fastsmtp.smtp.askedcommand import AskedCommand
from fastsmtp.smtp.bodymarks import BodyMarks
from fastsmtp.smtp.events import MailEnd
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.maildata import MailData, MailDataDecoder
from fastsmtp.smtp.policy import Refusal
from fastsmtp.smtp.sessionstate import CHUNK, COMMANDS, DECISION, MAIL_DATA, SessionState
from fastsmtp.smtp.transaction import Transaction

_MAIL_END: Final = MailEnd()


class MailReader:
    """Of one session, for one mail after the other. Fault plans are asked about a mail while it arrives."""

    __slots__ = ("_asked", "_data", "_marks", "_out", "_state")

    def __init__(
        self, gate: Gate, state: SessionState, asked: AskedCommand, make_decoder: Callable[[], MailDataDecoder]
    ) -> None:
        self._out: Final = gate.out
        self._state: Final = state
        self._asked: Final = asked
        self._data: Final = MailData(gate, make_decoder)
        self._marks: Final = BodyMarks(gate)

    def start_data(self, transaction: Transaction) -> None:
        """DATA was accepted: mail data comes next."""
        self._data.begin(transaction)
        self._data.start_data()
        self._marks.begin(transaction)
        self._state.reading = MAIL_DATA

    def start_chunk(self, transaction: Transaction | None, size: int, last: bool, refusal: Refusal | None) -> None:
        """BDAT was accepted, or refused: its octets come next, and are no commands (RFC 3030 section 2)."""
        if transaction is not None and refusal is None and not transaction.chunked:
            transaction.chunked = True
            self._data.begin(transaction)
            self._marks.begin(transaction)
        self._data.start_chunk(size, last, refusal)
        self._state.reading = CHUNK
        if not size:
            self._end_chunk()

    def read_data(self, buf: bytearray, start: int, end: int) -> int:
        """Take mail data from `buf[start:end]`, and return where what is not taken begins."""
        transaction, data, marks = self._state.transaction, self._data, self._marks
        assert transaction is not None
        if marks.ahead:
            if self._asks(transaction):
                return start
            end = marks.find_stop(transaction, start, end)
        next_start = data.read_data(transaction, buf, start, end)
        if data.done:
            self._end_mail(transaction)
        return next_start

    def read_chunk(self, buf: bytearray, start: int, end: int) -> int:
        """Take octets of a chunk from `buf[start:end]`, and return where what is not taken begins."""
        data, transaction, marks = self._data, self._state.transaction, self._marks
        if marks.ahead and transaction is not None and not data.refusal:
            if self._asks(transaction):
                return start
            end = marks.find_stop(transaction, start, end)
        stop = data.read_chunk(transaction, buf, start, end)
        if data.done:
            self._end_chunk()
        return stop

    def go_on(self) -> None:
        """A plan has answered: the last chunk of a mail may have been read to its end before it was asked."""
        if self._state.reading == CHUNK and self._data.done:
            self._end_chunk()

    def _asks(self, transaction: Transaction) -> bool:
        """Whether a plan has to be asked about the mail, as far as it has come."""
        if not self._marks.reached(transaction):
            return False
        self._asked.ask(self._on_answer)
        return True

    def _on_answer(self) -> None:
        self._marks.answer(self._state.transaction)

    def _end_chunk(self) -> None:
        data, state = self._data, self._state
        transaction = state.transaction
        if data.last and not data.refusal and transaction is not None and self._asks(transaction):
            return  # to `go_on`
        state.reading = COMMANDS
        if data.refusal:
            state.refuse(data.refusal, data.close, data.refused_by)
        else:
            assert transaction is not None
            self._end_whole_chunk(transaction)
        if state.stopping:
            state.stop_if_idle()

    def _end_whole_chunk(self, transaction: Transaction) -> None:
        if self._data.last:
            self._end_mail(transaction)
        elif transaction.failed:
            # The refusal belongs to this chunk, and without it the mail is broken (RFC 3030 section 2).
            self._state.transaction = None
            self._state.refuse(transaction.failed, transaction.failed_close, transaction.failed_by)
        else:
            self._out.reply(replies.CHUNK_ACCEPTED)

    def _end_mail(self, transaction: Transaction) -> None:
        state, refusal = self._state, self._data.finish(transaction)
        if refusal is None:
            state.reading = DECISION
            self._out.events.append(_MAIL_END)
            return
        state.transaction = None
        state.reading = COMMANDS
        state.refuse(refusal.reply, refusal.close, transaction.failed_by)
        if state.stopping:
            state.stop_if_idle()
