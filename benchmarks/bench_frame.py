"""Goridge frames alone: to a worker and back.

pytest benchmarks/bench_frame.py --benchmark-timer=time.process_time --benchmark-columns=median,ops
"""

from __future__ import annotations

import random

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fastsmtp.goridge.frame import CODEC_RAW, CONTROL, FrameDecoder, encode_frame, frame_header

ANSWER = encode_frame(CODEC_RAW, b"CONTINUE", [8])
LARGE = random.Random(1).randbytes(10_000_000)

STREAMS: dict[str, tuple[list[bytes], int]] = {
    "one-answer": ([ANSWER], 1),
    "one-answer-octet-by-octet": ([bytes([octet]) for octet in ANSWER], 1),
    "hundred-answers-at-once": ([ANSWER * 100], 100),
    "hundred-answers-cut-anywhere": ([(ANSWER * 100)[start : start + 37] for start in range(0, 2400, 37)], 100),
    "10-mb-in-reads-of-64-kb": (
        [encode_frame(CODEC_RAW, LARGE)[start : start + 65536] for start in range(0, len(LARGE) + 12, 65536)],
        1,
    ),
}


@pytest.mark.parametrize("octets", [1_500, 150_000, 15_000_000])
def test_header_of_an_email(benchmark: BenchmarkFixture, octets: int) -> None:
    """It must not depend on the length: the payload is written behind it, not copied."""
    assert len(benchmark(frame_header, CODEC_RAW, [octets], octets)) == 16


def test_encode_a_control_frame(benchmark: BenchmarkFixture) -> None:
    benchmark(encode_frame, CONTROL, b'{"pid":12345}')


@pytest.mark.parametrize("name", STREAMS)
def test_decode(benchmark: BenchmarkFixture, name: str) -> None:
    reads, count = STREAMS[name]
    decoder = FrameDecoder()

    def feed() -> int:
        return sum(len(decoder.feed(octets)) for octets in reads)

    assert benchmark(feed) == count
    assert not decoder.incomplete
