"""What leaves a session: replies, events, and the record of what was forgiven."""

from __future__ import annotations

from typing import Final

from fastsmtp.smtp.events import Event, Replied
from fastsmtp.smtp.planner import Fault, edited
from fastsmtp.smtp.violations import MAX_DETAIL, Violation

ENOUGH: Final = 8 * 1024  # octets of replies that wait to be taken; further commands are read after that


class Outbox:
    """The queues of one session, emptied by the session's owner."""

    __slots__ = ("_first", "_further", "_trace", "events", "fault", "octets", "violations")

    def __init__(self, trace: bool) -> None:
        """With `trace` every line of a reply is an event, too."""
        self._trace = trace
        self.events: list[Event] = []
        # Replies: most are the only one when they are taken.
        self._first = b""
        self._further: list[bytes] = []
        self.octets = 0  # of replies
        self.fault = ""  # the rule of a plan whose reply is being queued
        self.violations: dict[str, Violation] = {}  # by code; the codes are those of CLAUSES, so it cannot grow

    def take_events(self) -> list[Event]:
        """What happened since the last call, in order."""
        events, self.events = self.events, []
        return events

    def take_output(self) -> bytes:
        """All replies since the last call, in one piece."""
        wire, self._first = self._first, b""
        self.octets = 0
        if self._further:
            wire += b"".join(self._further)
            self._further = []
        return wire

    def reply(self, wire: bytes) -> None:
        """Queue a reply, its CRLF included."""
        if self.octets:
            self._further.append(wire)
        else:
            self._first = wire
        self.octets += len(wire)
        if self._trace:
            fault = self.fault
            self.events.extend(Replied(line, fault) for line in wire.decode().split("\r\n")[:-1])

    def edit(self, fault: Fault) -> None:
        """Replace what is queued, the good reply to one command, by what a plan makes of it."""
        wire = self.take_output()
        if wire:
            self.events = [event for event in self.events if not isinstance(event, Replied)]
            self.fault = fault.rule
            self.reply(edited(fault, wire))
            self.fault = ""

    def record(self, code: str, detail: str = "") -> None:
        """Record one of `violations.CLAUSES`."""
        seen = self.violations.get(code)
        if seen is None:
            self.violations[code] = Violation(code, detail[:MAX_DETAIL])
        else:
            seen.count += 1
