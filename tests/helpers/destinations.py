"""Destinations for tests, which keep the rule: decided exactly once, and never from within `deliver`."""

from __future__ import annotations

from collections.abc import Callable

from fastsmtp.capture.email import Email
from fastsmtp.capture.handling import Handling
from fastsmtp.smtp.events import Verdict


class Shelf:
    """A destination that keeps emails until a test decides about them, in any order, each once."""

    def __init__(self) -> None:
        self.emails: list[Email] = []
        self.handling: Handling | None = None  # that of each email, if there is one
        self._decided: dict[str, Callable[[Verdict], None]] = {}

    def deliver(
        self, email: Email, decided: Callable[[Verdict], None], handled: Callable[[Handling], None] | None = None
    ) -> None:
        """See `destination.First`."""
        assert email.uuid not in self._decided
        if handled is not None and self.handling is not None:
            handled(self.handling)
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
