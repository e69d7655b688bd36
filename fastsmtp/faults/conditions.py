"""When a rule of a plan applies: the object `when`, all keys of which must hold."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastsmtp.config.rules import parse_size
from fastsmtp.faults.question import PlanError, Question
from fastsmtp.text import wildcard

STAGES: Final = (
    "connect", "banner", "ehlo", "starttls", "tls", "auth", "mail", "rcpt", "data", "body", "data-end", "rset", "quit",
)  # fmt: skip
ANY: Final = "any"
MAX_PATTERN_CHARS: Final = 1000
MAX_VALUES: Final = 1000  # of a condition, any of which may hold
_MAX_MARKS: Final = 20  # of `?` in one pattern: each multiplies what a comparison may cost
MAX_TEXTS: Final = 500  # recipients of a mail, and fields of its header, that are compared with wildcards

Test = Callable[[Question], bool]
_COMPARISON = re.compile(r"(>=|<=|>|<|=)? ?(.+)", re.DOTALL)
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
}


class When:
    """Where a rule applies (`stages`), what must hold there, and which of the commands that it holds for are meant."""

    __slots__ = ("_tests", "any", "counts_connections", "effort", "nth", "patterns", "rate", "stages")

    def __init__(self, spec: Any, pointer: str) -> None:
        """Raises PlanError for what is not a condition."""
        if not isinstance(spec, dict):
            raise PlanError(pointer, "a condition is an object")
        if "at" not in spec:
            raise PlanError(f"{pointer}/at", f'one of {", ".join(STAGES)}, or "{ANY}"')
        self.any: Final = ANY in (spec["at"] if isinstance(spec["at"], list) else [spec["at"]])
        self.stages: Final = _stages(spec["at"], f"{pointer}/at")
        self.counts_connections: Final = "connections" in spec
        self.nth: Final = _nth(spec["nth"], f"{pointer}/nth") if "nth" in spec else None
        self.rate: Final = _rate(spec["rate"], f"{pointer}/rate") if "rate" in spec else None
        tested = {str(key): value for key, value in spec.items() if key not in ("at", "nth", "rate")}
        self._tests: Final = [self._test(key, value, f"{pointer}/{escape(key)}") for key, value in tested.items()]
        # With wildcards: each is compared with each text. Other texts are looked up.
        self.patterns: Final = sum(
            has_wildcards(item)
            for value in tested.values()
            for item in (value if isinstance(value, list) else [value])
            if isinstance(item, str)
        )
        self.effort: Final = self.patterns + len(self._tests)  # for each text of a mail, about

    def holds(self, question: Question) -> bool:
        """Whether the rule applies, its counts aside."""
        return question.at in self.stages and all(test(question) for test in self._tests)

    def _test(self, key: str, value: Any, pointer: str) -> Test:
        known_from = _KNOWN_FROM.get(key)
        if known_from is not None and all(_ORDER[stage] < _ORDER[known_from] for stage in self.stages):
            raise PlanError(pointer, f"it is known from {known_from} on, and not before")
        if key in _TEXTS:
            return _pattern(value, pointer, _TEXTS[key])
        if key in _NUMBERS:
            return _comparison(value, pointer, _NUMBERS[key])
        if key == "ip":
            return _network(value, pointer)
        if key == "tls":
            if not isinstance(value, bool):
                raise PlanError(pointer, "true or false")
            return lambda question: question.tls is value
        name = "subject" if key == "subject" else key.removeprefix("header.").lower()
        if key == "subject" or (key.startswith("header.") and name):
            if self.stages != {"data-end"}:
                raise PlanError(pointer, "the header is known at data-end, and not before")
            return _header(name, value, pointer)
        raise PlanError(pointer, f"there is no such condition; there are {', '.join(CONDITIONS)}")


_TEXTS: Final[dict[str, Callable[[Question], list[str]]]] = {
    "from": lambda question: [question.sender],
    "rcpt": lambda question: [question.rcpt] if question.rcpt else question.rcpts,
    "username": lambda question: [question.username],
    "mechanism": lambda question: [question.mechanism],
    "helo": lambda question: [question.helo],
}
_NUMBERS: Final[dict[str, Callable[[Question], float]]] = {
    "size": lambda question: question.size,
    "recipients": lambda question: len(question.rcpts) + bool(question.rcpt),
    "connections": lambda question: question.connections,
}
_ORDER: Final = {stage: at for at, stage in enumerate(STAGES)}
_KNOWN_FROM: Final = {
    "helo": "ehlo",
    "username": "auth",
    "mechanism": "auth",
    "from": "mail",
    "size": "mail",
    "rcpt": "rcpt",
    "recipients": "rcpt",
}
CONDITIONS: Final = ("at", *_TEXTS, "ip", "tls", *_NUMBERS, "subject", "header.<Name>", "rate", "nth")


def _stages(value: Any, pointer: str) -> frozenset[str]:
    names = value if isinstance(value, list) else [value]
    for at, name in enumerate(names):
        if name not in STAGES and name != ANY:
            raise PlanError(f"{pointer}/{at}" if names is value else pointer, f"one of {', '.join(STAGES)}, {ANY}")
    if not names:
        raise PlanError(pointer, "at least one stage")
    return frozenset(STAGES if ANY in names else names)


# Texts


def _pattern(value: Any, pointer: str, look: Callable[[Question], list[str]]) -> Test:
    match = _any_of(value, pointer)
    return lambda question: match(look(question))


def _header(name: str, value: Any, pointer: str) -> Test:
    match = _any_of(value, pointer)
    return lambda question: match([text for field, text in question.headers if field == name])


def _any_of(value: Any, pointer: str) -> Callable[[list[str]], bool]:
    """Whether any of some texts is as any of these values says."""
    matches = [(item, matcher(item, place)) for item, place in items(value, pointer)]
    whole = frozenset(item.lower() for item, _match in matches if not has_wildcards(item))
    wild = [match for item, match in matches if has_wildcards(item)]

    def test(texts: list[str]) -> bool:
        lowered = [text.lower() for text in texts]
        return not whole.isdisjoint(lowered) or any(match(text) for text in lowered[:MAX_TEXTS] for match in wild)

    return test


def items(value: Any, pointer: str) -> list[tuple[Any, str]]:
    """A value or the values of a list, each with its pointer. Raises PlanError for too many, and for none."""
    if not isinstance(value, list):
        return [(value, pointer)]
    if not 0 < len(value) <= MAX_VALUES:
        raise PlanError(pointer, f"from 1 to {MAX_VALUES} values")
    return [(item, f"{pointer}/{at}") for at, item in enumerate(value)]


def matcher(value: Any, pointer: str) -> Callable[[str], bool]:
    """A comparison with a text without case, in which `*` and `?` are wildcards. Raises PlanError."""
    if not isinstance(value, str):
        raise PlanError(pointer, "a string, in which * and ? are wildcards")
    if len(value) > MAX_PATTERN_CHARS:
        raise PlanError(pointer, f"at most {MAX_PATTERN_CHARS} characters")
    lowered = value.lower()
    if lowered.count("?") > _MAX_MARKS:
        raise PlanError(pointer, f"at most {_MAX_MARKS} of ?")
    return wildcard(lowered)


def has_wildcards(pattern: str) -> bool:
    """Whether a pattern stands for more than one text."""
    return "*" in pattern or "?" in pattern


def _network(value: Any, pointer: str) -> Test:
    networks = []
    for item, place in items(value, pointer):
        try:
            networks.append(ipaddress.ip_network(item if isinstance(item, str) else "", strict=False))
        except ValueError:
            raise PlanError(place, "an address or a network, like 10.0.0.0/8") from None

    def test(question: Question) -> bool:
        try:
            address = ipaddress.ip_address(question.ip.strip("[]"))
        except ValueError:  # a Unix socket
            return False
        return any(address in network for network in networks)

    return test


# Numbers


def _comparison(value: Any, pointer: str, look: Callable[[Question], float]) -> Test:
    compare = _compare(value, pointer, lambda text: float(parse_size(text)), '">100"')
    return lambda question: compare(look(question))


def _compare(value: Any, pointer: str, read: Callable[[str], float], example: str) -> Callable[[float], bool]:
    expected = f"a number, or a comparison like {example}"
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    found = _COMPARISON.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PlanError(pointer, expected)
    try:
        limit = read(found[2])
    except ValueError as error:
        raise PlanError(pointer, f"{expected}{f': {error}' if str(error) else ''}") from None
    compare = _COMPARE[found[1] or "="]
    return lambda number: compare(number, limit)


def _rate(value: Any, pointer: str) -> Callable[[float], bool]:
    """A comparison with how often a second the rule matched, over the last second."""
    return _compare(value, pointer, _per_second, '">50/s"')


def _per_second(text: str) -> float:
    number, slash, unit = text.partition("/")
    if slash and unit.strip() != "s":
        raise ValueError("by the second")
    return float(parse_size(number.strip()))


def _nth(value: Any, pointer: str) -> Callable[[int], bool]:
    """Which of the matches are meant, the first is number 1: `3`, `[2, 5]`, `"every 4"`, `">=10"`."""
    if isinstance(value, list):
        numbers = set()
        for item, place in items(value, pointer):
            if isinstance(item, bool) or not isinstance(item, int) or item < 1:
                raise PlanError(place, "a number from 1 on")
            numbers.add(item)
        return numbers.__contains__
    if isinstance(value, str) and (every := re.fullmatch(r"every ([1-9]\d{0,8})", value)):
        step = int(every[1])
        return lambda number: number % step == 0
    compare = _compare(value, pointer, _ordinal, '">=10", a list of numbers, or "every 4"')
    return lambda number: compare(number)


def _ordinal(text: str) -> float:
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise ValueError("a number from 1 on")
    return float(text)


def escape(key: str) -> str:
    """A key as part of a JSON pointer (RFC 6901 section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


def only_keys(spec: Mapping[str, Any], known: tuple[str, ...], pointer: str) -> None:
    """Raises PlanError for the first key that is not known; in YAML it may be no text."""
    for key in spec:
        if key not in known:
            raise PlanError(f"{pointer}/{escape(str(key))}", f"there is no such key; there are {', '.join(known)}")
