"""The fault plans of namespaces and their counters: what they do depends on what they are asked, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from fastsmtp.faults.actions import Action
from fastsmtp.faults.engine import RunningPlan
from fastsmtp.faults.magic import magic_action
from fastsmtp.faults.plan import FaultPlan
from fastsmtp.faults.question import Question
from fastsmtp.inbox.frames import PlanOrder

MAGIC: Final = "magic"  # the rule of an address that asks for a fault by itself
Holding: TypeAlias = Mapping[RunningPlan, frozenset[int]]
NOTHING_KNOWN: Final[Holding] = {}
_MAGIC_STAGES: Final = frozenset({"rcpt", "data-end"})


class PlanAct(NamedTuple):
    """What the plan of a namespace does to a command; the action's delay was drawn."""

    namespace: str
    rule: str
    action: Action
    delay_s: float

    def shown(self, question: Question) -> dict[str, Any]:
        """Return it as streams of events have it."""
        return {
            "rule": self.rule,
            "action": self.action.words,
            "at": question.at,
            "command": question.command,
            "connection": question.connection,
            "mail": question.mail or None,
        }


class PlanSet:
    """Plans by name of namespace, and the namespaces whose addresses may ask for faults by themselves."""

    def __init__(self) -> None:
        self.running: Final[dict[str, RunningPlan]] = {}
        self.magic: Final[set[str]] = set()

    def put(self, name: str, plan: FaultPlan) -> RunningPlan:
        """Let a plan run in the place of the one that there may be."""
        running = self.running[name] = RunningPlan(plan)
        return running

    def set_magic(self, name: str, *, magic: bool) -> None:
        """Let addresses of a namespace ask for faults by themselves, or not."""
        if magic:
            self.magic.add(name)
        else:
            self.magic.discard(name)

    def counts_connections(self, names: Sequence[str]) -> str:
        """Return the first of these namespaces whose plan asks how many connections there are, "" where none does."""
        for name in names:
            running = self.running.get(name)
            if running is not None and running.plan.counts_connections:
                return name
        return ""

    def decide(
        self,
        names: Sequence[str],
        question: Question,
        now: float,
        seq_of: Callable[[str], int] = lambda _name: 0,
        holding: Holding = NOTHING_KNOWN,
    ) -> PlanAct | None:
        """Return what is done to a command in these namespaces: the first plan that acts decides.

        `seq_of` tells the number of a namespace's newest mail, for reports; `holding` are the rules that apply, by
        plan, as far as it is known.
        """
        for name in names:
            running = self.running.get(name)
            if running is None:
                continue
            decision = running.decide(question, now, seq_of(name), holding.get(running))
            if decision is not None:
                return PlanAct(name, decision.rule, decision.action, decision.delay_s)
        for name in names:
            action = _asked_for(question) if name in self.magic else None
            if action is not None:
                return PlanAct(name, MAGIC, action, action.delay[0])
        return None

    def order(self, name: str, number: int) -> PlanOrder | None:
        """Return where a namespace wants to be asked, as the order with this number; None: nowhere."""
        running, magic = self.running.get(name), name in self.magic
        if running is None and not magic:
            return None
        stages = _MAGIC_STAGES if magic else frozenset[str]()
        if running is None:
            return PlanOrder(number, stages)
        plan = running.plan
        return PlanOrder(number, stages | plan.stages, plan.marks, plan.counts_connections)


def _asked_for(question: Question) -> Action | None:
    """What an address asks for at this stage."""
    for path in [question.rcpt] if question.at == "rcpt" else question.rcpts:
        found = magic_action(path)
        if found is not None and found[0] == question.at:
            return found[1]
    return None
