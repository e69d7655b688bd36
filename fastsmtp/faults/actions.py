"""What a rule of a plan does: the object `do`."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from fastsmtp.config.rules import parse_duration, parse_size
from fastsmtp.faults.conditions import only_keys
from fastsmtp.faults.question import PlanError

PASS: Final = "pass"
MAX_DELAY_S: Final = 3600.0
_MAX_REPLY_LINES: Final = 100
_MAX_TEXT_CHARS: Final = 4000
_MAX_COPIES: Final = 100
_MAX_OCTETS: Final = 2**53
_MAX_PIECES: Final = 100  # of a reply
_CODE = re.compile(r"[2-5][0-9]{2}(?:[ -].*)?", re.DOTALL)
CLOSINGS: Final = ("fin", "rst")
CERTIFICATES: Final = ("expired", "wrong-name", "self-signed")
# What has an effect where: without an entry an action may stand at any stage.
_ONLY_AT: Final = {
    "after": {"body"},
    "read_rate": {"body"},
    "drop": {"data-end"},
    "store": {"data-end"},
    "duplicate": {"data-end"},
    "ehlo": {"ehlo"},
    "tls": {"starttls", "tls"},
}
# And the other way round: in a handshake and within the mail there is no reply.
_ONLY_THESE: Final = {
    "tls": {"tls", "delay", "stall", "close"},
    "body": {"reply", "delay", "stall", "close", "read_rate", "after"},
}
# One of each: the first is said to exclude the second.
_EXCLUDE: Final = (
    ("reply", "drop"), ("drop", "store"), ("drop", "duplicate"), ("reply", "duplicate"), ("rate", "split"),
)  # fmt: skip


class Action(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is done to a session; defaults mean that it is not. Times in seconds, sizes in octets."""

    reply: list[str] = msgspec.field(default_factory=list)  # lines without their CRLF, in place of the good reply
    delay: tuple[float, float] = (0.0, 0.0)  # before the reply: from, to
    stall: float = 0.0  # no reply for so long
    rate: int = 0  # octets a second of the reply
    read_rate: int = 0  # octets a second that are read of the mail
    after: int = 0  # octets of the mail before any of this
    truncate: int = 0  # octets of the reply that are sent
    split: list[int] = msgspec.field(default_factory=list)  # sizes of the first pieces of the reply
    garbage: str = ""  # sent before the reply
    close: str = ""  # `CLOSINGS`; behind the reply, if there is one
    drop: bool = False  # 250, and not stored
    store: bool = False  # though refused
    duplicate: int = 0  # how often it is stored
    ehlo_remove: list[str] = msgspec.field(default_factory=list)  # keywords
    ehlo_add: list[str] = msgspec.field(default_factory=list)  # lines
    certificate: str = ""  # `CERTIFICATES`

    @property
    def shapes(self) -> bool:
        """Whether it says how the reply is written."""
        return bool(self.rate or self.truncate or self.split or self.garbage)

    @property
    def silent(self) -> bool:
        """Whether the connection ends without a reply."""
        return bool(self.close) and not (self.reply or self.shapes)

    @property
    def refuses(self) -> bool:
        """Whether a command or a mail is not to have its effect."""
        return self.silent or (bool(self.reply) and self.reply[0][0] in "45")

    @property
    def effects(self) -> list[str]:
        """What it does to a mail or a command, as the ledger counts it."""
        effects = {
            "refused": bool(self.reply) and self.reply[-1][0] in "45",
            "dropped": self.drop,
            "doubled": self.duplicate > 0,
            "delayed": bool(self.delay[1] or self.stall or self.rate or self.read_rate),
            "closed": bool(self.close),
        }
        return [name for name, is_so in effects.items() if is_so]

    @property
    def words(self) -> str:
        """The action in a few words, as reports and a mail's JSON have it."""
        if self.reply:
            return f"reply {self.reply[-1][:3]}" + (f", close {self.close}" if self.close else "")
        for name in ("drop", "duplicate", "stall", "delay", "close", "certificate"):
            if getattr(self, name) not in (False, 0, 0.0, "", (0.0, 0.0)):
                return name if name in ("drop", "stall", "delay") else f"{name} {getattr(self, name)}"
        for name in ("garbage", "truncate", "split", "rate", "read_rate"):
            if getattr(self, name):
                return name.replace("_", " ")
        return "ehlo" if self.ehlo_remove or self.ehlo_add else "store"


