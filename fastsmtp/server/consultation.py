"""The questions of one connection to fault plans, and how long these make it wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from fastsmtp.faults.question import Question
from fastsmtp.inbox.frames import Decided
from fastsmtp.inbox.listenerplans import ListenerPlans
from fastsmtp.smtp.policy import MAIL, Facts
from fastsmtp.smtp.transaction import Transaction

Then = Callable[[Decided | None], None]

_MAX_ACTED: Final = 100  # of what plans did to a transaction, that its mail tells


class Consultation:
    """Asks plans on behalf of one connection, from its first question on, one question at a time."""

    __slots__ = (
        "_acted", "_hurried", "_loop", "_opens", "_plan", "_plans", "_question", "_shaping", "_then", "_timer",
        "_transaction",
    )  # fmt: skip

    def __init__(self, plans: ListenerPlans, loop: asyncio.AbstractEventLoop) -> None:
        self._plans: Final = plans
        self._loop: Final = loop
        self._question = 0  # the number of the last one
        self._acted: list[tuple[str, str]] = []  # what plans did to the transaction
        self._transaction: Transaction | None = None
        self._opens = False  # the question is about MAIL, which opens the transaction
        self._hurried = False  # nothing may wait any more
        self._shaping: _Shaping | None = None
        self._plan = ("", 0)  # that makes us wait
        self._then: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, facts: Facts, question: Question, then: Then) -> None:
        """Ask; `then` gets what a plan does, None where none does anything, once the time that it takes is over.

        The time of what is stored first comes behind that: see `wait`.
        """
        if facts.transaction is None or facts.transaction is not self._transaction:
            self._transaction = facts.transaction
            self._acted = []
        self._opens = facts.stage == MAIL
        self._question += 1
        namespaces = self._plans.namespaces(facts)
        self._plans.ask(namespaces, question, partial(self._on_decided, self._question, then))

    def _on_decided(self, question: int, then: Then, decided: Decided | None) -> None:
        if question != self._question:  # its client is gone
            return
        if decided is None:
            then(None)
            return
        if len(self._acted) < _MAX_ACTED:
            self._acted.append((decided.rule, decided.action.words))
        self._plans.count(decided)
        if decided.action.store:
            then(decided)
        else:
            self.wait(decided, partial(then, decided))

    def wait(self, decided: Decided, then: Callable[[], None]) -> None:
        """Call `then` once the time that an action takes is over; at once where its plan is no more."""
        seconds = decided.delay_s + decided.action.stall
        if not seconds or self._hurried or not self.is_current(decided):
            then()
            return
        self._plan = decided.namespace, decided.number
        self._then = then
        self._timer = self._loop.call_later(seconds, self.wake)
        self._plans.known.await_end(self)

    def is_current(self, decided: Decided) -> bool:
        """Whether the plan that has decided so is still that of its namespace."""
        return self._plans.known.is_current(decided.namespace, decided.number)

    def follow(self, transaction: Transaction | None) -> None:
        """The command that was asked about is done: what plans did to a MAIL belongs to the transaction it opened."""
        if self._opens and transaction is not None:
            self._transaction = transaction
        self._opens = False

    def shape(self, decided: Decided, on_end: Callable[[], None]) -> None:
        """Call `on_end` when the plan, which says how fast the connection is read or written, is no more."""
        self.stop_shaping()
        self._shaping = _Shaping(decided, on_end)
        self._plans.known.await_end(self._shaping)

    def stop_shaping(self) -> None:
        """It is of no interest any more how fast the connection is read or written."""
        if self._shaping is not None:
            self._plans.known.forget(self._shaping)
            self._shaping = None

    def hurry(self) -> None:
        """Make nothing wait from now on: the server stops, or the client is gone."""
        self._hurried = True
        self.wake()

    @property
    def plan(self) -> tuple[str, int]:
        """See `plansknown.Waiting`."""
        return self._plan

    def wake(self) -> None:
        """The time is over. May be called at any time."""
        then = self._then
        self._stop_waiting()
        if then is not None:
            then()

    def end(self) -> None:
        """The client is gone: no answer is awaited any more."""
        self._question += 1
        self.stop_shaping()
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        self._then = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._plans.known.forget(self)

    @property
    def waits(self) -> bool:
        """Whether the time that an action takes is not over."""
        return self._timer is not None

    def acted_on(self, transaction: Transaction | None) -> list[tuple[str, str]]:
        """What plans did to a transaction: rules and actions."""
        return self._acted if transaction is self._transaction else []


class _Shaping:
    """A plan that says how fast a connection is read or written."""

    __slots__ = ("_on_end", "plan")

    def __init__(self, decided: Decided, on_end: Callable[[], None]) -> None:
        self.plan: Final = decided.namespace, decided.number
        self._on_end: Final = on_end

    def wake(self) -> None:
        """See `plansknown.Waiting`."""
        self._on_end()
