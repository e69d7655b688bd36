"""The event loop of a whole run: uvloop, and work that a signal can break off."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

import uvloop

_T = TypeVar("_T")


def run(main_coroutine: Coroutine[None, None, _T]) -> _T:
    """`asyncio.run` on uvloop, also where Python has no `asyncio.Runner` yet (3.10)."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main_coroutine)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


async def unless(event: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Do `work`, but give it up as soon as `event` is set; True when it was done. Raises what it raises."""
    task = asyncio.ensure_future(work)
    interrupt = asyncio.ensure_future(event.wait())
    await asyncio.wait({task, interrupt}, return_when=asyncio.FIRST_COMPLETED)
    interrupt.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False
