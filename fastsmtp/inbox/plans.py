"""The fault plans of all namespaces, with their counters: one set of them for all SMTP processes.

A plan is as old as its namespace at most, and does not survive the inbox process: a test whose plan is gone is told so.
"""

from __future__ import annotations

import time
from typing import Final

from fastsmtp.faults.engine import RunningPlan
from fastsmtp.faults.failures import FailedAttempt, FailedAttempts
from fastsmtp.faults.plan import FaultPlan
from fastsmtp.faults.question import Question
from fastsmtp.inbox.events import Events
from fastsmtp.inbox.frames import Decided, PlanOrder
from fastsmtp.inbox.namespaces import Namespace
from fastsmtp.inbox.planset import NOTHING_KNOWN, Holding, PlanSet
from fastsmtp.inbox.ports import Ports


class FaultPlans:
    """Decides what plans do. To be used from one event loop."""

    def __init__(self, ports: Ports, events: Events) -> None:
        """SMTP processes are told by `ports` where plans want to be asked."""
        self._ports: Final = ports
        self._events: Final = events
        self._plans: Final = PlanSet()
        self._spaces: Final[dict[str, Namespace]] = {}  # of plans
        self._failures: Final[dict[str, FailedAttempts]] = {}  # of plans and of magic addresses
        self._number = 0

    async def put(self, namespace: Namespace, plan: FaultPlan) -> RunningPlan:
        """Let a plan run in the place of the one that there may be; all SMTP processes know it then."""
        running = self._plans.put(namespace.name, plan)
        self._spaces[namespace.name] = namespace
        self._failures.pop(namespace.name, None)
        await self._tell(namespace.name)
        return running

    def restore(self, namespace: Namespace, plan: FaultPlan | None) -> None:
        """Let a namespace have what it had, or what the configuration says, before any SMTP process is there."""
        if plan is not None:
            self._plans.put(namespace.name, plan)
        self._plans.set_magic(namespace.name, magic=namespace.settings.magic)
        self._spaces[namespace.name] = namespace
        order = self._order(namespace.name)
        if order is not None:
            self._ports.keep_plan(namespace.name, order)

    async def remove(self, name: str) -> RunningPlan | None:
        """End the plan of a namespace: whatever it makes wait goes on. Returns it; None where there is none."""
        running = self._plans.running.pop(name, None)
        if running is not None:
            self._failures.pop(name, None)
            await self._tell(name)
        return running

    async def set_magic(self, namespace: Namespace) -> None:
        """Let addresses of a namespace ask for faults by themselves, as its settings say."""
        name, magic = namespace.name, namespace.settings.magic
        if magic is not (name in self._plans.magic):
            self._plans.set_magic(name, magic=magic)
            self._spaces[name] = namespace
            await self._tell(name)

    def forget(self, name: str) -> None:
        """The namespace is no more."""
        known = self._order(name) is not None
        self._plans.running.pop(name, None)
        self._plans.set_magic(name, magic=False)
        self._spaces.pop(name, None)
        self._failures.pop(name, None)
        if known:
            self._ports.forget_plan(name)

    def of(self, name: str) -> RunningPlan | None:
        """Return the plan of a namespace."""
        return self._plans.running.get(name)

    def counts_connections(self, names: list[str]) -> str:
        """Return the first of these namespaces whose plan asks how many connections there are, "" where none does."""
        return self._plans.counts_connections(names)

    def find_much(self, names: list[str], question: Question) -> list[RunningPlan]:
        """Return the plans of these namespaces that take long to say which of their rules apply."""
        plans = [running for running in map(self.of, names) if running is not None]
        return [running for running in plans if running.is_much(question)]

    def decide(self, names: list[str], question: Question, holding: Holding = NOTHING_KNOWN) -> Decided | None:
        """Return what is done to a command in these namespaces: the first plan that acts decides.

        `holding` are the rules that apply, by plan, as far as it is known.
        """
        now = time.time()
        for name in names:
            if name in self._failures:
                self._failures[name].note(question)
        act = self._plans.decide(names, question, now, self._seq, holding)
        if act is None:
            return None
        space = self._spaces[act.namespace]
        self._failures.setdefault(act.namespace, FailedAttempts()).add(question, act.rule, act.action, now, space.seq)
        self._events.on_fault(space, act.shown(question))
        return Decided(act.namespace, self._ports.plan_number(act.namespace), act.rule, act.action, act.delay_s)

    def failures(self, name: str, seq: int) -> list[FailedAttempt]:
        """Return what the plan of a namespace let fail when its newest mail had this number, or later."""
        failures = self._failures.get(name)
        return [] if failures is None else failures.since(seq)

    def _seq(self, name: str) -> int:
        return self._spaces[name].seq

    def _order(self, name: str) -> PlanOrder | None:
        self._number += 1
        return self._plans.order(name, self._number)

    async def _tell(self, name: str) -> None:
        await self._ports.set_plan(name, self._order(name))
