"""What leaves a session: replies, events, and the record of what was forgiven."""

from __future__ import annotations

from typing import Final

from fastsmtp.smtp.events import Event, Replied
from fastsmtp.smtp.violations import MAX_DETAIL, Violation

ENOUGH: Final = 8 * 1024  # octets of replies that wait to be taken; further commands are read after that


class Outbox:
    """The queues of one session, emptied by the session's owner."""

    __slots__ = ("_trace", "events", "octets", "output", "violations")

    def __init__(self, trace: bool) -> None:
        """With `trace` every line of a reply is an event, too."""
        self._trace = trace
        self.events: list[Event] = []
        self.output: list[bytes] = []
        self.octets = 0  # in `output`
        self.violations: dict[str, Violation] = {}  # by code; the codes are those of CLAUSES, so it cannot grow

    def take_events(self) -> list[Event]:
        """What happened since the last call, in order."""
        events = self.events
        if events:
            self.events = []
            return events
        return []

    def take_output(self) -> bytes:
        """All replies since the last call, in one piece."""
        output = self.output
        self.octets = 0
        if len(output) == 1:
            return output.pop()
        wire = b"".join(output)
        output.clear()
        return wire

    def reply(self, wire: bytes) -> None:
        """Queue a reply, its CRLF included."""
        self.output.append(wire)
        self.octets += len(wire)
        if self._trace:
            self.events.extend(Replied(line) for line in wire.decode().split("\r\n")[:-1])

    def record(self, code: str, detail: str = "") -> None:
        """Record one of `violations.CLAUSES`."""
        seen = self.violations.get(code)
        if seen is None:
            self.violations[code] = Violation(code, detail[:MAX_DETAIL])
        else:
            seen.count += 1
