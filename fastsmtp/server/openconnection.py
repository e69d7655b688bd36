"""What a server asks of its connections."""

from __future__ import annotations

from typing import Protocol

from fastsmtp.ops.methods import SMTPConnection


class OpenConnection(SMTPConnection, Protocol):
    """One that is open, as the server looks after it: a `protocol.SMTPProtocol`."""

    @property
    def server(self) -> str:
        """The name of its listener."""

    def check_timeouts(self, now: float, stalled_s: float) -> None:
        """Close it if its client takes too long: `now` is the loop's time, of which we were asleep `stalled_s`."""

    def belongs_to(self, namespace: str) -> bool:
        """Whether its mails go to a namespace of the inbox, as far as that is known by now."""

    def abort(self) -> None:
        """Cut it."""
