"""A finished email as JSON: the last step before a worker, from what the capture found.

    pytest benchmarks/bench_payload.py --benchmark-timer=time.process_time --benchmark-columns=median,ops

The emails are captured before the clock starts. Contents of attachments are base64 text already, and nothing large may
be copied: the mail of 10 MB must not take longer than that of 100 KB.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import corpus
import pytest
import structlog
from captures import ENVELOPE, ORIGIN, Worker
from pytest_benchmark.fixture import BenchmarkFixture

from fastsmtp.capture.attachments import MemoryStorage
from fastsmtp.capture.capture import Capture, Services
from fastsmtp.delivery.jobs import encode_job
from fastsmtp.delivery.payload import Email, Payload, encode_payload

MANY_RECIPIENTS = ",\r\n ".join(f"Person {number} <person{number}@example.com>" for number in range(100))
MESSAGES: dict[str, Callable[[], bytes]] = {
    "plain-1kb": corpus.plain,
    "encoded-1kb": corpus.encoded,
    "hundred-addresses": lambda: f"To: {MANY_RECIPIENTS}\r\n".encode() + corpus.plain(),
    "hundred-fields": lambda: b"Received: from a.example.com by b.example.com; today\r\n" * 100 + corpus.plain(),
    "text-100kb": lambda: corpus.plain(100_000),
    "parts-100kb": corpus.of_100_kb,
    "attachment-10mb": lambda: corpus.with_attachment("base64", corpus.base64_lines(7_300_000)),
}


def captured(message: bytes, *, raw: bool) -> Email:
    """What `Capture` makes of it."""
    emails: list[Email] = []

    def keep(email: Email) -> Payload:
        emails.append(email)
        return [b"{}"], []

    log = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    services = Services(MemoryStorage(), Worker(), raw, log.bind(), encode=keep)
    capture = Capture(services, ORIGIN, ENVELOPE, lambda verdict: None)
    for start in range(0, len(message), 65536):
        buffer = bytearray(4096) + message[start : start + 65536]
        capture.feed(buffer, 4096, len(buffer))
    capture.close()
    capture.deliver([])
    return emails[0]


@pytest.mark.parametrize("name", MESSAGES)
def test_context(benchmark: BenchmarkFixture, name: str) -> None:
    context, _ = benchmark(encode_payload, captured(MESSAGES[name](), raw=False))
    benchmark.extra_info["octets"] = sum(map(len, context))


@pytest.mark.parametrize("name", ["plain-1kb", "parts-100kb"])
def test_context_with_raw(benchmark: BenchmarkFixture, name: str) -> None:
    benchmark(encode_payload, captured(MESSAGES[name](), raw=True))


@pytest.mark.parametrize("name", ["plain-1kb", "parts-100kb"])
def test_job(benchmark: BenchmarkFixture, name: str) -> None:
    benchmark(encode_job, captured(MESSAGES[name](), raw=True), "pipeline")
