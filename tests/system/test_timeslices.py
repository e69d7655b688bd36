"""Slices of long work: what is served between them, and who has the next."""

from __future__ import annotations

import pytest
from transports import StoppedLoop

from fastsmtp.system import timeslices
from fastsmtp.system.timeslices import TimeSlices


class Work:
    """So many steps, noted as they are taken."""

    def __init__(self, name: str, steps: int, taken: list[str]) -> None:
        self._name, self._left, self._taken = name, steps, taken

    def step(self) -> bool:
        self._taken.append(self._name)
        self._left -= 1
        return self._left > 0


def test_works_take_turns_until_each_is_done() -> None:
    loop, taken = StoppedLoop(), list[str]()
    slices = TimeSlices(loop)
    for name, steps in (("a", 3), ("b", 1), ("c", 2)):
        slices.add(Work(name, steps, taken).step)
    assert taken == []
    loop.turn()
    assert taken == ["a", "b", "c", "a", "c", "a"]
    slices.add(Work("d", 1, taken).step)
    loop.turn()
    loop.close()
    assert taken[6:] == ["d"]


def test_others_are_served_between_two_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeslices, "SLICE_S", 0.0)  # each step takes longer than that
    loop, taken = StoppedLoop(), list[str]()
    slices = TimeSlices(loop)
    slices.add(Work("a", 3, taken).step)
    slices.add(Work("b", 2, taken).step)
    for turn in range(5):
        loop.call_soon(taken.append, f"turn {turn}")
        loop.turn()
    loop.close()
    assert taken == ["a", "turn 0", "b", "turn 1", "a", "turn 2", "b", "turn 3", "a", "turn 4"]
