"""The fault plans of all namespaces, with their counters: one set of them for all SMTP processes.

A plan is as old as its namespace at most, and does not survive the inbox process: a test whose plan is gone is told so.
"""

from __future__ import annotations

import time
from typing import Any, Final

from fastsmtp.faults.actions import Action
from fastsmtp.faults.engine import RunningPlan
from fastsmtp.faults.magic import magic_action
from fastsmtp.faults.plan import FaultPlan
from fastsmtp.faults.question import Question
from fastsmtp.inbox.events import Events
from fastsmtp.inbox.frames import Decided, PlanOrder
from fastsmtp.inbox.namespaces import Namespace
from fastsmtp.inbox.ports import Ports

MAGIC: Final = "magic"  # the rule of an address that asks for a fault by itself
_MAGIC_STAGES: Final = frozenset({"rcpt", "data-end"})


class FaultPlans:
    """Decides what plans do. To be used from one event loop."""

    def __init__(self, ports: Ports, events: Events) -> None:
        """SMTP processes are told by `ports` where plans want to be asked."""
        self._ports: Final = ports
        self._events: Final = events
        self._running: dict[str, RunningPlan] = {}
        self._magic: dict[str, Namespace] = {}
        self._spaces: dict[str, Namespace] = {}  # of plans
        self._number = 0

    async def put(self, namespace: Namespace, plan: FaultPlan) -> RunningPlan:
        """Let a plan run in the place of the one that there may be; all SMTP processes know it then."""
        running = self._running[namespace.name] = RunningPlan(plan)
        self._spaces[namespace.name] = namespace
        await self._tell(namespace.name)
        return running

    def restore(self, namespace: Namespace, plan: FaultPlan | None) -> None:
        """Let a namespace have what it had, or what the configuration says, before any SMTP process is there."""
        if plan is not None:
            self._running[namespace.name] = RunningPlan(plan)
            self._spaces[namespace.name] = namespace
        if namespace.settings.magic:
            self._magic[namespace.name] = namespace
        order = self._order(namespace.name)
        if order is not None:
            self._ports.keep_plan(namespace.name, order)

    async def remove(self, name: str) -> RunningPlan | None:
        """End the plan of a namespace: whatever it makes wait goes on. Returns it; None where there is none."""
        running = self._running.pop(name, None)
        if running is not None:
            self._spaces.pop(name)
            await self._tell(name)
        return running

    async def set_magic(self, namespace: Namespace) -> None:
        """Let addresses of a namespace ask for faults by themselves, as its settings say."""
        name = namespace.name
        if namespace.settings.magic is (name in self._magic):
            return
        if namespace.settings.magic:
            self._magic[name] = namespace
        else:
            del self._magic[name]
        await self._tell(name)

    def forget(self, name: str) -> None:
        """The namespace is no more."""
        known = name in self._running or name in self._magic
        for by_name in (self._running, self._magic, self._spaces):
            by_name.pop(name, None)
        if known:
            self._ports.forget_plan(name)

    def of(self, name: str) -> RunningPlan | None:
        """Return the plan of a namespace."""
        return self._running.get(name)

    def counts_connections(self, names: list[str]) -> str:
        """Return the first of these namespaces whose plan asks how many connections there are, "" where none does."""
        for name in names:
            running = self._running.get(name)
            if running is not None and running.plan.counts_connections:
                return name
        return ""

    def decide(self, names: list[str], question: Question) -> Decided | None:
        """Return what is done to a command in these namespaces: the first plan that acts decides."""
        now = time.time()
        for name in names:
            running = self._running.get(name)
            decision = None if running is None else running.decide(question, now)
            if decision is not None:
                return self._acted(name, question, decision.rule, decision.action, decision.delay_s)
        for name in names:
            action = _asked_for(question) if name in self._magic else None
            if action is not None:
                return self._acted(name, question, MAGIC, action, action.delay[0])
        return None

    def _acted(self, name: str, question: Question, rule: str, action: Action, delay_s: float) -> Decided:
        namespace = self._spaces.get(name) or self._magic[name]
        self._events.on_fault(namespace, _shown(question, rule, action))
        return Decided(name, self._ports.plan_number(name), rule, action, delay_s)

    def _order(self, name: str) -> PlanOrder | None:
        running, magic = self._running.get(name), name in self._magic
        if running is None and not magic:
            return None
        self._number += 1
        stages = _MAGIC_STAGES if magic else frozenset()
        if running is None:
            return PlanOrder(self._number, stages)
        plan = running.plan
        return PlanOrder(self._number, stages | plan.stages, plan.marks, plan.counts_connections)

    async def _tell(self, name: str) -> None:
        await self._ports.set_plan(name, self._order(name))


def _asked_for(question: Question) -> Action | None:
    """What an address asks for at this stage."""
    for path in [question.rcpt] if question.at == "rcpt" else question.rcpts:
        found = magic_action(path)
        if found is not None and found[0] == question.at:
            return found[1]
    return None


def _shown(question: Question, rule: str, action: Action) -> dict[str, Any]:
    return {
        "rule": rule,
        "action": action.words,
        "at": question.at,
        "command": question.command,
        "connection": question.connection,
        "mail": question.mail or None,
    }
