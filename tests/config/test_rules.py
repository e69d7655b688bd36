"""How the text of one setting becomes its value, or why it does not; `test_file.py` says where it stands then."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from fastsmtp.config import rules
from fastsmtp.config.rules import Rule, choice, integer, parse_duration, parse_size, size

LARGEST = 2**63 - 1


def rule(name: str) -> Rule:
    """The rule of one of the types of settings."""
    found = get_args(getattr(rules, name))[1]
    assert isinstance(found, Rule)
    return found


READ: list[tuple[Rule, object, object]] = [
    (rule("Text"), "x", "x"),
    (rule("Flag"), True, True),
    (rule("Count"), 0, 0),
    (rule("Count"), LARGEST, LARGEST),
    (rule("Workers"), 500, 500),
    (rule("Number"), 3, 3.0),
    (rule("Size"), "10MB", 10_000_000),
    (rule("Size"), 7, 7),
    (rule("Seconds"), "0", 0.0),
    (rule("Seconds"), 0, 0.0),
    (rule("PositiveSeconds"), "1h30m", 5400.0),
    (rule("BareSeconds"), 5, 5.0),
    (rule("BareSeconds"), "5ms", 0.005),
    (rule("Address"), "unix:/run/x", "unix:/run/x"),
    (rule("HTTPAddress"), "", ""),
    (rule("HTTPAddress"), "127.0.0.1:2112", "127.0.0.1:2112"),
    (rule("URL"), "tcp://127.0.0.1:6001", "tcp://127.0.0.1:6001"),
    (rule("Relay"), "pipes", "pipes"),
    (rule("Relay"), "unix:///run/x", "unix:///run/x"),
    (rule("HostName"), "mail.example.org", "mail.example.org"),
    (rule("OptionalHostName"), "", ""),
    (rule("CommandLine"), "php 'a b.php'", "php 'a b.php'"),
    (rule("Scalar"), True, "true"),
    (rule("Scalar"), 5, "5"),
    (rule("LogMode"), False, "off"),
    (rule("LogLevel"), "WARNING", "warn"),
    (rule("LogLevel"), "fatal", "panic"),
    (rule("NamespaceEntry"), "header:X-Test", "header:X-Test"),
    (choice("a", "b", c="a"), "C", "a"),
    (integer(1, 3), 3, 3),
    (size(0), "0", 0),
]

REFUSED: list[tuple[Rule, object, str]] = [
    (rule("Text"), 5, "put it in quotes"),
    (rule("Text"), None, ""),
    (rule("Text"), "a\0b", "it contains a NUL character"),
    (rule("Flag"), 1, ""),
    (rule("Count"), True, ""),
    (rule("Count"), -1, ""),
    (rule("Count"), LARGEST + 1, "it is too large"),
    (rule("Workers"), 501, ""),
    (rule("Number"), float("nan"), ""),
    (rule("Number"), True, ""),
    (rule("Size"), "10 parsecs", "units are B, kB, MB, GB and KiB, MiB, GiB"),
    (rule("Size"), True, ""),
    (rule("Size"), LARGEST + 1, "it is too large"),
    (rule("Seconds"), "-1s", "it must not be negative"),
    (rule("Seconds"), 5, "a unit is needed"),
    (rule("PositiveSeconds"), "0", "it must be longer than 0"),
    (rule("PositiveSeconds"), "1y", "units are h, m, s, ms, us and ns"),
    (rule("BareSeconds"), -5, "it must be longer than 0"),
    (rule("Address"), 1025, 'did you mean ":1025"?'),
    (rule("HTTPAddress"), "unix:/x", "only TCP is possible here"),
    (rule("URL"), "6001", 'did you mean "tcp://127.0.0.1:6001"?'),
    (rule("URL"), "/run/x", 'did you mean "unix:///run/x"?'),
    (rule("URL"), "127.0.0.1:1", 'did you mean "tcp://127.0.0.1:1"?'),
    (rule("HostName"), "a b", ""),
    (rule("HostName"), "", ""),
    (rule("CommandLine"), "php 'a", "no closing quotation"),
    (rule("LogMode"), "productoin", 'did you mean "production"?'),
    (rule("NamespaceEntry"), "header:", ""),
    (rule("NamespaceEntry"), "subject", ""),
    (integer(1), 0, ""),
]


@pytest.mark.parametrize(("read", "value", "setting"), READ, ids=lambda item: repr(item)[:40])
def test_is_read(read: Rule, value: object, setting: object) -> None:
    found = read.read(value)
    assert (found, type(found)) == (setting, type(setting))


@pytest.mark.parametrize(("read", "value", "reason"), REFUSED, ids=lambda item: repr(item)[:40])
def test_is_refused(read: Rule, value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        read.read(value)


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (integer(0), "an integer of 0 or more"),
        (integer(1, 9), "an integer from 1 to 9"),
        (choice("a", "b", c="a"), 'one of "a", "b"'),
        (size(5), 'a size of 5 or more: bytes, or like "10MB" or "10MiB"'),
    ],
    ids=["integer", "range", "choice", "size"],
)
def test_what_is_expected(read: Rule, expected: str) -> None:
    assert read.expected == expected


@pytest.mark.parametrize(
    ("text", "octets"),
    [("500", 500), ("10B", 10), ("1 kB", 1000), ("1KiB", 1024), ("1.5 MiB", 1_572_864), ("2tb", 2 * 10**12)],
)
def test_sizes(text: str, octets: int) -> None:
    assert parse_size(text) == octets


@pytest.mark.parametrize("text", ["", "-1", "1.", ".5MB", "1  MB", "1MBx", "١MB"])
def test_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r"^$|^units are"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("+0", 0.0), ("500ms", 0.5), ("1h30m", 5400.0), ("-1.5h", -5400.0), (".5s", 0.5), ("1.s", 1.0),
     ("3us", 3e-6), ("3µs", 3e-6), ("3μs", 3e-6), ("7ns", 7e-9)],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", ""), ("5", "a unit is needed"), ("1h5", "a unit is needed"), ("1 h", ""),
     ("1d", "units are h, m, s, ms, us and ns"),
     ("9" * 400 + "h", "it is too long")],
)  # fmt: skip
def test_no_duration(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        parse_duration(text)


def test_every_type_has_a_rule() -> None:
    """Each type of a setting says what it expects, in words that begin in lower case or with a value."""
    types: dict[str, Any] = {name: get_args(item) for name, item in vars(rules).items() if name[0].isupper()}
    found = {name: args[1].expected for name, args in types.items() if len(args) == 2 and isinstance(args[1], Rule)}
    assert len(found) > 20
    assert [name for name, expected in found.items() if not expected or expected[0].isupper()] == []
