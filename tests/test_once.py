"""The helper that holds callers of callbacks to their rule."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from once import Once


def test_called_once_after_the_call() -> None:
    told = Once[str]()
    with told.being_given():
        assert not told.called
    told("done")
    assert (told.called, told.value) == (True, "done")


def test_never_called() -> None:
    with pytest.raises(AssertionError, match=r"^not called"):
        _ = Once[str]().value


def test_called_from_within() -> None:
    told = Once[str]()

    def deliver(decided: Callable[[str], None]) -> None:
        decided("too early")

    with told.being_given(), pytest.raises(AssertionError, match=r"^called from within, with 'too early'$"):
        deliver(told)


def test_called_twice() -> None:
    told = Once[int]()
    told(1)
    with pytest.raises(AssertionError, match=r"^called 2 times, with \[1, 2\]$"):
        told(2)


def test_a_breach_that_the_caller_has_caught_is_found_all_the_same() -> None:
    told = Once[int]()
    told(1)
    with contextlib.suppress(AssertionError):
        told(2)
    with pytest.raises(AssertionError, match="called 2 times"):
        _ = told.value


def test_a_call_that_gets_it_may_be_within_another() -> None:
    told = Once[int]()
    with told.being_given(), told.being_given():
        pass
    told(1)
    assert told.value == 1


def test_wait() -> None:
    async def main() -> None:
        told = Once[int]()
        asyncio.get_running_loop().call_soon(told, 7)
        assert await told.wait() == 7
        assert await told.wait() == 7

    asyncio.run(main())
