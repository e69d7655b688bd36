"""Questions to plans that have no answer yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from fastsmtp.inbox.frames import Decided


class Questions:
    """What sessions have asked, by number. Where no answer comes, their commands go on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, patience_s: float) -> None:
        self._loop: Final = loop
        self._patience_s: Final = patience_s
        self._asked: dict[int, tuple[float, Callable[[Decided | None], None]]] = {}  # deadline and who asks

    def add(self, number: int, answer: Callable[[Decided | None], None]) -> None:
        """Something was asked."""
        self._asked[number] = (self._loop.time() + self._patience_s, answer)

    def answer(self, number: int, decided: Decided | None) -> None:
        """The inbox told what a plan does."""
        _deadline, answer = self._asked.pop(number, (0.0, None))
        if answer is not None:
            answer(decided)

    def let_pass(self) -> None:
        """Let all commands go on, soon: nothing is answered any more."""
        self._pass(list(self._asked))

    def let_overdue_pass(self) -> None:
        """Let those commands go on whose time is over."""
        now = self._loop.time()
        self._pass([number for number, (deadline, _answer) in self._asked.items() if deadline <= now])

    def _pass(self, numbers: list[int]) -> None:
        for number in numbers:
            _deadline, answer = self._asked.pop(number)
            self._loop.call_soon(answer, None)
