"""What decides that a command is refused although it was found in order: the one place that may.

A policy is asked after a command was parsed and found in its place, before its good reply is queued and before it has
an effect. Limits and strict mode are built in, and are asked first; `SessionSettings.policies` adds others, each asked
in its turn until one refuses. A session without any of them asks nothing.

| stage      | asked                                          | `subject`                                 |
|------------|------------------------------------------------|-------------------------------------------|
| `connect`  | before the greeting                            | ""                                        |
| `banner`   | the same, behind `connect`                     | ""                                        |
| `ehlo`     | HELO, EHLO                                     | their argument                            |
| `starttls` | STARTTLS                                       | ""                                        |
| `auth`     | when the credentials are complete              | the mechanism                             |
| `mail`     | MAIL; `transaction` is the one that would open | the reverse-path                          |
| `rcpt`     | RCPT                                           | the forward-path                          |
| `data`     | DATA, and the first BDAT of a mail: refused,   | ""                                        |
|            | BDAT ends the transaction, DATA does not       |                                           |
| `body`     | mail data arrives, or BDAT announces it        | ""; `octets` is what the mail then has    |
| `data-end` | the mail is complete                           | ""; `octets` is the size of the mail      |
| `rset`     | RSET                                           | ""                                        |
| `quit`     | QUIT: refused, it does not end the session     | ""                                        |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from fastsmtp.smtp import command, replies
from fastsmtp.smtp.envelope import Credentials, TLSInfo
from fastsmtp.smtp.transaction import Transaction
from fastsmtp.smtp.violations import CLAUSES

CONNECT: Final = "connect"
BANNER: Final = "banner"
EHLO: Final = "ehlo"
STARTTLS: Final = "starttls"
AUTH: Final = "auth"
MAIL: Final = "mail"
RCPT: Final = "rcpt"
DATA: Final = "data"
BODY: Final = "body"
DATA_END: Final = "data-end"
RSET: Final = "rset"
QUIT: Final = "quit"
TLS: Final = "tls"  # of plans alone: a handshake begins
STAGES: Final = (CONNECT, BANNER, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, BODY, DATA_END, RSET, QUIT)


class Refusal(NamedTuple):
    """A reply, with its CRLF, in place of the good one; with `close` it is the last one of the session."""

    reply: bytes
    close: bool = False
    rule: str = ""  # of a plan, whose reply it is


@dataclass(frozen=True)
class Facts:
    """What is known of a session when a policy is asked; to be read, not changed."""

    stage: str
    subject: str
    octets: int
    connections: int  # open when this one was accepted, without it
    helo: str
    esmtp: bool
    tls: TLSInfo | None
    credentials: Credentials | None
    transaction: Transaction | None


class Policy(Protocol):
    """Refuses commands, at any of `STAGES`."""

    def refuse(self, facts: Facts) -> Refusal | None:
        """Return the refusal, or None to let the command have its way. Does not raise."""


class Policies:
    """Limits, strict mode and further policies of one listener, in the order in which they are asked."""

    __slots__ = ("max_connections", "max_message_size", "max_recipients", "others", "strict")

    def __init__(
        self,
        max_message_size: int,
        max_recipients: int,
        max_connections: int,
        strict: bool,
        others: Sequence[Policy],
    ) -> None:
        """A limit of 0 means no limit."""
        self.max_message_size: Final = max_message_size
        self.max_recipients: Final = max_recipients
        self.max_connections: Final = max_connections
        self.strict: Final = strict
        self.others: Final = tuple(others)

    def limit_connections(self, connections: int) -> bytes:
        """Return the refusal of a connection when so many are open already, or b""."""
        limit = self.max_connections
        return replies.TOO_MANY_CONNECTIONS if limit and connections >= limit else b""

    def limit_size(self, octets: int) -> bytes:
        """Return the refusal of a mail of so many octets, or b""."""
        limit = self.max_message_size
        return replies.TOO_BIG if limit and octets > limit else b""

    def limit_announced_size(self, parameters: dict[str, str | None]) -> bytes:
        """Return the refusal of MAIL with these parameters (RFC 1870 section 6.1), or b""."""
        limit = self.max_message_size
        if limit:
            for keyword, value in parameters.items():
                if keyword.upper() == "SIZE" and command.parse_size(value) > limit:
                    return replies.TOO_BIG
        return b""

    def limit_recipients(self, transaction: Transaction) -> bytes:
        """Return the refusal of one more recipient, or b""."""
        limit = self.max_recipients
        return replies.TOO_MANY_RECIPIENTS if limit and len(transaction.forward_paths) >= limit else b""

    def refuse_violation(self, code: str, refusal: bytes) -> bytes:
        """Return what strict mode says to a violation: `refusal`, or that of its clause; b"" where it is forgiven."""
        return (refusal or CLAUSES[code].refusal) if self.strict else b""

    def ask(self, facts: Facts) -> Refusal | None:
        """Ask the further policies; the first refusal stands."""
        for policy in self.others:
            refusal = policy.refuse(facts)
            if refusal is not None:
                return refusal
        return None
