"""An address, and how it is read from the tokens between two commas of a list (RFC 5322 sections 3.4 and 4.4)."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final, NamedTuple

from fastsmtp.mime.addresstokens import (
    UNCLOSED,
    Token,
    TokenKind,
    ends_with_mailbox,
    extents_of,
    has_specials,
    is_around_dot,
    is_blank,
    is_comma,
    phrase_text,
    spaced,
    split,
    tokens_of,
    unquoted,
)
from fastsmtp.mime.budget import Budget
from fastsmtp.mime.defects import ADDRESS_LIMIT, INVALID_ADDRESS, INVALID_ENCODED_WORD, note
from fastsmtp.mime.words import decode_words

_MAX_HIDDEN: Final = 1000  # tokens and characters that may have a mailbox with its comma in encoded words
_MAX_UNDECIDED: Final = 500  # tokens that may turn out to be one name with commas
_HIDDEN_MAILBOX: Final = re.compile(
    r"(.*?)(?:<[ \t]*([^\s<>@,]+@[^\s<>@,]+)[ \t]*>[ \t]*,|(?<![^\s,])([^\s<>@,\";:]+@[^\s<>@,\";:]+)[ \t]*,\Z)",
    re.DOTALL,
)
_IN_DOMAIN: Final = re.compile(r"[0-9A-Za-z.-]+")
# One `@`, something on both sides of it, and no other `specials` (RFC 5322 section 3.2.3). What stands in quotes or
# brackets is not looked into.
_PLAIN: Final = r'[^\s"(),:;<>@\[\]\\]'
_ADDR_SPEC: Final = re.compile(rf'(?:"(?:[^"\\]|\\.)*"|{_PLAIN})+@(?:\[[^\[\]]*\]|{_PLAIN}+)', re.DOTALL)
_NOT_OF_COMMENT: Final = re.compile(r'=\?[^?\s]{1,128}\?[qQ]\?[^?\s"()]*["()][^?\s]*\?=')  # RFC 2047 section 5 (2)
_BEFORE_COLON: Final = re.compile(r"@[^@]+|mailto", re.IGNORECASE)  # in brackets: the end of a route
_HAS_ADDRESS: Final = re.compile(r'[^\s<>@,";:]@[^\s<>@,";:]')
_BEGINS_ADDRESS: Final = re.compile(r'[^\s<>@,";:]@(?:[^\s<>@,";:]|\Z)')  # a domain literal is a token of its own


class Address(NamedTuple):
    """A mailbox: `name` decoded, "" where there is none; `address` as sent, "" where there is only a name."""

    name: str
    address: str


class AddressReader:
    """Collects the tokens of a mailbox until a separator shows that it is complete."""

    __slots__ = (
        "_angle",
        "_behind",
        "_blank",
        "_budget",
        "_comment",
        "_comment_at",
        "_defects",
        "_found",
        "_has_address",
        "_has_text",
        "_in_angle",
        "_in_route",
        "_is_complete",
        "_is_decoded",
        "_phrase",
        "tokens",
    )

    def __init__(self, defects: list[str], budget: Budget, found: list[Address], is_decoded: bool = False) -> None:
        """The mailboxes go to `found`."""
        self._defects = defects
        self._budget = budget
        self._found = found
        self._is_decoded = is_decoded  # what is read was in an encoded word
        self._begin_mailbox()

    def _begin_mailbox(self) -> None:
        self._phrase: list[Token] = []  # before angle brackets
        self._angle: list[str] | None = None  # inside them
        self._behind: list[Token] = []
        self._in_angle = False
        self._blank = False  # the last token in brackets
        self._in_route = False  # a comma of it was read, and no colon
        self._is_complete = False  # what is in brackets: a colon was read behind the address
        self._has_address = False  # an `@` in the phrase
        self._has_text = False  # anything but blanks in the phrase
        self._comment = ""  # the last one
        self._comment_at = 0  # the tokens of the phrase before a comment behind an address
        self.tokens = 0

    def read(self, token: Token) -> None:
        """Take the next token."""
        self.tokens += 1
        if token.kind is TokenKind.COMMENT:
            self._comment = token.text
            self._comment_at = len(self._phrase) if self._has_address else 0
        elif token.kind is TokenKind.WORD and not self._is_decoded and self._read_word(token):
            pass  # it was more than a part of a name
        elif self._in_angle:
            self._read_angle(token)
        elif token.kind is not TokenKind.SPECIAL:
            self._read_text(token)
        elif token.text == ",":
            self._read_comma(token)
        elif token.text == ":":
            self._read_colon(token)
        elif token.text == ";":
            # The end of a group. QUIRK: Outlook separates addresses with semicolons.
            self.end_mailbox()
        elif token.text == "<":
            self._begin_angle()
        else:
            note(self._defects, INVALID_ADDRESS)

    def _read_text(self, token: Token) -> None:
        """Read a token of a name or of an address without brackets."""
        is_atom = token.kind is TokenKind.ATOM
        if is_atom and _BEGINS_ADDRESS.search(token.text):
            self._end_complete()
        (self._phrase if self._angle is None else self._behind).append(token)
        self._has_text = self._has_text or token.kind is not TokenKind.BLANK
        if is_atom:
            self._has_address = self._has_address or "@" in token.text
            if token.text in UNCLOSED:
                note(self._defects, INVALID_ADDRESS)
            if token.text == '"' and self._angle is None:
                self._phrase.pop()  # what was to be quoted is what counts

    def _end_complete(self) -> None:
        """End the mailbox that has its brackets, or its comment, before the address of the next one.

        QUIRK: scripts put lists together without commas.
        """
        if self._angle:
            rest, self._behind = self._behind, []
        elif self._angle is None and self._comment_at:
            rest = self._phrase[self._comment_at :]
            del self._phrase[self._comment_at :]
        else:
            return
        note(self._defects, INVALID_ADDRESS)
        self.end_mailbox()
        self._phrase = rest

    def _read_word(self, token: Token) -> bool:
        """Read an encoded word that is, or has in it, what RFC 2047 section 5 allows in names alone; whether it is one.

        QUIRK: Exchange gateways encode addresses. Python before 3.11.9 and 3.12.3, where it folds a list, encodes the
        comma between two mailboxes, at times with the end of the first one.
        """
        text = decode_words(token.text, [])
        if self._in_angle:
            note(self._defects, INVALID_ENCODED_WORD)
            self.read_decoded(text)
            return True
        if text.strip() == ";":  # QUIRK: or what Outlook separates them with
            text = ","
        if "," not in text:
            return False
        if self._angle is None and not self._has_address:
            rest = self._take_hidden(token) if "@" in text or ">" in text else None
        else:
            rest = self._take_comma(text)
        if rest is None:
            return False
        note(self._defects, INVALID_ADDRESS)
        self._begin_mailbox()
        if rest:  # encoded again, so that the next word goes on from here
            self._phrase.append(Token(TokenKind.WORD, f"=?utf-8?b?{b64encode(rest.encode()).decode()}?="))
            self._has_text = True
        return True

    def _take_comma(self, text: str) -> str | None:
        """End the mailbox that was read by a comma in an encoded word; return what is behind it.

        The comma comes first, or all before it is the end of the address. None where it is another one.
        """
        end, _, rest = text.partition(",")
        if end.strip():
            if rest or self._angle is not None or not _IN_DOMAIN.fullmatch(end):
                return None
            while is_blank(self._phrase[-1]):
                self._phrase.pop()
            self._phrase.append(Token(TokenKind.ATOM, end))
        self.end_mailbox()
        return rest.strip()

    def _take_hidden(self, token: Token) -> str | None:
        """Make addresses of all mailboxes in the phrase and in `token` that a comma ends; return what is behind them.

        None where there are none.
        """
        if self.tokens > _MAX_HIDDEN:
            return None
        text = self._text([*self._phrase, token])
        rest = None
        while len(text) <= _MAX_HIDDEN and (match := _HIDDEN_MAILBOX.match(text)) is not None:
            self._add(Address(unquoted(match[1].strip(' "')), match[2] or match[3]))
            rest = text = text[match.end() :].strip()
        return rest

    def read_decoded(self, text: str) -> None:
        """Read text that was encoded as if it had not been; encoded words in it are not decoded again."""
        was_decoded, self._is_decoded = self._is_decoded, True
        for token in tokens_of(text):
            if not self._budget.address_tokens:
                note(self._defects, ADDRESS_LIMIT)
                break
            self._budget.address_tokens -= 1
            self.read(token)
        self._is_decoded = was_decoded

    def _read_comma(self, token: Token) -> None:
        undecided = self._angle is None and not self._has_address and self._has_text
        if undecided and self.tokens < _MAX_UNDECIDED:
            # QUIRK: Lotus Notes and scripts do not quote `Doe, John <john@example.com>`: decided at the next address.
            self._phrase.append(token)
        else:
            self.end_mailbox()

    def _read_colon(self, token: Token) -> None:
        if self._angle is None and not self._has_address:  # what came before is the name of a group
            name: list[Token] = []
            while self._phrase and not is_comma(self._phrase[-1]):
                name.append(self._phrase.pop())
            if all(map(is_blank, name)) or has_specials(name):
                note(self._defects, INVALID_ADDRESS)
            self.end_mailbox()  # of what may stand before the group: `root, friends: joe@example.com;`
        else:
            (self._phrase if self._angle is None else self._behind).append(token)

    def _begin_angle(self) -> None:
        if self._angle is not None:  # QUIRK: scripts put lists together without commas
            note(self._defects, INVALID_ADDRESS)
            behind, self._behind = self._behind, []
            self.end_mailbox()
            self._phrase = behind
        elif ends_with_mailbox(self._phrase):  # `root, <joe@example.com>`
            self.end_mailbox()
        self._angle = []
        self._in_angle = True

    def _read_angle(self, token: Token) -> None:
        assert self._angle is not None
        blank, self._blank = self._blank, token.kind is TokenKind.BLANK
        if self._blank:
            return
        text = token.text
        if token.kind is not TokenKind.SPECIAL:
            if self._is_complete:
                return
            if blank and self._angle and not is_around_dot(self._angle[-1], text):
                note(self._defects, INVALID_ADDRESS)
                self._drop_route()
            self._angle.append(text)
        elif text == ">":
            self._in_angle = False
            if self._in_route:
                note(self._defects, INVALID_ADDRESS)
        elif text == ":":
            self._read_colon_in_angle(self._angle)
        elif text == "<":
            note(self._defects, INVALID_ADDRESS)
            self._angle.clear()
            self._is_complete = False
        elif self._drop_route() or (self._in_route and not self._angle):  # the latter: an empty element of it
            self._in_route = True
        else:  # a comma that is not in a route
            note(self._defects, INVALID_ADDRESS)
            self._in_angle = False
            self.end_mailbox()

    def _read_colon_in_angle(self, angle: list[str]) -> None:
        before = "".join(angle)
        # Before it: a route (RFC 5322 section 4.4, obs-route). QUIRK: or `mailto`, from web forms.
        if not self._in_route and not _BEFORE_COLON.fullmatch(before):
            note(self._defects, INVALID_ADDRESS)
            # QUIRK: or the address, with a port behind it.
            self._is_complete = self._is_complete or _ADDR_SPEC.fullmatch(before) is not None
        if not self._is_complete:
            angle.clear()
        self._in_route = False

    def _drop_route(self) -> bool:
        """Forget a domain of a route (RFC 5322 section 4.4, obs-domain-list) in the brackets; whether there was one."""
        assert self._angle is not None
        is_route = bool(self._angle) and self._angle[0].startswith("@")
        if is_route:
            self._angle.clear()
        return is_route

    def end_mailbox(self) -> None:
        """Make an address of what was read since the last one."""
        if self._angle is not None and not self._angle and self._has_address:
            # QUIRK: templates without a value for one of the two: `joe@example.com <>`.
            note(self._defects, INVALID_ADDRESS)
            self._end_bare([*self._phrase, *self._behind])
        elif self._angle is not None:
            behind = self._text(self._behind)
            if self._in_angle or behind or any(map(is_comma, self._phrase)) or has_specials(self._phrase):
                note(self._defects, INVALID_ADDRESS)
            while self._phrase and (is_comma(self._phrase[-1]) or is_blank(self._phrase[-1])):
                self._phrase.pop()
            name = self._text(self._phrase) or behind or self._comment_text()
            self._add(Address(name, self._address("".join(self._angle))))
        else:
            for phrase in split(self._phrase, is_comma):
                self._end_bare(phrase)
        self._begin_mailbox()

    def _add(self, address: Address) -> None:
        if self._budget.addresses:
            self._budget.addresses -= 1
            self._found.append(address)
        else:
            note(self._defects, ADDRESS_LIMIT)

    def _end_bare(self, phrase: list[Token]) -> None:
        """Addresses without angle brackets, or what was found in their place."""
        words = split(phrase, is_blank)
        extents = extents_of(words)
        if not extents:
            if words:
                note(self._defects, INVALID_ADDRESS)
                self._end_without_address(phrase, words)
            return
        if len(extents) > 1:  # QUIRK: scripts separate addresses by blanks, as GMime and MimeKit read them
            note(self._defects, INVALID_ADDRESS)
            comment, self._comment = self._comment, ""  # of the last one
            done = 0
            for first, last in extents[:-1]:
                self._end_bare_mailbox(words[done:first], words[first:last], [])
                done = last
            self._comment = comment
            words = words[done:]
            extents = [(extents[-1][0] - done, extents[-1][1] - done)]
        first, last = extents[0]
        self._end_bare_mailbox(words[:first], words[first:last], words[last:])

    def _end_bare_mailbox(
        self, before: list[list[Token]], address: list[list[Token]], behind: list[list[Token]]
    ) -> None:
        rest = [*before, *behind]
        if rest:  # QUIRK: scripts that forget the brackets: `John Doe john@example.com`
            note(self._defects, INVALID_ADDRESS)
        name = self._text(spaced(rest)) or self._comment_text()
        text = "".join([token.text for word in address for token in word])
        decoded = self._address(text)
        if "<" in decoded and not self._is_decoded:
            # QUIRK: gateways encode all that stands before the domain: `=?utf-8?Q?J=C3=B6rg_<joerg?=@example.com`.
            note(self._defects, INVALID_ADDRESS)
            self._read_again(decoded)
        else:
            self._add(Address(name, decoded))

    def _address(self, text: str) -> str:
        """QUIRK: Exchange gateways encode parts of addresses: `=?utf-8?Q?joerg?=@example.com`."""
        address = decode_words(text, self._defects, self._budget)
        if "@" in address and _ADDR_SPEC.fullmatch(address) is None:
            note(self._defects, INVALID_ADDRESS)
        return address

    def _end_without_address(self, phrase: list[Token], words: list[list[Token]]) -> None:
        if len(words) == 1 and all(token.kind is TokenKind.ATOM for token in words[0]):
            # QUIRK: cron sends `To: root`, a mailbox of its own host.
            self._add(Address(self._comment_text(), "".join([token.text for token in words[0]])))
            return
        text = self._text(phrase)
        if (
            self._is_decoded
            or not _HAS_ADDRESS.search(text)
            or not any(token.kind is TokenKind.WORD for token in phrase)
        ):
            self._add(Address(text, ""))
            return
        # QUIRK: PHP scripts encode whole mailboxes: `=?utf-8?Q?J=C3=B6rg_<joerg@example.com>?=`.
        self._read_again(text)

    def _read_again(self, text: str) -> None:
        """Read mailboxes that were encoded."""
        reader = AddressReader(self._defects, self._budget, self._found, is_decoded=True)
        reader.read_decoded(text)
        reader.end_mailbox()

    def _comment_text(self) -> str:
        if _NOT_OF_COMMENT.search(self._comment):
            note(self._defects, INVALID_ENCODED_WORD)
        return decode_words(unquoted(self._comment), self._defects, self._budget).strip(" \t\r\n")

    def _text(self, tokens: list[Token]) -> str:
        return phrase_text(tokens, self._defects, self._budget)
