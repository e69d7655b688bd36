"""Namespaces with an SMTP port for themselves, of real servers."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from apicalls import call
from procs import children_of
from servers import Serve, Server
from waits import wait_until

INBOX = {"inbox": {"address": "127.0.0.1:0"}}


def send(address: tuple[str, int], subject: str) -> None:
    """Send a mail without any login, as an application does that knows nothing of namespaces."""
    with smtplib.SMTP(*address, timeout=30) as client:
        client.sendmail("a@example.com", ["b@example.com"], f"Subject: {subject}\r\n\r\nhello\r\n")


def port_of(namespace: dict[str, Any]) -> tuple[str, int]:
    return namespace["smtp"]["host"], namespace["smtp"]["port"]


def subjects(server: Server, name: str) -> list[str]:
    _status, found = call(server, "GET", f"/api/ns/{name}/mails?order=asc")
    return sorted(mail["subject"] for mail in found["mails"])


def is_open(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("processes", [1, 2])
def test_a_port_isolates_without_a_login(serve: Serve, processes: int) -> None:
    server = serve({**INBOX, "smtp": {"processes": processes}}, worker="echo.php")
    _status, plain = call(server, "PUT", "/api/ns/plain")
    assert plain["smtp"] == {"host": server.host, "port": server.port, "username": "plain"}
    status, own = call(server, "PUT", "/api/ns/run-1/w1", {"listen": True})
    host, port = port_of(own)
    assert (status, host, own["settings"]["listen"]) == (201, "127.0.0.1", f"127.0.0.1:{port}")
    assert port != server.port
    numbers = [f"mail {number:02}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda subject: send((host, port), subject), numbers))
    assert subjects(server, "run-1/w1") == numbers
    send((server.host, server.port), "elsewhere")
    assert subjects(server, "default") == ["elsewhere"]
    ended = {"begun": 20, "accepted": 20, "refused": 0, "aborted": 0, "moved": 0, "in_flight": 0}
    wait_until(lambda: call(server, "GET", "/api/ns/run-1/w1/ledger")[1]["sessions"] == ended)  # the last has its QUIT
    assert call(server, "PUT", "/api/ns/run-1/w1", {"listen": True, "ttl": 60})[1]["smtp"] == own["smtp"]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_port_ends_with_its_namespace(serve: Serve, processes: int) -> None:
    server = serve({**INBOX, "smtp": {"processes": processes}}, worker="echo.php")
    address = port_of(call(server, "PUT", "/api/ns/a", {"listen": True})[1])
    with socket.create_connection(address, timeout=30) as idle, idle.makefile("rb") as replies:
        assert replies.readline().startswith(b"220 ")
        assert call(server, "DELETE", "/api/ns/a") == (200, {"deleted": ["a"]})
        assert replies.readline().startswith(b"421 ")
        assert replies.readline() == b""
    assert not is_open(address)


def test_a_port_may_be_given_up(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    address = port_of(call(server, "PUT", "/api/ns/a", {"listen": True})[1])
    assert port_of(call(server, "PUT", "/api/ns/a")[1]) == address
    status, given_up = call(server, "PUT", "/api/ns/a", {"listen": False})
    assert (status, given_up["settings"]["listen"], given_up["smtp"]["port"]) == (200, "", server.port)
    assert not is_open(address)


def test_a_port_that_is_taken(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = f"127.0.0.1:{taken.getsockname()[1]}"
        status, problem = call(server, "PUT", "/api/ns/a", {"listen": wanted})
    assert (status, problem["pointer"]) == (409, "/listen")
    assert problem["detail"] == f"cannot listen on {wanted}: Address already in use"
    assert call(server, "GET", "/api/ns/a")[0] == 404
    assert call(server, "PUT", "/api/ns/b", {"listen": f"{server.host}:{server.port}"})[0] == 409
    status, own = call(server, "PUT", "/api/ns/a", {"listen": wanted})
    assert (status, own["settings"]["listen"]) == (201, wanted)
    assert call(server, "PUT", "/api/ns/b", {"listen": wanted})[0] == 409
    send(port_of(own), "there")
    assert subjects(server, "a") == ["there"]


def test_what_is_not_a_port(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    told = []
    for listen in ("x", "127.0.0.1", "unix:/tmp/x", 25, None, "127.0.0.1:99999"):
        status, problem = call(server, "PUT", "/api/ns/a", {"listen": listen})
        told.append((status, problem["pointer"]))
    assert told == 6 * [(422, "/listen")]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_port_outlives_its_server(serve: Serve, tmp_path: Path, processes: int) -> None:
    settings = {"inbox": {**INBOX["inbox"], "path": str(tmp_path / "store")}, "smtp": {"processes": processes}}
    server = serve(settings, worker="echo.php")
    address = port_of(call(server, "PUT", "/api/ns/a", {"listen": True})[1])
    send(address, "before")
    server.stop()
    assert not is_open(address)
    server = serve(settings, worker="echo.php")
    send(address, "after")
    assert subjects(server, "a") == ["after", "before"]


def _inbox_process(server: Server) -> Iterator[int]:
    for pid in children_of(server.process.pid):
        if b"fastsmtp.inbox.process" in Path(f"/proc/{pid}/cmdline").read_bytes():
            yield pid


@pytest.mark.parametrize("processes", [1, 2])
def test_a_port_outlives_a_killed_inbox(serve: Serve, processes: int) -> None:
    server = serve({**INBOX, "smtp": {"processes": processes}}, worker="echo.php")
    address = port_of(call(server, "PUT", "/api/ns/a", {"listen": True})[1])
    (first,) = _inbox_process(server)
    os.kill(first, signal.SIGKILL)
    send(address, "meanwhile")
    wait_until(lambda: any(pid != first for pid in _inbox_process(server)))
    assert port_of(call(server, "GET", "/api/ns/a")[1]) == address
    assert subjects(server, "a") == ["meanwhile"]
    assert call(server, "DELETE", "/api/ns/a")[0] == 200
    assert not is_open(address)
