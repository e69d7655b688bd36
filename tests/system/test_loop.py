"""A whole run on uvloop, and work that an event breaks off."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from fastsmtp.system.loop import run, unless


def test_a_run_is_on_uvloop_and_ends_the_tasks_that_are_left() -> None:
    ended: list[str] = []

    async def stay() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def main() -> str:
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
        left = asyncio.ensure_future(stay())
        await asyncio.sleep(0)
        assert not left.done()
        return "result"

    assert (run(main()), ended) == ("result", ["cancelled"])


def test_a_run_raises_what_it_raises() -> None:
    async def main() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match=r"^broken$"):
        run(main())


def test_work_that_comes_to_its_end() -> None:
    did: list[str] = []

    async def work() -> None:
        did.append("done")

    assert run(unless(asyncio.Event(), work())) is True
    assert did == ["done"]


def test_work_that_is_broken_off_has_ended_when_that_is_told() -> None:
    did: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            did.append("put away")

    async def main() -> bool:
        event = asyncio.Event()
        asyncio.get_running_loop().call_soon(event.set)
        return await unless(event, work())

    assert run(main()) is False
    assert did == ["put away"]


def test_work_that_fails() -> None:
    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match=r"^broken$"):
        run(unless(asyncio.Event(), work()))
