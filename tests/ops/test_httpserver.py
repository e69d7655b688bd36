"""The HTTP listener over real sockets: what it answers, and what it does to clients that are slow or many."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from aiohttp import web
from webclient import Answer, Client, ask

from fastsmtp.errors import StartError
from fastsmtp.ops.httpserver import Connections, HTTPServer, usual_limits
from fastsmtp.system.clients import ClientLimits

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
LIMITS = usual_limits()
SHORT = ClientLimits(connections=8, wait_s=0.5, backlog=64)  # for a client that does nothing; enough for one that does
FEW = ClientLimits(connections=4, wait_s=60, backlog=64)
HALF = b"GET /health HTTP/1.1\r\nHost: x\r\n"


class Handlers:
    """A route that answers, one that waits to be let go, and one that fails."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.let_go = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def fine(self, _: web.Request) -> web.Response:
        return web.Response(text="fine")

    async def slow(self, _: web.Request) -> web.Response:
        self.entered.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return web.Response(text="late")

    async def upload(self, request: web.Request) -> web.Response:
        self.entered.set()
        try:
            return web.Response(text=str(len(await request.read())))
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self.entered.set()
        try:
            while True:
                await response.write(bytes(65536))
        finally:
            self.cancelled.set()

    async def broken(self, _: web.Request) -> web.Response:
        raise LookupError("ours")

    def routes(self) -> list[web.RouteDef]:
        gets = [web.get(f"/{name}", getattr(self, name)) for name in ("fine", "slow", "broken", "endless")]
        return [*gets, web.post("/upload", self.upload)]


Work = Callable[[HTTPServer, Handlers], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture(params=LOOPS.values(), ids=LOOPS)
def play(request: pytest.FixtureRequest) -> Play:
    """Runs work with a server that listens, on each loop."""

    def run(work: Work, limits: ClientLimits = LIMITS) -> None:
        async def main() -> None:
            server, handlers = HTTPServer("status.address", "127.0.0.1:0", limits), Handlers()
            await server.start(handlers.routes())
            try:
                await work(server, handlers)
            finally:
                await server.stop()

        loop = request.param()
        try:
            loop.run_until_complete(main())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    return run


def test_answers(play: Play) -> None:
    async def work(server: HTTPServer, _: Handlers) -> None:
        client = await Client.connect(server.url)
        for _again in range(2):  # in one connection
            answer = await client.ask("/fine?x=y")
            assert (answer.status, answer.body) == (200, "fine")
        assert set(answer.headers) == {"content-type", "content-length", "date"}
        head = await client.ask("/fine", "HEAD")
        assert (head.status, head.headers["content-length"]) == (200, "4")
        assert (await client.ask("/fine")).status == 200
        client.close()

    play(work)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("HEAD", "/nowhere", 404), ("POST", "/fine", 405), ("OPTIONS", "/fine", 405)],
)
def test_what_is_not_there(play: Play, method: str, path: str, status: int) -> None:
    async def work(server: HTTPServer, _: Handlers) -> None:
        answer = await ask(server.url, path, method)
        assert answer.status == status
        assert answer.headers.get("allow") == ("GET,HEAD" if status == 405 else None)

    play(work)


