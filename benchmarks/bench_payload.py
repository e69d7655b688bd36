"""A finished email as JSON: the last step before a worker, from what the capture found.

    pytest benchmarks/bench_payload.py --benchmark-timer=time.process_time --benchmark-columns=median,ops

The emails are captured before the clock starts. Contents of attachments are base64 text already, and nothing large may
be copied: the mail of 10 MB must not take longer than that of 100 KB.
"""

from __future__ import annotations

from collections.abc import Callable

import corpus
import pytest
from captures import capture_email
from pytest_benchmark.fixture import BenchmarkFixture

from fastsmtp.capture.email import Email
from fastsmtp.delivery.jobs import encode_job
from fastsmtp.delivery.payload import encode_payload

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
    """What `Capture` makes of it, with its texts joined."""
    email = capture_email(message, 65536, include_raw=raw)
    assert email is not None
    encode_payload(email)
    return email


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
