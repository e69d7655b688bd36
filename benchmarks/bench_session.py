"""The state machine of SMTP alone, without sockets, MIME and workers: what the replies of one mail cost.

    pytest benchmarks/bench_session.py --benchmark-timer=time.process_time --benchmark-columns=median,ops

Each operation is one mail of 1 KB on an open session, or what its name says. Its reads come into one buffer, as from a
socket; events and output are taken after each, and the verdict is given at once.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import corpus
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fastsmtp.smtp.events import HEADROOM, Verdict
from fastsmtp.smtp.session import Session
from fastsmtp.smtp.sessionsettings import SessionSettings

SETTINGS = SessionSettings(hostname="bench.example.com", max_message_size=0)
BUFFER = bytearray(HEADROOM + 256 * 1024)
MAIL = b"MAIL FROM:<alice@example.com> SIZE=1024 BODY=8BITMIME\r\n"
RCPT = b"RCPT TO:<bob@example.com>\r\n"
CONTENT = corpus.plain()
DATA = corpus.stuffed(CONTENT)
CHUNK = b"BDAT %d LAST\r\n" % len(CONTENT) + CONTENT
LOGIN = b"AUTH PLAIN " + base64.b64encode(b"\0user\0password") + b"\r\n"
EHLO = b"EHLO client.example.com\r\n"
MANY = [RCPT.replace(b"bob", b"bob%d" % number) for number in range(100)]

TRANSACTIONS: dict[str, Sequence[bytes]] = {
    "step-by-step": [MAIL, RCPT, b"DATA\r\n", DATA],
    "pipelined": [MAIL + RCPT + b"DATA\r\n", DATA],
    "next-envelope-along": [DATA + MAIL + RCPT + b"DATA\r\n"],
    "one-chunk": [MAIL + RCPT + CHUNK],
    "hundred-recipients": [MAIL + b"".join(MANY) + b"DATA\r\n", DATA],
    "no-parameters": [b"MAIL FROM:<alice@example.com>\r\n", RCPT, b"DATA\r\n", DATA],
    "unusual-spelling": [b"mail from: alice@example.com\r\n", b"rcpt to: bob@example.com\n", b"data\r\n", DATA],
    "reset": [MAIL + RCPT + b"RSET\r\n"],
    "octet-by-octet": [bytes([octet]) for octet in MAIL + RCPT + b"DATA\r\n" + DATA],
}
SESSIONS: dict[str, Sequence[bytes]] = {
    "hello-and-goodbye": [EHLO, b"QUIT\r\n"],
    "one-mail": [EHLO, MAIL, RCPT, b"DATA\r\n", DATA, b"QUIT\r\n"],
    "login-and-one-mail": [EHLO, LOGIN, MAIL + RCPT + b"DATA\r\n", DATA + b"QUIT\r\n"],
}


def play(session: Session, reads: Sequence[bytes]) -> None:
    """Feed what a client sends, and do what the owner of a session does."""
    buffer = BUFFER
    for octets in reads:
        end = HEADROOM + len(octets)
        buffer[HEADROOM:end] = octets
        session.receive(buffer, HEADROOM, end)
        session.take_events()
        session.take_output()
        if session.waiting_for_decision:
            session.decide(Verdict.ACCEPT)
            session.take_events()
            session.take_output()


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_one_mail_on_an_open_session(benchmark: BenchmarkFixture, name: str) -> None:
    session = Session(SETTINGS)
    session.greet()
    play(session, [EHLO])
    if name == "next-envelope-along":
        play(session, [MAIL + RCPT + b"DATA\r\n"])
    benchmark(play, session, TRANSACTIONS[name])
    assert not session.closing


@pytest.mark.parametrize("name", SESSIONS)
def test_a_whole_session(benchmark: BenchmarkFixture, name: str) -> None:
    def converse() -> Session:
        session = Session(SETTINGS)
        session.greet()
        play(session, SESSIONS[name])
        return session

    assert benchmark(converse).closing


def test_mail_data_in_reads_of_16_kb(benchmark: BenchmarkFixture) -> None:
    """10 000 000 octets of base64: 100 operations a second are 1 GB/s."""
    octets = corpus.stuffed(corpus.with_attachment("base64", corpus.base64_lines(10_000_000 * 57 // 78)))
    reads = [octets[start : start + 16384] for start in range(0, len(octets), 16384)]
    session = Session(SETTINGS)
    session.greet()
    play(session, [EHLO])
    benchmark.pedantic(
        play, (session, reads), setup=lambda: play(session, [MAIL + RCPT + b"DATA\r\n"]), rounds=15, warmup_rounds=2
    )
