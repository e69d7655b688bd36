"""Planners of sessions that stand alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from fastsmtp.faults.actions import Action
from fastsmtp.faults.question import Question
from fastsmtp.inbox.frames import Asking, Decided, PlanOrder
from fastsmtp.inbox.link import Link
from fastsmtp.inbox.listenerplans import ListenerPlans
from fastsmtp.inbox.names import DEFAULT
from fastsmtp.inbox.plansknown import PlansKnown
from fastsmtp.inbox.resolver import Resolver
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


class FakeLink:
    """In the place of an inbox: one plan of "default", whose answers are given here."""

    def __init__(self, *stages: str, marks: tuple[int, ...] = ()) -> None:
        self.plans = PlansKnown()
        self.questions: list[Question] = []
        self._answers: list[Callable[[Decided | None], None]] = []
        self.plans.take({DEFAULT: PlanOrder(1, frozenset(stages), marks)})

    def ask(self, asking: Asking, answer: Callable[[Decided | None], None]) -> None:
        self.questions.append(asking.question)
        self._answers.append(answer)

    def count(self, namespace: str, event: str) -> None:
        assert (namespace, bool(event)) == (DEFAULT, True)

    def answer(self, action: Action | None = None) -> None:
        """The oldest question is answered; the shortest delay is drawn."""
        decided = None if action is None else Decided(DEFAULT, 1, "r", action, action.delay[0])
        self._answers.pop(0)(decided)

    def end(self) -> None:
        """The plan is no more."""
        self.plans.take({DEFAULT: None})


def listener_plans(link: FakeLink) -> ListenerPlans:
    """What a listener knows of that plan."""
    return ListenerPlans(cast(Link, link), Resolver(["plus"]), "default")
