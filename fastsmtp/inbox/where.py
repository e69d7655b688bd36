"""Conditions on mails: the object `where` of lists, waits and expectations.

All keys must hold. A string is exact, addresses without case; `*` and `?` are wildcards; a list is "any of";
`{"any": [...]}` and `{"not": {...}}` combine whole conditions. There are no regular expressions: what a client sends
costs time that is linear in the mail.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from fastsmtp.config.rules import parse_size
from fastsmtp.errors import FastSMTPError
from fastsmtp.text import wildcard

MAX_PATTERN_CHARS: Final = 1000
MAX_PATTERNS: Final = 1000  # strings in one condition, however deep
_MAX_MARKS: Final = 20  # of `?` in one pattern: each multiplies what a search may cost
_MAX_DEPTH: Final = 20


class WhereError(FastSMTPError):
    """A condition cannot be used. `pointer` is the JSON pointer (RFC 6901) to what is wrong."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{pointer or '/'}: {reason}")
        self.pointer = pointer
        self.reason = reason


class Candidate:
    """What conditions look at: a summary, and the payload, which is read only where a condition needs it."""

    __slots__ = ("_again", "_load", "_payload", "read", "summary", "tags")

    def __init__(
        self,
        summary: Mapping[str, Any],
        load: Callable[[], Mapping[str, Any] | None],
        tags: Sequence[str] = (),
        *,
        read: bool = False,
        again: Callable[[], Mapping[str, Any] | None] | None = None,
    ) -> None:
        """`load` returns the payload, None where only the summary is kept; so does `again`, and holds less of it."""
        self.summary: Final = summary
        self.tags: Final = tags
        self.read: Final = read
        self._load = load
        self._again = again or load
        self._payload: Mapping[str, Any] | bool | None = False

    def without_payload(self) -> Candidate:
        """Return the mail for those who keep it: its payload is loaded again when it is asked for."""
        return Candidate(self.summary, self._again, self.tags, read=self.read)

    @property
    def payload(self) -> Mapping[str, Any] | None:
        """The payload as docs/payload.md has it, without contents of attachments."""
        if self._payload is False:
            self._payload = self._load()
        return self._payload  # type: ignore[return-value]

    @property
    def message(self) -> Mapping[str, Any]:
        """The part of the payload that is the message, empty where only the summary is kept."""
        payload = self.payload
        return {} if payload is None else payload["message"]


Test = Callable[[Candidate], bool]


class Condition(Protocol):
    """What can be asked of mails."""

    @property
    def recipient(self) -> str | None:
        """The one address, in lower case, that a mail must have been sent to; None where there is no such one."""

    def __call__(self, mail: Candidate) -> bool:
        """Whether the mail meets the condition."""


class Every:
    """A condition that holds where both of two do."""

    __slots__ = ("_first", "_second", "recipient")

    def __init__(self, first: Condition, second: Condition) -> None:
        self._first: Final = first
        self._second: Final = second
        self.recipient: Final = first.recipient or second.recipient

    def __call__(self, mail: Candidate) -> bool:
        """Whether the mail meets both."""
        return self._first(mail) and self._second(mail)


class Where:
    """A condition that can be asked of mails."""

    __slots__ = ("_tests", "patterns", "recipient", "spec")

    def __init__(self, spec: Any, pointer: str = "") -> None:
        """Raises WhereError for what is not a condition."""
        reader = _Reader()
        self.spec: Final = spec
        self._tests: Final = reader.read(spec, pointer, 0)
        self.patterns: Final = reader.patterns  # how many there are: what a mail costs grows with them
        # The one address, in lower case, that a mail must have been sent to: it is looked up instead of searched.
        self.recipient: Final = _recipient(spec)

    def __call__(self, mail: Candidate) -> bool:
        """Whether the mail meets the condition."""
        return all(test(mail) for test in self._tests.values())

    def failing(self, mail: Candidate) -> list[str]:
        """Return the keys that do not hold."""
        return [key for key, test in self._tests.items() if not test(mail)]

    def __bool__(self) -> bool:
        return bool(self._tests)

    def __str__(self) -> str:
        """The condition in words, as reports have it."""
        return describe(self.spec)


def describe(spec: Mapping[str, Any]) -> str:
    """Return a condition in words: `to x@example.com, subject "Welcome"`."""
    return ", ".join(_describe(key, value) for key, value in spec.items()) or "any mail"


