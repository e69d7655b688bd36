"""Byte scanning alone: every input has 10 000 000 octets, in chunks as large as the read buffer.

    pytest benchmarks/bench_parse.py --benchmark-columns=median,ops

100 operations a second are 1 GB/s. The decoder writes into its buffer: each round gets a fresh copy, outside the clock.

What lost: two `memchr` per line to watch the lines took 1.01 ms for 10 MB of base64; 256 octets compared at once with
those one further on take 0.38 ms. Lines with other faults in them are still taken one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import corpus
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fastsmtp._parse import BodyLines, DataDecoder, find_delimiter, find_header_end
from fastsmtp.server.listening import READ_BYTES

OCTETS = 10_000_000
ROUNDS = 15


def filled(line: bytes) -> bytes:
    """So many octets of the same line."""
    return (line * (OCTETS // len(line) + 1))[: OCTETS - 2] + b"\r\n"


INPUTS: dict[str, Callable[[], bytes]] = {
    "base64": lambda: corpus.base64_lines(OCTETS * 57 // 78),
    "prose": lambda: corpus.crlf(corpus.prose(corpus.ENGLISH, OCTETS)),
    "no-line-end": lambda: filled(b"x" * 1000),
    "empty-lines": lambda: filled(b"\r\n"),
    "bare-line-feeds": lambda: filled(b"\n"),
    "dots-in-lines": lambda: filled(b"a.b.c.d.e.f.g.h." * 4 + b"\r\n"),
    "stuffed-lines": lambda: filled(b"..x" + b"y" * 60 + b"\r\n"),
    "stuffed-dots": lambda: filled(b"..\r\n"),
    "hyphens-in-lines": lambda: filled(b"a-b--c-d" * 8 + b"\r\n"),
    "almost-delimiters": lambda: filled(b"--x\r\n"),
}


@pytest.fixture(scope="module", params=INPUTS)
def octets(request: pytest.FixtureRequest) -> bytes:
    return INPUTS[request.param]()


def buffers(octets: bytes) -> list[bytearray]:
    """Chunks with one octet of headroom each."""
    return [bytearray(1) + octets[start : start + READ_BYTES] for start in range(0, len(octets), READ_BYTES)]


def test_find_the_end_and_undo_dots(benchmark: BenchmarkFixture, octets: bytes) -> None:
    def decode(decoder: DataDecoder, chunks: list[bytearray]) -> None:
        for chunk in chunks:
            decoder.feed(chunk, 1, len(chunk))

    benchmark.pedantic(decode, setup=lambda: ((DataDecoder(), buffers(octets)), {}), rounds=ROUNDS, warmup_rounds=2)


def test_judge_lines(benchmark: BenchmarkFixture, octets: bytes) -> None:
    chunks = buffers(octets)

    def judge() -> None:
        lines = BodyLines()
        for chunk in chunks:
            lines.feed(chunk, 1, len(chunk))
        lines.finish()

    benchmark.pedantic(judge, rounds=ROUNDS, warmup_rounds=2)


def test_find_delimiters(benchmark: BenchmarkFixture, octets: bytes) -> None:
    """As the splitter does: on from each."""
    chunks = buffers(octets)

    def find() -> None:
        for chunk in chunks:
            start, end = 1, len(chunk)
            while True:
                _, line, delimiter = find_delimiter(chunk, start, end, start == 1, {b"b": 1, b"b--": 2})
                if delimiter is None:
                    break
                start = line

    benchmark.pedantic(find, rounds=ROUNDS, warmup_rounds=2)


def test_find_the_end_of_a_header(benchmark: BenchmarkFixture) -> None:
    """Of 1 MB without an empty line, the most that is looked through."""
    header = bytearray(1) + b"X-Field: with a value that is as long as many are\r\n" * 20_000
    benchmark.pedantic(find_header_end, (header, 1, len(header), {}, True), rounds=ROUNDS, warmup_rounds=2)
