"""Silent, slow and deaf clients."""

from __future__ import annotations

import time

import pytest
from gates import Gate
from procs import memory_kb
from servers import Serve, Server
from waits import PATIENCE_S
from wire import Wire, logged, wait_for_log

READ_TIMEOUT_S = 0.4  # for clients that are silent
QUICK = {"smtp": {"read_timeout": "400ms", "write_timeout": "400ms"}}
PATIENT_S = 1.0  # for clients that are only slow: on a busy machine they may be slower still
PATIENT = {"smtp": {"read_timeout": "1s", "write_timeout": "1s"}}
ACCEPTED = b"250 2.0.0 Message accepted\r\n"


def trickle(wire: Wire, octets: bytes) -> bool:
    """Send an octet every 20 ms until the server answers or closes; whether all went."""
    for at in range(len(octets)):
        if wire.readable(0.02):
            return False
        wire.send(octets[at : at + 1])
    return True


@pytest.fixture
def server(serve: Serve) -> Server:
    started: Server = serve(QUICK)
    return started


@pytest.fixture
def patient_server(serve: Serve) -> Server:
    started: Server = serve(PATIENT)
    return started


BEGUN = b"EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n"
STATES = {
    "no command": (b"", [b"220"]),
    "greeted": (b"EHLO x\r\n", [b"220", b"250"]),
    "in a transaction": (b"EHLO x\r\nMAIL FROM:<a@b.c>\r\n", [b"220", b"250", b"250"]),
    "in AUTH": (b"EHLO x\r\nAUTH LOGIN\r\n", [b"220", b"250", b"334"]),
    "half a command": (b"NOO", [b"220"]),
}


def test_silent_clients_are_closed_without_a_word(server: Server) -> None:
    began = time.monotonic()
    wires = [Wire(server, greeted=False) for _ in STATES]
    for wire, (commands, _) in zip(wires, STATES.values(), strict=True):
        wire.send(commands)
    for wire, (_, codes) in zip(wires, STATES.values(), strict=True):
        assert [wire.reply()[:3] for _ in codes] == codes
        assert wire.reply() == b""
        assert time.monotonic() - began > READ_TIMEOUT_S - 0.05
        wire.socket.close()
    for line in wait_for_log(server, "read timeout", len(STATES)):
        assert " WARN " in line
        assert "peer=127.0.0.1:" in line


def test_silence_in_mail_data_ends_the_connection_and_the_mail(server: Server) -> None:
    with Wire(server, greeted=False) as wire:
        wire.send(BEGUN + b"DATA\r\nSubject: never delivered\r\n\r\nhalf a li")
        assert [wire.reply()[:3] for _ in range(6)] == [b"220", b"250", b"250", b"250", b"354", b""]
    wait_for_log(server, "connection closed")
    assert len(logged(server, "read timeout")) == 1
    assert len(logged(server, "mail broken off")) == 1
    assert server.records() == []


def test_silence_in_a_chunk_and_between_chunks_ends_the_connection(server: Server) -> None:
    for begun in (b"BDAT 100\r\nhalf", b"BDAT 4\r\nhalf"):
        with Wire(server, greeted=False) as wire:
            wire.send(BEGUN + begun)
            while wire.reply():
                pass
    wait_for_log(server, "connection closed", 2)
    assert len(logged(server, "mail broken off")) == 2
    assert server.records() == []


def test_a_command_trickled_octet_by_octet_is_cut_after_the_time_for_a_whole_line(server: Server) -> None:
    with Wire(server) as wire:
        assert not trickle(wire, b"NOOP " + b"x" * 200)
        assert wire.reply() == b""
    wait_for_log(server, "read timeout")


def test_trickled_mail_data_goes_on_for_as_long_as_it_likes(patient_server: Server) -> None:
    with Wire(patient_server) as wire:
        wire.begin()
        began = time.monotonic()
        assert trickle(wire, b"Subject: slow\r\n\r\n" + b"x" * 60 + b"\r\n.\r")
        assert time.monotonic() - began > 1.5 * PATIENT_S
        assert wire.ask(b"\n") == ACCEPTED
    assert [item["message"]["subject"] for item in patient_server.records()] == ["slow"]


def test_each_command_has_its_own_time(patient_server: Server) -> None:
    with Wire(patient_server) as wire:
        began = time.monotonic()
        while time.monotonic() - began < 1.5 * PATIENT_S:
            assert not wire.readable(0.1)
            assert wire.ask(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"


def test_a_worker_takes_longer_than_any_timeout(serve: Serve, gate: Gate) -> None:
    server = serve({**QUICK, **gate.settings()}, worker="slow.php")
    with Wire(server) as wire:
        wire.begin()
        wire.send(b"Subject: x\r\n\r\n.\r\n")
        with gate.wait_for_worker() as opened:
            assert not wire.readable(3 * READ_TIMEOUT_S)
            opened.let_go()
        assert wire.reply() == ACCEPTED
        assert wire.ask(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
    assert logged(server, "timeout") == []


def test_a_client_that_never_reads_is_cut_and_costs_no_memory(server: Server) -> None:
    with Wire(server, receive_buffer=4096) as wire:
        wire.send(b"HELP\r\n" * 10)
        before = memory_kb(server.process.pid)
        assert wire.flood(b"HELP\r\n" * 1000, 1 << 30, quiet_s=PATIENCE_S) > 6000
        wait_for_log(server, "write timeout")
        # No more than the replies to what one read brought.
        assert memory_kb(server.process.pid) - before < 16 * 1024
    wait_for_log(server, "connection closed")
    assert logged(server, "read timeout") == []


def test_a_client_that_reads_late_is_not_cut(patient_server: Server) -> None:
    """The server stops reading its commands, and goes on when the replies are read."""
    with Wire(patient_server, receive_buffer=65536) as wire:
        commands = wire.flood(b"HELP\r\n" * 1000, 1 << 18, quiet_s=0.1) // 6
        replies = [wire.reply() for _ in range(commands)]
        assert set(replies) == {replies[0]}
        assert replies[0].startswith(b"214-2.0.0 ")
        assert wire.ask(b"QUIT\r\n") == b"221 2.0.0 Bye\r\n"
    assert logged(patient_server, "timeout") == []
