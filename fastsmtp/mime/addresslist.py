"""Address lists (RFC 5322 sections 3.4 and 4.4) -> names and addresses.

`name <address>` and bare addresses, alone or in a list, are matched by one pattern each. Every other list is read token
by token, by an `AddressReader`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from fastsmtp.mime.address import Address, AddressReader
from fastsmtp.mime.addresstokens import tokens_of
from fastsmtp.mime.budget import MAX_LENGTH, MAX_MAILBOX_TOKENS, Budget
from fastsmtp.mime.defects import ADDRESS_LIMIT, note

_CACHED_LENGTH: Final = 160  # characters of the longest value that is cached
_STEP_TOKENS: Final = 1000  # that are read at a time
_STEP_ADDRESSES: Final = 2000
_IRREGULAR: Final = -1


def parse_addresses(value: str, defects: list[str], budget: Budget | None = None) -> list[Address]:
    """The mailboxes of an address list, in order; groups are flattened, comments serve as names where there are none.

    Never raises; `invalid-address` is noted where the list had to be interpreted. Where the `budget` of the mail, or
    without one that of a single list, does not reach to its end, `address-limit` is.
    """
    if budget is None:
        budget = Budget()
    if len(value) > _CACHED_LENGTH:
        return _parse(value, defects, budget)
    addresses, noted, used = _cached_addresses(value)
    if not budget.take(used):
        return _parse(value, defects, budget)
    for defect in noted:
        note(defects, defect)
    return list(addresses)


@lru_cache(maxsize=1024)
def _cached_addresses(value: str) -> tuple[tuple[Address, ...], tuple[str, ...], Budget]:
    defects: list[str] = []
    budget = Budget()
    return tuple(_parse(value, defects, budget)), tuple(defects), budget


def _parse(value: str, defects: list[str], budget: Budget) -> list[Address]:
    found: list[Address] = []
    for _ in address_steps(value, defects, budget, found):
        pass
    return found


def address_steps(value: str, defects: list[str], budget: Budget, found: list[Address]) -> Iterator[None]:
    """What `parse_addresses` does, some milliseconds at a time; the mailboxes are added to `found`."""
    addresses: list[Address] = []
    position = 0
    while not addresses or position < len(value):
        if not budget.addresses:
            note(defects, ADDRESS_LIMIT)
            return
        position = _read_regular(value, position, addresses, min(len(addresses) + _STEP_ADDRESSES, budget.addresses))
        if position == _IRREGULAR:
            yield from irregular_steps(value, defects, budget, found)
            return
        if position < len(value) and len(addresses) >= budget.addresses:
            note(defects, ADDRESS_LIMIT)
            break
        if position < len(value):
            yield
    budget.addresses -= len(addresses)
    found += addresses


# The good case. `=` may begin an encoded word, which has to be decoded.
_ADDR_SPEC: Final = r'(?!=\?)[^\s"(),:;<>@\[\]\\]+@[^\s"(),:;<>@\[\]\\]+'
_MAILBOX: Final = re.compile(rf'(?:[ \t]*"([^"\\=]*)"[ \t]*|([^"(),:;<>@\[\]\\=]*))<({_ADDR_SPEC})>[ \t]*')
_RUN_OF_BLANKS: Final = re.compile(r"[ \t\r\n]+")
_BARE: Final = re.compile(rf"[ \t]*({_ADDR_SPEC})[ \t]*")


def _read_regular(value: str, position: int, addresses: list[Address], limit: int) -> int:
    """Read a list without groups, comments, encoded words or commas in names from `position` on.

    Returns where the mailbox begins that would be one more than `limit`, the length where the list ends before it, and
    `_IRREGULAR` where it is another one.
    """
    while len(addresses) < limit:
        end = position + MAX_LENGTH  # a longer one is no mailbox
        match = _MAILBOX.match(value, position, end)
        if match is not None:
            quoted, phrase, address = match.groups()
            name = _RUN_OF_BLANKS.sub(" ", phrase.strip(" \t")) if quoted is None else quoted
            addresses.append(Address(name, address))
        else:
            match = _BARE.match(value, position, end)
            if match is None:
                return _IRREGULAR
            addresses.append(Address("", match[1]))
        position = match.end()
        if position == len(value):
            break
        if value[position] != "," or position + 1 == len(value):
            return _IRREGULAR
        position += 1
    return position


def irregular_steps(value: str, defects: list[str], budget: Budget, found: list[Address]) -> Iterator[None]:
    """Read any list token by token, some of them a step; `address_steps` has a shorter way for regular lists."""
    if len(value) > MAX_LENGTH:
        # A mailbox that was cut would be another one, so the list ends at a comma if it has any.
        note(defects, ADDRESS_LIMIT)
        comma = value.rfind(",", 0, MAX_LENGTH)
        value = value[: MAX_LENGTH if comma == -1 else comma]
    reader = AddressReader(defects, budget, found)
    for index, token in enumerate(tokens_of(value), 1):
        if not budget.address_tokens or not budget.addresses or reader.tokens >= MAX_MAILBOX_TOKENS:
            note(defects, ADDRESS_LIMIT)
            return
        budget.address_tokens -= 1
        reader.read(token)
        if index % _STEP_TOKENS == 0:
            yield
    reader.end_mailbox()
