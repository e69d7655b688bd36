"""A server that stood still charges no timeout for it: what came meanwhile came in time.

Each limit is a second, and the server stands still for longer. What it waited for arrives in that time, or just
after it.
"""

from __future__ import annotations

import os
import signal
import ssl
from typing import Any

import pytest
from gates import Gate
from procs import children_of
from servers import Serve, Server
from stalls import stalled
from startserver import merge
from waits import PATIENCE_S, wait_until
from wire import Wire, logged, wait_for_log

STALL_S = 1.6
QUICK: dict[str, Any] = {"smtp": {"read_timeout": "1s", "write_timeout": "1s"}}
ACCEPTED = b"250 2.0.0 Message accepted\r\n"
OK = b"250 2.0.0 OK\r\n"
MAIL = b"Subject: x\r\n\r\n.\r\n"


def pool(**settings: Any) -> dict[str, Any]:
    return {"smtp": {"pool": {"num_workers": 1, **settings}}}


def complaints(server: Server) -> list[str]:
    return [line for line in server.lines if " WARN " in line or " ERROR " in line]


def test_a_command_that_came_meanwhile(serve: Serve) -> None:
    server = serve(QUICK)
    with Wire(server) as wire, Wire(server) as late:
        with stalled(server.process.pid, STALL_S):
            wire.send(b"NOOP\r\n")
        assert late.ask(b"NOOP\r\n") == OK
        assert wire.reply() == OK
    assert complaints(server) == []


def test_mail_data_that_came_meanwhile(serve: Serve) -> None:
    server = serve(QUICK)
    with Wire(server) as wire, Wire(server) as late:
        for each in (wire, late):
            each.begin()
            each.send(b"Subject: x\r\n")
        with stalled(server.process.pid, STALL_S):
            wire.send(b"\r\n.\r\n")
        late.send(b"\r\n.\r\n")
        assert [wire.reply(), late.reply()] == [ACCEPTED] * 2
    assert complaints(server) == []


def test_many_clients_at_once(serve: Serve) -> None:
    server = serve(QUICK)
    wires = [Wire(server) for _ in range(200)]
    with stalled(server.process.pid, STALL_S):
        for wire in wires:
            wire.send(b"NOOP\r\n")
    assert {wire.reply() for wire in wires} == {OK}
    for wire in wires:
        wire.socket.close()
    assert complaints(server) == []


def test_a_client_is_still_cut_by_its_own_silence(serve: Serve) -> None:
    server = serve(QUICK)
    with Wire(server) as wire:
        with stalled(server.process.pid, STALL_S):
            pass
        assert wire.reply() == b""
    assert len(wait_for_log(server, "read timeout")) == 1


def test_replies_that_were_read_meanwhile(serve: Serve) -> None:
    server = serve(QUICK)
    with Wire(server, receive_buffer=65536) as wire:
        reply = wire.ask(b"HELP\r\n")
        owed = wire.flood(b"HELP\r\n" * 1000, 1 << 30, quiet_s=0.2) // 6 * len(reply)
        with stalled(server.process.pid, STALL_S):
            while wire.readable(0):
                owed -= len(wire.socket.recv(1 << 20))
        while owed:
            octets = wire.socket.recv(min(owed, 1 << 20))
            assert octets
            owed -= len(octets)
    assert complaints(server) == []


@pytest.mark.parametrize("relay", ["unix", "pipes", "tcp://127.0.0.1:0"])
def test_an_answer_that_came_meanwhile(serve: Serve, gate: Gate, relay: str) -> None:
    settings = merge(gate.settings(), pool(supervisor={"exec_ttl": "1s"}))
    server = serve(merge(settings, {"server": {"relay": relay}}), worker="slow.php")
    with Wire(server) as wire:
        wire.begin()
        wire.send(MAIL)
        with gate.wait_for_worker() as opened, stalled(server.process.pid, STALL_S):
            opened.let_go()
        assert wire.reply() == ACCEPTED
    assert complaints(server) == []


def test_a_worker_has_its_time_after_it_too(serve: Serve, gate: Gate) -> None:
    server = serve(merge(gate.settings(), pool(supervisor={"exec_ttl": "1s"})), worker="slow.php")
    with Wire(server) as wire:
        wire.begin()
        wire.send(MAIL)
        with gate.wait_for_worker() as opened:
            with stalled(server.process.pid, STALL_S):
                pass
            opened.let_go()
        assert wire.reply() == ACCEPTED
    assert complaints(server) == []


def test_a_mail_that_waited_for_a_worker(serve: Serve, gate: Gate) -> None:
    server = serve(merge(gate.settings(), pool(allocate_timeout="1s")), worker="slow.php")
    with Wire(server) as first, Wire(server) as second:
        first.begin()
        first.send(MAIL)
        with gate.wait_for_worker() as opened:
            second.begin()
            second.send(MAIL)
            assert not second.readable(0.1)
            with stalled(server.process.pid, STALL_S):
                opened.let_go()
        assert first.reply() == ACCEPTED
        with gate.wait_for_worker() as opened:
            opened.let_go()
        assert second.reply() == ACCEPTED
    assert complaints(server) == []


@pytest.mark.parametrize("relay", ["unix", "pipes", "tcp://127.0.0.1:0"])
def test_a_worker_that_connected_meanwhile(serve: Serve, gate: Gate, relay: str) -> None:
    settings = merge({"server": {"relay": relay, "relay_timeout": "1s"}}, pool())
    server = serve(merge(settings, gate.settings()), worker="connects_late.php")
    os.kill(wait_for_worker_pid(server), signal.SIGKILL)
    with gate.wait_for_worker() as opened, stalled(server.process.pid, STALL_S):
        opened.let_go()
    with Wire(server) as wire:
        wire.begin()
        assert wire.ask(MAIL) == ACCEPTED
    assert logged(server, "cannot be started") == []


def wait_for_worker_pid(server: Server) -> int:
    wait_until(lambda: children_of(server.process.pid))
    return children_of(server.process.pid)[0]


TLS = {"cert": "auto"}


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_handshake_that_came_meanwhile(serve: Serve, mode: str) -> None:
    server = serve(merge(QUICK, {"smtp": {"tls": {**TLS, "mode": mode}}}))
    with Wire(server, greeted=mode == "starttls") as wire:
        if mode == "starttls":
            wire.ask(b"EHLO x\r\n")
            assert wire.ask(b"STARTTLS\r\n").startswith(b"220 ")
        with Wire(server, greeted=mode == "starttls"):  # a round trip later the handshake has begun
            pass
        wire.send(CLIENT_HELLO[:20])
        with stalled(server.process.pid, STALL_S):
            wire.send(CLIENT_HELLO[20:])
        assert wire.socket.recv(5)[:3] in (b"\x16\x03\x03", b"\x16\x03\x01")
    assert logged(server, "timeout") == []


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


CLIENT_HELLO = client_hello()


def test_workers_that_stopped_and_mails_that_ended_meanwhile(serve: Serve, gate: Gate) -> None:
    settings = merge({"endure": {"grace_period": "1s"}}, pool(destroy_timeout="1s"))
    server = serve(merge(settings, gate.settings()), worker="slow.php")
    with Wire(server) as wire, Wire(server) as idle:
        wire.begin()
        wire.send(MAIL)
        with gate.wait_for_worker() as opened:
            server.process.terminate()
            assert idle.reply().startswith(b"421 ")
            with stalled(server.process.pid, STALL_S):
                opened.let_go()
        assert wire.reply() == ACCEPTED
    assert server.process.wait(PATIENCE_S) == 0
    assert complaints(server) == []
