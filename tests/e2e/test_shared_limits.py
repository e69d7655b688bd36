"""Limits of connections and workers that hold for all processes together, and what one process does at its limits."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from servers import Serve, Server
from waits import PATIENCE_S, wait_until
from wire import MAIL, Wire, wait_for_log

from fastsmtp.goridge.client import RPCClient

ACCEPTED = b"250 2.0.0 Message accepted\r\n"
NO_WORKER = b"451 4.3.2 No worker free, try again later\r\n"
TOO_MANY = b"421 4.3.2 Too many connections\r\n"
MOST = 12
LIMITED = {
    "rpc": {"listen": "tcp://127.0.0.1:0"},
    "smtp": {"processes": 3, "max_connections": MOST, "pool": {"num_workers": 3}},
}


def stats(server: Server) -> dict[str, Any]:
    [line] = wait_for_log(server, "RPC is listening")
    with RPCClient(line.rpartition("address=")[2], PATIENCE_S) as client:
        found: dict[str, Any] = client.call("smtp.Stats")
    return found


def pool(server: Server) -> dict[str, int]:
    """The counters of all workers."""
    counters: dict[str, int] = stats(server)["pools"]["smtp"]
    return counters


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
        os.kill(stats(server)["processes"][0]["pid"], signal.SIGKILL)
        wait_for_log(server, "process started again")
        left = [wire for wire in wires if not wire.readable(0)]
        more = [stack.enter_context(Wire(server)) for _ in range(MOST - len(left))]
        assert {wire.greeting[:3] for wire in more} <= {b"220"}
        with Wire(server) as refused:
            assert refused.greeting == TOO_MANY


# --- workers


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """The file that makes `holds.php` keep its emails."""
    path = tmp_path / "hold"
    path.touch()
    return path


def holding(hold: Path, processes: int, **settings: Any) -> dict[str, Any]:
    return {
        "rpc": {"listen": "tcp://127.0.0.1:0"},
        "server": {"env": {"HOLD": str(hold)}},
        "smtp": {"processes": processes, "pool": {"num_workers": 2, **settings}},
    }


@pytest.mark.parametrize("processes", [1, 2])
def test_workers_are_added_while_mails_wait_and_leave_again(serve: Serve, hold: Path, processes: int) -> None:
    allocator = {"max_workers": 4, "spawn_rate": 4, "idle_timeout": "1s"}
    server = serve(holding(hold, processes, dynamic_allocator=allocator), worker="holds.php")
    assert pool(server)["workers"] == 2
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(32)]  # enough of them in each process
        for wire in wires:
            wire.begin()
            wire.send(MAIL % b"x")
        wait_until(lambda: pool(server)["busy"] == 6)
        assert (pool(server)["workers"], pool(server)["waiting"]) == (6, 26)
        hold.unlink()
        assert [wire.reply() for wire in wires] == [ACCEPTED] * 32
    wait_until(lambda: (pool(server)["workers"], pool(server)["idle"]) == (2, 2))
    assert pool(server)["execs"] == 32


@pytest.mark.parametrize("processes", [1, 2])
def test_more_waiting_mails_than_max_queue_size_get_451_at_once(serve: Serve, hold: Path, processes: int) -> None:
    server = serve(holding(hold, processes, max_queue_size=4), worker="holds.php")
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(32)]  # enough of them in each process
        for wire in wires:
            wire.begin()
            wire.send(MAIL % b"x")
        wait_until(lambda: pool(server)["queue_overflows"] == 32 - 2 - 4)
        assert (pool(server)["busy"], pool(server)["waiting"]) == (2, 4)
        hold.unlink()
        assert Counter(wire.reply() for wire in wires) == {ACCEPTED: 2 + 4, NO_WORKER: 32 - 2 - 4}
        wires[0].begin_next()
        assert wires[0].ask(MAIL % b"x") == ACCEPTED
    assert pool(server)["allocate_timeouts"] == 0
