"""The rule of callbacks that end something: called exactly once, and never from within the call that was given them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE_S = 20.0  # for a call that must come


class Once(Generic[T]):
    """A callback that holds its caller to the rule, and keeps what it was called with.

    A breach fails at once, and again where the value is asked for: the caller may have caught the first failure.

        decided = Once[Verdict]()
        with decided.being_given():
            destination.deliver(email, decided)
        assert await decided.wait() is Verdict.ACCEPT
    """

    def __init__(self) -> None:
        self._values: list[T] = []
        self._breaches: list[str] = []
        self._given = 0  # calls that get the callback and have not returned
        self._called = asyncio.Event()

    @contextlib.contextmanager
    def being_given(self) -> Iterator[None]:
        """The block is the call that gets the callback."""
        self._given += 1
        try:
            yield
        finally:
            self._given -= 1

    def __call__(self, value: T) -> None:
        self._values.append(value)
        self._called.set()
        if self._given:
            self._break(f"called from within, with {value!r}")
        if len(self._values) > 1:
            self._break(f"called {len(self._values)} times, with {self._values!r}")

    def _break(self, breach: str) -> None:
        self._breaches.append(breach)
        raise AssertionError(breach)

    @property
    def called(self) -> bool:
        """Whether the call has come."""
        return self._called.is_set()

    @property
    def value(self) -> T:
        """What the callback was called with; fails where it was not called, or not as the rule says."""
        assert not self._breaches, self._breaches[0]
        assert self._values != [], "not called"
        return self._values[0]

    async def wait(self) -> T:
        """Wait for the call, and return its value."""
        await asyncio.wait_for(self._called.wait(), PATIENCE_S)
        return self.value
