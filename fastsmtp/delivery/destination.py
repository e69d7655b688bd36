"""Who takes a finished email: one destination, or several together.

A new destination is a class like `workers.Workers`, and a line in `Server._make_destination`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from fastsmtp.capture.email import Email
from fastsmtp.capture.handling import Handling
from fastsmtp.smtp.events import Verdict

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

# The client was told 250.
ACCEPTED: Final = frozenset({Verdict.ACCEPT, Verdict.ACCEPT_AND_CLOSE, Verdict.DROPPED})


class Destination(Protocol):
    """Takes emails: workers, a store, a broker."""

    def deliver(self, email: Email, decided: Callable[[Verdict], None]) -> None:
        """Take the email, then call `decided` exactly once, and never from within this call.

        Does not raise. After `decided` the files of the attachments may be gone.
        """


class First(Protocol):
    """A destination that decides before others are given the email."""

    def deliver(
        self,
        email: Email,
        decided: Callable[[Verdict], None],
        handled: Callable[[Handling], None] | None = None,
    ) -> None:
        """See `Destination.deliver`; before `decided`, `handled` is called where a worker had the email."""


class Several:
    """An email that is kept several times: there is one verdict about all of them."""

    __slots__ = ("_awaited", "_decided", "_verdict")

    def __init__(self, copies: int, decided: Callable[[Verdict], None]) -> None:
        self._awaited = copies
        self._decided = decided
        self._verdict: Verdict | None = None

    def on_verdict(self, verdict: Verdict) -> None:
        """One of them is decided; one that is not accepted decides."""
        if self._verdict is None or verdict not in ACCEPTED:
            self._verdict = verdict
        self._awaited -= 1
        if not self._awaited:
            self._decided(self._verdict)


class Together:
    """Several destinations as one: the first decides, the others are then given the email with its verdict.

    The reply waits for all of them, and the email is in memory until then. A worker that is first may have moved the
    files of the attachments when the others are given the email. A verdict other than an acceptance stands whatever the
    others say; an acceptance stands when all accept, else the first of the other verdicts in the order of their arrival
    does. What the first tells of a worker is the others' to know, too.
    """

    def __init__(self, log: FilteringBoundLogger, first: First, *others: Destination) -> None:
        """`log` is told of destinations that raise, which is a fault of theirs."""
        self._log: Final = log
        self._first: Final = first
        self._others: Final = others

    def deliver(self, email: Email, decided: Callable[[Verdict], None]) -> None:
        """See `Destination.deliver`."""
        delivery = _Delivery(self._log, email, self._others, decided)
        self._first.deliver(email, delivery.on_first, delivery.on_handled)


class _Delivery:
    """One email on its way to several destinations."""

    __slots__ = ("_awaited", "_decided", "_email", "_handling", "_log", "_others", "_verdict")

    def __init__(
        self,
        log: FilteringBoundLogger,
        email: Email,
        others: tuple[Destination, ...],
        decided: Callable[[Verdict], None],
    ) -> None:
        self._log = log
        self._email = email
        self._others = others
        self._decided = decided
        self._verdict = Verdict.ACCEPT
        self._awaited = len(others)
        self._handling: Handling | None = None

    def on_handled(self, handling: Handling) -> None:
        """A worker of the first destination had the email."""
        self._handling = handling

    def on_first(self, verdict: Verdict) -> None:
        """The first destination has decided."""
        self._verdict = verdict
        email = self._email.decided(verdict, self._handling)
        for other in self._others:
            try:
                other.deliver(email, self.on_other)
            except Exception:  # a fault of the destination: without its verdict the client would wait for ever
                self._log.exception("email could not be delivered", uuid=email.uuid, destination=type(other).__name__)
                self.on_other(Verdict.STORAGE_FAILED)
        if not self._others:
            self._decided(verdict)

    def on_other(self, verdict: Verdict) -> None:
        """One of the others has decided."""
        if verdict not in ACCEPTED:
            if self._verdict in ACCEPTED:
                self._verdict = verdict
        elif verdict is Verdict.ACCEPT_AND_CLOSE and self._verdict is Verdict.ACCEPT:
            self._verdict = verdict
        self._awaited -= 1
        if not self._awaited:
            self._decided(self._verdict)
