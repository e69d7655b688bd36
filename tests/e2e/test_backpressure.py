"""Who sends faster than mails are taken has to wait, in the kernel and not in our memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from gates import Gate
from procs import memory_kb
from servers import Serve
from wire import Wire, logged, wait_for_log

MB = 1 << 20
ACCEPTED = b"250 2.0.0 Message accepted\r\n"


def big_mail(subject: bytes, octets: int) -> bytes:
    line = b"x" * 70 + b"\r\n"
    return b"Subject: %s\r\n\r\n" % subject + line * (octets // len(line)) + b".\r\n"


def test_a_flood_behind_the_dot_is_not_read_while_a_worker_has_the_mail(serve: Serve, gate: Gate) -> None:
    server = serve(gate.settings(), worker="slow.php")
    with Wire(server) as wire:
        wire.begin()
        wire.send(b"Subject: x\r\n\r\n.\r\n")
        with gate.wait_for_worker() as opened:
            before = memory_kb(server.process.pid)
            sent = wire.flood(b"NOOP\r\n" * 10_000, 64 * MB)
            assert sent < 32 * MB  # no more than the kernel's buffers hold
            assert memory_kb(server.process.pid) - before < 8 * 1024
            opened.let_go()
        assert wire.reply() == ACCEPTED
        assert {wire.reply() for _ in range(sent // 6)} == {b"250 2.0.0 OK\r\n"}


def test_pipelined_mails_are_delivered_one_by_one_in_order(serve: Serve) -> None:
    server = serve({"smtp": {"pool": {"num_workers": 1}}})
    one = b"MAIL FROM:<s@example.com>\r\nRCPT TO:<r@example.com>\r\nDATA\r\nSubject: %d\r\n\r\nx\r\n.\r\n"
    with Wire(server) as wire:
        wire.ask(b"EHLO x\r\n")
        wire.send(b"".join(one % number for number in range(500)) + b"QUIT\r\n")
        replies = [wire.reply() for _ in range(2001)]
    assert replies[3:2000:4] == [ACCEPTED] * 500
    assert replies[-1] == b"221 2.0.0 Bye\r\n"
    records = sorted(server.records(), key=lambda record: int(record["sequence"]))
    assert [item["message"]["subject"] for item in records] == [str(number) for number in range(500)]


def test_many_big_mails_at_once_all_pass_a_tiny_limit(serve: Serve) -> None:
    server = serve({"smtp": {"max_inflight_bytes": 65536, "pool": {"num_workers": 1}}})
    together = threading.Barrier(24)

    def send(number: int) -> bytes:
        with Wire(server) as wire:
            wire.begin()
            together.wait()
            return wire.ask(big_mail(b"%d" % number, MB))

    with ThreadPoolExecutor(24) as threads:
        assert list(threads.map(send, range(24))) == [ACCEPTED] * 24
    assert {item["message"]["subject"] for item in server.records()} == {str(number) for number in range(24)}
    # Twenty-four mails of 1 MB at once, of which nothing but the oldest and a read of each other was in memory.
    assert memory_kb(server.process.pid) < 100 * 1024


def test_the_limit_holds_memory_down_while_the_oldest_is_stalled(serve: Serve) -> None:
    server = serve({"smtp": {"max_inflight_bytes": 65536}})
    with Wire(server) as oldest:
        oldest.begin()
        oldest.send(b"Subject: oldest\r\n\r\n" + b"x" * 70_000)
        others = [Wire(server) for _ in range(8)]
        for other in others:
            other.begin()
        before = memory_kb(server.process.pid)
        sent = [other.flood(b"x" * 70 + b"\r\n", 32 * MB, 0.05) for other in others]
        assert max(sent) < 32 * MB
        assert memory_kb(server.process.pid) - before < 16 * 1024
        # The oldest goes on, and then all the others do; one that stood still for long may have lost its room.
        assert oldest.ask(b"\r\n.\r\n")[:3] in (b"250", b"452")
        for other in others:
            other.send(b"\r\n.\r\n")
            assert other.reply()[:3] in (b"250", b"552", b"452")
            other.socket.close()


def test_a_stalled_client_that_holds_the_oldest_transaction_is_ended_by_its_timeout(serve: Serve) -> None:
    """And those that had to wait for it are not blamed for their silence."""
    server = serve({"smtp": {"max_inflight_bytes": 1000, "read_timeout": "700ms"}})

    def send_and_leave(wire: Wire) -> bytes:
        """It may have its reply long before the other one is ended, and would fall silent itself."""
        with wire:
            wire.begin()
            return wire.ask(big_mail(b"waiting", 8 * MB))

    with Wire(server) as stalled, ThreadPoolExecutor(1) as threads:
        stalled.begin()
        stalled.send(b"Subject: stalled\r\n\r\n" + b"x" * 5000)
        sending = threads.submit(send_and_leave, Wire(server))
        assert stalled.reply() == b""
        assert sending.result() == ACCEPTED
    assert len(wait_for_log(server, "read timeout")) == 1
    assert [item["message"]["subject"] for item in server.records()] == ["waiting"]


def test_small_mails_pass_a_stalled_one(serve: Serve) -> None:
    """Above the limit, mails that came whole with one read are delivered, and their connections go on."""
    server = serve({"smtp": {"max_inflight_bytes": 1000}})
    with Wire(server) as stalled, Wire(server) as small:
        stalled.begin()
        stalled.send(b"Subject: stalled\r\n\r\n" + b"x" * 5000)
        small.begin()
        for number in range(3):
            assert small.ask(b"Subject: %d\r\n\r\nHello\r\n.\r\n" % number) == ACCEPTED
            small.begin_next()
        assert stalled.ask(b"\r\n.\r\n") == ACCEPTED
    assert logged(server, "timeout") == []


def test_a_client_gone_while_it_was_paused_is_forgotten(serve: Serve) -> None:
    server = serve({"smtp": {"max_inflight_bytes": 1000}})
    with Wire(server) as oldest:
        oldest.begin()
        oldest.send(b"Subject: oldest\r\n\r\n" + b"x" * 5000)
        gone = Wire(server)
        gone.begin()
        gone.flood(b"x" * 70 + b"\r\n", 32 * MB, 0.1)
        gone.reset()
        assert oldest.ask(b"\r\n.\r\n") == ACCEPTED
        wait_for_log(server, "mail broken off")
        oldest.begin_next()
        assert oldest.ask(big_mail(b"next", MB)) == ACCEPTED
