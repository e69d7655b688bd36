"""The blocking RPC client against the real RPC server, and against other servers."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from fastsmtp.errors import CallError, FrameError
from fastsmtp.goridge.client import RPCClient
from fastsmtp.goridge.rpc import Method, RPCServer


@pytest.fixture
def listening() -> Iterator[Callable[[str], str]]:
    """Serve two methods at the address, in a thread of its own; returns where to call."""
    ended, threads = threading.Event(), []

    def start(listen: str) -> str:
        ready: list[str] = []
        started = threading.Event()

        async def serve() -> None:
            rpc = RPCServer(structlog.get_logger())
            ready.append(rpc.bind(listen))
            await rpc.serve({"double": Method(lambda number: number * 2, int), "leave": Method(lambda _: rpc.close())})
            started.set()
            await asyncio.get_running_loop().run_in_executor(None, ended.wait)
            rpc.close()

        thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        threads.append(thread)
        thread.start()
        started.wait()
        return ready[0]

    yield start
    ended.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_calls(listening: Callable[[str], str], tmp_path: Path, kind: str) -> None:
    listen = listening("tcp://127.0.0.1:0" if kind == "tcp" else f"unix://{tmp_path}/rpc.sock")
    with RPCClient(listen) as client:
        assert [client.call("double", number) for number in (1, 2)] == [2, 4]
        with pytest.raises(CallError, match=r"^rpc: can't find method triple$"):
            client.call("triple", 1)
        assert client.call("double", 10**6) == 2 * 10**6


def test_everywhere_is_here(listening: Callable[[str], str]) -> None:
    port = listening("tcp://0.0.0.0:0").rpartition(":")[2]
    with RPCClient(f"tcp://:{port}") as client:
        assert client.call("double", 3) == 6


def test_server_that_leaves(listening: Callable[[str], str]) -> None:
    with RPCClient(listening("tcp://127.0.0.1:0")) as client, pytest.raises(ConnectionError):
        client.call("leave")


def test_wait_for_its_end(listening: Callable[[str], str]) -> None:
    listen = listening("tcp://127.0.0.1:0")
    with RPCClient(listen) as waiting, RPCClient(listen) as other:
        assert waiting.call("double", 1) == 2
        with pytest.raises(ConnectionError):
            other.call("leave")
        waiting.wait_for_end()


@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:1", "unix:///no/such/rpc.sock"])
def test_nobody_listens(listen: str) -> None:
    with pytest.raises(OSError, match=r"refused|No such"):
        RPCClient(listen)


def test_no_answer_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with RPCClient(address, timeout_s=0.01) as client, pytest.raises(TimeoutError):
            client.call("double", 1)


def test_who_does_not_speak_goridge() -> None:
    with socket.create_server(("127.0.0.1", 0)) as web, RPCClient(f"tcp://127.0.0.1:{web.getsockname()[1]}") as client:
        connection, _ = web.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with connection, pytest.raises(FrameError, match="not a Goridge frame"):
            client.call("double", 1)
