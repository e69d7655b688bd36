"""A relay over a pair of pipes. This module is not compiled, because it awaits; `setup.py` says why."""

from __future__ import annotations

import asyncio

from fastsmtp.goridge.relay import Relay, WriteSide


async def connect_pipes(relay: Relay, source: object, sink: object) -> None:
    """Attach `relay`, made with `pipes=True`, to the file objects it reads from and writes to; it owns them now.

    Not to be cancelled: a relay with one side open cannot be closed. It takes two turns of the loop.
    """
    loop = asyncio.get_running_loop()
    await loop.connect_write_pipe(lambda: WriteSide(relay), sink)
    await loop.connect_read_pipe(lambda: relay, source)
    relay.pipes_connected()
