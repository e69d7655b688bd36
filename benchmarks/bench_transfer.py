"""Transfer encodings, decoded while they arrive in slices of 64 KiB; every input has 10 000 000 octets.

    pytest benchmarks/bench_transfer.py --benchmark-columns=median,ops
    python benchmarks/bench_transfer.py    # memory of ten parts of 10 MB each, which arrive at the same time

100 operations a second are 1 GB/s of input.

Findings (CPython 3.11, gcc 12 -O3, AVX-512 in pybase64; 2 shared cores, both in use; median of three runs, GB/s):

    Base64Text                              8.8     bytes.translate per slice and join      1.5
    Base64Decoder                           4.8
    Base64Decoder to /dev/shm               1.7     translate + binascii.a2b_base64         0.26
                                                    translate + pybase64.b64decode          0.70
    Base64Encoder                           3.6
    QuotedPrintableDecoder english          3.1     binascii.a2b_qp 0.96, quopri 0.72
                           german           0.76                    0.49         0.50
                           russian          0.86                    0.46         0.51

Losers, in single runs of an earlier script on like input:

- Base64Text with memcpy and a plain loop over the line for the alphabet: 2.2 against 5.3; gcc vectorises the loop, but
  neither its remainder nor the reduction of a short one. Copying and checking 16 octets at a time, the last 16
  overlapping, is one pass.
- Quoted-printable with memchr and memcpy between escapes: 0.69 to 0.82 for german, against 0.90 to 0.97; words of 8
  octets instead of blocks of 16: 0.72. What is left is branches that cannot be predicted.
- A fixed mmap threshold (MALLOC_MMAP_THRESHOLD_) keeps ten growing parts of 10.26 MB at 134 MB in every round, where
  glibc's sliding one makes 199 MB of the second. But Base64Text falls from 4.8 to between 0.7 and 1.0, because each
  content then begins with fresh pages. A size hint gives 134 MB and keeps the speed.
"""

from __future__ import annotations

import base64
import binascii
import os
import quopri
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pybase64
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fastsmtp.mime._base64 import Base64Decoder, Base64Encoder, Base64Text
from fastsmtp.mime._quoted_printable import QuotedPrintableDecoder

INPUT_OCTETS = 10_000_000
SLICE_OCTETS = 64 * 1024
BLANKS = b"\r\n \t"
PART_OCTETS = 14_035_000  # 10.26 MB in base64 lines
HINTS = {"growing": 0, "hinted": PART_OCTETS}

GERMAN = ["mail", "Grüße", "server", "wörld", "über", "München", "and", "für", "is", "decoded", "=", "payload", "the"]
ENGLISH = ["the", "server", "takes", "each", "mail", "apart", "while", "it", "arrives", "and", "hands", "it", "on"]
RUSSIAN = ["съешь", "же", "ещё", "этих", "мягких", "французских", "булок", "да", "выпей", "чаю"]


