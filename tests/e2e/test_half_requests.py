"""Hundreds of clients with half a request at each listener: others get their answers, and mail arrives."""

from __future__ import annotations

import contextlib
import os
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from servers import Serve, Server
from wire import Wire, wait_for_log

from fastsmtp.goridge.client import RPCClient
from fastsmtp.system.descriptors import most_descriptors

pytestmark = pytest.mark.one_python

MANY = 300
HALF_REQUEST = b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n"
HALF_BODY = HALF_REQUEST + b"\r\n12345"
HALF_CALL = b"\x11\x08\x00"
ACCEPTED = b"250 2.0.0 Message accepted\r\n"


def connect_many(address: tuple[str, int] | str, octets: bytes, held: contextlib.ExitStack) -> None:
    for _ in range(MANY):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        client = held.enter_context(socket.socket(family))
        client.settimeout(30)
        client.connect(address)
        with contextlib.suppress(ConnectionError):  # it has made room for another one
            client.sendall(octets)


def told(server: Server, event: str, key: str) -> str:
    """What the log says of a listener."""
    [line] = wait_for_log(server, event)
    return line.rpartition(f"{key}=")[2]


def place_of(url: str) -> tuple[str, int]:
    place = urlsplit(url)
    return str(place.hostname), int(place.port or 0)


def status_of(url: str) -> int:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return int(answer.status)


def plugins(address: str) -> object:
    """What a new caller is answered."""
    with contextlib.closing(RPCClient(address, 30)) as client:
        return client.call("informer.List")


@pytest.mark.parametrize(
    ("octets", "processes"),
    [(HALF_REQUEST, 1), (HALF_BODY, 1), (b"", 1), (HALF_REQUEST, 2)],
    ids=["head", "body", "nothing", "processes"],
)
def test_others_are_served(serve: Serve, octets: bytes, processes: int) -> None:
    address = "127.0.0.1:0"
    server = serve(
        {
            "status": {"address": address},
            "metrics": {"address": address},
            "inbox": {"address": address},
            "rpc": {"listen": f"tcp://{address}"},
            "smtp": {"processes": processes},
        },
        wrapper=["prlimit", "--nofile=512:512"],
    )
    status, metrics = told(server, "status is served", "url"), told(server, "metrics are served", "url")
    rpc = told(server, "RPC is listening", "address")
    most_descriptors()  # of the clients, which are in this process
    with contextlib.ExitStack() as held:
        for http in (status, metrics, server.inbox):
            connect_many(place_of(http), octets, held)
        connect_many(place_of(rpc), HALF_CALL if octets else b"", held)
        assert [status_of(url) for url in (status, metrics, f"{server.inbox}/api/ns/default")] == [200] * 3
        assert plugins(rpc) == ["smtp"]
        with Wire(server) as wire:
            wire.begin()
            assert wire.ask(b"Subject: x\r\n\r\nx\r\n.\r\n") == ACCEPTED
        assert len(os.listdir(f"/proc/{server.process.pid}/fd")) < 400


def test_many_at_the_socket_of_rpc(serve: Serve, tmp_path: Path) -> None:
    server = serve({"rpc": {"listen": f"unix://{tmp_path}/rpc.sock"}}, wrapper=["prlimit", "--nofile=512:512"])
    with contextlib.ExitStack() as held:
        connect_many(f"{tmp_path}/rpc.sock", HALF_CALL, held)
        assert plugins(f"unix://{tmp_path}/rpc.sock") == ["smtp"]
        with Wire(server) as wire:
            wire.begin()
            assert wire.ask(b"Subject: x\r\n\r\nx\r\n.\r\n") == ACCEPTED
