"""Waits for a state of which no event tells: it is looked at again and again, and a test that waits in vain fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

PATIENCE_S: Final = 30.0  # for what must come; far more than anything here takes
_LOOK_EVERY_S: Final = 0.002


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is true, while the loop runs."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while not condition():
        assert loop.time() < deadline, "waited in vain"
        await asyncio.sleep(_LOOK_EVERY_S)


def wait_until(condition: Callable[[], object]) -> None:
    """Block until something is true, of another process or thread."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(_LOOK_EVERY_S)
