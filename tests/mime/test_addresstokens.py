"""Tokens of address lists (RFC 5322 sections 3.2 and 3.4), and what words and phrases of them say."""

from __future__ import annotations

import pytest

from fastsmtp.mime.addresstokens import (
    Token,
    TokenKind,
    ends_with_mailbox,
    extents_of,
    is_blank,
    is_comma,
    phrase_text,
    spaced,
    split,
    tokens_of,
    unquoted,
)
from fastsmtp.mime.budget import Budget
from fastsmtp.mime.defects import INVALID_ENCODED_WORD

TOKENS = {
    "nothing": ("", []),
    "name and address": (
        "Ada <a@b>",
        [("ATOM", "Ada"), ("BLANK", " "), ("SPECIAL", "<"), ("ATOM", "a@b"), ("SPECIAL", ">")],
    ),
    "group": ("G:a@b;", [("ATOM", "G"), ("SPECIAL", ":"), ("ATOM", "a@b"), ("SPECIAL", ";")]),
    "quotes stay": ('"a, \\"b" c', [("QUOTED", '"a, \\"b"'), ("BLANK", " "), ("ATOM", "c")]),
    "parentheses go": ("a(b (c) \\))", [("ATOM", "a"), ("COMMENT", "b (c) \\)")]),
    "encoded word": (
        "=?utf-8?Q?a, b?=@c",
        [("WORD", "=?utf-8?Q?a, b?="), ("ATOM", "@c")],
    ),
    "no encoded word": ("a=b", [("ATOM", "a"), ("ATOM", "="), ("ATOM", "b")]),
    "domain literal": ("a@[::1, x]", [("ATOM", "a@"), ("ATOM", "[::1, x]")]),
    "folded": ("a,\r\n\tb", [("ATOM", "a"), ("SPECIAL", ","), ("BLANK", "\r\n\t"), ("ATOM", "b")]),
    "never closed": ('"a (b', [("ATOM", '"'), ("ATOM", "a"), ("BLANK", " "), ("ATOM", "("), ("ATOM", "b")]),
    "one not closed": ('"a" "(b)', [("QUOTED", '"a"'), ("BLANK", " "), ("ATOM", '"'), ("COMMENT", "b")]),
}


@pytest.mark.parametrize(("value", "expected"), TOKENS.values(), ids=TOKENS)
def test_tokens(value: str, expected: list[tuple[str, str]]) -> None:
    assert [(token.kind.name, token.text) for token in tokens_of(value)] == expected


def words_of(phrase: str) -> list[list[Token]]:
    return split(list(tokens_of(phrase)), is_blank)


def test_split_leaves_out_empty_runs() -> None:
    assert split(list(tokens_of(",a b,,c,")), is_comma) == [
        [Token(TokenKind.ATOM, "a"), Token(TokenKind.BLANK, " "), Token(TokenKind.ATOM, "b")],
        [Token(TokenKind.ATOM, "c")],
    ]


def test_spaced_puts_a_blank_behind_each_word() -> None:
    assert "".join(token.text for token in spaced(words_of("Dr.  A.\tB"))) == "Dr. A. B "


@pytest.mark.parametrize(
    ("phrase", "extents"),
    [
        ("Ada Example", []),
        ("a@b", [(0, 1)]),
        ("Ada a@b c@d", [(1, 2), (2, 3)]),
        ("a.b @ c . d", [(0, 5)]),
        ("Dr. a@b", [(1, 2)]),
        ("a@b. c", [(0, 2)]),
        ('"a@b" c', []),
    ],
)
def test_extents(phrase: str, extents: list[tuple[int, int]]) -> None:
    assert extents_of(words_of(phrase)) == extents


@pytest.mark.parametrize(
    ("phrase", "ends"),
    [
        ("root,", True),
        ("root , ", True),
        ("a b, root,", True),
        ("Joe Doe,", False),
        ("Doe, Joe", False),
        (",", False),
        ('"Joe",', False),
    ],
)
def test_ends_with_mailbox(phrase: str, ends: bool) -> None:
    """A word between two commas is a mailbox of this host."""
    tokens = list(tokens_of(phrase))
    if phrase.startswith("a b"):
        tokens = tokens[2:]  # what is before the comma does not count
    assert ends_with_mailbox(tokens) is ends


@pytest.mark.parametrize(
    ("phrase", "text", "defects"),
    [
        (' "A  B"  C\t D ', "A  B C D", []),
        ('"a \\"b\\""', 'a "b"', []),
        ("=?utf-8?Q?J=C3=BC?= =?utf-8?Q?rgen?= X", "Jürgen X", []),
        ('"=?utf-8?Q?=C3=BC?="', "ü", [INVALID_ENCODED_WORD]),
        ('"=?"', "=?", []),
    ],
)
def test_phrase_text(phrase: str, text: str, defects: list[str]) -> None:
    noted: list[str] = []
    assert phrase_text(list(tokens_of(phrase)), noted, Budget()) == text
    assert noted == defects


@pytest.mark.parametrize(("text", "plain"), [("a b", "a b"), (r"\"a\\b\"", r'"a\b"'), ("a\\", "a\\")])
def test_unquoted(text: str, plain: str) -> None:
    assert unquoted(text) == plain
