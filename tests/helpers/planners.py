"""Planners of sessions that stand alone."""

from __future__ import annotations

from fastsmtp.smtp.planner import Plans
from fastsmtp.smtp.policy import Facts


class OnePlan:
    """Wants to be asked at some stages, and at `body` after so many octets."""

    def __init__(self, *stages: str, marks: tuple[int, ...] = ()) -> None:
        self.plans = Plans()
        self.plans.stages = frozenset(stages)
        self._marks = marks

    def concerns(self, facts: Facts) -> bool:
        return True

    def marks(self, facts: Facts) -> tuple[int, ...]:
        return self._marks
