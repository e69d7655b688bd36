"""Several processes on one port: what is shared, what one of them leaves behind, and what the parent makes good."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from procs import guard_of, wait_until_gone
from ready import readable
from servers import WORKERS, Serve, Server
from stalls import stalled
from waits import PATIENCE_S, wait_until
from wire import MAIL, Wire, logged, wait_for_log

from fastsmtp.errors import CallError
from fastsmtp.goridge.client import RPCClient

ACCEPTED = b"250 2.0.0 Message accepted\r\n"
GOING_DOWN = b"421 4.3.2 Server is shutting down\r\n"
RPC: dict[str, Any] = {"rpc": {"listen": "tcp://127.0.0.1:0"}}
TWO: dict[str, Any] = {**RPC, "smtp": {"processes": 2}}
MANY = 24  # connections; that all of them come to one of two processes happens once in eight million times


def rpc_address(server: Server) -> str:
    [line] = wait_for_log(server, "RPC is listening")
    return line.rpartition("address=")[2]


def rpc(server: Server) -> RPCClient:
    return RPCClient(rpc_address(server), PATIENCE_S)


def call(server: Server, method: str, argument: object = None) -> Any:
    with rpc(server) as client:
        return client.call(method, argument)


def children(server: Server) -> list[int]:
    return [process["pid"] for process in call(server, "smtp.Stats")["processes"]]


def worker_pids(server: Server) -> set[int]:
    return {worker["pid"] for worker in call(server, "informer.Workers", "smtp")["workers"]}


def states_of_workers(server: Server) -> list[str]:
    return [worker["statusStr"] for worker in call(server, "informer.Workers", "smtp")["workers"]]


def run_verb(server: Server, verb: str) -> tuple[str, str]:
    """What a verb prints about the server, and what it says on standard error."""
    command = [sys.executable, "-m", "fastsmtp", verb, "-o", f"rpc.listen={rpc_address(server)}"]
    done = subprocess.run(command, cwd=server.directory, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, done.stderr


@contextlib.contextmanager
def connected(server: Server, count: int = MANY) -> Iterator[list[Wire]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Wire(server)) for _ in range(count)]


def send_mails(wires: list[Wire], name: str = "x") -> None:
    for index, wire in enumerate(wires):
        wire.begin()
        assert wire.ask(MAIL % f"{name}{index}".encode()) == ACCEPTED


# --- the ledger


def test_what_was_accepted_is_at_a_worker_though_a_process_was_killed_under_load(serve: Serve) -> None:
    """A mail that was delivered though its 250 never came: at most one for each connection that broke."""
    server = serve({**TWO, "smtp": {"processes": 2, "pool": {"num_workers": 4}}})
    accepted: Counter[str] = Counter()
    unanswered: Counter[str] = Counter()
    broken: Counter[int] = Counter()
    busy = threading.Barrier(17)
    killed = threading.Event()

    def send(connection: int) -> None:
        number = 0
        after = 0  # accepted since the kill
        while after < 10:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError), Wire(server) as wire:
                reply = wire.ask(b"HELO x\r\n")
                while reply.startswith(b"250") and after < 10:
                    if number == 5:
                        busy.wait()
                    after += killed.is_set()
                    name = f"{connection}/{number}"
                    number += 1
                    wire.send(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
                    if [wire.reply()[:3] for _ in range(3)] != [b"250", b"250", b"354"]:
                        break
                    unanswered[name] += 1
                    reply = wire.ask(MAIL % name.encode())
                    if reply == ACCEPTED:
                        accepted[name] += 1
                        del unanswered[name]
                else:
                    assert reply in (ACCEPTED, b"")
                if after < 10:
                    broken[connection] += 1

    threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(16)]
    for thread in threads:
        thread.start()
    victim = children(server)[0]
    busy.wait()
    os.kill(victim, signal.SIGKILL)
    killed.set()
    for thread in threads:
        thread.join()
    wait_for_log(server, "process started again")
    with connected(server) as wires:
        send_mails(wires)
    assert server.stop() == 0
    delivered = Counter(item["message"]["subject"] for item in server.records())
    assert set(delivered.values()) == {1}
    assert accepted - delivered == Counter()
    assert (delivered - accepted) - unanswered == Counter({f"x{index}": 1 for index in range(MANY)})
    assert len(accepted) >= 10 * 16
    assert broken
    [line] = logged(server, "process lost")
    assert line.endswith(f'pid={victim}  status="killed by SIGKILL"  delay=0.1s')


def test_who_connects_while_a_process_is_missed_is_served_by_its_successor(serve: Serve) -> None:
    server = serve(TWO)
    os.kill(children(server)[0], signal.SIGKILL)
    with connected(server) as wires:
        assert [wire.greeting[:3] for wire in wires] == MANY * [b"220"]
        send_mails(wires)
    assert len(wait_for_log(server, "process started again")) == 1
    assert len(server.records()) == MANY


def test_while_a_process_cannot_be_started_another_one_stands_in_for_it(serve: Serve, tmp_path: Path) -> None:
    command = tmp_path / "worker.sh"
    works = f"exec php {WORKERS / 'record.php'}\n"
    command.write_text(works)
    server = serve({**TWO, "server": {"command": f"sh {command}"}})
    first, second = children(server)
    command.write_text("exit 3\n")
    os.kill(second, signal.SIGKILL)
    wait_for_log(server, "a process could not be started again", 2)
    [*_, line] = logged(server, "a process could not be started again")
    assert "did not start: ended without a handshake; exit status 3" in line
    with connected(server) as wires:
        assert call(server, "smtp.Stats")["connections"] == MANY
        assert [process["serving"] for process in call(server, "smtp.Stats")["processes"]] == [True, False]
        command.write_text(works)
        wait_for_log(server, "process started again")
        send_mails(wires)  # they stay where they are
    assert children(server)[0] == first
    with connected(server) as wires:
        os.kill(first, signal.SIGKILL)
        served = [wire.ask(b"NOOP\r\n")[:3] for wire in wires]
        assert Counter(served).keys() == {b"250", b""}  # both have taken some
        wait_for_log(server, "process started again", 2)


def test_another_one_stands_in_for_a_process_that_takes_its_time_to_start(serve: Serve, tmp_path: Path) -> None:
    command = tmp_path / "worker.sh"
    command.write_text(f"exec php {WORKERS / 'record.php'}\n")
    server = serve({**TWO, "server": {"command": f"sh {command}"}})
    victim = children(server)[0]
    command.write_text("exec sleep 1000\n")
    os.kill(victim, signal.SIGKILL)
    with connected(server) as wires:
        send_mails(wires)
    assert [process["serving"] for process in call(server, "smtp.Stats")["processes"]] == [False, True]


def test_a_process_that_is_asked_to_stop_is_started_again(serve: Serve) -> None:
    server = serve(TWO)
    with connected(server) as wires:
        os.kill(children(server)[0], signal.SIGTERM)
        [line] = wait_for_log(server, "process lost")
        assert 'status="exit status 0"' in line
        assert {wire.ask(b"NOOP\r\n") for wire in wires} == {b"250 2.0.0 OK\r\n", GOING_DOWN}
    wait_for_log(server, "process started again")
    with connected(server) as wires:
        send_mails(wires)


def test_another_one_stands_in_for_a_process_that_stops_slowly(serve: Serve) -> None:
    server = serve({**TWO, "endure": {"grace_period": "1000s"}})
    pids = children(server)
    with connected(server) as slow, connected(server) as idle:
        for wire in slow:
            wire.begin()
        os.kill(pids[0], signal.SIGTERM)
        assert readable(*(wire.socket for wire in idle), seconds=PATIENCE_S)  # it has begun to stop
        with connected(server) as wires:
            send_mails(wires)
        assert children(server) == pids
        for wire in slow:
            assert wire.ask(MAIL % b"x") == ACCEPTED
    wait_for_log(server, "process started again")
    with connected(server) as wires:
        send_mails(wires)


def test_workers_of_a_killed_process_do_not_stay(serve: Serve) -> None:
    server = serve({**TWO, "smtp": {"processes": 2, "pool": {"destroy_timeout": "0s"}}}, worker="hangs.php")
    pids = worker_pids(server)
    with connected(server) as wires:
        for wire in wires:
            wire.begin()
            wire.send(MAIL % b"x")
        for pid in children(server):
            os.kill(pid, signal.SIGKILL)
        wait_for_log(server, "process started again", 2)
    wait_for_log(server, "a worker outlived its process, killed", 2)
    wait_until_gone(*pids)


def test_workers_that_a_killed_process_had_started_a_moment_ago_do_not_stay(serve: Serve) -> None:
    """They are newer than what the parent was told about workers last."""
    server = serve({**TWO, "smtp": {"processes": 2, "pool": {"destroy_timeout": "0s"}}}, worker="hangs.php")
    processes = children(server)  # to ask for them is to ask for numbers, which tell of workers
    for pid in worker_pids(server):
        os.kill(pid, signal.SIGKILL)
    wait_for_log(server, "worker lost", 2)
    wait_until(lambda: len(worker_pids(server)) == 2)
    pids = worker_pids(server)
    with connected(server) as wires:
        for wire in wires:
            wire.begin()
            wire.send(MAIL % b"x")
        wait_until(lambda: states_of_workers(server) == ["working", "working"])
        for pid in processes:
            os.kill(pid, signal.SIGKILL)
    wait_for_log(server, "a worker outlived its process, killed", 2)
    wait_until_gone(*pids)


def test_workers_of_a_process_that_is_killed_while_it_stops_do_not_stay(serve: Serve) -> None:
    server = serve(TWO, worker="hangs.php")
    pids = worker_pids(server)
    processes = children(server)
    with connected(server) as wires, connected(server) as idle:
        for wire in wires:
            wire.begin()
            wire.send(MAIL % b"x")
        wait_until(lambda: call(server, "smtp.Stats")["pools"]["smtp"]["busy"] == 2)
        server.process.send_signal(signal.SIGTERM)
        assert readable(*(wire.socket for wire in idle), seconds=PATIENCE_S)  # it has begun to stop
        for pid in processes:
            os.kill(pid, signal.SIGKILL)
        assert server.wait_for_end() == 0
    wait_until_gone(*pids)


# --- one facade


def test_connections_are_those_of_all(serve: Serve) -> None:
    server = serve(TWO)
    with connected(server) as wires:
        send_mails(wires)
        listed = call(server, "smtp.ListConnections")
        assert sorted(connection["remote_addr"] for connection in listed) == sorted(
            "{}:{}".format(*wire.socket.getsockname()) for wire in wires
        )
        places = {f"{host}:{port}": wire for wire in wires for host, port in [wire.socket.getsockname()]}
        for index, connection in enumerate(listed):
            key = ("uuid", "email_uuid")[index % 2]
            assert call(server, "smtp.CloseConnection", connection[key]) is True
            wire = places[connection["remote_addr"]]
            assert [wire.reply(), wire.reply()] == [GOING_DOWN, b""]
        with pytest.raises(CallError, match=f"^no such connection: {listed[0]['uuid']}$"):
            call(server, "smtp.CloseConnection", listed[0]["uuid"])
    assert call(server, "smtp.ListConnections") == []


def test_stats_are_sums_and_do_not_go_down(serve: Serve) -> None:
    server = serve({**RPC, "smtp": {"processes": 2, "pool": {"num_workers": 3}}})
    with connected(server) as wires:
        send_mails(wires)
        stats = call(server, "smtp.Stats")
        started = stats.pop("started")
        processes = stats.pop("processes")
        assert stats == {
            "connections": MANY,
            "inflight_bytes": 0,
            "pools": {
                "smtp": {
                    "workers": 3,
                    "idle": 3,
                    "busy": 0,
                    "waiting": 0,
                    "execs": MANY,
                    "errors": 0,
                    "unknown_answers": 0,
                    "worker_failures": 0,
                    "exec_timeouts": 0,
                    "allocate_timeouts": 0,
                    "queue_overflows": 0,
                    "starts": 3,
                    "start_failures": 0,
                }
            },
        }
        assert [{**process, "pid": 0} for process in processes] == [
            {"pid": 0, "serving": True, "stuck": False, "workers": 2, "starts": 1},
            {"pid": 0, "serving": True, "stuck": False, "workers": 1, "starts": 1},
        ]
        os.kill(processes[0]["pid"], signal.SIGKILL)
        wait_for_log(server, "process started again")
        after = call(server, "smtp.Stats")
        assert after["started"] == started
        assert 0 < after["connections"] < MANY
        assert {**after["pools"]["smtp"], "starts": 3} == stats["pools"]["smtp"]
        assert after["pools"]["smtp"]["starts"] == 5


def test_workers_are_added_where_there_are_fewest_and_kept_over_a_restart(serve: Serve) -> None:
    server = serve(TWO)

    def shares() -> list[int]:
        return [process["workers"] for process in call(server, "smtp.Stats")["processes"]]

    for expected in ([2, 1], [2, 2], [3, 2]):
        assert call(server, "informer.AddWorker", "smtp") is True
        assert shares() == expected
    assert len(worker_pids(server)) == 5
    os.kill(children(server)[0], signal.SIGKILL)
    wait_for_log(server, "process started again")
    assert len(worker_pids(server)) == 5
    for expected in ([2, 2], [1, 2], [1, 1]):
        assert call(server, "informer.RemoveWorker", "smtp") is True
        assert shares() == expected
    with pytest.raises(CallError, match=r"^the last worker of each process stays$"):
        call(server, "informer.RemoveWorker", "smtp")
    assert call(server, "informer.List") == call(server, "resetter.List") == ["smtp"]
    assert call(server, "informer.Workers", "http") == {"workers": None}
    for method in ("informer.AddWorker", "informer.RemoveWorker", "resetter.Reset"):
        with pytest.raises(CallError, match=r"^no such plugin: http$"):
            call(server, method, "http")


def test_a_reset_by_rpc_replaces_the_workers_of_all(serve: Serve, tmp_path: Path) -> None:
    command = tmp_path / "worker.sh"
    command.write_text(f"exec php {WORKERS / 'record.php'}\n")
    server = serve({**TWO, "server": {"command": f"sh {command}"}})
    before = worker_pids(server)
    assert call(server, "resetter.Reset", "smtp") is True
    after = worker_pids(server)
    assert (len(after), before & after) == (2, set())
    assert len(wait_for_log(server, "workers were replaced by RPC")) == 1
    command.write_text("exit 3\n")
    fault = f'workers could not be replaced: worker "sh {command}" did not start: ended without a handshake; '
    with pytest.raises(CallError, match=f"^{re.escape(fault)}exit status 3$"):
        call(server, "resetter.Reset", "smtp")


def test_app_log_config_and_version_are_told_once(serve: Serve) -> None:
    server = serve({**RPC, "smtp": {"processes": "auto", "pool": {"num_workers": 2}}})
    assert call(server, "app.Info", "once") is True
    assert len(wait_for_log(server, "once")) == 1
    assert isinstance(call(server, "rpc.Version"), str)
    assert isinstance(call(server, "rpc.Config"), str)


def test_a_worker_may_call_during_an_email(serve: Serve) -> None:
    server = serve(TWO, worker="closes_by_rpc.php")
    with connected(server) as wires:
        for wire in wires:
            wire.begin()
            assert wire.ask(MAIL % b"x") == ACCEPTED
            assert wire.reply() == GOING_DOWN


@pytest.mark.parametrize("force", [False, True])
def test_stop_by_rpc(serve: Serve, force: bool) -> None:
    server = serve(TWO)
    with connected(server) as wires, rpc(server) as client:
        if force:
            wires[0].begin()
        with contextlib.suppress(ConnectionError):
            client.call("rpc.Stop", force)
        client.wait_for_end()
    server.exit_code = server.wait_for_end()
    assert server.exit_code in ((128 + signal.SIGINT, 128 + signal.SIGTERM) if force else (0,))


# --- signals


def test_sigterm_lets_transactions_finish_in_all_processes(serve: Serve, scratch: Path) -> None:
    server = serve({"smtp": {"processes": 2}})
    with connected(server) as wires, connected(server) as others:
        for wire in others:
            wire.begin()
        server.process.send_signal(signal.SIGTERM)
        assert {wire.reply() for wire in wires} == {GOING_DOWN}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port))
        for wire in others:
            assert wire.ask(MAIL % b"x") == ACCEPTED
            assert [wire.reply(), wire.reply()] == [GOING_DOWN, b""]
    assert server.wait_for_end() == 0
    assert len(server.records()) == MANY
    assert logged(server, "process lost") == []
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_all_at_once(serve: Serve, scratch: Path, number: int) -> None:
    server = serve(TWO, worker="hangs.php")
    server.exit_code = 128 + number
    pids = [*children(server), *worker_pids(server)]
    with connected(server) as wires, Wire(server) as idle:
        for wire in wires:
            wire.begin()
            wire.send(MAIL % b"x")
        server.process.send_signal(number)
        assert idle.reply() == GOING_DOWN
        server.process.send_signal(number)
        assert {wire.reply() for wire in wires} == {b""}
    assert server.wait_for_end() == 128 + number
    wait_until_gone(*pids)
    assert list(scratch.iterdir()) == []


def test_sighup_replaces_the_workers_of_all(serve: Serve) -> None:
    server = serve(TWO)
    before = worker_pids(server)
    server.process.send_signal(signal.SIGHUP)
    assert len(wait_for_log(server, "workers replaced")) == 1
    after = worker_pids(server)
    assert (len(after), before & after) == (2, set())


def test_sigusr1_reopens_the_log_in_all(serve: Serve, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    listen = f"unix://{tmp_path}/rpc"
    server = serve({"rpc": {"listen": listen}, "smtp": {"processes": 2}, "logs": {"output": str(log)}})
    moved = log.rename(tmp_path / "server.log.1")
    server.process.send_signal(signal.SIGUSR1)
    with RPCClient(listen, PATIENCE_S) as client:
        wait_until(log.exists)
        client.call("smtp.Stats")  # each process has answered after it was told to reopen
    before = moved.read_bytes()
    with connected(server) as wires:
        send_mails(wires)
    assert server.stop() == 0
    assert moved.read_bytes() == before
    assert len(re.findall("  email  ", log.read_text())) == MANY


def test_the_death_of_the_parent_leaves_nothing(serve: Serve, scratch: Path) -> None:
    sockets = [scratch / "smtp", scratch / "rpc"]
    server = serve(
        {
            "rpc": {"listen": f"unix://{sockets[1]}"},
            "smtp": {"processes": 2, "servers": {"local": {"addr": f"unix:{sockets[0]}", "tls": {"cert": "auto"}}}},
        },
        arguments=["-o", "smtp.addr=127.0.0.1:0"],
    )
    with RPCClient(f"unix://{sockets[1]}", 30) as client:
        pids = [process["pid"] for process in client.call("smtp.Stats")["processes"]]
        pids += [worker["pid"] for worker in client.call("informer.Workers", "smtp")["workers"]]
    assert len(pids) == 4
    guard = guard_of(server.process.pid)
    # The children leave by themselves: on a busy machine the guard might kill them before they have.
    with stalled(guard, 0.0), connected(server) as wires, Wire(server) as busy, Wire(server, "local") as local:
        busy.begin()
        server.killed = True
        server.process.kill()
        assert local.reply() == GOING_DOWN
        assert busy.ask(MAIL % b"last") == ACCEPTED
        assert {wire.reply() for wire in [*wires, busy]} == {GOING_DOWN}
        wait_until_gone(*pids)
    wait_until_gone(guard)
    assert [item["message"]["subject"] for item in server.records()] == ["last"]
    assert list(scratch.iterdir()) == []
    server.wait_for(lambda: len(logged(server, "the parent process is gone, stopping")) == 2)


# --- metrics and status: see test_metrics.py for what there is to see


def endpoint(server: Server, what: str) -> Callable[[str], tuple[int, str]]:
    [line] = wait_for_log(server, f"{what} served")
    place = line.partition("url=http://")[2].partition("/")[0]

    def get(path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(place, timeout=30)
        connection.request("GET", path)
        response = connection.getresponse()
        answer = response.status, response.read().decode()
        connection.close()
        return answer

    return get


def test_metrics_are_sums_and_do_not_go_down(serve: Serve) -> None:
    server = serve({**TWO, "metrics": {"address": "127.0.0.1:0"}})
    get = endpoint(server, "metrics are")

    def scrape() -> dict[str, float]:
        code, text = get("/metrics")
        assert code == 200
        return {
            name: float(value)
            for name, value in re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.M)
            if "pid=" not in name
        }

    with connected(server) as wires:
        send_mails(wires)
        before = scrape()
        assert before['rr_smtp_request_total{status="250",verdict="accept"}'] == MANY
        assert before['rr_smtp_request_duration_seconds_bucket{le="+Inf",status="250"}'] == MANY
        assert before["rr_smtp_connections_total"] == before["rr_smtp_open_connections"] == MANY
        assert before["rr_smtp_total_workers"] == before["rr_smtp_workers_ready"] == 2
        for pid in children(server):
            os.kill(pid, signal.SIGKILL)
        wait_for_log(server, "process started again", 2)
    after = scrape()
    assert after["rr_smtp_open_connections"] == 0
    assert after["rr_smtp_worker_starts_total"] == 4
    grown = {name for name, value in before.items() if name.endswith("_total") and after[name] > value}
    fallen = {name for name, value in before.items() if name.endswith("_total") and after[name] < value}
    assert fallen == set()
    assert grown == {"rr_smtp_worker_starts_total", "process_cpu_seconds_total"}
    with connected(server) as wires:
        send_mails(wires)
    assert scrape()['rr_smtp_request_total{status="250",verdict="accept"}'] == 2 * MANY


def test_one_process_that_serves_is_health_enough(serve: Serve, tmp_path: Path) -> None:
    command = tmp_path / "worker.sh"
    command.write_text(f"exec php {WORKERS / 'record.php'}\n")
    server = serve({**TWO, "server": {"command": f"sh {command}"}, "status": {"address": "127.0.0.1:0"}})
    get = endpoint(server, "status is")
    first, second = children(server)
    fine = '[{"plugin_name":"smtp","error_message":"","status_code":200}]'
    assert [get("/health"), get("/ready")] == 2 * [(200, fine)]
    command.write_text("exit 3\n")
    os.kill(second, signal.SIGKILL)
    wait_for_log(server, "a process could not be started again")
    assert [get("/health"), get("/ready")] == 2 * [(200, fine)]
    os.kill(first, signal.SIGKILL)
    wait_for_log(server, "process lost", 2)
    unserved = '[{"plugin_name":"smtp","error_message":"no process is serving","status_code":503}]'
    assert [get("/health"), get("/ready")] == 2 * [(503, unserved)]


# --- the start


def run_serve(tmp_path: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    options = [word for setting in ("smtp.addr=127.0.0.1:0", *settings) for word in ("-o", setting)]
    command = [sys.executable, "-m", "fastsmtp", "serve", *options]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        (
            "server.command=php nowhere.php",
            'worker "php nowhere.php" did not start: ended without a handshake; exit status 1\n'
            "  Could not open input file: nowhere.php",
        ),
        ("server.command=no-such-program", 'cannot start "no-such-program": No such file or directory'),
        (
            "smtp.attachment_storage={mode: tempfile, temp_dir: /dev/null/x}",
            "smtp.attachment_storage.temp_dir: cannot keep files in /dev/null/x: Not a directory",
        ),
        ("smtp.tls.cert=nowhere.pem", "smtp.tls: no such file: nowhere.pem"),
        ("logs.output=/dev/null/x", "cannot open the log file /dev/null/x: Not a directory"),
    ],
    ids=["worker", "program", "tempfiles", "certificate", "log"],
)
def test_what_keeps_one_process_from_its_start_is_told_as_ever(
    tmp_path: Path, scratch: Path, setting: str, fault: str
) -> None:
    told = []
    for processes in (1, 2):
        done = run_serve(tmp_path, setting, f"smtp.processes={processes}")
        assert (done.returncode, done.stdout) == (1, "")
        told.append(done.stderr.partition("fastsmtp: ")[2])
    assert told[0].startswith(fault)
    assert told[1] == told[0]
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_a_port_that_others_share_is_taken(serve: Serve, tmp_path: Path, processes: int) -> None:
    server = serve(TWO)
    place = f"{server.host}:{server.port}"
    done = run_serve(tmp_path, f"smtp.addr={place}", "rpc.listen=''", f"smtp.processes={processes}")
    assert (done.returncode, done.stderr) == (1, f"fastsmtp: cannot listen on {place}: Address already in use\n")


def test_a_signal_during_the_start_leaves_nothing(tmp_path: Path, scratch: Path) -> None:
    options = ("smtp.addr=127.0.0.1:0", "smtp.processes=2", "server.command=sh -c 'echo up >&2; exec sleep 1000'")
    command = [sys.executable, "-m", "fastsmtp", "serve", *(word for option in options for word in ("-o", option))]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(4)]
        pids = [int(line.rpartition("pid=")[2]) for line in lines]
        assert [line.split()[3] for line in lines] == 4 * ["up"]
        process.terminate()
        assert process.wait(30) == 0
        wait_until_gone(*pids)
    assert list(scratch.iterdir()) == []


def test_a_process_that_is_stuck_is_told_and_does_not_hold_up_the_others(serve: Serve) -> None:
    server = serve({**TWO, "status": {"address": "127.0.0.1:0"}})
    get = endpoint(server, "status is")
    stuck = children(server)[1]
    os.kill(stuck, signal.SIGSTOP)
    fine = '[{"plugin_name":"smtp","error_message":"","status_code":200}]'
    assert get("/health") == (200, fine)
    assert len(wait_for_log(server, f"a process is stuck  pid={stuck}")) == 1
    found = call(server, "informer.Workers", "smtp")
    assert (len(found["workers"]), found["stuck"]) == (1, [stuck])
    assert call(server, "smtp.ListConnections") == []
    assert [process["stuck"] for process in call(server, "smtp.Stats")["processes"]] == [False, True]
    assert call(server, "informer.AddWorker", "smtp") is True
    with pytest.raises(CallError, match=rf"only those of other processes were replaced, the process {stuck} gives no"):
        call(server, "resetter.Reset", "smtp")
    assert f"smtp: 2 workers in 2 processes ({stuck} gives no answer), " in run_verb(server, "workers")[0]
    told = f"fastsmtp: the process {stuck} gives no answer, what it has is not shown\n"
    assert run_verb(server, "connections") == ("no client is connected\n", told)
    assert call(server, "informer.RemoveWorker", "smtp") is True
    os.kill(stuck, signal.SIGCONT)
    assert len(worker_pids(server)) == 2
    assert get("/ready") == (200, fine)
    assert len(logged(server, "a process is stuck")) == 1


def test_a_process_that_is_stuck_cannot_hold_up_an_end_at_once(serve: Serve, scratch: Path) -> None:
    server = serve(TWO)
    server.exit_code = 128 + signal.SIGTERM
    pids = [*children(server), *worker_pids(server)]
    with connected(server) as wires:
        os.kill(pids[0], signal.SIGSTOP)
        server.process.send_signal(signal.SIGTERM)
        assert readable(*(wire.socket for wire in wires), seconds=PATIENCE_S)  # it has begun to stop
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_for_end() == 128 + signal.SIGTERM
    wait_until_gone(*pids)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("signals", [1, 2], ids=["gracefully", "at once"])
def test_a_process_that_is_stuck_stays_no_longer_than_the_others(serve: Serve, scratch: Path, signals: int) -> None:
    """And neither do its workers, which have mails."""
    settings = {"endure": {"grace_period": "0s"}, "smtp": {"processes": 2, "pool": {"destroy_timeout": "0s"}}}
    server = serve({**TWO, **settings}, worker="hangs.php")
    server.exit_code = (0, 128 + signal.SIGTERM)[signals - 1]
    pids = [*children(server), *worker_pids(server)]
    with connected(server) as wires:
        for wire in wires:
            wire.begin()
            wire.send(MAIL % b"x")
        wait_until(lambda: call(server, "smtp.Stats")["pools"]["smtp"]["busy"] == 2)
        os.kill(pids[0], signal.SIGSTOP)
        server.process.send_signal(signal.SIGTERM)
        if signals == 2:
            assert readable(*(wire.socket for wire in wires), seconds=PATIENCE_S)  # it has begun to stop
            server.process.send_signal(signal.SIGTERM)
        assert server.wait_for_end() == server.exit_code
    wait_until_gone(*pids)
    assert list(scratch.iterdir()) == []


def test_a_cleaner_of_tmp_does_no_harm(serve: Serve, scratch: Path) -> None:
    server = serve({**TWO, "smtp": {"processes": 2, "tls": {"cert": "auto"}}})
    first, _second = children(server)
    [directory] = scratch.iterdir()
    shutil.rmtree(directory)
    os.kill(first, signal.SIGKILL)
    wait_for_log(server, "process started again")
    with connected(server) as wires:
        send_mails(wires)
    wait_until(lambda: len(list(directory.iterdir())) == 2)  # made again at the next look
    assert call(server, "resetter.Reset", "smtp") is True
    assert server.stop() == 0
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_modules_in_the_working_directory_are_not_taken_for_ours(tmp_path: Path, processes: int) -> None:
    """The command `fastsmtp` does not look there either, other than `python -m fastsmtp`."""
    for module in ("structlog", "json", "orjson"):
        (tmp_path / f"{module}.py").write_text(f"raise SystemExit('not {module}')\n")
    (tmp_path / ".rr.yaml").write_text(f'smtp: {{addr: "127.0.0.1:0", processes: {processes}}}\n')
    code = f"import sys; sys.path[:] = {sys.path!r}; from fastsmtp.cli.main import main; main()"
    command = [sys.executable, "-c", code, "serve", "--ready-file", str(tmp_path / "ready.json")]
    server = Server(command, tmp_path, tmp_path / "ready.json")
    with connected(server) as wires:
        send_mails(wires)
    assert server.stop() == 0


def test_on_init_runs_once(serve: Serve, tmp_path: Path) -> None:
    on_init = {"command": ["sh", "-c", f"echo ran >> {tmp_path}/ran"]}
    server = serve({**TWO, "server": {"on_init": on_init}})
    os.kill(children(server)[0], signal.SIGKILL)
    wait_for_log(server, "process started again")
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_the_banner_and_the_table_say_how_many(serve: Serve) -> None:
    server = serve({**RPC, "smtp": {"processes": 2, "pool": {"num_workers": 3}}})
    assert logged(server, "  processes ") == ["  processes    2, with 1 or 2 workers each"]
    config = ["-o", f"rpc.listen={rpc_address(server)}"]
    command = [sys.executable, "-m", "fastsmtp", "workers", *config]
    done = subprocess.run(command, cwd=server.directory, capture_output=True, text=True, timeout=60, check=True)
    head = done.stdout.splitlines()[0]
    assert head == "smtp: 3 workers in 2 processes, 3 idle, 0 busy; 0 mails waiting, 0 connections"


# --- what all have in common


def test_a_certificate_made_at_start_is_the_same_in_all(serve: Serve) -> None:
    server = serve({**TWO, "smtp": {"processes": 2, "tls": {"cert": "auto", "mode": "implicit"}}})

    def certificates() -> set[bytes | None]:
        found = set()
        for _ in range(MANY):
            with Wire(server, tls=True) as wire:
                assert isinstance(wire.socket, ssl.SSLSocket)
                found.add(wire.socket.getpeercert(binary_form=True))
        return found

    first = certificates()
    assert len(first) == 1
    os.kill(children(server)[0], signal.SIGKILL)
    wait_for_log(server, "process started again")
    assert certificates() == first


def test_a_unix_socket_is_shared_and_outlives_each_process(serve: Serve, scratch: Path) -> None:
    path = scratch / "smtp"
    server = serve(
        {**TWO, "smtp": {"processes": 2, "servers": {"local": {"addr": f"unix:{path}"}}}},
        arguments=["-o", "smtp.addr=127.0.0.1:0"],
    )
    for index, (pid, number) in enumerate(zip(children(server), (signal.SIGTERM, signal.SIGKILL), strict=True), 1):
        os.kill(pid, number)
        wait_for_log(server, "process started again", index)
        with Wire(server, "local") as wire:
            send_mails([wire])
    assert len(server.records()) == 2


def test_without_a_worker_all_show_their_mails_in_one_terminal(serve: Serve, tmp_path: Path) -> None:
    server = serve({"smtp": {"processes": 2}}, worker=None, arguments=["--save", "mails"])
    with connected(server) as wires:
        send_mails(wires)
    assert server.stop() == 0
    shown = [line.split()[-1] for line in server.printed if line.startswith("  subject ")]
    assert sorted(shown) == sorted(f"x{index}" for index in range(MANY))
    assert len(list((tmp_path / "mails").glob("*.eml"))) == MANY


def test_tempfiles_come_to_the_workers(serve: Serve, tmp_path: Path) -> None:
    storage = {"mode": "tempfile", "temp_dir": str(tmp_path / "attachments")}
    server = serve({**TWO, "smtp": {"processes": 2, "attachment_storage": storage}})
    mail = b'Content-Type: application/x\r\nContent-Disposition: attachment; filename="%d"\r\n\r\n%d\r\n.\r\n'
    with connected(server) as wires:
        for index, wire in enumerate(wires):
            wire.begin()
            assert wire.ask(mail % (index, index)) == ACCEPTED
    attachments = [item for record in server.records() for item in record["attachments"]]
    found = {item["filename"]: Path(item["path"]).read_bytes() for item in attachments}
    assert found == {str(index): b"%d\r\n" % index for index in range(MANY)}
