"""What is kept of what was said in a session, and for how long."""

from __future__ import annotations

from fastsmtp.smtp.transcript import (
    CLIENT,
    MAX_LATEST_CHARS,
    MAX_LATEST_LINES,
    MAX_LINE_CHARS,
    MAX_OPENING_LINES,
    OMITTED,
    SERVER,
    Transcript,
)


def test_lines_in_order_with_whole_milliseconds_from_the_start() -> None:
    transcript = Transcript(100.0)
    transcript.add(100.0, SERVER, "220 mx.test ESMTP")
    transcript.add(100.0129, CLIENT, "AUTH PLAIN AHUAcA==")
    transcript.add(163.5, SERVER, "235 2.7.0 ok", "later")
    assert transcript.lines() == [
        (0, "server", "220 mx.test ESMTP", ""),
        (12, "client", "AUTH PLAIN AHUAcA==", ""),
        (63500, "server", "235 2.7.0 ok", "later"),
    ]


def test_what_was_taken_is_not_changed_by_what_is_said_later() -> None:
    transcript = Transcript(0.0)
    transcript.add(0.0, CLIENT, "NOOP")
    taken = transcript.lines()
    transcript.add(0.0, CLIENT, "QUIT")
    assert taken == [(0, "client", "NOOP", "")]


def test_the_opening_and_the_latest_lines_stay() -> None:
    transcript = Transcript(0.0)
    kept = MAX_OPENING_LINES + MAX_LATEST_LINES
    for number in range(kept):
        transcript.add(number, CLIENT, f"NOOP {number}")
    assert [line.line for line in transcript.lines()] == [f"NOOP {number}" for number in range(kept)]
    for number in range(kept, kept + 1000):
        transcript.add(number, CLIENT, f"NOOP {number}")
    lines = transcript.lines()
    first = MAX_OPENING_LINES + 1000  # of the latest
    assert [line.line for line in lines[:MAX_OPENING_LINES]] == [
        f"NOOP {number}" for number in range(MAX_OPENING_LINES)
    ]
    assert lines[MAX_OPENING_LINES] == (first * 1000, OMITTED, "1000 lines left out", "")
    assert [line.line for line in lines[MAX_OPENING_LINES + 1 :]] == [
        f"NOOP {number}" for number in range(first, kept + 1000)
    ]


def test_long_lines_are_cut_and_seen_to_be() -> None:
    transcript = Transcript(0.0)
    transcript.add(0.0, CLIENT, "x" * MAX_LINE_CHARS)
    transcript.add(0.0, CLIENT, "x" * (MAX_LINE_CHARS + 1))
    assert [line.line for line in transcript.lines()] == ["x" * MAX_LINE_CHARS, "x" * MAX_LINE_CHARS + "…"]


def test_memory_is_bounded_whatever_a_client_sends() -> None:
    transcript = Transcript(0.0)
    for _ in range(2000):
        transcript.add(0.0, CLIENT, "x" * 65536)
    lines = transcript.lines()
    latest = [line for line in lines[MAX_OPENING_LINES:] if line.speaker == CLIENT]
    assert sum(len(line.line) for line in latest) <= MAX_LATEST_CHARS
    assert sum(len(line.line) for line in lines) < MAX_LATEST_CHARS + (MAX_OPENING_LINES + 1) * (MAX_LINE_CHARS + 1)
    assert f"{2000 - MAX_OPENING_LINES - len(latest)} lines left out" in [line.line for line in lines]
