"""What a session asks a plan: where it is, and what is known of it by then."""

from __future__ import annotations

import msgspec

from fastsmtp.errors import FastSMTPError


class PlanError(FastSMTPError):
    """A plan cannot be used. `pointer` is the JSON pointer (RFC 6901) to what is wrong."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{pointer or '/'}: {reason}")
        self.pointer = pointer
        self.reason = reason


class Question(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A command that was found in order, or another moment of a session (`plan.STAGES`)."""

    at: str
    connection: str  # its uuid
    command: str = ""  # as sent, for the report
    ip: str = ""  # of the client
    helo: str = ""
    tls: bool = False
    mechanism: str = ""
    username: str = ""
    sender: str = ""  # the reverse-path, "" before MAIL
    rcpt: str = ""  # the forward-path of this RCPT
    rcpts: list[str] = msgspec.field(default_factory=list)  # those that were accepted
    size: int = 0  # octets of mail data so far; before them, those that MAIL announced
    headers: list[tuple[str, str]] = msgspec.field(default_factory=list)  # names in lower case, values decoded
    mail: str = ""  # its uuid, at `body` and `data-end`
    connections: int = 0  # of the namespace, this one included
    after: int = 0  # at `body`: the octets of the mail that had to come before plans are asked, as rules want it