def possible_stages(spec: Any, stages: frozenset[str]) -> frozenset[str]:
    """Of these stages those at which everything in a rule's `do` can be done."""
    actions = spec if isinstance(spec, list) else [spec]
    keys = {key for action in actions if isinstance(action, dict) for key in action if key != "for"}
    good = any(isinstance(action, dict) and _is_good(action.get("reply")) for action in actions)
    unfit = {"body"} if good else set()
    return frozenset(stage for stage in stages - unfit if not any(_impossible(key, stage) for key in keys))


def _impossible(key: str, stage: str) -> bool:
    return stage not in _ONLY_AT.get(key, {stage}) or key not in _ONLY_THESE.get(stage, {key})


def read_actions(spec: Any, pointer: str, stages: frozenset[str]) -> list[Action | None]:
    """The actions of a rule, one after the other over its hits; None lets a command pass. Raises PlanError."""
    if not isinstance(spec, list):
        return [_read(spec, pointer, stages)]
    if not spec:
        raise PlanError(pointer, "at least one action")
    actions = [_read(item, f"{pointer}/{at}", stages) for at, item in enumerate(spec)]
    for at, action in enumerate(actions):
        if action is not None and action.after != after_of(actions):
            raise PlanError(f"{pointer}/{at}/after", "all actions of a rule come after as many octets")
    return actions


def after_of(actions: list[Action | None]) -> int:
    """How many octets of a mail have to come before these actions."""
    return next((action.after for action in actions if action is not None), 0)


def _read(spec: Any, pointer: str, stages: frozenset[str]) -> Action | None:
    if spec == PASS or spec == {PASS: True}:
        return None
    if not isinstance(spec, dict) or not spec:
        raise PlanError(pointer, f'an object with some of {", ".join(_READERS)}, or "{PASS}"')
    only_keys(spec, (*_READERS, "for"), pointer)
    _check_places(spec, pointer, stages)
    if "for" in spec and "stall" not in spec:
        raise PlanError(f"{pointer}/for", "it says how long to stall; of a rule, it stands beside `do`")
    for first, second in _EXCLUDE:
        if first in spec and second in spec:
            raise PlanError(f"{pointer}/{second}", f"there is one answer, and `{first}` is one")
    values: dict[str, Any] = {}
    for key, value in spec.items():
        if key != "for":
            values |= _READERS[key](value, f"{pointer}/{key}")
    if "for" in spec:
        values["stall"] = _duration(spec["for"], f"{pointer}/for")
    if set(values) == {"after"}:
        raise PlanError(f"{pointer}/after", "after that, nothing is done")
    return Action(**values)


def _check_places(spec: dict[str, Any], pointer: str, stages: frozenset[str]) -> None:
    """Raises PlanError for what cannot be done at one of these stages."""
    for key in spec:
        allowed = _ONLY_AT.get(key)
        if allowed is not None and not stages <= allowed:
            raise PlanError(f"{pointer}/{key}", f"it can be done at {' and '.join(sorted(allowed))} only")
        for stage in sorted(stages):
            if key != "for" and _impossible(key, stage):
                raise PlanError(f"{pointer}/{key}", f"it cannot be done at {stage}")
    if "body" in stages and _is_good(spec.get("reply")):
        raise PlanError(f"{pointer}/reply", "in the middle of a mail there is no good reply: one with 4 or 5")


def _is_good(reply: Any) -> bool:
    lines = reply if isinstance(reply, list) else [reply]
    return any(isinstance(line, str) and line[:1] in ("2", "3") for line in lines)


def _reply(value: Any, pointer: str) -> dict[str, Any]:
    lines = value if isinstance(value, list) else [value]
    if not 0 < len(lines) <= _MAX_REPLY_LINES:
        raise PlanError(pointer, f"from 1 to {_MAX_REPLY_LINES} lines")
    for at, line in enumerate(lines):
        place = f"{pointer}/{at}" if lines is value else pointer
        if not isinstance(line, str) or len(line) > _MAX_TEXT_CHARS or {"\r", "\n"} & set(line):
            raise PlanError(place, f"a line of text, of at most {_MAX_TEXT_CHARS} characters")
        if _CODE.fullmatch(line) is None:
            raise PlanError(place, 'a reply of SMTP, like "451 4.7.1 Try again"; `garbage` takes any text')
        if line[:3] != str(lines[0])[:3]:
            raise PlanError(place, "all lines of a reply have one code (RFC 5321 section 4.2.1)")
    # However they are written: `-` says that a line follows.
    return {"reply": [line[:3] + ("-" if line is not lines[-1] else " ") + line[4:] for line in lines]}


