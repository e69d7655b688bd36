"""One worker without a pool: its states, in the order its owner sees them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from pools import Log, Run, kill, launch
from waits import until

from fastsmtp.errors import StartError
from fastsmtp.goridge.frame import CODEC_JSON, CONTROL, Frame, FrameDecoder, encode_frame
from fastsmtp.system.process import Identity
from fastsmtp.workers.listener import RelayListener
from fastsmtp.workers.worker import State, WorkerProcess


class Owner:
    """Keeps what it is told, with the state the worker was in."""

    def __init__(self) -> None:
        self.told: list[tuple[object, State]] = []

    def on_answer(self, worker: WorkerProcess, frame: Frame) -> None:
        self.told.append((frame.payload, worker.state))

    def on_lost(self, worker: WorkerProcess, reason: str) -> None:
        self.told.append((reason, worker.state))

    def on_exit(self, worker: WorkerProcess) -> None:
        self.told.append((worker.status, worker.state))


@asynccontextmanager
async def worker_of(name: str, relay: str, log: Log) -> AsyncIterator[tuple[WorkerProcess, Owner]]:
    """A worker that has shaken hands; it is killed at the end."""
    owner, listener = Owner(), None
    if relay != "pipes":
        listener = RelayListener(relay, 5, log.logger)
        await listener.start(Identity())
    worker = WorkerProcess(owner, launch(name, relay), Identity(), listener, log.logger)
    assert worker.state is State.INACTIVE
    await worker.start()
    assert worker.state is State.READY
    try:
        yield worker, owner
    finally:
        worker.kill()
        await worker.gone()
        if listener is not None:
            listener.close()


def now() -> float:
    return asyncio.get_running_loop().time()


def test_exec_and_stop(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with worker_of("echo", relay, log) as (worker, owner):
            worker.exec([b"CL", b"OSE"], [], now())
            assert worker.state is State.WORKING
            await until(lambda: owner.told)
            worker.stop()
            await worker.gone()
            assert owner.told == [(b"CLOSEa body that is not read", State.READY), ("exit status 0", State.STOPPED)]
            assert worker.execs == 1

    run_loop(main())


def test_kill_is_no_loss(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with worker_of("accepts", relay, log) as (worker, owner):
            worker.kill()
            worker.kill()
            assert (worker.state, owner.told) == (State.ERRORED, [])
            await worker.gone()
            assert owner.told == [("killed by SIGKILL", State.STOPPED)]
            worker.kill()

    run_loop(main())


def test_loss_is_told_before_the_end(run_loop: Run, log: Log, relay: str) -> None:
    async def main() -> None:
        async with worker_of("hangs", relay, log) as (worker, owner):
            worker.exec([b"x"], [], now())
            kill(worker.pid)
            await worker.gone()
            assert owner.told == [
                ("closed the connection", State.ERRORED),
                ("killed by SIGKILL", State.STOPPED),
            ]

    run_loop(main())


@pytest.mark.parametrize("state", [State.STOPPING, State.WORKING, State.ERRORED])
def test_impossible_transition(run_loop: Run, log: Log, state: State) -> None:
    async def main() -> None:
        async with worker_of("accepts", "pipes", log) as (worker, _):
            if state is State.STOPPING:
                worker.stop()
            elif state is State.WORKING:
                worker.exec([b"x"], [], now())
            else:
                worker.kill()
            with pytest.raises(AssertionError, match=f"^worker {worker.pid}: {state.name} -> WORKING$"):
                worker.exec([b"x"], [], now())

    run_loop(main())


@pytest.mark.parametrize("turns", [0, 1, 5])  # pipes are attached in the second
def test_killed_while_it_starts(run_loop: Run, log: Log, relay: str, turns: int) -> None:
    async def main() -> None:
        listener = None
        if relay != "pipes":
            listener = RelayListener(relay, 5, log.logger)
            await listener.start(Identity())
        owner = Owner()
        worker = WorkerProcess(owner, launch("never_connects", relay), Identity(), listener, log.logger)
        start = asyncio.ensure_future(worker.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        worker.kill()
        with pytest.raises(StartError, match=r"did not start: killed; killed by SIGKILL$"):
            await start
        assert owner.told == [("killed by SIGKILL", State.STOPPED)]
        if listener is not None:
            listener.close()

    run_loop(main())


def test_ends_right_after_the_handshake(run_loop: Run, log: Log, relay: str) -> None:
    """Whether its end or its answer is seen first is chance; either way it is told once, and nothing is left."""

    async def main() -> None:
        listener = None
        if relay != "pipes":
            listener = RelayListener(relay, 5, log.logger)
            await listener.start(Identity())
        for _ in range(20):
            owner = Owner()
            worker = WorkerProcess(owner, launch("crashes_idle", relay), Identity(), listener, log.logger)
            with suppress(StartError):
                await worker.start()
            await worker.gone()
            assert owner.told[-1] == ("exit status 9", State.STOPPED)
            assert len(owner.told) <= 2
        if listener is not None:
            listener.close()

    run_loop(main())


async def shake_hands(address: str, pid: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a listener over tcp and answer its handshake with `pid`."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    decoder = FrameDecoder()
    while not (frames := decoder.feed(await reader.read(100))):
        pass
    assert frames == [Frame(CONTROL | CODEC_JSON, 0, (), json.dumps({"pid": os.getpid()}).encode())]
    writer.write(encode_frame(CONTROL, json.dumps({"pid": pid}).encode()))
    return reader, writer


@pytest.mark.parametrize(
    ("trusting", "awaited", "answered", "arrived"),
    [
        (True, [101, 102], 102, [(102, 102)]),
        (True, [101], 4_000_000, [(101, 4_000_000)]),  # a pid of another container, and no other is awaited
        (True, [101, 102], 4_000_000, []),
        (True, [], 101, []),
        (False, [101, 102], 102, []),
        (False, [101], 4_000_000, []),
    ],
    ids=["known", "only-one", "unknown", "only-one-foreign-pid", "not-proven", "only-one-not-proven"],
)
def test_who_has_connected(
    run_loop: Run, log: Log, trusting: bool, awaited: list[int], answered: int, arrived: list[tuple[int, int]]
) -> None:
    """`test_strangers.py` has processes that are there."""

    async def main() -> None:
        listener = RelayListener("tcp://127.0.0.1:0", 5, log.logger, trusting=trusting)
        await listener.start(Identity())
        found: list[tuple[int, int]] = []
        for launched in awaited:
            listener.expect(
                launched,
                "token",
                lambda pid, relay, launched=launched: (found.append((launched, pid)), relay.abort()),  # type: ignore[misc]
            )
        reader, writer = await shake_hands(listener.address, answered)
        assert await reader.read() == b""
        writer.close()
        listener.close()
        assert found == arrived
        warnings = [record["event"] for record in log.records]
        assert warnings == ([] if arrived else ["a process that is not a worker connected, closed"])

    run_loop(main())


def test_who_never_answers_is_dropped(run_loop: Run, log: Log) -> None:
    async def main() -> None:
        listener = RelayListener("tcp://127.0.0.1:0", 0.05, log.logger)
        await listener.start(Identity())
        host, _, port = listener.address.removeprefix("tcp://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        assert FrameDecoder().feed(await reader.read()) != []
        writer.close()
        listener.close()
        assert [record["reason"] for record in log.records] == ["no answer in time"]

    run_loop(main())
