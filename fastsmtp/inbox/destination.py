"""The inbox as a destination: a mail is accepted when it is committed to the store."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.email import LIGHT, Email, Segment
from fastsmtp.capture.identifier import uuid7
from fastsmtp.delivery.deferred import Stretch
from fastsmtp.delivery.destination import ACCEPTED, Several
from fastsmtp.delivery.large import outline_steps
from fastsmtp.delivery.payload import encode_outline
from fastsmtp.delivery.workers import Slices
from fastsmtp.inbox import namespaces
from fastsmtp.inbox.frames import Counted, Head
from fastsmtp.inbox.resolver import Resolver
from fastsmtp.smtp.events import Verdict

# What the store says of a mail by what the first destination decided.
OUTCOME_OF: Final = {
    Verdict.ACCEPT: namespaces.ACCEPTED,
    Verdict.ACCEPT_AND_CLOSE: namespaces.ACCEPTED,
    Verdict.WORKER_FAILED: "worker-failed",
    Verdict.NO_WORKER: "no-worker",
    Verdict.STORAGE_FAILED: "storage-failed",
    Verdict.STORAGE_FULL: "storage-failed",
    Verdict.TOO_LARGE: "storage-failed",
    Verdict.MALFORMED: "refused",
    Verdict.REFUSED: "refused",
    Verdict.DROPPED: namespaces.DROPPED,
}


Encode: TypeAlias = Callable[[], Sequence[Stretch]]  # makes a payload, each time it is written


class Sender(Protocol):
    """Sends mails to the inbox: a `link.Link`."""

    counting: frozenset[str]  # see `frames.Orders`

    def send(self, uuid: str, head: Head, payload: Encode, raw: Segment, answer: Callable[[str], None]) -> None:
        """See `Link.send`."""


class InboxDestination:
    """Files each mail, with what the workers decided about it."""

    def __init__(
        self, link: Sender, resolve: Resolver, log: FilteringBoundLogger, slices: Slices | None = None
    ) -> None:
        """Without `slices` nothing else is served while a large email is encoded."""
        self._slices: Final = slices
        self._link: Final = link
        self._resolve: Final = resolve
        self._log: Final = log

    def deliver(self, email: Email, decided: Callable[[Verdict], None]) -> None:
        """See `Destination.deliver`."""
        if email.copies > 1:
            copies = Several(email.copies, decided)
            for number in range(email.copies):
                self._file(email.copy(uuid7()) if number else email, copies.on_verdict)
        else:
            self._file(email, decided)

    def _file(self, email: Email, decided: Callable[[Verdict], None]) -> None:
        verdict = Verdict.ACCEPT if email.verdict is None else email.verdict
        names, outcome, now_ms = self._resolve(email), OUTCOME_OF[verdict], time.time_ns() // 1_000_000
        answer = functools.partial(self._on_answer, email.uuid, verdict, decided)
        counted = outcome == namespaces.ACCEPTED and self._link.counting.issuperset(names)
        if counted or outcome == namespaces.DROPPED:
            head = Head(names, now_ms, outcome, counted=Counted(email.uuid, email.size))
            self._link.send(email.uuid, head, lambda: (), b"", answer)
            return
        head = Head(names, now_ms, outcome, email.spool, faults=list(email.faults), worker=email.handling)
        if email.weight <= LIGHT or self._slices is None:
            self._link.send(email.uuid, head, lambda: [encode_outline(email)], email.raw or b"", answer)
        else:
            self._slices.add(_Filing(self._link, self._log, email, head, answer).step)

    def _on_answer(self, uuid: str, verdict: Verdict, decided: Callable[[Verdict], None], wrong: str) -> None:
        if wrong:
            self._log.error("mail is not in the inbox", uuid=uuid, reason=wrong)
            decided(Verdict.STORAGE_FAILED if verdict in ACCEPTED else verdict)
        else:
            decided(verdict)


class _Filing:
    """A large email on its way to the inbox."""

    __slots__ = ("_answer", "_email", "_head", "_link", "_log", "_steps")

    def __init__(
        self, link: Sender, log: FilteringBoundLogger, email: Email, head: Head, answer: Callable[[str], None]
    ) -> None:
        self._link = link
        self._log = log
        self._email = email
        self._head = head
        self._answer = answer
        self._steps = outline_steps(email)

    def step(self) -> bool:
        """Go on; whether there is more to do."""
        email = self._email
        try:
            next(self._steps)
        except StopIteration as end:
            stretches: Sequence[Stretch] = end.value
            self._link.send(email.uuid, self._head, lambda: stretches, email.raw or b"", self._answer)
            return False
        except Exception:
            self._log.exception("mail cannot be filed", uuid=email.uuid)
            self._answer("it cannot be encoded")
            return False
        return True
