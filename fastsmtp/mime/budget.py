"""How much of one mail is taken apart. What is above stays as it was sent, and is a defect."""

from __future__ import annotations

from typing import Final

MAX_ADDRESSES: Final = 20_000  # mailboxes of all address fields
MAX_ADDRESS_TOKENS: Final = 64 * 1024  # of the address lists that are more than plain mailboxes; six a mailbox or so
MAX_PARAMETERS: Final = 40_000  # of all Content-Type and Content-Disposition fields; four for each of 10 000 parts
MAX_WORDS: Final = 5_000  # encoded words, and what begins like one; a long one counts as several

MAX_LENGTH: Final = 64 * 1024  # characters of a field's value that are looked at, but for plain mailboxes and words
MAX_FIELD_PARAMETERS: Final = 1_000  # of one field, and comments and whatever else is between them
MAX_FIELD_WORDS: Final = 500  # in a parameter
MAX_MAILBOX_TOKENS: Final = 1_000  # of one mailbox
MAX_IDENTIFIER_LENGTH: Final = 4 * 1024  # characters of one that is more than `<text>`; RFC 5322 allows 998 a line
MAX_GUESSES: Final = 500  # fields of one header that are not UTF-8, whose charset is guessed
MAX_DAMAGED: Final = 2_000  # of them, above which no field is looked at for UTF-8
MAX_WORD_LENGTH: Final = 64 * 1024  # characters of an encoded word; RFC 2047 section 2 allows 75
WORD_UNIT: Final = 64  # characters of an encoded word that count as one


class Budget:
    """What of a mail may still be taken apart. Who takes something apart takes it from here first."""

    __slots__ = ("address_tokens", "addresses", "parameters", "words")

    def __init__(self) -> None:
        self.addresses = MAX_ADDRESSES
        self.address_tokens = MAX_ADDRESS_TOKENS
        self.parameters = MAX_PARAMETERS
        self.words = MAX_WORDS

    def take(self, other: Budget) -> bool:
        """Take what was taken from `other`, if there is as much; it was whole before."""
        # Number by number: this is asked for each address field, and compiled code is slow with tuples and min().
        addresses = self.addresses + other.addresses - MAX_ADDRESSES
        address_tokens = self.address_tokens + other.address_tokens - MAX_ADDRESS_TOKENS
        parameters = self.parameters + other.parameters - MAX_PARAMETERS
        words = self.words + other.words - MAX_WORDS
        if addresses < 0 or address_tokens < 0 or parameters < 0 or words < 0:
            return False
        self.addresses = addresses
        self.address_tokens = address_tokens
        self.parameters = parameters
        self.words = words
        return True

    def copy(self) -> Budget:
        """Return one with as much left."""
        other = Budget()
        other.addresses = self.addresses
        other.address_tokens = self.address_tokens
        other.parameters = self.parameters
        other.words = self.words
        return other
