"""The pool of workers as a destination."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final, NamedTuple, Protocol

from fastsmtp.capture.email import LIGHT, Email
from fastsmtp.capture.handling import Handling
from fastsmtp.delivery.large import LargePayload, payload_steps
from fastsmtp.delivery.payload import Payload, encode_payload
from fastsmtp.ops.counters import Counters
from fastsmtp.smtp.events import Verdict
from fastsmtp.workers.queue import Job


class Executor(Protocol):
    """Gives jobs to workers: a `workers.pool.Pool`."""

    def exec(self, job: Job) -> None:
        """Have the job done; `job.on_verdict` is called exactly once, and never from within this call."""


class Encoder(NamedTuple):
    """How an email becomes context and body of a frame: at once, or some milliseconds at a time."""

    at_once: Callable[[Email], Payload] = encode_payload
    in_steps: Callable[[Email], Generator[None, None, LargePayload]] = payload_steps


class Slices(Protocol):
    """Does what takes long, and serves others meanwhile: a `system.timeslices.TimeSlices`."""

    def add(self, step: Callable[[], bool]) -> None:
        """Call `step` again and again until it returns False."""


class Workers:
    """Hands each email, as JSON, to a worker; the worker's answer is the verdict."""

    def __init__(
        self,
        pool: Executor,
        encoder: Encoder | None = None,
        counters: Counters | None = None,
        slices: Slices | None = None,
    ) -> None:
        """`counters` are those of metrics, None without metrics. Without `slices` nothing else is served meanwhile."""
        self._pool: Final = pool
        self._slices: Final = slices
        encoder = encoder or Encoder()
        self._encode: Final = encoder.at_once
        self._encode_in_steps: Final = encoder.in_steps
        self._counters: Final = counters

    def deliver(
        self, email: Email, decided: Callable[[Verdict], None], handled: Callable[[Handling], None] | None = None
    ) -> None:
        """See `destination.First`."""
        job = _WorkerJob(email, self._encode, self._counters, decided, handled)
        if email.weight <= LIGHT:
            self._pool.exec(job)
            return
        preparation = _Preparation(job, self._encode_in_steps(email), self._pool)
        while preparation.step():
            if self._slices is not None:
                self._slices.add(preparation.step)
                break


class _Preparation:
    """A large email on its way to JSON; then it may wait for a worker."""

    __slots__ = ("_job", "_pool", "_steps")

    def __init__(self, job: _WorkerJob, steps: Generator[None, None, LargePayload], pool: Executor) -> None:
        self._job = job
        self._steps = steps
        self._pool = pool

    def step(self) -> bool:
        """Go on; whether there is more to do."""
        try:
            next(self._steps)
            return True
        except StopIteration as end:
            self._job.prepared(end.value)
        except Exception as error:
            self._job.failed(error)
        self._pool.exec(self._job)
        return False


class _WorkerJob:
    """One email on its way to a worker; a `Job`."""

    __slots__ = ("_counters", "_decided", "_email", "_encode", "_error", "_handled", "_payload")

    def __init__(
        self,
        email: Email,
        encode: Callable[[Email], Payload],
        counters: Counters | None,
        decided: Callable[[Verdict], None],
        handled: Callable[[Handling], None] | None,
    ) -> None:
        self._email: Email | None = email  # None once it is encoded: nothing of it is held twice for long
        self._encode = encode
        self._counters = counters
        self._decided = decided
        self._handled = handled
        self._payload: LargePayload | None = None
        self._error: Exception | None = None  # that came of its preparation

    def prepared(self, payload: LargePayload) -> None:
        """It is encoded already."""
        self._email = None
        self._payload = payload

    def failed(self, error: Exception) -> None:
        """It cannot be encoded: that is told when there is a worker for it."""
        self._error = error

    def take_payload(self) -> LargePayload:
        """See `Job`: encoded when there is a worker to take it, if it is not yet, and only once."""
        if self._error is not None:
            raise self._error
        if self._payload is None:
            assert self._email is not None
            self._payload = self._encode(self._email)
            self._email = None
        return self._payload

    def on_verdict(self, verdict: Verdict, waited_s: float, handling: Handling | None = None) -> None:
        """See `Job`."""
        self._payload = None
        counters = self._counters
        if counters is not None:
            if waited_s:
                counters.wait.observe(waited_s)
            else:
                counters.wait.counts[0] += 1  # a worker was free: the most frequent value of all
        if handling is not None and self._handled is not None:
            self._handled(handling)
        self._decided(verdict)
