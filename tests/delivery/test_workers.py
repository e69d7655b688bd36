"""Emails as jobs of a pool: when they are encoded, what is counted, and which callback hears the verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator

import pytest
from captures import capture_email

from fastsmtp.capture.email import Email
from fastsmtp.capture.handling import Handling
from fastsmtp.delivery.deferred import blocks_of
from fastsmtp.delivery.large import LargePayload
from fastsmtp.delivery.payload import Payload, encode_payload
from fastsmtp.delivery.workers import Encoder, Workers
from fastsmtp.ops.counters import BOUNDS, Counters
from fastsmtp.smtp.events import Verdict
from fastsmtp.workers.queue import Job


class Pool:
    """Keeps jobs."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def exec(self, job: Job) -> None:
        self.jobs.append(job)


def an_email() -> Email:
    email = capture_email(b"Subject: x\r\n\r\ny")
    assert email is not None
    return email


def test_an_email_is_encoded_when_a_worker_is_there_and_once() -> None:
    encoded: list[Email] = []

    def encode(email: Email) -> Payload:
        encoded.append(email)
        return encode_payload(email)

    pool, email, verdicts = Pool(), an_email(), list[Verdict]()
    Workers(pool, Encoder(encode)).deliver(email, verdicts.append)
    [job] = pool.jobs
    assert encoded == []
    first = job.take_payload()
    assert job.take_payload() == first  # for another worker, when the first one asks for its restart
    assert (encoded, verdicts) == ([email], [])
    assert json.loads(b"".join(first[0]))["uuid"] == email.uuid


class Slices:
    """Does nothing by itself."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], bool]] = []

    def add(self, step: Callable[[], bool]) -> None:
        self.steps.append(step)


def a_large_email() -> Email:
    email = capture_email(b"Subject: x\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n" + b"\xff" * 500_000)
    assert email is not None
    return email


def test_a_large_email_is_encoded_slice_by_slice_before_it_waits_for_a_worker() -> None:
    pool, slices, email = Pool(), Slices(), a_large_email()
    Workers(pool, slices=slices).deliver(email, lambda verdict: None)
    [step] = slices.steps
    steps = 1
    while step():
        assert pool.jobs == []
        steps += 1
    assert steps > 20
    [job] = pool.jobs
    context, body = job.take_payload()
    assert body == []
    text = json.loads(b"".join(blocks_of(context)))["message"]["text"]
    assert text == "\ufffd" * 500_000
    assert job.take_payload() == (context, body)


def test_without_slices_a_large_email_is_encoded_at_once() -> None:
    pool = Pool()
    Workers(pool).deliver(a_large_email(), lambda verdict: None)
    assert len(pool.jobs) == 1


def test_what_cannot_be_encoded_is_told_when_there_is_a_worker() -> None:
    def fail(email: Email) -> Generator[None, None, LargePayload]:
        yield
        raise LookupError(email.uuid)

    pool, slices, email = Pool(), Slices(), a_large_email()
    Workers(pool, Encoder(in_steps=fail), slices=slices).deliver(email, lambda verdict: None)
    assert [slices.steps[0](), len(pool.jobs)] == [False, 1]
    with pytest.raises(LookupError, match=email.uuid):
        pool.jobs[0].take_payload()


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_verdict_of_the_pool_is_that_of_the_destination(verdict: Verdict) -> None:
    pool, verdicts = Pool(), list[Verdict]()
    Workers(pool).deliver(an_email(), verdicts.append)
    pool.jobs[0].on_verdict(verdict, 0.0)
    assert verdicts == [verdict]


@pytest.mark.parametrize("handling", [None, Handling(7, "ERROR", "gone", 0, 3)])
def test_what_the_worker_did_is_told_before_the_verdict(handling: Handling | None) -> None:
    pool, told = Pool(), list[object]()
    Workers(pool).deliver(an_email(), told.append, told.append)
    pool.jobs[0].on_verdict(Verdict.ACCEPT, 0.0, handling)
    assert told == [Verdict.ACCEPT] if handling is None else [handling, Verdict.ACCEPT]


def test_the_wait_for_a_worker_is_counted() -> None:
    pool, counters = Pool(), Counters()
    for waited_s in (0.0, 0.0, 0.5, 99.0):
        Workers(pool, counters=counters).deliver(an_email(), lambda verdict: None)
        pool.jobs.pop().on_verdict(Verdict.ACCEPT, waited_s)
    counts = [0] * (len(BOUNDS) + 1)
    counts[0], counts[BOUNDS.index(0.5)], counts[-1] = 2, 1, 1
    assert (counters.wait.counts, counters.wait.total) == (counts, 99.5)