def repeated(text: bytes) -> bytearray:
    return bytearray((text * (INPUT_OCTETS // len(text) + 1))[:INPUT_OCTETS])


def base64_lines() -> bytearray:
    octets = random.Random(5321).randbytes(INPUT_OCTETS)
    return repeated(base64.encodebytes(octets).replace(b"\n", b"\r\n"))


def quoted_printable(words: list[str]) -> bytearray:
    chooser = random.Random(2045)
    lines = "".join(" ".join(chooser.choices(words, k=40)) + "\n" for _ in range(20_000))
    return repeated(quopri.encodestring(lines.encode()).replace(b"\n", b"\r\n"))


def slices() -> Iterator[tuple[int, int]]:
    for start in range(0, INPUT_OCTETS, SLICE_OCTETS):
        yield start, min(start + SLICE_OCTETS, INPUT_OCTETS)


@pytest.fixture(scope="module")
def lines() -> bytearray:
    return base64_lines()


@pytest.fixture(scope="module", params=["english", "german", "russian"])
def quoted(request: pytest.FixtureRequest) -> bytearray:
    return quoted_printable({"english": ENGLISH, "german": GERMAN, "russian": RUSSIAN}[request.param])


@pytest.fixture
def descriptor() -> Iterator[int]:
    """A file in memory."""
    path = Path("/dev/shm/bench-transfer")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    yield descriptor
    os.close(descriptor)
    path.unlink()


# ---- base64 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_hint", [0, INPUT_OCTETS], ids=["growing", "hinted"])
def test_base64_text(benchmark: BenchmarkFixture, lines: bytearray, size_hint: int) -> None:
    def join() -> tuple[bytes, int, list[str]]:
        text = Base64Text(quoted=True, size_hint=size_hint)
        for start, end in slices():
            text.feed(lines, start, end)
        return text.finish()

    content, _, _ = benchmark(join)
    assert content == b'"%s"' % base64.b64encode(binascii.a2b_base64(lines + b"=="))  # the input ends inside a quad


def test_base64_text_peer_translate(benchmark: BenchmarkFixture, lines: bytearray) -> None:
    benchmark(lambda: b"".join([lines[start:end].translate(None, BLANKS) for start, end in slices()]))


def decode_lines(lines: bytearray, write: Callable[[bytes], object]) -> None:
    decoder = Base64Decoder([])
    for start, end in slices():
        octets = decoder.feed(lines, start, end)
        if octets:
            write(octets)
    write(decoder.close())


def test_base64_decoder(benchmark: BenchmarkFixture, lines: bytearray) -> None:
    benchmark(decode_lines, lines, len)


def rewind(descriptor: int) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.ftruncate(descriptor, 0)


def test_base64_decoder_to_file(benchmark: BenchmarkFixture, lines: bytearray, descriptor: int) -> None:
    def run() -> None:
        rewind(descriptor)
        decode_lines(lines, lambda octets: os.write(descriptor, octets))

    benchmark(run)


@pytest.mark.parametrize("decode", [binascii.a2b_base64, pybase64.b64decode], ids=["binascii", "pybase64"])
def test_base64_decoder_to_file_peer(
    benchmark: BenchmarkFixture, lines: bytearray, descriptor: int, decode: Callable[[bytes], bytes]
) -> None:
    def run() -> None:
        rewind(descriptor)
        rest = b""
        for start, end in slices():
            text = rest + lines[start:end].translate(None, BLANKS)
            whole = len(text) & ~3
            os.write(descriptor, decode(text[:whole]))
            rest = text[whole:]

    benchmark(run)


def test_base64_encoder(benchmark: BenchmarkFixture) -> None:
    octets = random.Random(5321).randbytes(INPUT_OCTETS)

    def encode() -> tuple[bytes, int]:
        encoder = Base64Encoder(quoted=True)
        for start, end in slices():
            encoder.feed(octets, start, end)
        return encoder.finish()

    benchmark(encode)


# ---- quoted-printable ------------------------------------------------------------------------------------------------


def test_quoted_printable(benchmark: BenchmarkFixture, quoted: bytearray) -> None:
    def decode() -> bytes:
        decoder = QuotedPrintableDecoder([])
        return b"".join([decoder.feed(quoted, start, end) for start, end in slices()]) + decoder.close()

    benchmark(decode)


def test_quoted_printable_peer_binascii(benchmark: BenchmarkFixture, quoted: bytearray) -> None:
    # Not incremental: slices are cut without regard to lines, which a decoder of its own would have to mend.
    benchmark(lambda: b"".join([binascii.a2b_qp(quoted[start:end]) for start, end in slices()]))


def test_quoted_printable_peer_quopri(benchmark: BenchmarkFixture, quoted: bytearray) -> None:
    benchmark(lambda: quopri.decodestring(bytes(quoted)))


# ---- memory ----------------------------------------------------------------------------------------------------------


def resident_mb(key: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(key)[2].split()[0]) / 1000


def print_memory(name: str) -> None:
    """Ten parts grow slice by slice in turn; in the second round the allocator has got used to large blocks."""
    line = base64.b64encode(bytes(57)) + b"\r\n"
    buf = bytearray((line * (SLICE_OCTETS // len(line) + 1))[:SLICE_OCTETS])
    idle = resident_mb("VmRSS:")
    for round_number in (1, 2):
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        texts = [Base64Text(quoted=True, size_hint=HINTS[name]) for _ in range(10)]
        for _ in range(PART_OCTETS // SLICE_OCTETS):
            for text in texts:
                text.feed(buf, 0, SLICE_OCTETS)
        contents = [text.finish()[0] for text in texts]
        content_mb = sum(map(len, contents)) / 1e6
        peak_mb = resident_mb("VmHWM:") - idle
        print(f"{name}, round {round_number}: {content_mb:.1f} MB of content, peak {peak_mb:.1f} MB above idle")
        del text, texts, contents


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print_memory(sys.argv[1])
    else:
        for name in HINTS:  # each in a fresh process
            subprocess.run([sys.executable, __file__, name], check=True)
