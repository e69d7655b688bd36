"""Slices of long work: what is served between them, and who has the next."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from transports import StoppedLoop

from fastsmtp.system import timeslices
from fastsmtp.system.timeslices import TimeSlices, Turnstile, gathered, joined


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


def test_few_of_those_that_wake_together_pass_in_one_turn() -> None:
    async def go() -> list[int]:
        turnstile, passed = Turnstile(3), list[int]()

        async def pass_it() -> None:
            await turnstile.passed()
            passed[-1] += 1

        tasks = [asyncio.ensure_future(pass_it()) for _ in range(10)]
        tasks[4].cancel()
        while not all(task.done() for task in tasks):
            passed.append(0)
            await asyncio.sleep(0)
        return [count for count in passed if count]

    assert asyncio.run(go()) == [3, 3, 3]


def test_one_of_many_works_has_a_slice_in_each_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeslices, "SLICE_S", 0.0)  # each step takes longer than that
    monkeypatch.setattr(timeslices, "FIRST_S", 0.0)
    turns: list[str] = []

    def work(name: str) -> Iterator[str | None]:
        for step in range(3):
            turns[-1] += name
            yield f"{name}{step}" if step != 1 else None

    async def go() -> list[list[str]]:
        turns.append("")
        tasks = [asyncio.ensure_future(gathered(work(name))) for name in "abc"]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            turns.append("")
        return [task.result() for task in tasks]

    assert asyncio.run(go()) == [["a0", "a2"], ["b0", "b2"], ["c0", "c2"]]
    assert [turn for turn in turns if turn] == ["abc", "a", "b", "c", "a", "b", "c"]


@pytest.mark.parametrize(("slice_s", "expected"), [(0.0, [b"a", b"bc", b"d", b""]), (60.0, [b"abc", b"d"])])
def test_pieces_are_joined_up_to_a_size_and_the_end_of_a_slice(
    monkeypatch: pytest.MonkeyPatch, slice_s: float, expected: list[bytes]
) -> None:
    monkeypatch.setattr(timeslices, "SLICE_S", slice_s)
    monkeypatch.setattr(timeslices, "FIRST_S", slice_s)

    async def go() -> list[bytes]:
        return [piece async for piece in joined(iter([b"a", b"bc", b"d"]), 3)]

    assert asyncio.run(go()) == expected
