"""Workers are replaced once more when that was asked for meanwhile, and what fails is logged."""

from __future__ import annotations

import asyncio

import structlog
from structlog.testing import capture_logs

from fastsmtp.errors import StartError
from fastsmtp.system.loop import run
from fastsmtp.workers.resetter import Resets


def test_what_is_asked_for_meanwhile_is_done_once_more_and_no_more() -> None:
    running = 0
    done: list[int] = []

    async def go() -> None:
        began, go_on, third = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def reset() -> None:
            nonlocal running
            running += 1
            done.append(running)
            began.set()
            if len(done) == 3:
                third.set()
            await go_on.wait()
            running -= 1
            if len(done) == 1:
                raise StartError("no such program")

        resets = Resets(reset, structlog.get_logger())
        resets.ask()
        await began.wait()
        for _ in range(3):
            resets.ask()
        go_on.set()
        while len(done) < 2 or running:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        resets.ask()
        await third.wait()

    with capture_logs() as logs:
        run(go())
    assert done == [1, 1, 1]
    assert logs[:2] == [
        {"event": "workers could not be replaced", "error": "no such program", "log_level": "error"},
        {"event": "workers replaced", "log_level": "info"},
    ]