def _describe(key: str, value: Any) -> str:
    if key == "not":
        return f"not ({describe(value)})"
    if key == "any":
        return " or ".join(f"({describe(item)})" for item in value)
    if isinstance(value, list):
        return f"{key} " + " or ".join(_shown(key, item) for item in value)
    return f"{key} {_shown(key, value)}"


def _shown(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if key in _TEXTS or key.startswith("header.") else str(value)


def has_values(key: str) -> bool:
    """Whether `values` are texts or addresses."""
    return key in _ADDRESSES or key in _TEXTS or (key.startswith("header.") and key != "header.")


def values(key: str, mail: Candidate) -> list[str]:
    """Return what a mail has under a key of texts or addresses, `header.<Name>` included."""
    if key.startswith("header."):
        return list(dict.fromkeys(_header_values(key[len("header.") :].lower(), mail)))
    look = _ADDRESSES.get(key) or _TEXTS.get(key)
    if look is not None:
        return [value for value in look(mail) if value]
    return [str(mail.summary[key])] if key in ("size", "tls") else []


def _header_values(name: str, mail: Candidate) -> Iterable[str]:
    """`name` is in lower case."""
    message = mail.message
    for field, decoded in message.get("headers", {}).items():
        if field.lower() == name:
            yield decoded
    for field, raw in message.get("raw_headers", ()):
        if field.lower() == name:
            yield raw.strip()


def _recipient(spec: Any) -> str | None:
    for key in ("rcpt", "to", "cc", "bcc"):
        value = spec.get(key)
        if isinstance(value, str) and not _is_pattern(value):
            return value.lower()
    return None


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


class _Reader:
    """Makes tests of a condition; counts the patterns of all its levels."""

    def __init__(self) -> None:
        self.patterns = 0

    def read(self, spec: Any, pointer: str, depth: int) -> dict[str, Test]:
        if not isinstance(spec, dict):
            raise WhereError(pointer, "a condition is an object")
        if depth > _MAX_DEPTH:
            raise WhereError(pointer, f"conditions may be nested {_MAX_DEPTH} deep")
        return {key: self._test(key, value, f"{pointer}/{_escape(key)}", depth) for key, value in spec.items()}

    def _test(self, key: str, value: Any, pointer: str, depth: int) -> Test:
        if key == "not":
            inner = self.read(value, pointer, depth + 1)
            return lambda mail: not all(test(mail) for test in inner.values())
        if key == "any":
            return self._any(value, pointer, depth)
        if key.startswith("header."):
            return self._header(key[len("header.") :], value, pointer)
        if key in _ADDRESSES:
            return self._some(_ADDRESSES[key], value, pointer, fold=True)
        if key in _TEXTS:
            return self._some(_TEXTS[key], value, pointer, fold=False)
        if key in _FLAGS:
            return _flag(_FLAGS[key], value, pointer)
        if key == "size":
            return _size(value, pointer)
        if key == "ip":
            return _ip(value, pointer)
        raise WhereError(pointer, f"unknown key {key!r}; there are {', '.join(KEYS)}")

    def _any(self, value: Any, pointer: str, depth: int) -> Test:
        if not isinstance(value, list) or not value:
            raise WhereError(pointer, "any of what? It is a list of conditions")
        inner = [self.read(item, f"{pointer}/{index}", depth + 1) for index, item in enumerate(value)]
        return lambda mail: any(all(test(mail) for test in tests.values()) for tests in inner)

    def _header(self, name: str, value: Any, pointer: str) -> Test:
        wanted = name.lower()
        return self._some(lambda mail: _header_values(wanted, mail), value, pointer, fold=False)

    def _some(
        self, values: Callable[[Candidate], Iterable[str | None]], wanted: Any, pointer: str, *, fold: bool
    ) -> Test:
        """A test whether one of the values is one of those that are wanted."""
        patterns = wanted if isinstance(wanted, list) else [wanted]
        matchers = [self._matcher(item, pointer, fold=fold) for item in patterns]

        def test(mail: Candidate) -> bool:
            for value in values(mail):
                if value is not None:
                    shown = value.lower() if fold else value
                    if any(matches(shown) for matches in matchers):
                        return True
            return False

        return test

    def _matcher(self, pattern: Any, pointer: str, *, fold: bool) -> Callable[[str], bool]:
        if not isinstance(pattern, str):
            raise WhereError(pointer, "a string, or a list of strings")
        self.patterns += 1
        if len(pattern) > MAX_PATTERN_CHARS or self.patterns > MAX_PATTERNS or pattern.count("?") > _MAX_MARKS:
            limits = f"{MAX_PATTERN_CHARS} characters, {_MAX_MARKS} times `?` and {MAX_PATTERNS} patterns"
            raise WhereError(pointer, f"a pattern is too long: the most are {limits}")
        return wildcard(pattern.lower() if fold else pattern)


def _escape(key: str) -> str:
    """RFC 6901 3."""
    return key.replace("~", "~0").replace("/", "~1")


def _mailboxes(field: str) -> Callable[[Candidate], Iterable[str]]:
    return lambda mail: (mailbox["address"] for mailbox in mail.summary[field])


def _attachment_names(mail: Candidate) -> Iterable[str]:
    payload = mail.payload
    return () if payload is None else (item["filename"] for item in payload["attachments"])


def _faults(mail: Candidate) -> Iterable[str]:
    return (fault["rule"] for fault in mail.summary["faults"])


_ADDRESSES: Final[dict[str, Callable[[Candidate], Iterable[str | None]]]] = {
    "from": lambda mail: [mail.summary["from"] and mail.summary["from"]["address"], mail.summary["envelope"]["from"]],
    "to": _mailboxes("to"),
    "cc": _mailboxes("cc"),
    "bcc": _mailboxes("bcc"),
    "reply_to": _mailboxes("reply_to"),
    "rcpt": lambda mail: mail.summary["envelope"]["to"],
    "username": lambda mail: [mail.summary["username"]],
    "helo": lambda mail: [mail.summary["envelope"]["helo"]],
}
_TEXTS: Final[dict[str, Callable[[Candidate], Iterable[str | None]]]] = {
    "subject": lambda mail: [mail.summary["subject"] or ""],
    "message_id": lambda mail: [mail.summary["message_id"]],
    "text": lambda mail: [mail.message.get("text")],
    "html": lambda mail: [mail.message.get("html")],
    "body": lambda mail: [mail.message.get("text"), mail.message.get("html")],
    "attachment": _attachment_names,
    "tag": lambda mail: mail.tags,
    "fault": _faults,
    "violation": lambda mail: mail.summary["violations"],
    "outcome": lambda mail: [mail.summary["outcome"]],
}
_FLAGS: Final[dict[str, Callable[[Candidate], bool]]] = {
    "has_attachment": lambda mail: bool(mail.summary["attachments"]),
    "tls": lambda mail: mail.summary["tls"],
}
KEYS: Final = (*_ADDRESSES, *_TEXTS, "header.<Name>", *_FLAGS, "size", "ip", "any", "not")


def _flag(value: Callable[[Candidate], bool], wanted: Any, pointer: str) -> Test:
    if not isinstance(wanted, bool):
        raise WhereError(pointer, "true or false")
    return lambda mail: value(mail) is wanted


def _size(wanted: Any, pointer: str) -> Test:
    """`>1MB`, `<=500`, `1024`."""
    if isinstance(wanted, bool) or not isinstance(wanted, (int, str)):
        raise WhereError(pointer, 'a number of octets, or a string like ">1MB"')
    text = str(wanted).strip()
    sign = next((sign for sign in (">=", "<=", ">", "<", "=") if text.startswith(sign)), "")
    try:
        limit = parse_size(text[len(sign) :].strip())
    except ValueError as error:
        raise WhereError(pointer, str(error) or 'a number of octets, or a string like ">1MB"') from None
    compare = _COMPARISONS[sign or "="]
    return lambda mail: compare(mail.summary["size"], limit)


_COMPARISONS: Final[dict[str, Callable[[int, int], bool]]] = {
    ">=": lambda size, limit: size >= limit,
    "<=": lambda size, limit: size <= limit,
    ">": lambda size, limit: size > limit,
    "<": lambda size, limit: size < limit,
    "=": lambda size, limit: size == limit,
}


def _ip(wanted: Any, pointer: str) -> Test:
    try:
        networks = [
            ipaddress.ip_network(item, strict=False) for item in (wanted if isinstance(wanted, list) else [wanted])
        ]
    except (ValueError, TypeError):
        raise WhereError(pointer, "an address or a network, like 127.0.0.1 or 10.0.0.0/8") from None

    def test(mail: Candidate) -> bool:
        try:
            address = ipaddress.ip_address(mail.summary["remote_addr"].rpartition(":")[0].strip("[]"))
        except ValueError:  # a Unix socket
            return False
        return any(address in network for network in networks)

    return test
