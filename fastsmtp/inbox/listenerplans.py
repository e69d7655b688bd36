"""What the sessions of one listener have to do with fault plans: which commands these are asked about, and how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from fastsmtp.faults.question import Question
from fastsmtp.inbox.frames import Asking, Decided
from fastsmtp.inbox.ledger import FAULT, RULE
from fastsmtp.inbox.names import DEFAULT
from fastsmtp.inbox.plansknown import PlansKnown
from fastsmtp.inbox.resolver import Resolver
from fastsmtp.smtp.envelope import Envelope
from fastsmtp.smtp.peer import Peer
from fastsmtp.smtp.planner import Plans
from fastsmtp.smtp.policy import BODY, EHLO, RCPT, Facts
from fastsmtp.smtp.transaction import Transaction

_MAX_RESOLVED: Final = 256


class PlanSource(Protocol):
    """Knows plans, and asks them: a `link.Link`, or that of a cluster."""

    @property
    def plans(self) -> PlansKnown:
        """What is known of them."""

    def ask(self, asking: Asking, answer: Callable[[Decided | None], None]) -> None:
        """See `Link.ask`."""

    def count(self, namespace: str, event: str) -> None:
        """Tell the ledger of what a plan does."""


class ListenerPlans:
    """A `smtp.planner.Planner`, which asks the plans that the inbox process has, or the cluster."""

    def __init__(self, link: PlanSource, resolver: Resolver, server: str) -> None:
        """`server` is the listener's name."""
        self._link: Final = link
        self._resolver: Final = resolver
        self._server: Final = server
        self._resolved: dict[tuple[str, str | None, tuple[str, ...]], list[str]] = {}  # each is asked for several times
        self.known: Final[PlansKnown] = link.plans
        self.plans: Final[Plans] = link.plans.plans

    def concerns(self, facts: Facts) -> bool:
        """See `Planner.concerns`."""
        return bool(self.namespaces(facts))

    def marks(self, facts: Facts) -> tuple[int, ...]:
        """See `Planner.marks`."""
        orders = [self.known.order(name) for name in self.namespaces(facts)]
        return tuple(sorted({mark for order in orders if order is not None for mark in order.marks}))

    def namespaces(self, facts: Facts) -> list[str]:
        """Return the namespaces whose plans want to be asked about this."""
        found = []
        for name in self._names(facts):
            order = self.known.order(name)
            if order is not None and facts.stage in order.stages:
                found.append(name)
        return found

    def _names(self, facts: Facts) -> list[str]:
        helo = facts.subject if facts.stage == EHLO else facts.helo
        transaction = facts.transaction
        paths = () if transaction is None else tuple(transaction.forward_paths)
        if facts.stage == RCPT:
            names = self._resolve(facts, helo, (facts.subject,))
            if names != [DEFAULT] or not paths:
                return names
        return self._resolve(facts, helo, paths)

    def _resolve(self, facts: Facts, helo: str, paths: tuple[str, ...]) -> list[str]:
        credentials = facts.credentials
        key = helo, None if credentials is None else credentials.username, paths
        names = self._resolved.get(key)
        if names is None:
            envelope = Envelope(helo, facts.esmtp, "", paths, {}, (), False, credentials, facts.tls)
            names = self._resolver.of_envelope(envelope, self._server)
            if len(self._resolved) >= _MAX_RESOLVED:
                self._resolved.clear()
            self._resolved[key] = names
        return names

    def holds(self, namespace: str, peer: Peer, transaction: Transaction | None) -> bool:
        """Whether a session belongs to a namespace, as far as it is known by now."""
        paths = () if transaction is None else tuple(transaction.forward_paths)
        envelope = Envelope(peer.helo, peer.esmtp, "", paths, {}, (), False, peer.credentials, peer.tls)
        return namespace in self._resolver.of_envelope(envelope, self._server)

    def ask(self, namespaces: list[str], question: Question, answer: Callable[[Decided | None], None]) -> None:
        """Ask the plans of these namespaces; `answer` gets what one does, and never from within this call."""
        if question.at == BODY:
            namespaces = [name for name in namespaces if self._has_mark(name, question.after)]
        self._link.ask(Asking(namespaces, question), answer)

    def count(self, decided: Decided) -> None:
        """Tell the ledger what a plan does."""
        self._link.count(decided.namespace, RULE + decided.rule)
        for effect in decided.action.effects:
            self._link.count(decided.namespace, FAULT + effect)

    def _has_mark(self, namespace: str, mark: int) -> bool:
        order = self.known.order(namespace)
        return order is not None and mark in order.marks
