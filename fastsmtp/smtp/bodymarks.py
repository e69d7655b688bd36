"""How many octets of a mail have to come before fault plans are asked about it, while it arrives."""

from __future__ import annotations

from typing import Final

from fastsmtp.smtp.events import AbortReason, MailAborted
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.transaction import Transaction


class BodyMarks:
    """Those of the mail of one session that are not reached yet, ascending, in `ahead`."""

    __slots__ = ("_gate", "ahead")

    def __init__(self, gate: Gate) -> None:
        self._gate: Final = gate
        self.ahead: tuple[int, ...] = ()

    def begin(self, transaction: Transaction) -> None:
        """The mail of this transaction begins."""
        gate = self._gate
        self.ahead = () if gate.plans.stages is None else gate.body_marks(transaction)

    def find_stop(self, transaction: Transaction, start: int, end: int) -> int:
        """Where to stop reading in what is read from `start` to `end`: at the next mark, if it lies there."""
        if transaction.failed:
            return end
        return min(end, start + self.ahead[0] - transaction.octets)

    def reached(self, transaction: Transaction) -> bool:
        """Whether there is one that so much of the mail has come to; plans are to be asked about it then."""
        if not self.ahead or transaction.failed or transaction.octets < self.ahead[0]:
            return False
        self._gate.ask_body(self.ahead[0], transaction)
        self.ahead = self.ahead[1:]
        return True

    def answer(self, transaction: Transaction | None) -> None:
        """Refused, the mail is read to its end all the same, and the reply comes there."""
        refusal = self._gate.answer
        if refusal is not None and transaction is not None:
            transaction.failed = refusal.reply
            transaction.failed_close = refusal.close
            transaction.failed_by = refusal.rule
            self._gate.out.events.append(MailAborted(AbortReason.POLICY))
