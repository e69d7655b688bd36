"""A server of one process, with a pool without workers and endpoints without listeners: from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from pools import Log, Run
from shownstate import Endpoints
from waits import PATIENCE_S, until

from fastsmtp.config.file import load
from fastsmtp.config.settings import Config, PoolSettings
from fastsmtp.delivery.jobs import read_answer
from fastsmtp.errors import StartError
from fastsmtp.goridge.asyncclient import AsyncRPCClient
from fastsmtp.server import parts
from fastsmtp.server import server as server_module
from fastsmtp.server.place import ServerPlace
from fastsmtp.server.server import Server
from fastsmtp.smtp.events import Verdict
from fastsmtp.system.process import own_command
from fastsmtp.system.sockets import bind, format_address
from fastsmtp.workers.answer import ReadBody
from fastsmtp.workers.launch import Launch
from fastsmtp.workers.queue import Job

MAIL = b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"
BEGUN = [b"250 2.1.0 Sender accepted", b"250 2.1.5 Recipient accepted", b"354 End data with <CR><LF>.<CR><LF>"]
SHORT = b"Subject: x\r\n\r\nx\r\n.\r\n"
GOING_DOWN = b"421 4.3.2 Server is shutting down"


class Pool:
    """Accepts every email, or keeps it until told how it ended; writes down what it is made to do."""

    num_workers = idle = 1
    busy = waiting = execs = errors = 0
    unknown_answers = worker_failures = exec_timeouts = allocate_timeouts = queue_overflows = 0
    starts = start_failures = 0

    def __init__(self, house: House, settings: PoolSettings, launch: Launch, read_body: ReadBody | None) -> None:
        self.settings = settings
        self.launch = launch
        self.read_body = read_body
        self.kept: list[Job] = []
        self.contexts: list[bytes] = []
        self._house = house

    async def start(self) -> None:
        self._house.did.append("start workers")
        if self._house.pool_fault is not None:
            raise self._house.pool_fault
        await self._house.on_pool_start(self)

    async def stop(self) -> None:
        self._house.did.append("stop workers")

    def kill(self) -> None:
        self._house.did.append("kill workers")

    async def reset(self) -> None:
        self._house.did.append("reset workers")
        if self._house.pool_fault is not None:
            raise self._house.pool_fault

    def workers(self) -> list[Any]:
        return []

    def exec(self, job: Job) -> None:
        self.kept.append(job)
        if not self._house.keeps:
            asyncio.get_running_loop().call_soon(self.end, Verdict.ACCEPT)

    def end(self, verdict: Verdict) -> None:
        job = self.kept.pop(0)
        context, _body = job.take_payload()
        self.contexts.append(b"".join(context))
        job.on_verdict(verdict, 0.0)


class House:
    """What the servers of a test are put together from."""

    def __init__(self) -> None:
        self.log = Log()
        self.did: list[str] = []
        self.keeps = False  # emails, until the test ends them
        self.pool_fault: StartError | None = None
        self.on_pool_start: Callable[[Pool], Any] = self._nothing
        self.pools: list[Pool] = []
        self.endpoints: list[Endpoints] = []

    async def _nothing(self, _: Pool) -> None: ...

    def make_pool(self, settings: PoolSettings, launch: Launch, _: object, read_body: ReadBody | None) -> Pool:
        self.pools.append(Pool(self, settings, launch, read_body))
        return self.pools[-1]

    def make_endpoints(self, _config: Config, _log: object) -> Endpoints:
        self.endpoints.append(Endpoints(self.did))
        return self.endpoints[-1]

    @property
    def pool(self) -> Pool:
        return self.pools[-1]

    def events(self, level: str) -> list[str]:
        return [record["event"] for record in self.log.records if record["level"] == level]


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    house = House()
    monkeypatch.setattr(parts, "Pool", house.make_pool)
    monkeypatch.setattr(server_module, "Endpoints", house.make_endpoints)
    monkeypatch.setattr(structlog, "get_logger", lambda **context: house.log.logger.bind(**context))
    return house


def config(*overrides: str) -> Config:
    return load(None, ["smtp.addr=127.0.0.1:0", "smtp.hostname=mx.test", *overrides])


@contextlib.asynccontextmanager
async def serving(*overrides: str, save: str = "", place: ServerPlace | None = None) -> AsyncIterator[Server]:
    server = Server(config(*overrides), save, place)
    await server.start()
    try:
        yield server
    finally:
        await asyncio.wait_for(server.stop(), PATIENCE_S)


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, address: str, context: ssl.SSLContext | None = None) -> Client:
        kind, _, place = address.rpartition(":")
        if kind == "unix":
            return cls(*await asyncio.open_unix_connection(place))
        return cls(*await asyncio.open_connection(kind, int(place), ssl=context))

    async def line(self) -> bytes:
        """The next line, without its end; b"" where the server has closed."""
        try:
            return (await asyncio.wait_for(self._reader.readline(), PATIENCE_S)).rstrip(b"\r\n")
        except ConnectionError:
            return b""

    async def ask(self, octets: bytes) -> bytes:
        """Send, and read one line."""
        self._writer.write(octets)
        return await self.line()

    async def begin(self) -> None:
        """All up to the reply to DATA, the greeting before it."""
        assert await self.line() == b"220 mx.test ESMTP fastsmtp"
        assert await self.ask(b"HELO x\r\n") == b"250 mx.test"
        self._writer.write(MAIL)
        assert [await self.line() for _ in BEGUN] == BEGUN

    async def keywords(self) -> set[bytes]:
        """What EHLO is answered."""
        self._writer.write(b"EHLO x\r\n")
        found = set()
        while not (line := await self.line()).startswith(b"250 "):
            found.add(line[4:])
        return {*found, line[4:]}

    async def close(self) -> None:
        self._writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def connected(
    server: Server, name: str = "default", context: ssl.SSLContext | None = None
) -> AsyncIterator[Client]:
    client = await Client.connect(server.addresses[name][0], context)
    try:
        yield client
    finally:
        await client.close()


# The start


def test_a_mail_goes_the_whole_way(run_loop: Run, house: House) -> None:
    async def main() -> None:
        async with serving("metrics.address=127.0.0.1:0") as server, connected(server) as client:
            await client.begin()
            assert await client.ask(SHORT) == b"250 2.0.0 Message accepted"
            snapshot = server.snapshot()
            assert (snapshot.connections, snapshot.num_workers) == (1, 1)
            assert server.methods == {}
            assert snapshot.counters is not None
            assert await client.ask(b"QUIT\r\n") == b"221 2.0.0 Bye"
        assert [b'"EMAIL_RECEIVED"' in context for context in house.pool.contexts] == [True]
        assert house.did == ["bind endpoints", "start endpoints", "start workers", "stop workers", "stop endpoints"]

    run_loop(main())


def test_each_listener_has_its_name_and_its_tls(run_loop: Run, house: House, tmp_path: Path) -> None:
    async def main() -> None:
        servers = (
            f"{{a: {{addr: 'unix:{tmp_path}/smtp.sock', hostname: a.test}},"
            " b: {addr: '127.0.0.1:0', hostname: b.test, tls: {cert: auto}},"
            " c: {addr: '127.0.0.1:0', hostname: c.test, tls: {cert: auto, mode: implicit}}}"
        )
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        found = {}
        async with serving(f"smtp.servers={servers}", "smtp.max_message_size=2000") as server:
            assert {name: len(addresses) for name, addresses in server.addresses.items()} == dict.fromkeys(
                ("default", "a", "b", "c"), 1
            )
            assert server.addresses["a"] == [f"unix:{tmp_path}/smtp.sock"]
            for name in server.addresses:
                async with connected(server, name, context if name == "c" else None) as client:
                    greeting = await client.line()
                    keywords = await client.keywords()
                    assert b"SIZE 2000" in keywords
                    found[name] = greeting, b"STARTTLS" in keywords
        assert found == {
            "default": (b"220 mx.test ESMTP fastsmtp", False),
            "a": (b"220 a.test ESMTP fastsmtp", False),
            "b": (b"220 b.test ESMTP fastsmtp", True),
            "c": (b"220 c.test ESMTP fastsmtp", False),
        }
        assert list(tmp_path.iterdir()) == []  # the socket is gone

    run_loop(main())


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("smtp.servers={b: {addr: '127.0.0.1:@'}}", "cannot listen on 127.0.0.1:@: Address already in use"),
        ("smtp.tls={cert: /nowhere/cert.pem}", "smtp.tls: no such file: /nowhere/cert.pem"),
        ("smtp.attachment_storage={mode: tempfile, temp_dir: /dev/null/x}", "/dev/null/x"),
        ("rpc.listen=tcp://127.0.0.1:@", "127.0.0.1:@: Address already in use"),
    ],
    ids=["port", "certificate", "directory", "rpc"],
)
def test_what_can_be_wrong_is_tried_before_a_worker_is_started(
    run_loop: Run, house: House, override: str, fault: str
) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            server = Server(config(override.replace("@", port)))
            with pytest.raises(StartError, match=re.escape(fault.replace("@", port))):
                await server.start()
        assert "start workers" not in house.did
        assert house.did[-1] == "abort endpoints"
        assert server.addresses == {}

    run_loop(main())


def test_workers_that_do_not_start_leave_no_listener(run_loop: Run, house: House, tmp_path: Path) -> None:
    async def main() -> None:
        house.pool_fault = StartError("it ended")
        server = Server(config(f"smtp.addr=unix:{tmp_path}/smtp.sock", "rpc.listen=unix://" + str(tmp_path / "rpc")))
        with pytest.raises(StartError, match=r"^it ended$"):
            await server.start()
        assert house.did == ["bind endpoints", "start endpoints", "start workers", "stop workers", "abort endpoints"]
        assert list(tmp_path.iterdir()) == []
        assert house.endpoints[-1].complaints() == ("not listening yet", "not listening yet")

    run_loop(main())


def test_workers_may_call_while_they_start(run_loop: Run, house: House) -> None:
    async def call(address: str) -> Any:
        client = AsyncRPCClient()
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        await asyncio.get_running_loop().create_connection(lambda: client, host, int(port))
        try:
            return await client.call("informer.List", True)
        finally:
            client.abort()

    async def main() -> None:
        answers = []

        async def on_pool_start(pool: Pool) -> None:
            answers.append(await call(pool.launch.env["RR_RPC"]))

        house.on_pool_start = on_pool_start
        async with serving("rpc.listen=tcp://127.0.0.1:0") as server:
            assert answers == [["smtp"]]
            assert "smtp.ListConnections" in server.methods

    run_loop(main())


# What the workers are


@pytest.mark.parametrize("save", ["", "/mails"])
def test_without_a_command_one_worker_of_ours_shows_the_mails(run_loop: Run, house: House, save: str) -> None:
    async def main() -> None:
        async with serving("smtp.payload=jobs", save=save) as server, connected(server) as client:
            launch = house.pool.launch
            assert launch.command == own_command("fastsmtp.printer.main", *(("--save", save) if save else ()))
            assert str(launch) == "fastsmtp.printer.main"
            assert (house.pool.settings.num_workers, launch.env["RR_MODE"], house.pool.read_body) == (1, "smtp", None)
            await client.begin()
            await client.ask(SHORT)
        # It is kept as it came.
        assert [b'"raw":' in context for context in house.pool.contexts] == [bool(save)]

    run_loop(main())


@pytest.mark.parametrize("key", ["server.command", "smtp.pool.command"])
def test_jobs(run_loop: Run, house: House, key: str) -> None:
    async def main() -> None:
        settings = (f"{key}=php worker.php", "smtp.payload=jobs", "smtp.jobs.pipeline=mails", "smtp.pool.num_workers=3")
        async with serving(*settings) as server, connected(server) as client:
            launch = house.pool.launch
            assert (launch.command, launch.env["RR_MODE"]) == (("php", "worker.php"), "jobs")
            assert (house.pool.settings.num_workers, house.pool.read_body) == (3, read_answer)
            await client.begin()
            await client.ask(SHORT)
        assert [b'"pipeline":"mails"' in context for context in house.pool.contexts] == [True]

    run_loop(main())


# Limits


@pytest.mark.parametrize(
    ("wanted", "soft", "connections"),
    [(2, 1000, 2), (0, 64 + 2 * 6 + 3, 3), (0, 1, 1)],
    ids=["as configured", "as many as files may be open", "one at least"],
)
def test_one_connection_too_many_is_refused(
    run_loop: Run, house: House, monkeypatch: pytest.MonkeyPatch, wanted: int, soft: int, connections: int
) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, 99))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))

    async def main() -> None:
        settings = ("server.command=x", "smtp.pool.num_workers=2", f"smtp.max_connections={wanted}")
        async with serving(*settings) as server, contextlib.AsyncExitStack() as stack:
            for _ in range(connections):
                client = await stack.enter_async_context(connected(server))
                assert (await client.line())[:4] == b"220 "
            async with connected(server) as refused:
                assert (await refused.line())[:4] == b"421 "
        assert raised == ([] if wanted else [(99, 99)])

    run_loop(main())


def test_without_a_limit_of_files_there_is_none_of_connections(
    run_loop: Run, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)

    async def main() -> None:
        async with serving() as server, connected(server) as client:
            assert await client.line() == b"220 mx.test ESMTP fastsmtp"

    run_loop(main())


def test_a_silent_client_is_cut_off(run_loop: Run, house: House) -> None:
    async def main() -> None:
        async with serving("smtp.read_timeout=1ms") as server, connected(server) as client:
            assert await client.line() == b"220 mx.test ESMTP fastsmtp"
            assert await client.line() == b""
            await until(lambda: server.snapshot().connections == 0)

    run_loop(main())


def test_old_tempfiles_are_deleted_while_it_serves(run_loop: Run, house: House, tmp_path: Path) -> None:
    async def main() -> None:
        directory = tmp_path / "attachments"
        directory.mkdir(0o700)
        old = directory / "smtp-att-left-behind"
        for path in (old, directory / "not-ours"):
            path.touch()
            os.utime(path, (0, 0))
        settings = f"smtp.attachment_storage={{mode: tempfile, temp_dir: '{directory}', cleanup_after: 1s}}"
        async with serving("smtp.read_timeout=1ms", settings):
            await until(lambda: "old tempfiles deleted" in house.events("info"))
        assert house.log.record("old tempfiles deleted") == {"count": 1}
        assert [path.name for path in directory.iterdir()] == ["not-ours"]

    run_loop(main())


# Health


def test_what_is_complained_of(run_loop: Run, house: House) -> None:
    async def main() -> None:
        async with serving():
            (endpoints,) = house.endpoints
            pool = house.pool
            assert endpoints.watched is not None
            assert (list(endpoints.watched.pids()), endpoints.watched.stopping()) == ([os.getpid()], False)
            assert endpoints.complaints() == ("", "")
            pool.idle, pool.busy = 0, 1
            assert endpoints.complaints() == ("", "no worker available")
            pool.busy = 0
            assert endpoints.complaints() == ("no worker available", "no worker available")
        assert endpoints.watched.stopping()

    run_loop(main())


def test_in_debug_mode_no_worker_need_be_there(run_loop: Run, house: House) -> None:
    async def main() -> None:
        async with serving("smtp.pool.debug=true"):
            house.pool.idle = 0
            assert house.endpoints[-1].complaints() == ("", "")

    run_loop(main())


# Resets


def test_workers_are_replaced_when_they_are_there(run_loop: Run, house: House) -> None:
    async def main() -> None:
        server = Server(config())
        server.reset()
        assert house.did == []
        await server.start()
        server.reset()
        await until(lambda: house.events("info")[-1:] == ["workers replaced"])
        house.pool_fault = StartError("it ended")
        server.reset()
        await until(lambda: house.events("error") == ["workers could not be replaced"])
        with pytest.raises(StartError, match=r"^it ended$"):
            await server.renew()
        await server.stop()
        assert house.did.count("reset workers") == 3

    run_loop(main())


# One of several processes


def test_another_process_is_stood_in_for(run_loop: Run, house: House) -> None:
    async def main() -> None:
        own, spare = bind("127.0.0.1:0"), bind("127.0.0.1:0")
        own_address, address = format_address(own), format_address(spare)
        kept = spare.dup()
        kept.setblocking(False)
        place = ServerPlace({"default": own}, [{}, {"default": spare}], "unix:///parent/rpc", True)
        async with serving(place=place) as server:
            assert server.addresses == {"default": [own_address]}
            assert house.pool.launch.env["RR_RPC"] == "unix:///parent/rpc"
            assert "smtp.CloseConnection" in server.methods
            assert server.snapshot().counters is not None
            for _ in range(2):
                assert await server.stand_in(1)
                assert await server.stand_in(1)
                client = await Client.connect(address)
                assert await client.line() == b"220 mx.test ESMTP fastsmtp"
                server.stand_back(1)
                assert await client.ask(b"NOOP\r\n") == b"250 2.0.0 OK"  # its session goes on
                waiting = await Client.connect(address)
                theirs, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(kept), PATIENCE_S)
                theirs.close()
                await waiting.close()
                await client.close()
            server.stand_back(1)
        assert not await server.stand_in(1)
        kept.close()

    run_loop(main())


# The end


def test_a_stop_lets_transactions_finish_and_sends_the_idle_away(run_loop: Run, house: House) -> None:
    async def main() -> None:
        house.keeps = True
        server = Server(config())
        await server.start()
        async with connected(server) as idle, connected(server) as busy:
            assert await idle.line() == b"220 mx.test ESMTP fastsmtp"
            await busy.begin()
            busy_reply = asyncio.ensure_future(busy.ask(SHORT))
            await until(lambda: house.pool.kept)
            stopping = asyncio.ensure_future(server.stop())
            assert await idle.line() == GOING_DOWN
            assert await idle.line() == b""
            assert "stop workers" not in house.did
            house.pool.end(Verdict.ACCEPT)
            assert await busy_reply == b"250 2.0.0 Message accepted"
            assert [await busy.line() for _ in range(2)] == [GOING_DOWN, b""]
            await asyncio.wait_for(stopping, PATIENCE_S)
        assert house.did == ["bind endpoints", "start endpoints", "start workers", "stop workers", "stop endpoints"]
        assert house.events("warning") == []

    run_loop(main())


def test_the_grace_period_ends(run_loop: Run, house: House) -> None:
    async def main() -> None:
        server = Server(config("endure.grace_period=1ms"))
        await server.start()
        async with connected(server) as client:
            await client.begin()
            await asyncio.wait_for(server.stop(), PATIENCE_S)
            assert await client.line() == b""
        assert house.log.record("grace period is over") == {"connections": 1}
        assert house.did[-2:] == ["stop workers", "stop endpoints"]

    run_loop(main())


def test_an_abort_cuts_connections_and_kills_workers(run_loop: Run, house: House, tmp_path: Path) -> None:
    async def main() -> None:
        server = Server(config(f"smtp.addr=unix:{tmp_path}/smtp.sock"))
        await server.start()
        async with connected(server) as client:
            await client.begin()
            server.abort()
            assert await client.line() == b""
        assert house.did == ["bind endpoints", "start endpoints", "start workers", "kill workers", "abort endpoints"]
        assert list(tmp_path.iterdir()) == []

    run_loop(main())
