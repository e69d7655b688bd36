"""Paths written like an address in a header: whatever stands around the address, it is found, and the parameters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.smtp.command import ArgumentError, parse_mail, parse_rcpt
from fastsmtp.smtp.displayname import NamedPath, find_named_path
from fastsmtp.smtp.mailbox import is_mailbox

ADDRESSES = st.sampled_from(
    ["a@b", "joe.x@example.org", '"a>b"@c', '"a <b"@c', '"(x"@c', '"\\""@c', "ü@b", "a@[127.0.0.1]", "a@[IPv6:::1]"]
)
WORDS = st.sampled_from(
    [
        "Joe",
        "Doe,",
        "O'Brien",
        "c@d",
        '"Joe X"',
        '"<x@y>"',
        '"\\"<"',
        "(work)",
        "(a <b@c> (d))",
        "(\\()",
        "=?utf-8?q?a?=",
    ]
)
NAMES = st.lists(WORDS, max_size=4).map(" ".join)
PARAMETERS = st.sampled_from(["", " SIZE=3", " X=(y) AUTH=<>", ' X="a'])
FORMS = st.sampled_from(
    ["{name} <{address}>", "{name} <{address}> (c)", "<{name} <{address}>>", "<{name}<<{address}> > >", "<{address}>>"]
)


@given(NAMES, ADDRESSES, FORMS, PARAMETERS)
def test_the_address_is_found(name: str, address: str, form: str, words: str) -> None:
    sent = form.format(name=name, address=address)
    path, parameters, quirks = parse_mail(f"FROM:{sent}{words}")
    usual, expected, others = parse_mail(f"FROM:<{address}>{words}")
    assert (path, parameters) == (usual, expected) == (address, expected)
    if sent.strip() != f"<{address}>":
        found = [quirk for quirk in quirks if quirk.code == "invalid-mailbox"]
        assert [quirk.detail for quirk in found] == [sent.lstrip()]
        assert quirks[0] == found[0]
    assert parse_rcpt(f"TO:{sent}")[0] == address
    assert [quirk for quirk in quirks if quirk.code.endswith("parameter")] == list(others)


@given(st.text(alphabet='<>()"\\ \ta@b=?,:', max_size=40))
def test_any_text(text: str) -> None:
    """What is found stands in the text, and no parameter is a bracket."""
    found = find_named_path(text)
    assert found is None or 0 < found.end <= len(text)
    try:
        _path, parameters, quirks = parse_mail(f"FROM:{text}")
    except ArgumentError:
        return
    assert ">" not in parameters
    assert all(quirk.detail in f"FROM:{text}" for quirk in quirks)


@given(ADDRESSES, PARAMETERS)
def test_nothing_is_found_in_a_path_of_the_grammar(address: str, words: str) -> None:
    assert is_mailbox(address)
    assert find_named_path(f"<{address}>{words}") is None
    assert [*parse_mail(f"FROM:<{address}>")[2]] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<Joe <a@b>> X", NamedPath("a@b", 11, True)),
        ("Joe <a@b>", NamedPath("a@b", 9, True)),
        ("a@b (Joe) X", NamedPath("a@b", 9, False)),
        ("<a@b> (Joe)", NamedPath("a@b", 11, True)),
        ("<a@b>(Joe) (x) SIZE=3", NamedPath("a@b", 14, True)),
        ("Ann <a@b> (Joe) X=(y)", NamedPath("a@b", 15, True)),
        ("<a@b> X=(y)", None),
        ("<a@b> (Joe", None),
        ("a@b X", None),
        ("a@b AUTH=<>", None),
        ("<a@b", None),
        ("", None),
        (">", None),
    ],
)
def test_where_the_path_ends(text: str, expected: NamedPath | None) -> None:
    assert find_named_path(text) == expected
