"""The pool of workers as a destination."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from fastsmtp.capture.email import Email
from fastsmtp.delivery.payload import Payload, encode_payload
from fastsmtp.ops.counters import Counters
from fastsmtp.smtp.events import Verdict
from fastsmtp.workers.pool import Job


class Executor(Protocol):
    """Gives jobs to workers: a `workers.pool.Pool`."""

    def exec(self, job: Job) -> None:
        """Have the job done; `job.on_verdict` is called exactly once, and never from within this call."""


class Workers:
    """Hands each email, as JSON, to a worker; the worker's answer is the verdict."""

    def __init__(
        self, pool: Executor, encode: Callable[[Email], Payload] = encode_payload, counters: Counters | None = None
    ) -> None:
        """`encode` makes the frame's context and body; `counters` are those of metrics, None without metrics."""
        self._pool: Final = pool
        self._encode: Final = encode
        self._counters: Final = counters

    def deliver(self, email: Email, decided: Callable[[Verdict], None]) -> None:
        """See `Destination.deliver`."""
        self._pool.exec(_WorkerJob(email, self._encode, self._counters, decided))


class _WorkerJob:
    """One email on its way to a worker; a `Job`."""

    __slots__ = ("_counters", "_decided", "_email", "_encode", "_payload")

    def __init__(
        self,
        email: Email,
        encode: Callable[[Email], Payload],
        counters: Counters | None,
        decided: Callable[[Verdict], None],
    ) -> None:
        self._email: Email | None = email  # None once it is encoded: nothing of it is held twice for long
        self._encode = encode
        self._counters = counters
        self._decided = decided
        self._payload: Payload | None = None

    def take_payload(self) -> Payload:
        """See `Job`: encoded when there is a worker to take it, and only once."""
        if self._payload is None:
            assert self._email is not None
            self._payload = self._encode(self._email)
            self._email = None
        return self._payload

    def on_verdict(self, verdict: Verdict, waited_s: float) -> None:
        """See `Job`."""
        self._payload = None
        counters = self._counters
        if counters is not None:
            if waited_s:
                counters.wait.observe(waited_s)
            else:
                counters.wait.counts[0] += 1  # a worker was free: the most frequent value of all
        self._decided(verdict)
