"""A relay over a pair of pipes: what is sent goes into the one, what comes out of the other is read as frames."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest
from pools import LOOPS, run

from fastsmtp.goridge.frame import CODEC_JSON, CONTROL, Frame, encode_frame
from fastsmtp.goridge.pipes import connect_pipes
from fastsmtp.goridge.relay import Relay


class Owner:
    """Notes what a relay tells it."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.changed = asyncio.Event()

    def _note(self, what: object) -> None:
        self.told.append(what)
        self.changed.set()

    async def hears(self, count: int) -> list[object]:
        while len(self.told) < count:
            await asyncio.wait_for(self.changed.wait(), 20.0)
            self.changed.clear()
        return self.told

    def on_connected(self, relay: Relay) -> None:
        self._note("connected")

    def on_frames(self, relay: Relay, frames: list[Frame]) -> None:
        self._note([(frame.flags, frame.payload) for frame in frames])

    def on_broken(self, relay: Relay, reason: str) -> None:
        self._note(reason)

    def on_closed(self, relay: Relay) -> None:
        self._note("closed")


@pytest.mark.parametrize("make_loop", LOOPS.values(), ids=LOOPS)
def test_both_directions(make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        owner = Owner()
        relay = Relay(owner, pipes=True)
        (from_worker, worker_out), (worker_in, to_worker) = os.pipe(), os.pipe()
        await connect_pipes(relay, os.fdopen(from_worker, "rb", 0), os.fdopen(to_worker, "wb", 0))
        assert owner.told == ["connected"]
        relay.send(CONTROL | CODEC_JSON, b"{}")
        sent = encode_frame(CONTROL | CODEC_JSON, b"{}")
        assert os.read(worker_in, 100) == sent
        os.write(worker_out, sent)
        assert await owner.hears(2) == ["connected", [(CONTROL | CODEC_JSON, b"{}")]]
        os.close(worker_out)
        assert len(await owner.hears(4)) == 4
        assert owner.told[3] == "closed"
        assert os.read(worker_in, 100) == b""
        os.close(worker_in)

    run(make_loop, main())
