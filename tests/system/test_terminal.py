"""Widths, cuts and line breaks, in cells of a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from fastsmtp.system.terminal import cells, cut, harmless, one_line, styled, wrapped

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"  # man, woman and girl, joined: one picture
FLAG = "\U0001f1e9\U0001f1ea"
RED_HEART = "\u2764\ufe0f"
ACCENTED = "e\u0301"


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("plain", 5),
        ("Grüße\u00a0ﬁ", 7),
        ("日本", 4),
        ("ｱ", 1),
        (ACCENTED, 1),
        ("\U0001f600", 2),
        (FAMILY, 2),
        (FAMILY * 3 + "x", 7),
        (FLAG, 2),
        (RED_HEART, 2),
        ("\u1112\u1161\u11ab", 2),
        ("\u05d0\u05d1", 2),
    ],
    ids=[
        "empty", "ASCII", "Latin", "wide", "half-width", "combining", "emoji", "family", "families", "flag", "selector",
        "jamo", "Hebrew",
    ],
)  # fmt: skip
def test_cells(text: str, width: int) -> None:
    assert cells(text) == width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0123456789", "0123456789"),
        ("0123456789a", "012345678…"),
        ("日本日本日", "日本日本日"),
        ("日本日本日x", "日本日本…"),
        ("x" + FAMILY * 4, "x" + FAMILY * 4),
        ("x" + FAMILY * 5, "x" + FAMILY * 4 + "…"),
        ("xx" + FAMILY * 5, "xx" + FAMILY * 3 + "…"),
        (ACCENTED * 10, ACCENTED * 10),
        (ACCENTED * 11, ACCENTED * 9 + "…"),
        ("12345678" + ACCENTED + "9" * 9, "12345678" + ACCENTED + "…"),
    ],
)
def test_cut(text: str, shown: str) -> None:
    assert cut(text, 10) == shown


def test_what_combines_without_end_is_cut_too() -> None:
    assert cut("e" + "\u0301" * 10_000 + " and more", 5) == "e" + "\u0301" * 15 + "…"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [""]),
        ("0123456789", ["0123456789"]),
        ("one two three four", ["one two", "three four"]),
        ("0123456789 x", ["0123456789", "x"]),
        ("0123456789abc", ["0123456789", "abc"]),
        ("日本日本日本", ["日本日本日", "本"]),
        (FAMILY * 7, [FAMILY * 5, FAMILY * 2]),
        ("x" + FAMILY * 5, ["x" + FAMILY * 4, FAMILY]),
        ("123456789" + ACCENTED + "x", ["123456789" + ACCENTED, "x"]),
    ],
)
def test_wrapped(text: str, rows: list[str]) -> None:
    assert wrapped(text, 10) == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("https://example.com/?token=x", ["https://example.com/?token=x"]),
        ("Confirm: https://example.com/ now", ["Confirm:", "https://example.com/", "now"]),
        ("(http://example.com/) is it", ["(http://example.com/)", "is it"]),
        ("日本 <https://example.com/>", ["日本", "<https://example.com/>"]),
        ("http://a.b short", ["http://a.b", "short"]),
        ("httpd://example.com", ["httpd://ex", "ample.com"]),
    ],
    ids=["alone", "between", "brackets", "wide", "short", "none"],
)
def test_a_url_stays_whole(text: str, rows: list[str]) -> None:
    assert wrapped(text, 10) == rows


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31m\x00\x07\x9b2J\r\n", "a\\x1b[31m\\x00\\x07\\x9b2J\\r\\n"),
        ("a\u202eb\u2028c\ud800", "a\\u202eb\\u2028c\\ud800"),
        ("a\u00a0b\u3000c", "a b c"),
        (FAMILY, FAMILY),
    ],
    ids=["controls", "format", "blanks", "joiners"],
)
def test_harmless(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_a_value_is_one_line_and_not_too_long() -> None:
    assert one_line("a\nb") == "a\\nb"
    assert one_line("x" * 500) == "x" * 500
    assert one_line("x" * 501) == "x" * 497 + "..."
    assert one_line(None) == "None"


def test_styled() -> None:
    assert styled("x", "1") == "\x1b[1mx\x1b[0m"


@pytest.mark.parametrize(("columns", "width"), [(0, 80), (20, 40), (72, 72), (200, 200)])
def test_the_width_of_a_terminal(columns: int, width: int) -> None:
    ours, theirs = pty.openpty()
    code = (
        "import fcntl, struct, termios\n"
        f"fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, {columns}, 0, 0))\n"
        "from fastsmtp.system.terminal import terminal_width, wants_colours\n"
        "raise SystemExit(terminal_width() + wants_colours())"
    )
    environment = {**os.environ, "TERM": "dumb"}
    status = subprocess.run([sys.executable, "-c", code], stdout=theirs, env=environment, check=False).returncode
    os.close(theirs)
    os.close(ours)
    assert status == width


def test_a_pipe_has_no_colours_and_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    code = "from fastsmtp.system.terminal import *; print(terminal_width(), wants_colours())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"0 False\n"


def test_latin_text_needs_no_large_library() -> None:
    code = "import sys, fastsmtp.printer.main as m; m.Painter(colours=False, width=80); print('wcwidth' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
