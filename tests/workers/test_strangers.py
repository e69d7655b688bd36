"""Who becomes a worker: the processes that were launched and what they have launched, and no other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gates import Gate
from leftovers import children
from pools import WORKERS, Log, Run, launch, running, verdict
from procs import environment
from waits import until

from fastsmtp.config.settings import PoolSettings
from fastsmtp.errors import StartError
from fastsmtp.goridge.frame import CODEC_JSON, CONTROL, FrameDecoder, encode_frame
from fastsmtp.smtp.events import Verdict
from fastsmtp.workers.launch import Launch
from fastsmtp.workers.listener import MAX_UNPROVEN
from fastsmtp.workers.pool import Pool

CONTINUE = Verdict.ACCEPT
SOCKETS = pytest.mark.parametrize("relay", ["unix", "tcp://127.0.0.1:0", "tcp://[::1]:0"], ids=["unix", "tcp", "tcp6"])
TCP = pytest.mark.parametrize("relay", ["tcp://127.0.0.1:0"], ids=["tcp"])


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Holds every worker of `connects_late.php` before it connects."""
    gate = Gate(tmp_path / "gate")
    gate.path.with_name("gate-first").mkdir()
    return gate


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix://"):
        return await asyncio.open_unix_connection(address.removeprefix("unix://"))
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port))


async def shake_hands(address: str, answer: object) -> bool:
    """Answer a handshake; whether the connection is closed after it. It stays open where not."""
    reader, writer = await connect(address)
    decoder = FrameDecoder()
    try:
        while octets := await reader.read(1000):
            if decoder.feed(octets):
                writer.write(encode_frame(CONTROL | CODEC_JSON, json.dumps(answer).encode()))
                break
        octets = await reader.read(1)
    except ConnectionResetError:
        octets = b""
    writer.close()
    with contextlib.suppress(ConnectionResetError):
        await writer.wait_closed()
    return octets == b""


def is_launched() -> bool:
    """Whether our only child is the program of a worker, and not on its way there any more."""
    return bool(children()) and "RR_RELAY" in environment(children()[0])


@contextlib.asynccontextmanager
async def starting(pool: Pool, gate: Gate) -> AsyncIterator[int]:
    """The pid of the worker that was launched, and connects when the block is over; then the pool runs."""
    start = asyncio.ensure_future(pool.start())
    await until(is_launched)
    yield children()[0]
    with gate.wait_for_worker() as opened:
        opened.let_go()
    await start


def make_pool(relay: str, log: Log, gate: Gate, **more: Any) -> Pool:
    return Pool(
        PoolSettings(num_workers=1), launch("connects_late", relay, env={"GATE": str(gate.path)}, **more), log.logger
    )


@SOCKETS
def test_a_stranger_that_comes_first_is_no_worker(run_loop: Run, log: Log, relay: str, gate: Gate) -> None:
    async def main() -> None:
        pool = make_pool(relay, log, gate)
        async with starting(pool, gate) as worker:
            address = environment(worker)["RR_RELAY"]
            # Anything, its own pid, that of the worker, and what is not proof either.
            for answer in (
                {"pid": 7},
                {"pid": os.getpid()},
                {"pid": worker},
                {"pid": worker, "token": ""},
                {"pid": worker, "token": "0" * 32},
                {"pid": worker, "token": 1},
                {"pid": worker, "token": "ü\ud800"},
            ):
                assert await shake_hands(address, answer)
        assert [info.pid for info in pool.workers()] == [worker]
        assert await verdict(pool) is CONTINUE
        await pool.stop()
        refused = [item for item in log.records if item["event"] == "a process that is not a worker connected, closed"]
        assert len(refused) == 7
        assert {item["level"] for item in refused} == {"warning"}

    run_loop(main())


