"""Names of namespaces and cursors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.inbox.names import Cursor, is_name, new_epoch, to_name


@pytest.mark.parametrize("name", ["a", "0", "run-42", "a.b_c-d", "x" * 64, "run-42/w3", "a/b"])
def test_names(name: str) -> None:
    assert (is_name(name), to_name(name)) == (True, name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", ""),
        ("A", "a"),
        ("Max Müller", "max-m-ller"),
        ("-a", "a"),
        (".._-", ""),
        ("a/", "a"),
        ("/a", "a"),
        ("a/b/c", "a/b-c"),
        ("x" * 65, "x" * 64),
        ("a\nb", "a-b"),
        ("user@example.com", "user-example.com"),
        ("run/mails", "run/mails-"),
        ("../etc", "etc"),
    ],
)
def test_any_text_has_a_name(text: str, name: str) -> None:
    assert (is_name(text), to_name(text)) == (False, name)


@given(st.text(max_size=300))
def test_what_comes_out_is_a_name(text: str) -> None:
    name = to_name(text)
    assert name == "" or is_name(name)
    assert to_name(name) == name


def test_cursors() -> None:
    cursor = Cursor(new_epoch(), 12)
    assert Cursor.parse(str(cursor)) == cursor


@pytest.mark.parametrize(
    "text", ["", "a", "a.", ".1", "a.b", "a.1.2", "a.-1", "a.١", "a.1e3", f"a.{'9' * 19}", "a b.1"]
)
def test_what_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a cursor has the form EPOCH\.NUMBER, "):
        Cursor.parse(text)
