"""The inbox as a destination: a mail is accepted when it is committed to the store."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.email import Email
from fastsmtp.delivery.destination import ACCEPTED
from fastsmtp.delivery.payload import encode_outline
from fastsmtp.inbox import namespaces
from fastsmtp.inbox.frames import Head
from fastsmtp.inbox.resolver import Resolver
from fastsmtp.smtp.events import Verdict

# What the store says of a mail by what the first destination decided.
_OUTCOMES: Final = {
    Verdict.ACCEPT: namespaces.ACCEPTED,
    Verdict.ACCEPT_AND_CLOSE: namespaces.ACCEPTED,
    Verdict.WORKER_FAILED: "worker-failed",
    Verdict.NO_WORKER: "no-worker",
    Verdict.STORAGE_FAILED: "storage-failed",
    Verdict.MALFORMED: "refused",
}


class Sender(Protocol):
    """Sends mails to the inbox: a `link.Link`."""

    def send(
        self, uuid: str, head: Head, payload: bytes, raw: bytes | bytearray, answer: Callable[[str], None]
    ) -> None:
        """See `Link.send`."""


class InboxDestination:
    """Files each mail, with what the workers decided about it."""

    def __init__(self, link: Sender, resolve: Resolver, log: FilteringBoundLogger) -> None:
        self._link: Final = link
        self._resolve: Final = resolve
        self._log: Final = log

    def deliver(self, email: Email, decided: Callable[[Verdict], None]) -> None:
        """See `Destination.deliver`."""
        verdict = Verdict.ACCEPT if email.verdict is None else email.verdict
        head = Head(self._resolve(email), time.time_ns() // 1_000_000, _OUTCOMES[verdict])
        answer = functools.partial(self._on_answer, email.uuid, verdict, decided)
        self._link.send(email.uuid, head, encode_outline(email), email.raw or b"", answer)

    def _on_answer(self, uuid: str, verdict: Verdict, decided: Callable[[Verdict], None], wrong: str) -> None:
        if wrong:
            self._log.error("mail is not in the inbox", uuid=uuid, reason=wrong)
            decided(Verdict.STORAGE_FAILED if verdict in ACCEPTED else verdict)
        else:
            decided(verdict)
