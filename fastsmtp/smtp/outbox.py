"""What leaves a session: replies, events, and the record of what was forgiven. Base of `session.Session`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from fastsmtp.smtp.events import Event, Replied
from fastsmtp.smtp.violations import CLAUSES, MAX_DETAIL, Violation


def _random_nonce() -> str:
    return secrets.token_hex(12)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What a listener's sessions have in common."""

    hostname: str = "localhost"
    max_message_size: int = 10 * 1024 * 1024  # octets of mail data after dot-unstuffing; 0 = unlimited
    max_recipients: int = 100  # of one transaction; 0 = unlimited
    strict: bool = False  # refuse what is otherwise accepted and recorded
    tls_available: bool = False  # offer STARTTLS
    trace: bool = False  # emit Command and Replied
    make_nonce: Callable[[], str] = _random_nonce  # the unique part of a CRAM-MD5 challenge


class Channel:
    """Queues of one session, emptied by its owner."""

    __slots__ = ("_events", "_output", "_settings", "_trace", "violations")

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self._trace = settings.trace
        self._events: list[Event] = []
        self._output: list[bytes] = []
        self.violations: dict[str, Violation] = {}  # by code; the codes are those of CLAUSES, so it cannot grow

    def take_events(self) -> list[Event]:
        """What happened since the last call, in order."""
        events = self._events
        if events:
            self._events = []
            return events
        return []

    def take_output(self) -> bytes:
        """All replies since the last call, in one piece."""
        output = self._output
        if len(output) == 1:
            return output.pop()
        wire = b"".join(output)
        output.clear()
        return wire

    def record(self, code: str, detail: str = "") -> None:
        """Record one of `violations.CLAUSES`. Public for who sees what the session cannot: the message itself."""
        seen = self.violations.get(code)
        if seen is None:
            self.violations[code] = Violation(code, detail[:MAX_DETAIL])
        else:
            seen.count += 1

    def _reply(self, wire: bytes) -> None:
        self._output.append(wire)
        if self._trace:
            self._events.extend(Replied(line) for line in wire.decode().split("\r\n")[:-1])

    def _forgive(self, code: str, detail: str = "", refusal: bytes = b"") -> bool:
        """Record a violation. In strict mode reply with `refusal`, else the one of its rule, and return False."""
        self.record(code, detail)
        if self._settings.strict:
            wire = refusal or CLAUSES[code].refusal
            if wire:
                self._reply(wire)
                return False
        return True
