"""What an SMTP process knows of plans: in which namespaces there are any, and where they want to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from fastsmtp.inbox.frames import PlanOrder
from fastsmtp.smtp.planner import Plans


class Waiting(Protocol):
    """A connection that a plan makes wait."""

    @property
    def plan(self) -> tuple[str, int]:
        """The namespace and the number of the plan."""

    def wake(self) -> None:
        """Its time is over."""


class PlansKnown:
    """The plans of all namespaces, as the inbox tells them. To be used from one event loop."""

    def __init__(self) -> None:
        self.plans: Final = Plans()
        self._orders: dict[str, PlanOrder] = {}
        self._waiting: dict[Waiting, None] = {}

    def take(self, changed: Mapping[str, PlanOrder | None]) -> None:
        """The plans of these namespaces are others, or no more: connections that those made wait go on."""
        for namespace, order in changed.items():
            if order is None:
                self._orders.pop(namespace, None)
            else:
                self._orders[namespace] = order
        if changed:
            self._apply()

    def clear(self) -> None:
        """The inbox is gone, and its plans with it."""
        if self._orders:
            self._orders.clear()
            self._apply()

    def _apply(self) -> None:
        stages = frozenset[str]().union(*(order.stages for order in self._orders.values()))
        self.plans.stages = stages or None
        for waiting in list(self._waiting):
            namespace, number = waiting.plan
            if not self.is_current(namespace, number):
                waiting.wake()

    def order(self, namespace: str) -> PlanOrder | None:
        """Return where the plan of a namespace wants to be asked, None without one."""
        return self._orders.get(namespace)

    def is_current(self, namespace: str, number: int) -> bool:
        """Whether this is the plan of the namespace still."""
        order = self._orders.get(namespace)
        return order is not None and order.number == number

    def await_end(self, waiting: Waiting) -> None:
        """Wake it when its plan is another one, or no more."""
        self._waiting[waiting] = None

    def forget(self, waiting: Waiting) -> None:
        """It waits no more. May be called twice."""
        self._waiting.pop(waiting, None)
