"""What a test expects of its mails: judged mail by mail, without a clock and without a loop.

An expectation is fed with mails in the order of their numbers; after each, and when time has passed, it says whether it
holds, has failed, or may yet do either.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from fastsmtp.inbox.misfits import misfit
from fastsmtp.inbox.where import Candidate, Where, WhereError, describe, has_values, values

MAX_ITEMS: Final = 200
MAX_SEEN: Final = 1000  # mails that an item, or the rest, holds
MAX_COUNT: Final = 1_000_000
DEFAULT_SETTLE_S: Final = 0.25
_SHOWN_CHARS: Final = 1000  # of a text in a report
_SHOWN_VALUES: Final = 100  # of addresses, for example


class ExpectationState(enum.Enum):
    """Where an expectation stands."""

    OPEN = "open"  # something is still missing, or must hold for longer
    MET = "met"
    VIOLATED = "violated"  # no further mail can mend it


@dataclass(frozen=True)
class Seen:
    """A mail as an expectation saw it; `at_s` in seconds from its start, negative for what was there before."""

    seq: int
    at_s: float
    mail: Candidate

    def kept(self) -> Seen:
        """Return the mail without its payload, which may be large."""
        return Seen(self.seq, self.at_s, self.mail.without_payload())


class ItemSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"for_": "for"}):
    """One line of an expectation, as clients write it. `for_` is in seconds."""

    where: dict[str, Any] = {}
    name: str = ""
    exactly: int | None = None
    count: int | None = None
    at_least: int | None = None
    at_most: int | None = None
    none: bool = False
    for_: str | float | None = None
    unique_by: str = ""
    in_order: str = ""
    unit: Literal["mails", "deliveries"] = "mails"


@dataclass
class Item:
    """One line of an expectation and the mails that meet it. `high` is None for "any number"."""

    name: str
    where: Where
    low: int
    high: int | None
    hold_s: float  # how long nothing may come, from the start; 0 = until the others hold
    unique_by: str = ""
    in_order: str = ""
    deliveries: bool = False
    seen: list[Seen] = field(default_factory=list)  # the first of them, so many as answers can show
    mails: int = 0  # how many there are
    counted: int = 0  # mails or deliveries
    faults: list[str] = field(default_factory=list)  # in the words of the report
    _keys: set[str] = field(default_factory=set)
    _last: tuple[float, str] | None = None

    @property
    def positive(self) -> bool:
        """Whether it asks for mails, not only for none or few."""
        return self.low > 0

    @property
    def met(self) -> bool:
        """Whether enough mails have come."""
        return self.counted >= self.low

    def take(self, seen: Seen) -> bool:
        """Count a mail if it meets the condition, and say whether it does."""
        if not self.where(seen.mail):
            return False
        self.mails += 1
        if len(self.seen) < MAX_SEEN:
            self.seen.append(seen.kept())
        self.counted += self._worth(seen.mail)
        if self.high is not None and self.counted > self.high:
            self._fault(f"#{seen.seq} is one too many")
        self._check_unique(seen)
        self._check_order(seen)
        return True

    def _fault(self, text: str) -> None:
        if len(self.faults) < MAX_SEEN:
            self.faults.append(text)

    def _worth(self, mail: Candidate) -> int:
        if not self.deliveries:
            return 1
        recipients = mail.summary["envelope"]["to"]
        wanted = self.where.recipient
        return sum(1 for address in recipients if wanted is None or address.lower() == wanted) or 1

    def _check_unique(self, seen: Seen) -> None:
        if not self.unique_by:
            return
        key = "\n".join(values(self.unique_by, seen.mail))
        known = key if len(key) <= _SHOWN_CHARS else hashlib.sha256(key.encode()).hexdigest()
        if known in self._keys:
            self._fault(f"#{seen.seq} has the {self.unique_by} of an earlier one, {_cut(key)!r}")
        self._keys.add(known)

    def _check_order(self, seen: Seen) -> None:
        if not self.in_order:
            return
        found = values(self.in_order, seen.mail)
        key = _sort_key(found[0] if found else "")
        if self._last is not None and key < self._last:
            self._fault(f"#{seen.seq} is out of order: its {self.in_order} is {_cut(found[0]) if found else ''!r}")
        self._last = key

    def wanted(self) -> str:
        """What it asks for, in words."""
        number = "none" if self.high == 0 else _range(self.low, self.high)
        unit = " deliveries" if self.deliveries else ""
        return f"{number}{unit} {self.where}"


def _range(low: int, high: int | None) -> str:
    if high is None:
        return f"at least {low}"
    if low == high:
        return f"exactly {low}"
    return f"{low} to {high}" if low else f"at most {high}"


def _sort_key(text: str) -> tuple[float, str]:
    """Numbers by value, anything else by its characters."""
    try:
        return float(text if len(text) <= _SHOWN_CHARS else ""), ""
    except ValueError:
        return float("inf"), text


def _cut(text: str) -> str:
    """The beginning of a text, as reports have it."""
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


class Expectation:
    """Several items that are judged together."""

    def __init__(self, items: list[Item], *, forbid_rest: bool = False, settle_s: float = DEFAULT_SETTLE_S) -> None:
        self.items: Final = items
        self.unclaimed: Final[list[Seen]] = []  # the first of them
        self.unclaimed_count = 0
        self.count = 0  # of mails seen
        self._forbid_rest: Final = forbid_rest
        self._settle_s: Final = settle_s
        self._met_at: float | None = None
        self.patterns: Final = sum(item.where.patterns for item in items)

    @property
    def met(self) -> bool:
        """Whether enough mails have come."""
        return all(item.met for item in self.items)

    def take(self, seen: Seen) -> None:
        """Take the next mail."""
        self.count += 1
        claimed = [item.take(seen) for item in self.items]
        if not any(claimed):
            self.unclaimed_count += 1
            if len(self.unclaimed) < MAX_SEEN:
                self.unclaimed.append(seen.kept())

    @property
    def violated(self) -> bool:
        """Whether something has come that must not."""
        return any(item.faults for item in self.items) or (self._forbid_rest and bool(self.unclaimed))

    def state(self, now_s: float, *, over: bool) -> ExpectationState:
        """Where it stands `now_s` seconds after its start; `over` says that no more time is given."""
        if self.violated:
            return ExpectationState.VIOLATED
        if not self.met:
            self._met_at = None
            return ExpectationState.OPEN
        if over:
            return ExpectationState.MET
        return ExpectationState.MET if now_s >= self.ends_at(now_s) else ExpectationState.OPEN

    def ends_at(self, now_s: float) -> float:
        """When it holds if nothing more comes, in seconds from the start; asked while all items are met."""
        if self._met_at is None:
            self._met_at = max(0.0, now_s)
        positive = any(item.positive for item in self.items)
        bounded = self._forbid_rest or any(item.high is not None for item in self.items)
        hold = max((item.hold_s for item in self.items), default=0.0)
        if not positive:
            return hold or float("inf")  # nothing is to come: only the end of the time says that nothing came
        return max(self._met_at + (self._settle_s if bounded else 0.0), hold)


def near_misses(item: Item, seen: Iterable[Seen], limit: int = 10) -> list[tuple[Seen, str]]:
    """Return the mails that miss one condition of an item, with what they have there."""
    found: list[tuple[Seen, str]] = []
    for one in seen:
        failing = item.where.failing(one.mail)
        if len(failing) == 1:
            has = [_cut(value) for value in values(failing[0], one.mail)[:_SHOWN_VALUES]]
            shown = describe({failing[0]: has[0] if len(has) == 1 else has}) if has else f"no {failing[0]}"
            found.append((one, shown))
            if len(found) == limit:
                break
    return found


def make_item(spec: Any, pointer: str, seconds: Any) -> Item:
    """Return the item that a client described. `seconds` reads a duration. Raises WhereError with a pointer."""
    try:
        read = msgspec.convert(spec, ItemSpec)
    except msgspec.ValidationError as error:
        place, wrong = misfit(error)
        raise WhereError(f"{pointer}{place}", wrong) from None
    where = Where(read.where, f"{pointer}/where")
    low, high = _limits(read, pointer)
    hold_s = 0.0 if read.for_ is None else seconds(read.for_, f"{pointer}/for")
    return Item(
        read.name,
        where,
        low,
        high,
        hold_s,
        unique_by=_comparable(read.unique_by, f"{pointer}/unique_by"),
        in_order=_comparable(read.in_order, f"{pointer}/in_order"),
        deliveries=read.unit == "deliveries",
    )


def _comparable(key: str, pointer: str) -> str:
    if key and not has_values(key):
        raise WhereError(pointer, "mails are compared by what is a text: subject, to, header.<Name> and so on")
    return key


def _limits(spec: ItemSpec, pointer: str) -> tuple[int, int | None]:
    for name in ("exactly", "count", "at_least", "at_most"):
        number = getattr(spec, name)
        if number is not None and not 0 <= number <= MAX_COUNT:
            raise WhereError(f"{pointer}/{name}", f"a number from 0 to {MAX_COUNT}")
    given = [name for name in ("exactly", "count", "at_least", "at_most") if getattr(spec, name) is not None]
    if spec.none:
        if given:
            raise WhereError(f"{pointer}/none", f"says something else than {given[0]}")
        return 0, 0
    if spec.exactly is not None:
        if len(given) > 1:
            raise WhereError(f"{pointer}/exactly", f"says something else than {given[1]}")
        return spec.exactly, spec.exactly
    if spec.count is not None and spec.at_least is not None:
        raise WhereError(f"{pointer}/count", "is the same as at_least")
    low = spec.count if spec.count is not None else spec.at_least
    if spec.at_most is not None:
        if (low or 0) > spec.at_most:
            raise WhereError(f"{pointer}/at_most", "is less than the least")
        return low or 0, spec.at_most
    return 1 if low is None else low, None


def make_expectation(spec: Mapping[str, Any], seconds: Any) -> Expectation:
    """Return the expectation of a request's document, its keys checked by the caller. Raises WhereError."""
    items = spec.get("expect")
    if not isinstance(items, list) or not items:
        raise WhereError("/expect", "a list of what is expected, one object each")
    if len(items) > MAX_ITEMS:
        raise WhereError("/expect", f"at most {MAX_ITEMS} items")
    rest = spec.get("rest", "allow")
    if rest not in ("allow", "forbid"):
        raise WhereError("/rest", "allow or forbid")
    made = [make_item(item, f"/expect/{index}", seconds) for index, item in enumerate(items)]
    settle_s = seconds(spec["settle"], "/settle") if "settle" in spec else DEFAULT_SETTLE_S
    return Expectation(made, forbid_rest=rest == "forbid", settle_s=settle_s)
