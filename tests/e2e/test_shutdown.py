"""The graceful end: what was answered 250 is delivered, what was cut off is not."""

from __future__ import annotations

import signal
import socket
import threading
from collections import Counter

import pytest
from gates import Gate
from servers import Serve, Server
from wire import Wire, logged, wait_for_log

ACCEPTED = b"250 2.0.0 Message accepted\r\n"
GOING_DOWN = b"421 4.3.2 Server is shutting down\r\n"


def signal_and_wait(server: Server, idle: Wire, number: int = signal.SIGTERM) -> None:
    """Until the idle session was told, and closed."""
    server.process.send_signal(number)
    assert idle.reply() == GOING_DOWN
    assert idle.reply() == b""


def assert_refused(server: Server) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port))


def assert_ended_by_itself(server: Server) -> None:
    """The server ends well, and before its grace period does."""
    assert server.wait_for_end() == 0
    assert logged(server, "grace period is over") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_sessions_get_421_and_nobody_new_gets_in(serve: Serve, number: int) -> None:
    server = serve()
    with Wire(server) as greeted, Wire(server) as silent, Wire(server) as in_transaction, Wire(server) as in_auth:
        greeted.ask(b"EHLO x\r\n")
        in_auth.ask(b"EHLO x\r\n")
        in_auth.ask(b"AUTH LOGIN\r\n")
        in_transaction.begin()
        signal_and_wait(server, greeted, number)
        for wire in (silent, in_auth):
            assert [wire.reply(), wire.reply()] == [GOING_DOWN, b""]
        assert_refused(server)
        assert in_transaction.ask(b"Subject: last\r\n\r\n.\r\n") == ACCEPTED
        assert [in_transaction.reply(), in_transaction.reply()] == [GOING_DOWN, b""]
    assert_ended_by_itself(server)
    assert [item["message"]["subject"] for item in server.records()] == ["last"]


def test_a_transaction_without_mail_data_yet_may_go_on_or_be_given_up(serve: Serve) -> None:
    server = serve()
    with Wire(server) as idle, Wire(server) as goes_on, Wire(server) as gives_up:
        for wire in (goes_on, gives_up):
            wire.ask(b"EHLO x\r\n")
            wire.ask(b"MAIL FROM:<a@b.c>\r\n")
        signal_and_wait(server, idle)
        goes_on.ask(b"RCPT TO:<d@e.f>\r\n")
        goes_on.ask(b"DATA\r\n")
        assert goes_on.ask(b"Subject: x\r\n\r\n.\r\n") == ACCEPTED
        assert goes_on.reply() == GOING_DOWN
        assert gives_up.ask(b"RSET\r\n") == b"250 2.0.0 Reset\r\n"
        assert gives_up.reply() == GOING_DOWN
    assert_ended_by_itself(server)
    assert len(server.records()) == 1


def test_a_mail_with_a_worker_gets_its_reply(serve: Serve, gate: Gate) -> None:
    server = serve(gate.settings(), worker="slow.php")
    with Wire(server) as idle, Wire(server) as wire:
        wire.begin()
        wire.send(b"Subject: x\r\n\r\n.\r\n")
        with gate.wait_for_worker() as opened:
            signal_and_wait(server, idle)
            opened.let_go()
        assert [wire.reply() for _ in range(3)] == [ACCEPTED, GOING_DOWN, b""]
    assert_ended_by_itself(server)


def test_a_mail_that_waits_for_a_worker_gets_one(serve: Serve, gate: Gate) -> None:
    server = serve({**gate.settings(), "smtp": {"pool": {"num_workers": 1}}}, worker="slow.php")
    with Wire(server) as idle, Wire(server) as first, Wire(server) as second:
        for wire in (first, second):
            wire.begin()
        first.send(b"Subject: first\r\n\r\n.\r\n")
        with gate.wait_for_worker() as opened:
            second.send(b"Subject: second\r\n\r\n.\r\n")
            signal_and_wait(server, idle)
            opened.let_go()
        assert [first.reply(), first.reply()] == [ACCEPTED, GOING_DOWN]
        with gate.wait_for_worker() as opened:
            opened.let_go()
        assert [second.reply(), second.reply()] == [ACCEPTED, GOING_DOWN]
    assert_ended_by_itself(server)


def test_when_the_grace_period_is_over_the_rest_is_cut_and_not_delivered(serve: Serve) -> None:
    server = serve({"endure": {"grace_period": "300ms"}})
    with Wire(server) as idle, Wire(server) as slow:
        slow.begin()
        slow.send(b"Subject: cut\r\n\r\nx")
        signal_and_wait(server, idle)
        assert slow.reply() == b""
    assert server.wait_for_end() == 0
    assert len(logged(server, "grace period is over")) == 1
    assert server.records() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(serve: Serve, number: int) -> None:
    server = serve()
    server.exit_code = 128 + number
    with Wire(server) as idle, Wire(server) as slow:
        slow.begin()
        slow.send(b"Subject: cut\r\n\r\nx")
        signal_and_wait(server, idle, number)
        server.process.send_signal(number)
        assert slow.reply() == b""
    assert server.wait_for_end() == 128 + number
    assert server.records() == []


def test_the_end_in_the_middle_of_traffic_loses_and_doubles_nothing(serve: Serve) -> None:
    """Every 250 is one delivery. A mail that was delivered though its 250 never came: at most one per connection."""
    server = serve({"smtp": {"pool": {"num_workers": 2}}})
    accepted: Counter[str] = Counter()
    unanswered: Counter[str] = Counter()
    busy = threading.Barrier(17)

    def send(connection: int) -> None:
        number = 0
        with Wire(server) as wire:
            reply = wire.ask(b"HELO x\r\n")
            while reply.startswith(b"250"):
                if number == 5:
                    busy.wait()
                name = f"{connection}/{number}"
                number += 1
                begin = b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"
                try:
                    wire.send(begin)
                    if [wire.reply()[:3] for _ in range(3)] != [b"250", b"250", b"354"]:
                        return
                    unanswered[name] += 1
                    reply = wire.ask(b"Subject: %s\r\n\r\nx\r\n.\r\n" % name.encode())
                except (BrokenPipeError, ConnectionResetError):
                    return
                if reply == ACCEPTED:
                    accepted[name] += 1
                    del unanswered[name]

    threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(16)]
    for thread in threads:
        thread.start()
    busy.wait()
    server.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert_ended_by_itself(server)
    delivered = Counter(item["message"]["subject"] for item in server.records())
    assert set(delivered.values()) == {1}
    assert accepted - delivered == Counter()
    assert (delivered - accepted) - unanswered == Counter()
    assert len(accepted) >= 5 * 16
    wait_for_log(server, "connection closed", 16)
