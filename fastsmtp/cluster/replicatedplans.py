"""The fault plans of a cluster as an inbox has them: what is put here is put on all nodes."""

from __future__ import annotations

from typing import Final

from fastsmtp.cluster.nodes import FRESH_S, Nodes
from fastsmtp.cluster.planlog import PlanChange, PlanLog
from fastsmtp.errors import ClusterAwayError
from fastsmtp.faults.engine import RunningPlan
from fastsmtp.faults.plan import FaultPlan
from fastsmtp.faults.question import Question
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.namespaces import Namespace
from fastsmtp.inbox.plans import FaultPlans
from fastsmtp.inbox.planset import PlanAct

_PATIENCE_S: Final = FRESH_S + 4.0  # for fronts: one that was killed counts as live for a while


class ReplicatedPlans(FaultPlans):
    """Plans of all namespaces, each known to every front when `put` returns."""

    def __init__(self, inbox: Inbox, log: PlanLog, nodes: Nodes) -> None:
        super().__init__(inbox.ports, inbox.events)
        self._inbox: Final = inbox
        self._log: Final = log
        self._nodes: Final = nodes
        log.on_act = self._on_act

    async def put(self, namespace: Namespace, plan: FaultPlan) -> RunningPlan:
        """See `FaultPlans.put`. Raises ClusterAwayError, also where a front does not know it in time."""
        await self._change(namespace.name, PlanChange(plan.spec))
        running = self._log.set.running.get(namespace.name)
        if running is None:  # another client was quicker
            raise ClusterAwayError("the plan was removed meanwhile")
        return running

    async def remove(self, name: str) -> RunningPlan | None:
        """See `FaultPlans.remove`."""
        await self._log.catch_up()
        running = self.of(name)
        if running is not None:
            await self._change(name, PlanChange())
        return running

    async def set_magic(self, namespace: Namespace) -> None:
        """See `FaultPlans.set_magic`."""
        name, magic = namespace.name, namespace.settings.magic
        if magic is not (name in self._log.set.magic):
            await self._change(name, PlanChange(magic=magic))

    async def _change(self, name: str, change: PlanChange) -> None:
        late = await self._nodes.until_known(await self._log.change(name, change), _PATIENCE_S)
        if late:
            raise ClusterAwayError(f"fronts do not know the plan: {', '.join(late)}")

    def forget(self, name: str) -> None:
        """Nothing: the node that was asked to delete a namespace removes its plan on all."""

    def of(self, name: str) -> RunningPlan | None:
        """See `FaultPlans.of`."""
        return self._log.set.running.get(name)

    def _on_act(self, act: PlanAct, question: Question) -> None:
        namespace = self._inbox.namespace(act.namespace)
        if namespace is not None:
            self._inbox.events.on_fault(namespace, act.shown(question))