def _delay(value: Any, pointer: str) -> dict[str, Any]:
    first, dots, last = value.partition("..") if isinstance(value, str) else ("", "", "")
    lowest = _duration(first, pointer)
    highest = _duration(last, pointer) if dots else lowest
    if highest < lowest:
        raise PlanError(pointer, "the shorter time comes first")
    return {"delay": (lowest, highest)}


def _stall(value: Any, pointer: str) -> dict[str, Any]:
    if value is True:
        return {"stall": MAX_DELAY_S}
    if isinstance(value, dict) and set(value) == {"for"}:
        return {"stall": _duration(value["for"], f"{pointer}/for")}
    return {"stall": _duration(value, pointer)}


def _duration(value: Any, pointer: str) -> float:
    try:
        seconds = parse_duration(value) if isinstance(value, str) else -1.0
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= MAX_DELAY_S:
        raise PlanError(pointer, 'a time like "300ms" or "2s", of at most an hour')
    return seconds


def _size(value: Any, pointer: str) -> int:
    try:
        octets = parse_size(value) if isinstance(value, str) else value
    except ValueError:
        octets = 0
    if isinstance(octets, bool) or not isinstance(octets, int) or not 1 <= octets <= _MAX_OCTETS:
        raise PlanError(pointer, 'a size like 5 or "64KB"')
    return octets


def _rate(value: Any, pointer: str) -> int:
    if not isinstance(value, str) or not value.endswith("/s"):
        raise PlanError(pointer, 'octets a second, like "10B/s"')
    return _size(value.removesuffix("/s"), pointer)


def _split(value: Any, pointer: str) -> dict[str, Any]:
    if not isinstance(value, list) or not 0 < len(value) <= _MAX_PIECES:
        raise PlanError(pointer, f"sizes of the first pieces of the reply, like [3, 1], {_MAX_PIECES} at most")
    return {"split": [_size(item, f"{pointer}/{at}") for at, item in enumerate(value)]}


def _text(value: Any, pointer: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT_CHARS:
        raise PlanError(pointer, f"a text of at most {_MAX_TEXT_CHARS} characters")
    return value


def _close(value: Any, pointer: str) -> dict[str, Any]:
    if value is not True and value not in CLOSINGS:
        raise PlanError(pointer, f"true, or one of {', '.join(CLOSINGS)}")
    return {"close": CLOSINGS[0] if value is True else value}


def _flag(value: Any, pointer: str) -> bool:
    if value is not True:
        raise PlanError(pointer, "true")
    return True


def _duplicate(value: Any, pointer: str) -> dict[str, Any]:
    if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= _MAX_COPIES:
        raise PlanError(pointer, f"from 2 to {_MAX_COPIES}")
    return {"duplicate": value}


def _ehlo(value: Any, pointer: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise PlanError(pointer, "an object with `remove`, `add` or both")
    only_keys(value, ("remove", "add"), pointer)
    for key, lines in value.items():
        if not isinstance(lines, list):
            raise PlanError(f"{pointer}/{key}", "a list")
        for at, line in enumerate(lines):
            if {"\r", "\n"} & set(_text(line, f"{pointer}/{key}/{at}")):
                raise PlanError(f"{pointer}/{key}/{at}", "one line")
    if not any(value.values()):
        raise PlanError(pointer, "at least one line to remove or to add")
    removed = [keyword.upper() for keyword in value.get("remove", [])]
    return {"ehlo_remove": removed, "ehlo_add": list(value.get("add", []))}


def _tls(value: Any, pointer: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != {"cert"}:
        raise PlanError(pointer, "an object with `cert`")
    if value["cert"] not in CERTIFICATES:
        raise PlanError(f"{pointer}/cert", f"one of {', '.join(CERTIFICATES)}")
    return {"certificate": value["cert"]}


_READERS: Final[dict[str, Any]] = {
    "reply": _reply,
    "delay": _delay,
    "stall": _stall,
    "rate": lambda value, pointer: {"rate": _rate(value, pointer)},
    "read_rate": lambda value, pointer: {"read_rate": _rate(value, pointer)},
    "after": lambda value, pointer: {"after": _size(value, pointer)},
    "truncate": lambda value, pointer: {"truncate": _size(value, pointer)},
    "split": _split,
    "garbage": lambda value, pointer: {"garbage": _text(value, pointer)},
    "close": _close,
    "drop": lambda value, pointer: {"drop": _flag(value, pointer)},
    "store": lambda value, pointer: {"store": _flag(value, pointer)},
    "duplicate": _duplicate,
    "ehlo": _ehlo,
    "tls": _tls,
}
ACTIONS: Final = tuple(_READERS)