def test_requests_in_one_go_are_answered_in_turn(play: Play) -> None:
    async def work(server: HTTPServer, _: Handlers) -> None:
        client = await Client.connect(server.url)
        client.send(3 * b"GET /fine HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [(await client.answer()).body for _ in range(3)] == ["fine"] * 3
        client.close()

    play(work)


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"EHLO x\r\n\r\n",
        b"GET / HTTP/1.1\r\nA b\r\n\r\n",
        b"GET /" + b"x" * 70_000,
    ],
    ids=["TLS", "SMTP", "header", "long"],
)
def test_what_is_no_request_is_refused_and_not_logged(
    play: Play, caplog: pytest.LogCaptureFixture, octets: bytes
) -> None:
    async def work(server: HTTPServer, _: Handlers) -> None:
        client = await Client.connect(server.url)
        client.send(octets)
        assert (await client.closed()).startswith(b"HTTP/1.0 400 Bad Request\r\n")
        client.close()

    play(work)
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_a_fault_of_ours_is_logged_and_answered_without_a_traceback(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(server: HTTPServer, _: Handlers) -> None:
        answer = await ask(server.url, "/broken")
        assert (answer.status, "LookupError" in answer.body) == (500, False)

    play(work)
    [record] = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


# Slow clients


@pytest.mark.parametrize("sent", [b"", HALF, b"G"], ids=["nothing", "half", "octet"])
def test_a_client_that_does_not_finish_its_request_is_cut_off(play: Play, sent: bytes) -> None:
    async def work(server: HTTPServer, _: Handlers) -> None:
        client = await Client.connect(server.url)
        client.send(sent)
        assert await client.closed() == b""
        client.close()

    play(work, SHORT)


def test_octets_that_come_one_by_one_do_not_give_more_time(play: Play) -> None:
    async def work(server: HTTPServer, _: Handlers) -> None:
        client = await Client.connect(server.url)
        client.send(HALF)
        cut = asyncio.ensure_future(client.closed())
        while not cut.done():
            client.send(b"x")
            await ask(server.url, "/fine")  # a while
        assert await cut == b""
        client.close()

    play(work, SHORT)


def test_a_client_that_sends_half_a_second_request_is_cut_off(play: Play) -> None:
    async def work(server: HTTPServer, _: Handlers) -> None:
        client = await Client.connect(server.url)
        assert (await client.ask("/fine")).status == 200
        client.send(HALF)
        assert await client.closed() == b""
        client.close()

    play(work, SHORT)


class Answering(asyncio.Protocol):
    """Answers the first octets of a client with more than the buffers of the kernel hold."""

    def __init__(self, lost: asyncio.Event) -> None:
        self.connections: Connections | None = None
        self.lost = lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, _octets: bytes) -> None:
        assert self.connections is not None
        self.connections.on_request(self.transport)
        self.transport.write(bytes(50_000_000))
        self.connections.on_answer(self.transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost.set()


@pytest.mark.parametrize("make_loop", LOOPS.values(), ids=LOOPS)
def test_a_client_that_does_not_read_its_answer_is_cut_off(make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def work() -> None:
        loop, lost = asyncio.get_running_loop(), asyncio.Event()
        protocol = Answering(lost)
        protocol.connections = Connections(lambda: protocol, SHORT)
        listener = await loop.create_server(protocol.connections, "127.0.0.1", 0)
        with socket.create_connection(listener.sockets[0].getsockname()) as client:
            client.sendall(b"x")
            await asyncio.wait_for(lost.wait(), 30)
            assert len(protocol.connections) == 0
        listener.close()

    loop = make_loop()
    loop.run_until_complete(work())
    loop.close()


def test_a_client_that_does_not_finish_the_body_of_its_request_is_cut_off(play: Play) -> None:
    async def work(server: HTTPServer, handlers: Handlers) -> None:
        client = await Client.connect(server.url)
        client.send(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12345678")
        await handlers.entered.wait()
        assert await client.closed() == b""
        await asyncio.wait_for(handlers.cancelled.wait(), 30)
        client.close()

    play(work, SHORT)


def test_a_body_that_comes_in_time_is_answered(play: Play) -> None:
    async def work(server: HTTPServer, handlers: Handlers) -> None:
        client = await Client.connect(server.url)
        for again in range(3):
            handlers.entered.clear()
            client.send(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12345678")
            await handlers.entered.wait()
            client.send(b"9")
            assert (again, (await client.answer()).body) == (again, "9")
        client.close()

    play(work)


def test_a_body_that_nobody_wants_does_not_keep_a_connection(play: Play) -> None:
    """The handler answers before it is there; what comes later is no request."""

    async def work(server: HTTPServer, _: Handlers) -> None:
        client = await Client.connect(server.url)
        client.send(b"POST /fine HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12345678")
        assert (await client.answer()).status == 405
        client.send(b"9")
        assert await client.closed() == b""
        client.close()

    play(work, SHORT)


def test_a_client_that_takes_no_more_of_a_long_answer_is_cut_off(play: Play) -> None:
    async def work(server: HTTPServer, handlers: Handlers) -> None:
        place = server.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((place[0], int(place[2]))) as client:
            client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(handlers.cancelled.wait(), 30)
        assert handlers.entered.is_set()

    play(work, SHORT)


def test_an_answer_that_takes_long_is_no_fault_of_the_client(play: Play) -> None:
    async def work(server: HTTPServer, handlers: Handlers) -> None:
        client = await Client.connect(server.url)
        idle = await Client.connect(server.url)
        asking = asyncio.ensure_future(client.ask("/slow"))
        await handlers.entered.wait()
        await idle.closed()  # the time of one that only waits is over
        again = await Client.connect(server.url)
        await again.closed()
        handlers.let_go.set()
        assert (await asking).body == "late"
        for each in (client, idle, again):
            each.close()

    play(work, SHORT)


def test_a_handler_is_cancelled_when_its_client_goes(play: Play) -> None:
    async def work(server: HTTPServer, handlers: Handlers) -> None:
        client = await Client.connect(server.url)
        client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await handlers.entered.wait()
        client.close()
        await asyncio.wait_for(handlers.cancelled.wait(), 30)

    play(work)


# Many clients


def test_half_requests_do_not_keep_others_from_their_answers(play: Play) -> None:
    async def work(server: HTTPServer, _: Handlers) -> None:
        before = len(os.listdir("/proc/self/fd"))
        clients = []
        for _number in range(300):
            clients.append(await Client.connect(server.url))
            clients[-1].send(HALF)
        assert (await ask(server.url, "/fine")).status == 200
        assert len(os.listdir("/proc/self/fd")) - before - len(clients) <= server.max_descriptors
        await clients[0].closed()
        for client in clients:
            client.close()

    play(work)


def test_the_one_that_has_waited_longest_makes_room(play: Play) -> None:
    async def work(server: HTTPServer, _: Handlers) -> None:
        clients = [await Client.connect(server.url) for _ in range(FEW.connections)]
        for client in clients:
            assert (await client.ask("/fine")).status == 200
        assert (await clients[0].ask("/fine")).status == 200  # now the second one has waited longest
        last = await Client.connect(server.url)
        assert (await last.ask("/fine")).status == 200
        assert await clients[1].closed() == b""
        for client in (clients[0], clients[2], clients[3]):
            assert (await client.ask("/fine")).status == 200
        for client in (*clients, last):
            client.close()

    play(work, FEW)


def test_a_new_client_is_refused_where_all_are_being_answered(play: Play) -> None:
    async def work(server: HTTPServer, handlers: Handlers) -> None:
        clients = [await Client.connect(server.url) for _ in range(FEW.connections)]
        asking = []
        for client in clients:
            handlers.entered.clear()
            asking.append(asyncio.ensure_future(client.ask("/slow")))
            await handlers.entered.wait()
        refused = await Client.connect(server.url)
        assert await refused.closed() == b""
        handlers.let_go.set()
        assert [answer.body for answer in await asyncio.gather(*asking)] == ["late"] * FEW.connections
        for client in (*clients, refused):
            client.close()

    play(work, FEW)


# The end


def test_a_request_under_way_is_answered_before_the_end(play: Play) -> None:
    async def work(server: HTTPServer, handlers: Handlers) -> None:
        client, idle = await Client.connect(server.url), await Client.connect(server.url)
        asking: asyncio.Future[Answer] = asyncio.ensure_future(client.ask("/slow"))
        await handlers.entered.wait()
        stopping = asyncio.ensure_future(server.stop())
        assert await idle.closed() == b""
        handlers.let_go.set()
        assert (await asking).body == "late"
        await stopping
        with pytest.raises(ConnectionRefusedError):
            await Client.connect(server.url)
        client.close()
        idle.close()

    play(work)


def test_an_abort_cuts_all_connections(play: Play) -> None:
    async def work(server: HTTPServer, handlers: Handlers) -> None:
        client, half = await Client.connect(server.url), await Client.connect(server.url)
        half.send(HALF)
        client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await handlers.entered.wait()
        server.abort()
        assert [await each.closed() for each in (client, half)] == [b"", b""]
        await asyncio.wait_for(handlers.cancelled.wait(), 30)
        server.abort()
        client.close()
        half.close()

    play(work)


def test_a_taken_port_is_told_with_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError, match=rf"^status\.address: cannot listen on {address}: Address already in use$"):
            HTTPServer("status.address", address)


def test_ipv6() -> None:
    server = HTTPServer("status.address", "[::1]:0")
    assert server.url.startswith("http://[::1]:")
    server.abort()
