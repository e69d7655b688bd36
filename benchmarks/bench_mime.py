"""Mail taken apart in-process, without sockets, beside other parsers from PyPI on the same messages.

    pytest benchmarks/bench_mime.py --benchmark-timer=time.process_time --benchmark-columns=median,ops

All times are CPU. Throughput: each message has 10 000 000 octets, so 100 operations a second are 1 GB/s. It goes the
whole way of mail data in chunks of a read: dot-unstuffing, line checks, splitter, transfer decoding, a file in
/dev/shm. Small mails: one transaction on an open connection, from the M of MAIL to the JSON and the reply, in the
four reads a client without PIPELINING causes; peers get the message alone, whole, in memory, undotted.

Peers: stdlib `email` (policy.default), `fast-mail-parser` (Rust, mail-parse), `mail-parser` (on stdlib email), each
asked for subject, addresses, bodies and the decoded octets of all attachments. They need the whole message in memory,
and leave dots, envelope and JSON to others.

Findings (CPython 3.11, gcc 12 -O3; 2 shared cores, medians in ms of CPU):

                          here    fast-mail-parser    mail-parser    email
    plain 1 KB            0.047              0.0075          0.27     0.87
    encoded 1 KB          0.047              0.011           0.48     1.3
    parts 100 KB          0.30               0.15            3.9      8.9
    base64 10 MB          8.2                5.4             198      310      here: in a file, 1.2 GB/s
    qp-english 10 MB      9.2               10.9             265      209                       1.1
    qp-german 10 MB      18.3               35.3             259      208                       0.55

- Of the 8.2 ms of base64 into a file, write() into fresh pages of /dev/shm takes 5, the decoder 3, the line checks of
  the session 1.8, looking for delimiters 0.5, for dots 0.2; the copy that stands for recv() 0.8.
- Blocks of decoded octets are written as they come from the decoder (36 KiB and more). Gathering those too for writes
  of 64 KiB costs a copy: base64 9.9 against 7.7, qp-english 9.7 against 9.0, qp-german 20.0 against 17.5.
- In memory base64 takes longer (10 to 13 ms) than into a file: each mail begins with fresh pages.
- 1 KB: the capture takes 21 us (splitting the header 5, the JSON 10), the rest is the session's four reads and replies.
"""

from __future__ import annotations

import base64
import email
import email.policy
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import corpus
import fast_mail_parser
import mailparser
import pytest
from inprocess import Connection, chunks_of
from pytest_benchmark.fixture import BenchmarkFixture

from fastsmtp.capture.attachments import MemoryStorage, TempfileStorage

OCTETS = 10_000_000
FILES = Path("/dev/shm/fastsmtp-bench")


@pytest.fixture
def in_memory() -> Iterator[Connection]:
    connection = Connection(MemoryStorage())
    yield connection
    connection.close()


@pytest.fixture
def in_files() -> Iterator[Connection]:
    storage = TempfileStorage(str(FILES), 3600)
    storage.prepare()
    connection = Connection(storage)
    yield connection
    connection.close()
    storage.close()
    for path in FILES.iterdir():
        path.unlink()
    FILES.rmdir()


@pytest.fixture
def without_files(in_files: Connection) -> Callable[[], None]:
    """Deletes the files of the mail before, as a worker would."""

    def delete() -> None:
        for path in FILES.iterdir():
            path.unlink()

    return delete


# Throughput

LARGE: dict[str, Callable[[], bytes]] = {
    "base64": lambda: corpus.with_attachment("base64", corpus.base64_lines(OCTETS * 57 // 78)),
    "qp-english": lambda: corpus.with_attachment(
        "quoted-printable", corpus.quoted_printable(corpus.ENGLISH, OCTETS - 100_000)
    ),
    "qp-german": lambda: corpus.with_attachment(
        "quoted-printable", corpus.quoted_printable(corpus.GERMAN, OCTETS * 72 // 100)
    ),
}


@pytest.fixture(scope="module", params=LARGE)
def large(request: pytest.FixtureRequest) -> bytes:
    return LARGE[request.param]()


def test_large_to_file(
    benchmark: BenchmarkFixture, in_files: Connection, without_files: Callable[[], None], large: bytes
) -> None:
    chunks = chunks_of(large)
    benchmark.extra_info["octets"] = len(large)
    benchmark.pedantic(in_files.send, (chunks,), setup=without_files, rounds=15, warmup_rounds=2)


def test_large_in_memory(benchmark: BenchmarkFixture, in_memory: Connection, large: bytes) -> None:
    chunks = chunks_of(large)
    benchmark.pedantic(in_memory.send, (chunks,), rounds=15, warmup_rounds=2)


# Small mails

SMALL: dict[str, Callable[[], bytes]] = {
    "plain-1kb": corpus.plain,
    "encoded-1kb": corpus.encoded,
    "parts-100kb": corpus.of_100_kb,
}


@pytest.fixture(scope="module", params=SMALL)
def small(request: pytest.FixtureRequest) -> bytes:
    return SMALL[request.param]()


def test_small(benchmark: BenchmarkFixture, in_memory: Connection, small: bytes) -> None:
    benchmark(in_memory.send, chunks_of(small))


# Peers


def by_email(message: bytes) -> int:
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    octets = len(str(parsed["subject"])) + len(parsed["from"].addresses) + len(parsed["to"].addresses)
    for kind in ("plain", "html"):
        body = parsed.get_body((kind,))
        if body is not None:
            octets += len(cast(EmailMessage, body).get_content())
    for part in parsed.iter_attachments():
        octets += len(cast(bytes, part.get_payload(decode=True)))
    return octets


def by_fast_mail_parser(message: bytes) -> int:
    parsed: Any = fast_mail_parser.parse_email(message)
    octets = len(parsed.subject) + len(parsed.from_.address) + len(parsed.to)
    octets += sum(map(len, parsed.text_plain)) + sum(map(len, parsed.text_html))
    return octets + sum(len(attachment.content) for attachment in parsed.attachments)


def by_mail_parser(message: bytes) -> int:
    parsed: Any = mailparser.parse_from_bytes(message)
    octets = len(parsed.subject) + len(parsed.from_) + len(parsed.to)
    octets += sum(map(len, parsed.text_plain)) + sum(map(len, parsed.text_html))
    for attachment in parsed.attachments:
        content = attachment["payload"]
        octets += len(base64.b64decode(content) if attachment["binary"] else content)
    return octets


PEERS = {"email": by_email, "fast-mail-parser": by_fast_mail_parser, "mail-parser": by_mail_parser}


@pytest.mark.parametrize("peer", PEERS)
def test_small_peer(benchmark: BenchmarkFixture, peer: str, small: bytes) -> None:
    benchmark(PEERS[peer], small)


@pytest.mark.parametrize("peer", PEERS)
def test_large_peer(benchmark: BenchmarkFixture, peer: str, large: bytes) -> None:
    benchmark.pedantic(PEERS[peer], (large,), rounds=3)