@SOCKETS
def test_each_worker_is_the_one_that_it_is(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with running(Pool(PoolSettings(num_workers=3), launch("accepts", relay), log.logger)) as pool:
            assert sorted(info.pid for info in pool.workers()) == children()

    run_loop(main())


@SOCKETS
@pytest.mark.parametrize("wrapper", [("sh", "-c", '"$@"; exit', "sh"), ("setsid", "--wait")], ids=["shell", "setsid"])
def test_a_worker_that_its_wrapper_has_launched(run_loop: Run, log: Log, relay: str, wrapper: tuple[str, ...]) -> None:
    async def main() -> None:
        command = (*wrapper, "php", str(WORKERS / "accepts.php"))
        async with running(Pool(PoolSettings(num_workers=2), Launch(command, relay), log.logger)) as pool:
            assert await verdict(pool) is CONTINUE

    run_loop(main())


RAW_WORKER = """
import json, os, socket, sys
from fastsmtp.goridge.frame import *
relay = os.environ["RR_RELAY"]
if relay.startswith("unix://"):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(relay[7:])
else:
    host, _, port = relay[6:].rpartition(":")
    connection = socket.create_connection((host.strip('[]'), int(port)))
decoder = FrameDecoder()
while octets := connection.recv(65536):
    for frame in decoder.feed(octets):
        if not frame.flags & CONTROL:
            connection.sendall(encode_frame(CODEC_JSON, b"", (0,)))
        elif b"stop" in frame.payload:
            sys.exit()
        else:
            answer = json.dumps({"pid": 7, **ANSWER})
            connection.sendall(encode_frame(CONTROL | CODEC_JSON, answer.encode()))
"""
# As from a container: there its own pid is another one than here.
TOKEN = '{"token": os.environ["FASTSMTP_RELAY_TOKEN"]}'


def raw_worker(answer: str, relay: str, **more: Any) -> Launch:
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = (sys.executable, "-c", RAW_WORKER.replace("ANSWER", answer))
    return Launch(command, relay, env=env, **more)


@SOCKETS
def test_a_token_is_a_proof(run_loop: Run, log: Log, relay: str) -> None:
    """Over a unix socket the kernel's word is enough, and is the last one."""

    async def main() -> None:
        async with running(Pool(PoolSettings(num_workers=3), raw_worker(TOKEN, relay), log.logger)) as pool:
            assert await verdict(pool) is CONTINUE

    run_loop(main())


@TCP
def test_a_worker_that_proves_nothing_is_let_in_where_the_relay_is_trusted(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        refused = Pool(PoolSettings(num_workers=1), raw_worker("{}", relay), log.logger)
        with pytest.raises(StartError, match=r"one in a container needs server\.trust_relay"):
            await refused.start()
        trusting = Pool(PoolSettings(num_workers=1), raw_worker("{}", relay, trust_relay=True), log.logger)
        async with running(trusting) as pool:
            assert await verdict(pool) is CONTINUE

    run_loop(main())


@SOCKETS
def test_where_the_relay_is_trusted_a_stranger_may_be_the_worker(
    run_loop: Run, log: Log, relay: str, gate: Gate
) -> None:
    """That is what the setting means: the only process that is awaited may be any that comes."""

    async def main() -> None:
        pool = make_pool(relay, log, gate, trust_relay=True)
        start = asyncio.ensure_future(pool.start())
        await until(is_launched)
        stranger = asyncio.ensure_future(shake_hands(environment(children()[0])["RR_RELAY"], {"pid": 7}))
        await start
        assert pool.idle == 1
        pool.kill()
        await pool.stop()
        assert await stranger

    run_loop(main())


@TCP
def test_strangers_do_not_use_up_the_descriptors(run_loop: Run, log: Log, relay: str, gate: Gate) -> None:
    """Of those that say nothing only some are waited for; a worker is let in all the same."""

    async def main() -> None:
        pool = make_pool(relay, log, gate)
        async with starting(pool, gate) as worker:
            address = environment(worker)["RR_RELAY"]
            silent = [await connect(address) for _ in range(3 * MAX_UNPROVEN)]
            await until(lambda: [item["event"] for item in log.records].count(TOO_MANY) >= MAX_UNPROVEN)
        assert await verdict(pool) is CONTINUE
        await pool.stop()
        for reader, writer in silent:
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
            writer.close()
            with contextlib.suppress(ConnectionResetError):
                await writer.wait_closed()

    run_loop(main())


TOO_MANY = "too many processes wait on the workers' socket, closed"
