"""Limits that hold for all processes together, whichever of them the kernel gives a client to."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from servers import Serve, Server
from waits import PATIENCE_S
from wire import MAIL, Wire, wait_for_log

from fastsmtp.goridge.client import RPCClient

ACCEPTED = b"250 2.0.0 Message accepted\r\n"
TOO_MANY = b"421 4.3.2 Too many connections\r\n"
MOST = 12
LIMITED = {
    "rpc": {"listen": "tcp://127.0.0.1:0"},
    "smtp": {"processes": 3, "max_connections": MOST, "pool": {"num_workers": 3}},
}


def a_process(server: Server) -> int:
    """The pid of one of them."""
    [line] = wait_for_log(server, "RPC is listening")
    with RPCClient(line.rpartition("address=")[2], PATIENCE_S) as client:
        pid: int = client.call("smtp.Stats")["processes"][0]["pid"]
    return pid


def connect(server: Server, count: int) -> list[Wire]:
    """So many clients, all at once."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: Wire(server), range(count)))


def test_as_many_connections_as_the_limit_says_whichever_process_they_come_to(serve: Serve) -> None:
    server = serve(LIMITED)
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(MOST)]
        assert {wire.greeting[:3] for wire in wires} == {b"220"}
        for _ in range(MOST):
            with Wire(server) as refused:
                assert (refused.greeting, refused.reply()) == (TOO_MANY, b"")
        wires.pop().socket.close()
        wait_for_log(server, "connection closed")
        last = stack.enter_context(Wire(server))
        last.begin()
        assert last.ask(MAIL % b"x") == ACCEPTED


def test_clients_that_come_at_once_get_every_place_and_no_more(serve: Serve) -> None:
    server = serve(LIMITED)
    wires = connect(server, 4 * MOST)
    assert Counter(wire.greeting[:3] for wire in wires) == {b"220": MOST, b"421": 3 * MOST}
    for wire in wires:
        wire.socket.close()
    wait_for_log(server, "connection closed", MOST)
    wires = connect(server, MOST)
    assert {wire.greeting[:3] for wire in wires} == {b"220"}
    for wire in wires:
        wire.socket.close()


def test_fewer_connections_than_processes_may_be_allowed(serve: Serve) -> None:
    server = serve({"smtp": {"processes": 2, "max_connections": 1}})
    for turn in range(8):
        with Wire(server) as only:
            assert only.greeting[:3] == b"220"
            with Wire(server) as refused:
                assert refused.greeting == TOO_MANY
        wait_for_log(server, "connection closed", turn + 1)


def test_the_connections_of_a_killed_process_are_counted_no_more(serve: Serve) -> None:
    server = serve(LIMITED)
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(MOST)]
        os.kill(a_process(server), signal.SIGKILL)
        wait_for_log(server, "process started again")
        left = [wire for wire in wires if not wire.readable(0)]
        more = [stack.enter_context(Wire(server)) for _ in range(MOST - len(left))]
        assert {wire.greeting[:3] for wire in more} <= {b"220"}
        with Wire(server) as refused:
            assert refused.greeting == TOO_MANY
