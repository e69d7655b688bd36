"""One budget for a mail: what is above it stays as it was sent, and is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from captures import capture

from fastsmtp.mime import budget, defects
from fastsmtp.mime.address import Address
from fastsmtp.mime.addresslist import address_steps, parse_addresses
from fastsmtp.mime.budget import Budget
from fastsmtp.mime.parameters import parse_disposition, parse_media_type
from fastsmtp.mime.words import decode_words

WORD = "=?utf-8?q?=C3=A4?= "


def test_words_above_the_limit_stay_as_they_were_sent() -> None:
    found: list[str] = []
    text = decode_words(WORD * budget.MAX_WORDS + WORD.strip(), found)
    assert text == "ä" * budget.MAX_WORDS + " " + WORD.strip()
    assert found == [defects.WORD_LIMIT]


def test_a_long_word_counts_as_several() -> None:
    word = "=?utf-8?q?" + "a" * 200 + "?= "
    found: list[str] = []
    text = decode_words(word * budget.MAX_WORDS, found)
    assert text.count("a" * 200) == budget.MAX_WORDS
    assert text.count("=?") == budget.MAX_WORDS - budget.MAX_WORDS // 4
    assert found == [defects.WORD_LIMIT]


def test_an_endless_word_is_none() -> None:
    word = "=?utf-8?q?" + "=41" * 100_000 + "?="
    found: list[str] = []
    assert decode_words(f"{word} =?utf-8?q?=42?=", found) == f"{word} B"
    assert found == [defects.WORD_LIMIT]


@pytest.mark.parametrize(
    "value", ["x/y" + "; {0}=1" * 2000, "x/y" + ";{0}=(c)1" * 2000], ids=["regular", "with comments"]
)
def test_parameters_above_the_limit_of_a_field_are_left_out(value: str) -> None:
    head, *rest = value.split("{0}")
    value = head + "".join(f"p{index}{text}" for index, text in enumerate(rest))
    found: list[str] = []
    parsed = parse_media_type(value, found)
    assert parsed.value == "x/y"
    assert list(parsed.parameters) == [f"p{index}" for index in range(len(parsed.parameters))]
    assert 300 < len(parsed.parameters) <= budget.MAX_FIELD_PARAMETERS
    assert defects.PARAMETER_LIMIT in found


@pytest.mark.parametrize("parse", [parse_media_type, parse_disposition])
def test_an_endless_field_is_cut(parse: Callable[[str, list[str]], object]) -> None:
    found: list[str] = []
    parse("text/plain; (c) name=" + "x" * 100_000, found)
    assert found[0] == defects.PARAMETER_LIMIT


@pytest.mark.parametrize(
    ("unit", "read"), [("a@b,", budget.MAX_ADDRESSES), ("a,", budget.MAX_ADDRESSES), ("a (c) <a@b>,", 65536 // 12)]
)
def test_addresses_above_the_limit_are_left_out(unit: str, read: int) -> None:
    found: list[str] = []
    addresses = parse_addresses(unit * 100_000, found)
    assert len(addresses) == read
    assert found[0] == defects.ADDRESS_LIMIT


def test_a_mailbox_without_end_is_left_out() -> None:
    found: list[str] = []
    assert [item.address for item in parse_addresses("a@b, (c) " + "x y " * 2000 + "<c@d>", found)] == ["a@b"]
    assert found == [defects.ADDRESS_LIMIT]


def test_the_budget_is_that_of_the_mail() -> None:
    """Short fields, which are cached, and long ones take from the same."""
    spent = Budget()
    found: list[str] = []
    for _ in range(budget.MAX_WORDS // 2):
        assert decode_words(f"{WORD}{WORD}", found, spent) == "ää "
    assert decode_words(WORD, found, spent) == WORD
    for _ in range(budget.MAX_ADDRESSES // 2):
        assert len(parse_addresses("a@b, c@d", found, spent)) == 2
    assert parse_addresses("a@b", found, spent) == []
    for _ in range(budget.MAX_PARAMETERS // 2):
        assert len(parse_media_type("a/b; c=1; d=2", found, spent).parameters) == 2
    assert parse_media_type("a/b; c=1", found, spent) == ("a/b", {})
    assert parse_disposition("a; c=1", found, spent) == ("a", {})
    assert parse_media_type("a/b", found, spent) == ("a/b", {})
    assert found == [defects.WORD_LIMIT, defects.ADDRESS_LIMIT, defects.PARAMETER_LIMIT]


LISTS = [
    f"{WORD} <a@b>, c@d, {WORD} <e@f>",
    "a@b, c@d, e@f",
    "a (c) <a@b>, d (e) <d@e>, f@g",
    f"(c) x: {WORD} <a@b>, {WORD} <e@f>;",
]


@pytest.mark.parametrize("value", LISTS)
@pytest.mark.parametrize("name", ["words", "addresses", "address_tokens"])
@pytest.mark.parametrize("left", [0, 1, 2, 8])
def test_of_a_short_list_as_much_is_read_as_of_one_read_in_steps(value: str, name: str, left: int) -> None:
    whole, spent = Budget(), Budget()
    setattr(whole, name, left)
    setattr(spent, name, left)
    noted: list[str] = []
    found: list[Address] = []
    for _ in address_steps(value, noted, spent, found):
        pass
    again: list[str] = []
    assert parse_addresses(value, again, whole) == found
    assert (again, _left(whole)) == (noted, _left(spent))


def _left(spent: Budget) -> tuple[int, int, int]:
    return spent.words, spent.addresses, spent.address_tokens


@pytest.mark.parametrize("left", [0, 1, 2])
def test_words_within_the_budget_are_decoded(left: int) -> None:
    spent = Budget()
    spent.words = left
    found: list[str] = []
    words = ["ä "] * left + [WORD] * (3 - left)
    assert decode_words("x ".join([WORD] * 3), found, spent) == "x ".join(words)
    assert (found, spent.words) == ([defects.WORD_LIMIT], 0)


def test_a_copy_is_spent_on_its_own() -> None:
    spent = Budget()
    decode_words(WORD, [], spent)
    other = spent.copy()
    decode_words(WORD * 9, [], other)
    assert (spent.words, other.words) == (budget.MAX_WORDS - 1, budget.MAX_WORDS - 10)


def test_fields_of_a_message_share_it() -> None:
    to = "To: " + "a," * 30_000 + "\r\n"
    message = capture((to * 3 + f"Subject: {WORD}\r\n\r\nx").encode())["message"]
    assert len(message["to"]) == budget.MAX_ADDRESSES
    assert message["subject"] == "ä"
    assert [value for name, value in message["raw_headers"] if name == "To"] == ["a," * 30_000] * 3
    assert defects.ADDRESS_LIMIT in message["defects"]
