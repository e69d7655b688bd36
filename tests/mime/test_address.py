"""Mailboxes made of tokens, one after another."""

from __future__ import annotations

import pytest

from fastsmtp.mime.address import Address, AddressReader
from fastsmtp.mime.addresstokens import tokens_of
from fastsmtp.mime.budget import Budget
from fastsmtp.mime.defects import ADDRESS_LIMIT, INVALID_ADDRESS


class Reading:
    """A reader, what it found, and what it noted."""

    def __init__(self, addresses: int | None = None, tokens: int | None = None) -> None:
        self.found: list[Address] = []
        self.defects: list[str] = []
        self.budget = Budget()
        if addresses is not None:
            self.budget.addresses = addresses
        if tokens is not None:
            self.budget.address_tokens = tokens
        self.reader = AddressReader(self.defects, self.budget, self.found)

    def read(self, text: str) -> list[Address]:
        for token in tokens_of(text):
            self.reader.read(token)
        return self.found


def test_a_mailbox_is_found_when_its_end_has_come() -> None:
    reading = Reading()
    assert reading.read("Ada (x) <ada@example.com>") == []
    assert reading.reader.tokens == 7
    assert reading.read(", b@c") == [Address("Ada", "ada@example.com")]
    assert reading.reader.tokens == 2  # of the second
    reading.reader.end_mailbox()
    assert reading.found == [Address("Ada", "ada@example.com"), Address("", "b@c")]
    assert reading.defects == []


def test_a_comma_in_a_name_is_decided_by_what_follows() -> None:
    reading = Reading()
    assert reading.read("Doe, John") == []
    reading.read(" <j@x>;")
    assert reading.found == [Address("Doe, John", "j@x")]
    assert reading.defects == [INVALID_ADDRESS]


def test_brackets_without_a_comma_between_them() -> None:
    reading = Reading()
    reading.read("A <a@x> B <b@y>;")
    assert reading.found == [Address("A", "a@x"), Address("B", "b@y")]
    assert reading.defects == [INVALID_ADDRESS]


@pytest.mark.parametrize("text", ["J <j@x>, =?utf-8?q?=5C?= <=?utf-8?q?k?=@y>", "J <j@x>, \\ <=?utf-8?q?k?=@y>"])
def test_decoded_text_is_read_without_decoding_it_again(text: str) -> None:
    reading = Reading()
    reading.reader.read_decoded(text)
    reading.reader.end_mailbox()
    assert [address.address for address in reading.found] == ["j@x", "k@y"]


def test_addresses_beyond_the_budget_are_left_out() -> None:
    reading = Reading(addresses=1)
    reading.read("a@b; c@d;")
    assert reading.found == [Address("", "a@b")]
    assert reading.defects == [ADDRESS_LIMIT]
    assert reading.budget.addresses == 0


def test_decoded_text_has_the_budget_of_the_mail() -> None:
    reading = Reading(tokens=4)
    reading.reader.read_decoded("a@b, c@d, e@f")
    reading.reader.end_mailbox()
    assert reading.found == [Address("", "a@b"), Address("", "c@d")]
    assert reading.defects == [ADDRESS_LIMIT]
    assert reading.budget.address_tokens == 0
