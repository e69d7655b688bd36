"""What is going on in a session: what it reads, which transaction is open, and how both come to their end."""

from __future__ import annotations

from typing import Final

from fastsmtp.smtp import replies
from fastsmtp.smtp.events import AbortReason, Closed, MailAborted
from fastsmtp.smtp.heldoctets import HeldOctets
from fastsmtp.smtp.outbox import Outbox
from fastsmtp.smtp.transaction import Transaction

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
_WORDS: Final = {
    OPENING: "idle",
    MAIL_DATA: "receiving",
    CHUNK: "receiving",
    DECISION: "waiting",
    ASKED: "waiting",
    TLS: "tls",
    OVER: "closing",
}


class SessionState:
    """Shared by the parts of one session, each of which may end it."""

    __slots__ = ("_out", "held", "reading", "stopping", "transaction")

    def __init__(self, out: Outbox, reading: int) -> None:
        self._out: Final = out
        self.reading = reading
        self.transaction: Transaction | None = None
        self.held: HeldOctets | None = None  # what has to wait
        self.stopping = False  # the server is: close as soon as no transaction is open

    @property
    def word(self) -> str:
        """What is going on, in a word for people."""
        if self.reading == COMMANDS:
            return "idle" if self.transaction is None else "transaction"
        return _WORDS[self.reading]

    def hold(self, buf: bytearray, start: int, end: int) -> None:
        """Keep octets that have to wait."""
        if self.held is None:
            self.held = HeldOctets()
        self.held.keep(buf, start, end)

    def refuse(self, reply: bytes, close: bool, rule: str = "") -> None:
        """Reply with a refusal, that of a `rule` of a plan if there is one."""
        self._out.fault = rule
        self._out.reply(reply)
        self._out.fault = ""
        if close:
            self.close()

    def abort(self, reason: AbortReason) -> None:
        """End the open transaction, if there is one, and with it the mail that has begun."""
        transaction = self.transaction
        if transaction is None:
            return
        if (transaction.chunked or self.reading == MAIL_DATA) and not transaction.failed:
            self._out.events.append(MailAborted(reason))
        self.transaction = None

    def end(self, reply: bytes) -> None:
        """Close the session with a last reply."""
        self._out.reply(reply)
        self.close()

    def close(self) -> None:
        """The session is over."""
        self.reading = OVER
        self.held = None
        self._out.events.append(Closed())

    def stop_if_idle(self) -> None:
        """Say 421 if no transaction is open: the server stops."""
        if (self.reading == COMMANDS or self.reading == OPENING) and self.transaction is None:
            self.end(replies.SHUTTING_DOWN)
