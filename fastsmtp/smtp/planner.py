"""What a session knows of fault plans: which of its commands have to be asked about, and what an answer does to them.

A plan is asked last, when limits, strict mode and policies have nothing against a command, and before it has an effect.
Who keeps plans may be another process: the session then waits for the answer as it waits for a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fastsmtp.smtp.policy import Facts


class Plans:
    """The plans of a process, as its sessions see them at every command."""

    __slots__ = ("stages",)

    def __init__(self) -> None:
        self.stages: frozenset[str] | None = None  # those at which any wants to be asked; None: there is no plan at all


class Planner(Protocol):
    """Says which commands plans are asked about."""

    @property
    def plans(self) -> Plans:
        """The same for as long as the process lives."""

    def concerns(self, facts: Facts) -> bool:
        """Whether a plan wants to be asked about this command. Does not raise."""

    def marks(self, facts: Facts) -> tuple[int, ...]:
        """How many octets of this mail have to come before plans are asked about it, ascending. Does not raise."""


@dataclass(frozen=True)
class Fault:
    """What a plan does to a command, as far as the session is concerned; the defaults do nothing."""

    rule: str = ""
    reply: bytes = b""  # in place of the good reply
    close: bool = False  # the session ends, behind the reply if there is one
    silent: bool = False  # without any
    removed: tuple[str, ...] = ()  # keywords that the answer to EHLO does not have
    added: tuple[str, ...] = ()  # lines that it has beside its own

    @property
    def edits(self) -> bool:
        """Whether the good reply is another one, or none."""
        return bool(self.reply or self.removed or self.added)


def edited(fault: Fault, wire: bytes) -> bytes:
    """Return what is replied in place of the good reply `wire`."""
    if fault.reply:
        return fault.reply
    first, *lines = (line[4:] for line in wire.decode().split("\r\n")[:-1])
    if not lines:  # of HELO, which has no extensions
        return wire
    kept = [line for line in lines if line.partition(" ")[0].upper() not in fault.removed]
    texts = [first, *kept, *fault.added]
    last = len(texts) - 1
    return "".join(f"250{' ' if at == last else '-'}{text}\r\n" for at, text in enumerate(texts)).encode()
