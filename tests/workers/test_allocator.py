"""The dynamic allocator: by how much a pool grows and shrinks, and when."""

from __future__ import annotations

from typing import Any

import pytest

from fastsmtp.config.settings import DynamicAllocatorSettings
from fastsmtp.workers.allocator import DynamicAllocator


def make(num_workers: int = 4, **settings: Any) -> DynamicAllocator:
    return DynamicAllocator(DynamicAllocatorSettings(**settings), num_workers)


def grown(allocator: DynamicAllocator, *moments: float) -> list[int]:
    """How many there are after an email had to wait at each of the moments."""
    found = []
    for now in moments:
        before = allocator.additional
        assert allocator.grow(now) is (allocator.additional > before)
        found.append(allocator.additional)
    return found


def test_it_grows_by_steps_once_a_second_up_to_its_limit() -> None:
    allocator = make(max_workers=7, spawn_rate=3)
    assert grown(allocator, 0.0, 0.1, 0.99, 1.0, 1.5, 2.0, 3.0, 99.0) == [3, 3, 3, 6, 6, 7, 7, 7]


def test_it_shrinks_by_steps_after_each_idle_timeout() -> None:
    allocator = make(max_workers=7, spawn_rate=3, idle_timeout_s=10.0)
    assert grown(allocator, 0.0, 1.0, 2.0)[-1] == 7
    found = [
        (now, allocator.shrink(now, idle=11), allocator.additional) for now in (3.0, 11.9, 12.0, 12.1, 22.0, 32.0, 99.0)
    ]
    assert found == [(3.0, 0, 7), (11.9, 0, 7), (12.0, 3, 4), (12.1, 0, 4), (22.0, 3, 1), (32.0, 1, 0), (99.0, 0, 0)]


def test_an_email_that_waits_keeps_them() -> None:
    allocator = make(max_workers=2, spawn_rate=2, idle_timeout_s=10.0)
    assert grown(allocator, 0.0, 9.0) == [2, 2]
    assert allocator.shrink(18.9, idle=6) == 0
    assert allocator.shrink(19.0, idle=6) == 2


def test_only_idle_workers_leave() -> None:
    allocator = make(max_workers=5, spawn_rate=5, idle_timeout_s=10.0)
    allocator.grow(0.0)
    assert (allocator.shrink(10.0, idle=2), allocator.additional) == (2, 3)
    assert (allocator.shrink(20.0, idle=0), allocator.additional) == (0, 3)
    assert (allocator.shrink(30.0, idle=9), allocator.additional) == (3, 0)


@pytest.mark.parametrize(
    ("settings", "num_workers", "first", "most"),
    [
        ({}, 4, 5, 10),
        ({"max_workers": 0, "spawn_rate": 0}, 4, 5, 10),
        ({"max_workers": 3}, 4, 3, 3),
        ({"max_workers": 5000, "spawn_rate": 5000}, 500, 100, 1548),
    ],
    ids=["default", "zero", "few", "many"],
)
def test_the_limits_are_those_of_roadrunner(settings: dict[str, int], num_workers: int, first: int, most: int) -> None:
    allocator = make(num_workers, **settings)
    steps = grown(allocator, *map(float, range(100)))
    assert (steps[0], steps[-1]) == (first, most)
