"""The handshake with fake relays and fake workers: what is an answer, and how a start ends."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine
from typing import Any

import pytest

from fastsmtp.errors import StartError, WorkerError
from fastsmtp.goridge.frame import CODEC_JSON, CONTROL, Frame, FrameDecoder, encode_frame
from fastsmtp.goridge.relay import Relay
from fastsmtp.workers.handshake import Answered, Handshake, await_handshake


class FakeRelay:
    """What a handshake needs of a relay."""

    def __init__(self, incomplete: bool = False) -> None:
        self.did: list[object] = []
        self.incomplete = incomplete

    def send(self, flags: int, payload: bytes) -> None:
        self.did.append((flags, payload))

    def abort(self) -> None:
        self.did.append("aborted")


class Told:
    """What the owner of a handshake is told."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.handshake = Handshake(
            lambda answered, relay: self.calls.append(answered),
            lambda relay, reason: self.calls.append(reason),
            lambda relay: self.calls.append("closed"),
        )


def frames(*payloads: bytes, flags: int = CONTROL | CODEC_JSON) -> list[Frame]:
    wire = b"".join(encode_frame(flags, payload) for payload in payloads)
    return FrameDecoder(1000).feed(wire)


def answer(told: Told, relay: FakeRelay, *payloads: bytes, **more: int) -> list[object]:
    told.handshake.on_frames(relay, frames(*payloads, **more))  # type: ignore[arg-type]
    return told.calls


def test_asks_for_the_pid() -> None:
    told, relay = Told(), FakeRelay()
    told.handshake.on_connected(relay)  # type: ignore[arg-type]
    assert relay.did == [(CONTROL | CODEC_JSON, json.dumps({"pid": os.getpid()}).encode())]
    assert told.calls == []


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        (b'{"pid": 7}', Answered(7)),
        (b'{"pid": 7, "token": "x"}', Answered(7, "x")),
        (b'{"pid": 7, "token": 5}', Answered(7)),
    ],
)
def test_answered(payload: bytes, found: Answered) -> None:
    told, relay = Told(), FakeRelay()
    assert (answer(told, relay, payload), relay.did) == ([found], [])


@pytest.mark.parametrize(
    "payload",
    [b"", b"7", b"[]", b"{}", b'{"pid": 0}', b'{"pid": "7"}', b"\xff", b"[" * 100_000],
    ids=lambda p: repr(p[:12]),
)
def test_no_answer(payload: bytes) -> None:
    told, relay = Told(), FakeRelay()
    decoder = FrameDecoder(1_000_000)
    told.handshake.on_frames(relay, decoder.feed(encode_frame(CONTROL | CODEC_JSON, payload)))  # type: ignore[arg-type]
    reason = f"did not answer the handshake with its pid, but with {payload[:256]!r}"
    assert (told.calls, relay.did) == ([reason], ["aborted"])


@pytest.mark.parametrize("how", ["no control frame", "two frames", "half a frame behind it"])
def test_more_than_an_answer(how: str) -> None:
    told, relay = Told(), FakeRelay(incomplete=how == "half a frame behind it")
    payloads = [b'{"pid": 7}'] * (2 if how == "two frames" else 1)
    found = answer(told, relay, *payloads, **({"flags": CODEC_JSON} if how == "no control frame" else {}))
    assert found == ["did not answer the handshake with its pid, but with b'{\"pid\": 7}'"]
    assert relay.did == ["aborted"]


def test_broken_and_closed() -> None:
    told, relay = Told(), FakeRelay()
    told.handshake.on_broken(relay, "closed the relay")  # type: ignore[arg-type]
    told.handshake.on_closed(relay)  # type: ignore[arg-type]
    assert told.calls == ["closed the relay", "closed"]


class FakeWorker:
    """A worker that was launched; its relay opens at once, or never."""

    def __init__(self, opening: Coroutine[Any, Any, None] | None = None) -> None:
        self.did: list[str] = []
        self._opening = opening

    def open_relay(self) -> Coroutine[Any, Any, None] | None:
        self.did.append("open_relay")
        return self._opening

    def stop_expecting(self) -> None:
        self.did.append("stop_expecting")

    def give_up(self) -> None:
        self.did.append("give_up")

    def kill(self) -> None:
        self.did.append("kill")

    async def gone(self) -> None:
        self.did.append("gone")

    def start_error(self, reason: str) -> StartError:
        return StartError(f"worker did not start: {reason}")


async def start(worker: FakeWorker, timeout_s: float, fault: Exception | None = None, *, done: bool = True) -> None:
    started = asyncio.get_running_loop().create_future()
    if fault is not None:
        started.set_exception(fault)
    elif done:
        started.set_result(None)
    await await_handshake(worker, started, timeout_s)


async def opens(worker: list[str]) -> None:
    worker.append("opened")


def test_starts() -> None:
    opened: list[str] = []
    worker = FakeWorker(opens(opened))
    asyncio.run(start(worker, 5.0))
    assert (worker.did, opened) == (["open_relay", "stop_expecting"], ["opened"])


def test_takes_too_long() -> None:
    worker = FakeWorker()
    with pytest.raises(StartError, match=r"^worker did not start: no handshake within 0\.001 s$"):
        asyncio.run(start(worker, 0.001, done=False))
    assert worker.did == ["open_relay", "give_up", "kill", "gone", "stop_expecting"]


def test_ends_in_the_handshake() -> None:
    worker = FakeWorker()
    with pytest.raises(StartError, match=r"^worker did not start: exit status 3$"):
        asyncio.run(start(worker, 0.0, WorkerError("exit status 3")))
    assert worker.did == ["open_relay", "give_up", "gone", "stop_expecting"]


def test_cancelled() -> None:
    worker = FakeWorker()

    async def main() -> None:
        starting = asyncio.ensure_future(start(worker, 0.0, done=False))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    asyncio.run(main())
    assert worker.did == ["open_relay", "kill", "stop_expecting"]


def test_relay_type() -> None:
    """The fakes stand for a real relay: it has what they have."""
    assert {name for name in dir(FakeRelay(False)) if not name.startswith("_")} - {"did"} <= set(
        dir(Relay(Handshake(lambda answered, relay: None, lambda relay, reason: None)))
    )
