"""Destinations for tests, which keep the rule: decided exactly once, and never from within `deliver`."""

from __future__ import annotations

from collections.abc import Callable

from fastsmtp.capture.email import Email
from fastsmtp.smtp.events import Verdict


class Shelf:
    """A destination that keeps emails until a test decides about them, in any order, each once."""

    def __init__(self) -> None:
        self.emails: list[Email] = []
        self._decided: dict[str, Callable[[Verdict], None]] = {}

    def deliver(self, email: Email, decided: Callable[[Verdict], None]) -> None:
        """See `Destination.deliver`."""
        assert email.uuid not in self._decided
        self.emails.append(email)
        self._decided[email.uuid] = decided

    def decide(self, verdict: Verdict, email: Email | None = None) -> None:
        """Decide about `email`, or about the oldest that waits."""
        uuid = next(iter(self._decided)) if email is None else email.uuid
        self._decided.pop(uuid)(verdict)

    @property
    def waiting(self) -> int:
        """How many emails are not decided."""
        return len(self._decided)
