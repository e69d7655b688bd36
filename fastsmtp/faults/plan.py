"""A plan: rules, each of them when, what and how often. It is read whole, or not at all."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Final

from fastsmtp.config.rules import parse_duration
from fastsmtp.faults.actions import Action, after_of, possible_stages, read_actions
from fastsmtp.faults.conditions import When, only_keys
from fastsmtp.faults.presets import PRESETS
from fastsmtp.faults.question import PlanError, Question

MAX_RULES: Final = 1000
MAX_COUNT: Final = 2**53
# With wildcards, at one stage. With as many texts of a mail as are compared with them that is some seconds, and the
# processes that ask wait for no longer than ten.
MAX_PATTERNS: Final = 2000
_MAX_KEY_CHARS: Final = 200  # what is longer is counted by its hash
_MAX_ID_CHARS: Final = 100
_RULE_KEYS: Final = ("id", "preset", "when", "do", "per", "times", "skip", "probability", "for")
KEYS: Final = ("global", "connection", "from", "rcpt", "ip", "username", "subject")


class FaultRule:
    """A rule of a plan; it does not change while the plan runs."""

    __slots__ = (
        "actions", "after", "duration_s", "ident", "per", "probability", "skip", "spec", "stages", "times", "when",
    )  # fmt: skip

    def __init__(self, spec: Any, pointer: str, number: int) -> None:
        """Raises PlanError for what is not a rule. Without an id it is called by its preset, or its number."""
        if not isinstance(spec, dict):
            raise PlanError(pointer, "a rule is an object")
        only_keys(spec, _RULE_KEYS, pointer)
        self.spec: Final = spec
        spec = {**_preset(spec, pointer), **spec}
        for key in ("when", "do"):
            if key not in spec:
                raise PlanError(f"{pointer}/{key}", "it is missing")
        self.ident: Final = _ident(spec, pointer, number)
        self.when: Final = When(spec["when"], f"{pointer}/when")
        # `any` are the stages at which it can be done.
        self.stages: Final = possible_stages(spec["do"], self.when.stages) if self.when.any else self.when.stages
        if not self.stages:
            raise PlanError(f"{pointer}/do", "there is no stage at which all of it can be done")
        self.actions: Final = read_actions(spec["do"], f"{pointer}/do", self.stages)
        self.after: Final = after_of(self.actions)
        self.per: Final = _per(spec.get("per", "global"), f"{pointer}/per", self.when)
        self.times: Final = _count(spec.get("times", 0), f"{pointer}/times")  # per key; 0 = no limit
        self.skip: Final = _count(spec.get("skip", 0), f"{pointer}/skip")  # of the first hits of each key
        self.probability: Final = _probability(spec.get("probability", 1.0), f"{pointer}/probability")
        self.duration_s: Final = _duration(spec, pointer)  # from its first hit on; 0.0 = for ever

    @property
    def limit(self) -> int:
        """Hits of a key after which the rule is exhausted for it; 0 = never."""
        sequence = len(self.actions) if len(self.actions) > 1 else 0
        return min(self.times, sequence) if self.times and sequence else self.times or sequence

    def key(self, question: Question) -> str:
        """What the rule counts by. A mail may have a thousand recipients, and a rule ten thousand keys."""
        key = "\n".join([_KEY_OF[name](question) for name in self.per])
        if len(key) <= _MAX_KEY_CHARS:
            return key
        return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=16).hexdigest()


class FaultPlan:
    """The rules of a plan, and the seed of what is left to chance."""

    __slots__ = ("counts_connections", "efforts", "marks", "rules", "seed", "stages")

    def __init__(self, spec: Any) -> None:
        """Raises PlanError with a pointer to what is wrong."""
        if not isinstance(spec, dict):
            raise PlanError("", "a plan is an object with `rules`")
        only_keys(spec, ("seed", "rules"), "")
        rules = spec.get("rules")
        if not isinstance(rules, list) or not 0 < len(rules) <= MAX_RULES:
            raise PlanError("/rules", f"a list of 1 to {MAX_RULES} rules")
        seed = spec.get("seed")
        if (
            isinstance(seed, bool)
            or not isinstance(seed, int | type(None))
            or not -MAX_COUNT <= (seed or 0) <= MAX_COUNT
        ):
            raise PlanError("/seed", f"an integer between -{MAX_COUNT} and {MAX_COUNT}")
        self.seed: Final = secrets.randbelow(2**32) if seed is None else seed
        self.rules: Final = [FaultRule(rule, f"/rules/{at}", at + 1) for at, rule in enumerate(rules)]
        self.stages: Final = frozenset(stage for rule in self.rules for stage in rule.stages)  # where it is asked
        self.marks: Final = tuple(sorted({rule.after for rule in self.rules if "body" in rule.stages}))
        self.efforts: Final[dict[str, int]] = {}  # for each text of a mail, by stage
        for stage in self.stages:
            there = [rule.when for rule in self.rules if stage in rule.stages]
            self.efforts[stage] = sum(when.effort for when in there)
            if sum(when.patterns for when in there) > MAX_PATTERNS:
                raise PlanError("/rules", f"at most {MAX_PATTERNS} texts with wildcards that may apply at {stage}")
        self.counts_connections: Final = any(rule.when.counts_connections for rule in self.rules)
        seen: set[str] = set()
        for at, rule in enumerate(self.rules):
            if rule.ident in seen:
                raise PlanError(f"/rules/{at}/id", f'another rule is called "{rule.ident}"')
            seen.add(rule.ident)

    @property
    def spec(self) -> dict[str, Any]:
        """The plan as it was given, with the seed that it has."""
        return {"seed": self.seed, "rules": [rule.spec for rule in self.rules]}


def _preset(spec: dict[str, Any], pointer: str) -> dict[str, Any]:
    if "preset" not in spec:
        return {}
    preset = spec["preset"]
    if not isinstance(preset, str) or preset not in PRESETS:
        raise PlanError(f"{pointer}/preset", f"one of {', '.join(PRESETS)}")
    return PRESETS[preset]


def _ident(spec: dict[str, Any], pointer: str, number: int) -> str:
    ident = spec.get("id", f"{spec.get('preset', 'rule')}-{number}")
    if not isinstance(ident, str) or not 0 < len(ident) <= _MAX_ID_CHARS:
        raise PlanError(f"{pointer}/id", f"a text of at most {_MAX_ID_CHARS} characters")
    return ident


def _per(value: Any, pointer: str, when: When) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    for at, name in enumerate(names):
        place = f"{pointer}/{at}" if names is value else pointer
        if name not in KEYS:
            raise PlanError(place, f"one of {', '.join(KEYS)}")
        if name == "subject" and when.stages != {"data-end"}:
            raise PlanError(place, "the subject is known at data-end, and not before")
    return tuple(names)


def _count(value: Any, pointer: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise PlanError(pointer, "a number from 0 on")
    return value


def _probability(value: Any, pointer: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise PlanError(pointer, "a number from 0 to 1")
    return float(value)


def _duration(spec: dict[str, Any], pointer: str) -> float:
    if "for" not in spec:
        return 0.0
    try:
        seconds = parse_duration(spec["for"]) if isinstance(spec["for"], str) else 0.0
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise PlanError(f"{pointer}/for", 'a time like "10s"')
    return seconds


def subject(question: Question) -> str:
    """The first Subject field, "" without one."""
    return next((text for name, text in question.headers if name == "subject"), "")


_KEY_OF: Final = {
    "global": lambda question: "",
    "connection": lambda question: question.connection,
    "from": lambda question: question.sender.lower(),
    "rcpt": lambda question: (question.rcpt or " ".join(question.rcpts)).lower(),
    "ip": lambda question: question.ip,
    "username": lambda question: question.username,
    "subject": subject,
}

__all__ = ["Action", "FaultPlan", "FaultRule", "PlanError"]
