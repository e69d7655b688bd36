"""Message-ID and Content-ID values (RFC 5322 section 3.6.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.mime.msgid import parse_message_id

IDENTIFIERS: dict[str, tuple[str, str | None]] = {
    "usual": ("<1.a@example.com>", "1.a@example.com"),
    "no brackets": ("1.a@example.com", "1.a@example.com"),
    "no domain": ("<logo>", "logo"),
    "blanks around": (" \t<a@b> ", "a@b"),
    "comment behind": ("<a@b> (added by <postmaster@mx>)", "a@b"),
    "comment before": ("(was <c@d>) <a@b>", "a@b"),
    "nested comment": ("<a@b> (x (y) \\) z)", "a@b"),
    "comment that is never closed": ("<a@b> (x", "a@b"),
    "comment without brackets": ("a@b (x)", "a@b"),
    "comment glued to it": ("a@b(x)", "a@b"),
    "comments in brackets": ("<(x)a@b (y)>", "a@b"),
    "parentheses of a file name": ("<image(1).png@x>", "image(1).png@x"),
    "blanks in brackets": ("<\ta@b >", "a@b"),
    "blanks around signs": ("< a . b @ c . d >", "a.b@c.d"),
    "blanks between words": ("<my  logo@x>", "my logo@x"),
    "doubled brackets": ("<<a@b>>", "a@b"),
    "doubled brackets with a blank": ("< <a@b> >", "a@b"),
    "semicolon behind": ("<a@b>;", "a@b"),
    "semicolon without brackets": ("a@b ;", "a@b"),
    "semicolon in brackets": ("<a@b;>", "a@b"),
    "several": ("<a@b> <c@d>", "a@b"),
    "text before": ("id <a@b>", "a@b"),
    "never closed": ("<a@b", "a@b"),
    "never opened": ("a@b>", "a@b"),
    "quoted local part": ('<"a > b"@x>', '"a > b"@x'),
    "quote that is never closed": ('<a"b@x>', 'a"b@x'),
    "all in quotes": ('"<a@b>"', "a@b"),
    "no brackets in quotes": ('"a@b"', "a@b"),
    "utf-8": ("<größe@ü>", "größe@ü"),
    "nothing": ("", None),
    "blanks": (" \t", None),
    "empty brackets": ("<>", None),
    "empty doubled brackets": ("<<>>", None),
    "blanks in empty brackets": ("< >", None),
    "comment alone": ("(x)", None),
    "empty quotes": ('""', None),
}


@pytest.mark.parametrize(("value", "identifier"), IDENTIFIERS.values(), ids=IDENTIFIERS)
def test_the_identifier_alone(value: str, identifier: str | None) -> None:
    assert parse_message_id(value) == identifier


@pytest.mark.parametrize("unit", ["<", ">", "(", "()", '"', '\\"', '"a"', " ", " a", "a(", "@ ", ";", "<a"])
@pytest.mark.parametrize("start", ["", "<", "<a", '"'])
def test_hostile(start: str, unit: str) -> None:
    """Hundreds of thousands of each: it ends."""
    assert len(parse_message_id(start + unit * 300_000) or "") <= len(start) + len(unit) * 300_000


@given(st.lists(st.one_of(st.sampled_from(["<", ">", "(", ")", '"', "\\", " ", "@", ".", ";"]), st.text(max_size=3))))
def test_any_value(pieces: list[str]) -> None:
    identifier = parse_message_id("".join(pieces))
    assert identifier is None or identifier.rstrip(" ;,") == identifier != ""


@pytest.mark.parametrize("length", [4096, 4097])
def test_what_is_too_long_for_an_identifier_stays_as_it_is(length: int) -> None:
    value = "(c) <a@b>".ljust(length, ";")
    assert parse_message_id(value) == ("a@b" if length == 4096 else value)
