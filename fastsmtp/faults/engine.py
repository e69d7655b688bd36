"""A plan that runs: its counters, what it decides about each command, and what it reports."""

from __future__ import annotations

import collections
import hashlib
from typing import Any, Final, NamedTuple

from fastsmtp.faults.actions import Action
from fastsmtp.faults.plan import FaultPlan, FaultRule
from fastsmtp.faults.question import Question
from fastsmtp.text import timestamp

MAX_KEYS: Final = 10_000  # of a rule; one more forgets the one that was hit longest ago
MAX_HITS: Final = 100  # of a rule that the report has
_RATE_S: Final = 1.0
_MUCH: Final = 2000  # comparisons, of two to six microseconds each


class Decision(NamedTuple):
    """What becomes of a command: `action` is done on behalf of `rule`; `delay_s` is drawn from the action's delay."""

    rule: str
    action: Action
    delay_s: float


class _Count:
    """How often a rule matched for one key, and acted."""

    __slots__ = ("acted", "hits", "matched", "recent")

    def __init__(self) -> None:
        self.matched = 0
        self.hits = 0  # matches that `nth` and `rate` meant
        self.acted = 0
        self.recent: collections.deque[float] = collections.deque()  # times of matches in the last second


class _Running:
    """A rule with its counters."""

    def __init__(self, rule: FaultRule, seed: int) -> None:
        self.rule: Final = rule
        self._seed: Final = seed
        self._counts: collections.OrderedDict[str, _Count] = collections.OrderedDict()
        self.matched = 0
        self.acted = 0
        self.passed = 0
        self.exhausted = 0  # keys
        self.first_at = 0.0  # Unix times of the first and the last hit, 0.0 = none
        self.last_at = 0.0
        self._ends_at = 0.0
        self.hits: collections.deque[dict[str, Any]] = collections.deque(maxlen=MAX_HITS)

    def holds(self, question: Question) -> bool:
        """Whether the rule applies, its counts aside."""
        rule = self.rule
        return question.at in rule.stages and question.after == rule.after and rule.when.holds(question)

    def decide(self, question: Question, now: float, seq: int) -> tuple[bool, Decision | None]:
        """Whether the rule, which applies, is the one that counts here, and what it does then; None: it passes."""
        rule = self.rule
        if self._ends_at and now >= self._ends_at:
            return False, None
        key = rule.key(question)
        count = self._count(key)
        count.matched += 1
        self.matched += 1
        if not self._is_meant(count, now):
            return False, None
        count.hits += 1
        acted = count.hits - rule.skip
        if acted <= 0 or (rule.limit and acted > rule.limit):
            return False, None
        if rule.probability < 1.0 and self._draw(key, count.hits, "act") >= rule.probability:
            return False, None
        return True, self._act(question, key, count, acted, now, seq)

    def _act(self, question: Question, key: str, count: _Count, acted: int, now: float, seq: int) -> Decision | None:
        rule = self.rule
        if rule.limit and acted == rule.limit:
            self.exhausted += 1
        self.first_at = self.first_at or now
        self.last_at = now
        if rule.duration_s and not self._ends_at:
            self._ends_at = now + rule.duration_s
        action = rule.actions[(acted - 1) % len(rule.actions)]
        self.hits.append(_hit(question, action, now, seq))
        if action is None:
            self.passed += 1
            return None
        count.acted += 1
        self.acted += 1
        shortest, longest = action.delay
        delay_s = shortest + (longest - shortest) * self._draw(key, count.hits, "delay") if longest else 0.0
        return Decision(rule.ident, action, delay_s)

    def _count(self, key: str) -> _Count:
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count()
            if len(self._counts) > MAX_KEYS:
                self._counts.popitem(last=False)
        else:
            self._counts.move_to_end(key)
        return count

    def _is_meant(self, count: _Count, now: float) -> bool:
        when = self.rule.when
        if when.rate is not None:
            count.recent.append(now)
            while count.recent[0] <= now - _RATE_S:
                count.recent.popleft()
            if not when.rate(len(count.recent)):
                return False
        return when.nth is None or when.nth(count.matched)

    def _draw(self, key: str, hit: int, what: str) -> float:
        """A number from 0 up to 1 that is the same in every run: of the seed, the rule, the key and the hit."""
        text = f"{self._seed}\n{self.rule.ident}\n{what}\n{hit}\n{key}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big") / 2.0**56

    def report(self) -> dict[str, Any]:
        return {
            "id": self.rule.ident,
            "matched": self.matched,
            "acted": self.acted,
            "passed": self.passed,
            "exhausted": self.exhausted,
            "first_at": _time(self.first_at),
            "last_at": _time(self.last_at),
            "keys": len(self._counts),
            "hits": list(self.hits),
        }


class RunningPlan:
    """A plan and its counters, which are the same for all processes that ask it."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan: Final = plan
        self._rules: Final = [_Running(rule, plan.seed) for rule in plan.rules]
        self.unmatched = 0  # commands for which no rule acted

    def is_much(self, question: Question) -> bool:
        """Whether comparing all texts with all patterns takes long: see `find_holding`."""
        texts = 1 + len(question.rcpts) + len(question.headers)
        return texts * self.plan.efforts.get(question.at, 0) > _MUCH

    def find_holding(self, question: Question) -> frozenset[int]:
        """Return which rules apply, their counts aside. It changes nothing, and is fit for a thread."""
        return frozenset(at for at, rule in enumerate(self._rules) if rule.holds(question))

    def decide(
        self, question: Question, now: float, seq: int = 0, holding: frozenset[int] | None = None
    ) -> Decision | None:
        """Return what is done at this command, `now` in Unix time; None: everything is as ever.

        `seq` is the number of the newest mail of the namespace, for the report; `holding` what `find_holding` said.
        The first rule that matches and is not exhausted acts.
        """
        for at, rule in enumerate(self._rules):
            if not (rule.holds(question) if holding is None else at in holding):
                continue
            acts, decision = rule.decide(question, now, seq)
            if acts:
                return decision
        self.unmatched += 1
        return None

    @property
    def idle_rules(self) -> list[str]:
        """The ids of rules that never acted."""
        return [rule.rule.ident for rule in self._rules if not rule.acted]

    def report(self) -> dict[str, Any]:
        """Return the plan and what each of its rules did."""
        return {**self.plan.spec, "report": [rule.report() for rule in self._rules], "unmatched": self.unmatched}


def _hit(question: Question, action: Action | None, now: float, seq: int) -> dict[str, Any]:
    reply = action.reply[-1] if action is not None and action.reply else None
    return {
        "seq": seq,
        "at": question.at,
        "time": _time(now),
        "connection": question.connection,
        "mail": question.mail or None,
        "command": question.command,
        "action": "pass" if action is None else action.words,
        "reply": reply,
    }


def _time(now: float) -> str | None:
    return timestamp(int(now)) if now else None
