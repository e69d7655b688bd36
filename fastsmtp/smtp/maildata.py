"""Mail data on the wire: by DATA up to CRLF.CRLF, or by BDAT in chunks of a known size. What is octet, what is not, and
whether the mail may go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from fastsmtp._parse import BodyLines
from fastsmtp.smtp import policy, violations
from fastsmtp.smtp.envelope import Envelope
from fastsmtp.smtp.events import AbortReason, MailAborted, MailBegin, MailOctets
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.policy import Policies, Refusal
from fastsmtp.smtp.transaction import Transaction


class MailDataDecoder(Protocol):
    """Undoes dot-stuffing and finds the end of mail data, as `_parse.DataDecoder` says."""

    def feed(self, buf: bytearray, start: int, end: int) -> tuple[int, int, int, bool]: ...


class MailData:
    """Where the mail data of a session begins and ends in what is read; what is content becomes an event.

    After `start_data` or `start_chunk` each `read_...` tells in `done` whether the mail data, or the chunk, has ended.
    """

    __slots__ = ("_decoder", "_gate", "_left", "_make_decoder", "close", "done", "last", "refusal", "refused_by")

    def __init__(self, gate: Gate, make_decoder: Callable[[], MailDataDecoder]) -> None:
        self._gate: Final = gate
        self._make_decoder: Final = make_decoder
        self._decoder: MailDataDecoder | None = None  # of DATA
        self._left = 0  # octets of the chunk that have not come
        self.last = False  # the chunk is the last one of its mail
        self.refusal = b""  # what to reply after a chunk that is swallowed
        self.refused_by = ""  # the rule of the plan whose reply it is
        self.close = False  # this reply is the last one of the session
        self.done = False

    def begin(self, transaction: Transaction) -> None:
        """The mail of this transaction begins: its envelope is complete."""
        if not transaction.binary:
            transaction.lines = BodyLines()
        peer = self._gate.peer
        envelope = Envelope(
            peer.helo,
            peer.esmtp,
            transaction.reverse_path,
            tuple(transaction.forward_paths),
            transaction.mail_parameters,
            tuple(transaction.rcpt_parameters),
            peer.auth_attempted,
            peer.credentials,
            peer.tls,
            transaction.proxied,
        )
        self._gate.out.events.append(MailBegin(envelope))

    def start_data(self) -> None:
        """The next octets are mail data after DATA."""
        self._decoder = self._make_decoder()

    def start_chunk(self, size: int, last: bool, refusal: Refusal | None = None) -> None:
        """The next octets are a chunk after BDAT; with a `refusal` they are swallowed."""
        self._left = size
        self.done = not size
        self.last = last
        if refusal is None:
            self.refusal, self.close, self.refused_by = b"", False, ""
        else:
            self.refusal, self.close, self.refused_by = refusal.reply, refusal.close, refusal.rule

    def read_data(self, transaction: Transaction, buf: bytearray, start: int, end: int) -> int:
        """Take `buf[start:end]`, and return where what follows begins."""
        assert self._decoder is not None
        begin, stop, next_start, self.done = self._decoder.feed(buf, start, end)
        if begin < stop:
            self._take(transaction, buf, begin, stop)
        if self.done:
            self._decoder = None
        return next_start

    def read_chunk(self, transaction: Transaction | None, buf: bytearray, start: int, end: int) -> int:
        """Take as much of `buf[start:end]` as the chunk has, and return where what follows begins."""
        stop = min(end, start + self._left)
        self._left -= stop - start
        self.done = self._left == 0
        if not self.refusal:
            assert transaction is not None
            self._take(transaction, buf, start, stop)
        return stop

    def finish(self, transaction: Transaction) -> Refusal | None:
        """The mail is complete: return why it is refused, or None."""
        if transaction.failed:
            return Refusal(transaction.failed, transaction.failed_close)
        if transaction.lines is not None:
            reply = self._judge_lines(transaction.lines)
            if reply:
                return Refusal(reply)
        refusal = self._gate.ask(policy.DATA_END, transaction.octets, transaction)
        if refusal is not None:
            self._gate.out.events.append(MailAborted(AbortReason.POLICY))
        return refusal

    def _take(self, transaction: Transaction, buf: bytearray, start: int, end: int) -> None:
        """Content of the mail: `buf[start:end]`."""
        if transaction.failed:
            return
        transaction.octets += end - start
        gate = self._gate
        if gate.policies is not None and self._fails(gate.policies, transaction):
            return
        if transaction.lines is not None:
            transaction.lines.feed(buf, start, end)
        gate.out.events.append(MailOctets(buf, start, end))

    def _fails(self, policies: Policies, transaction: Transaction) -> bool:
        """Whether a policy refuses the mail while it arrives: the rest is swallowed, the reply comes at the end."""
        too_big = policies.limit_size(transaction.octets)
        if too_big:
            transaction.failed = too_big
            self._gate.out.events.append(MailAborted(AbortReason.SIZE))
            return True
        refusal = self._gate.ask(policy.BODY, transaction.octets, transaction)
        if refusal is None:
            return False
        transaction.failed = refusal.reply
        transaction.failed_close = refusal.close
        self._gate.out.events.append(MailAborted(AbortReason.POLICY))
        return True

    def _judge_lines(self, lines: BodyLines) -> bytes:
        """Record what was wrong with the lines of the mail; the refusal of the first fault in strict mode."""
        refusal, policies, out = b"", self._gate.policies, self._gate.out
        for code in line_faults(lines):
            out.record(code)
            if policies is not None and not refusal:
                refusal = policies.refuse_violation(code, b"")
                if refusal:
                    out.events.append(MailAborted(AbortReason.STRICT))
        return refusal


def line_faults(lines: BodyLines) -> list[str]:
    """The codes of what was wrong with the lines of a mail, now that no more octets come."""
    lines.finish()
    found = []
    if lines.bare_cr:
        found.append(violations.BARE_CR_IN_BODY)
    if lines.bare_lf:
        found.append(violations.BARE_LF_IN_BODY)
    if lines.too_long:
        found.append(violations.LONG_BODY_LINE)
    return found
