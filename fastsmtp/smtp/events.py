"""What a session tells its owner, in the order it happened, and what the owner decides about a mail."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from fastsmtp.smtp.envelope import Envelope
from fastsmtp.smtp.policy import Facts

HEADROOM: Final = 4096  # octets free before the first one of a read buffer; who unpacks a chunk may write there


class Verdict(enum.Enum):
    """The decision about one mail, given to `Session.decide`."""

    __hash__ = object.__hash__  # that of Enum is a function in Python, which is called thrice for each mail

    ACCEPT = "accept"  # 250
    ACCEPT_AND_CLOSE = "accept-and-close"  # 250, then 221 and closed
    WORKER_FAILED = "worker-failed"  # 451 4.3.0
    NO_WORKER = "no-worker"  # 451 4.3.2
    STORAGE_FAILED = "storage-failed"  # 451 4.3.0
    STORAGE_FULL = "storage-full"  # 452 4.3.1
    TOO_LARGE = "too-large"  # 552 5.3.4
    MALFORMED = "malformed"  # 554 5.6.0: strict mode, and the message has no header or cannot be parsed
    REFUSED = "refused-by-plan"  # with the reply of a fault plan, or without any
    DROPPED = "dropped-by-plan"  # 250, and nothing of it is kept


class AbortReason(str, enum.Enum):
    """Why a mail was broken off after `MailBegin`."""

    SIZE = "size"  # above max_message_size
    EOF = "eof"  # the client is gone
    RESET = "reset"  # RSET, HELO, EHLO or QUIT between chunks
    CHUNK = "chunk"  # a BDAT command that cannot be used
    STRICT = "strict"  # refused because of its lines
    POLICY = "policy"  # refused by a policy
    MEMORY = "memory"  # it held too much of it, and did not go on


@dataclass(init=False, slots=True)
class MailBegin:
    """DATA got 354, or the first BDAT was accepted."""

    envelope: Envelope

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope


@dataclass(init=False, slots=True)
class MailOctets:
    """The next octets of mail data, dots unstuffed: `buf[start:end]`, never empty.

    Valid until the session is fed or decided again. The receiver may overwrite them and everything before `start`.
    """

    buf: bytearray = field(repr=False)
    start: int
    end: int

    def __init__(self, buf: bytearray, start: int, end: int) -> None:
        self.buf = buf
        self.start = start
        self.end = end


@dataclass(slots=True)
class MailEnd:
    """The mail is complete. The session parses nothing more until `Session.decide`."""


@dataclass(slots=True)
class MailAborted:
    """The mail is not going to be complete; drop what there is of it."""

    reason: AbortReason


@dataclass(slots=True)
class StartTLS:
    """220 is in the output. Flush it, do the handshake, then call `Session.tls_established`."""


@dataclass(slots=True)
class ClientNamed:
    """A proxy that is believed has said who its client is: `ip:port`."""

    remote_addr: str


@dataclass(slots=True)
class Closed:
    """The output is the last there is. Flush it and close."""


@dataclass(slots=True)
class Command:
    """A command line or AUTH response as it came, passwords too. Only with `SessionSettings.trace`."""

    line: str


@dataclass(slots=True)
class Replied:
    """A line of a reply as it was queued. Only with `SessionSettings.trace`. `fault` is the rule whose reply it is."""

    line: str
    fault: str = ""


@dataclass(slots=True)
class Asked:
    """A plan has to be asked about a command, of which `facts` are known. The session waits for `Session.answer`."""

    facts: Facts


Event: TypeAlias = (
    MailBegin | MailOctets | MailEnd | MailAborted | StartTLS | ClientNamed | Closed | Command | Replied | Asked
)


def kept(event: Event) -> Event:
    """The event with octets of its own: the buffer that it may have them in is read into again."""
    if not isinstance(event, MailOctets):
        return event
    octets = bytearray(HEADROOM)
    octets += event.buf[event.start : event.end]
    return MailOctets(octets, HEADROOM, len(octets))
