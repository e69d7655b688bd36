"""What a list shows of a mail."""

from __future__ import annotations

import pytest
from arrivals import payload

from fastsmtp.capture.handling import Handling
from fastsmtp.inbox.summary import snippet, summarize, timestamp_ms


@pytest.mark.parametrize(
    ("text", "markup", "shown"),
    [
        ("", None, ""),
        (None, None, ""),
        ("hello\r\n  world\t\n", None, "hello world"),
        ("hello", "<p>other", "hello"),
        (" \r\n", "<p>from<br>HTML &amp; more</p>", "from HTML & more"),
        ("a\u200b\u00adb\u00a0c\u2003d", None, "a b c d"),
        ("x" * 250, None, "x" * 250),
        ("x" * 251, None, "x" * 249 + "…"),
        ("word " * 60, None, "word " * 49 + "word…"),
        (" " * 1500 + "late", None, "late"),
        ("early" + "\r\n" * 500 + "late", None, "early late"),
        (" " * 3000 + "too late", None, ""),
    ],
)
def test_snippet(text: str | None, markup: str | None, shown: str) -> None:
    assert snippet(text, markup) == shown


def test_a_mail_says_what_its_worker_did_if_one_had_it() -> None:
    without = summarize(payload("u"), 0, "accepted")
    done = summarize(payload("u"), 0, "accepted", worker=Handling(7, "ERROR", "gone", 1, 2))
    said = {"pid": 7, "answer": "ERROR", "text": "gone", "waited_ms": 1, "took_ms": 2}
    assert ("worker" in without, done) == (False, {**without, "worker": said})


def test_timestamps() -> None:
    assert [timestamp_ms(value) for value in (0, 1, 999, 1000, 1_800_000_000_123)] == [
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.001Z",
        "1970-01-01T00:00:00.999Z",
        "1970-01-01T00:00:01.000Z",
        "2027-01-15T08:00:00.123Z",
    ]
