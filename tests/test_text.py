"""Words for numbers, and what is printable."""

from __future__ import annotations

import json

import pytest

from fastsmtp import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", ""),
        ("exactly so", "exactly so"),
        ("a little more", "a little …"),
        ("\x1b[2J", "\x1b[2J"),
        ("\n" * 99, "\n" * 9 + "…"),
    ],
)
def test_what_is_brief_is_cut(value: str, shown: str) -> None:
    assert text.brief(value, 10) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (10485760, "10.5 MB"),
        (999_960, "1.0 MB"),
        (5 * 10**12, "5000.0 GB"),
    ],
)
def test_size(count: int, shown: str) -> None:
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (0.5, "500ms"), (1.5, "1.5s"), (59, "59s"), (60, "1m"), (5400, "1h30m"), (90061, "1d1h")],
)
def test_span(seconds: float, shown: str) -> None:
    assert text.span(seconds) == shown


def test_counted() -> None:
    assert [text.counted(count, "mail") for count in (0, 1, 2)] == ["0 mails", "1 mail", "2 mails"]


@pytest.mark.parametrize(
    ("given", "plain", "prose"),
    [
        ("Grüße 日本", "Grüße 日本", "Grüße 日本"),
        ("\x1b[m\r\n\x9b", "\\x1b[m\\r\\n\\x9b", "\\x1b[m\\r\\n\\x9b"),
        ("\u202e\ud800\U000e0001", "\\u202e\\ud800\\U000e0001", "\\u202e\\ud800\\U000e0001"),
        ("a\u00a0b\u2003c", "a\\xa0b\\u2003c", "a b c"),
        ("\u0645\u200c\u0646\u200d", "\u0645\\u200c\u0646\\u200d", "\u0645\u200c\u0646\u200d"),
    ],
    ids=["text", "controls", "format", "blanks", "joiners"],
)
def test_printable(given: str, plain: str, prose: str) -> None:
    assert (text.printable(given), text.printable(given, prose=True)) == (plain, prose)


def test_lines_stay_lines() -> None:
    assert text.printable_lines("a\x9b\n\u202eb\r\n") == "a\\x9b\n\\u202eb\\r\n"


@pytest.mark.parametrize(
    ("value", "document"),
    [
        ("Grüße 日本", '"Grüße 日本"'),
        ("\x7f\x9b\x85", '"\\u007f\\u009b\\u0085"'),
        ("\u2028\u202e\u2066\u200e", '"\\u2028\\u202e\\u2066\\u200e"'),
        ('\\\x9b"\n', '"\\\\\\u009b\\"\\n"'),
        ("\U000e0041", '"\\udb40\\udc41"'),
        ("a\u00a0\u200d", '"a\\u00a0\\u200d"'),
    ],
    ids=["text", "controls", "format", "escapes", "beyond 16 bits", "blanks and joiners"],
)
def test_json_that_prints_is_the_same_document(value: str, document: str) -> None:
    shown = text.printable_json(json.dumps(value, ensure_ascii=False))
    assert (shown, json.loads(shown)) == (document, value)


def test_every_character_prints_or_is_an_escape() -> None:
    everything = "a".join(map(chr, range(0x110000)))  # between two halves of a surrogate pair, too
    shown = text.printable_json(json.dumps(everything, ensure_ascii=False))
    assert (shown.isprintable(), text.printable(everything).isprintable()) == (True, True)
    assert json.loads(shown) == everything
