"""Address lists (RFC 5322 sections 3.4 and 4.4) -> names and addresses.

`name <address>` and bare addresses, alone or in a list, are matched by one pattern each. Everything else is cut into
tokens once, from left to right, and each mailbox made of the tokens between two commas.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from enum import Enum, auto
from functools import lru_cache
from typing import Final, NamedTuple

from fastsmtp.mime._quoting import find_comment_end, find_quote_end
from fastsmtp.mime.budget import MAX_LENGTH, MAX_MAILBOX_TOKENS, Budget
from fastsmtp.mime.defects import ADDRESS_LIMIT, INVALID_ADDRESS, INVALID_ENCODED_WORD, note
from fastsmtp.mime.words import decode_words

_CACHED_LENGTH: Final = 160  # characters of the longest value that is cached
_STEP_TOKENS: Final = 1000  # that are read at a time
_STEP_ADDRESSES: Final = 2000
_MAX_HIDDEN: Final = 1000  # tokens and characters that may have a mailbox with its comma in encoded words
_MAX_UNDECIDED: Final = 500  # tokens that may turn out to be one name with commas
_MAX_ENDING: Final = 6  # tokens of a comma, a word and a comma, with blanks around
_IRREGULAR: Final = -1


class Address(NamedTuple):
    """A mailbox: `name` decoded, "" where there is none; `address` as sent, "" where there is only a name."""

    name: str
    address: str


def parse_addresses(value: str, defects: list[str], budget: Budget | None = None) -> list[Address]:
    """The mailboxes of an address list, in order; groups are flattened, comments serve as names where there are none.

    Never raises; `invalid-address` is noted where the list had to be interpreted. Where the `budget` of the mail, or
    without one that of a single list, does not reach to its end, `address-limit` is.
    """
    if budget is None:
        budget = Budget()
    if len(value) > _CACHED_LENGTH:
        found: list[Address] = []
        for _ in address_steps(value, defects, budget, found):
            pass
        return found
    addresses, noted, used = _cached_addresses(value)
    if not budget.take(used):
        note(defects, ADDRESS_LIMIT)
        return []
    for defect in noted:
        note(defects, defect)
    return list(addresses)


@lru_cache(maxsize=1024)
def _cached_addresses(value: str) -> tuple[tuple[Address, ...], tuple[str, ...], Budget]:
    defects: list[str] = []
    found: list[Address] = []
    budget = Budget()
    for _ in address_steps(value, defects, budget, found):
        pass
    return tuple(found), tuple(defects), budget


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


class _Kind(Enum):
    """What a token is; names are those of the groups of `_TOKEN`."""

    ATOM = auto()  # runs of other characters, domain literals; `@` and dots too
    WORD = auto()  # an encoded word
    QUOTED = auto()  # with its quotes
    BLANK = auto()
    COMMENT = auto()  # without its parentheses
    SPECIAL = auto()  # one of `<>,:;`
    QUOTE = auto()  # begins a quoted string; never leaves `_tokens`
    OPEN = auto()  # begins a comment; never leaves `_tokens`


class _Token(NamedTuple):
    kind: _Kind
    text: str


_KINDS: Final = dict(_Kind.__members__)

_TOKEN: Final = re.compile(
    # QUIRK: scripts that encode with quoted_printable_encode() leave commas and blanks inside encoded words.
    r"(?P<WORD>=\?[^?\s]{1,128}\?[bBqQ]\?[^?]*\?=)"
    r"|(?P<BLANK>[ \t\r\n]+)"
    r"|(?P<SPECIAL>[<>,:;])"
    r'|(?P<QUOTE>")'
    r"|(?P<OPEN>\()"
    r'|(?P<ATOM>\[[^\[\]\\<>"]*\]|[^ \t\r\n"(<>,:;=\[]+|.)',
    re.DOTALL,
)
_UNCLOSED: Final = ('"', "(")
_HIDDEN_MAILBOX: Final = re.compile(
    r"(.*?)(?:<[ \t]*([^\s<>@,]+@[^\s<>@,]+)[ \t]*>[ \t]*,|(?<![^\s,])([^\s<>@,\";:]+@[^\s<>@,\";:]+)[ \t]*,\Z)",
    re.DOTALL,
)
_IN_DOMAIN: Final = re.compile(r"[0-9A-Za-z.-]+")
_HAS_ADDRESS: Final = re.compile(r'[^\s<>@,";:]@[^\s<>@,";:]')
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)


def _tokens(value: str) -> Iterator[_Token]:
    """All of `value`, cut up. A quote or parenthesis that is never closed is an ordinary character."""
    openers = {_Kind.QUOTE: find_quote_end, _Kind.OPEN: find_comment_end}
    position = 0
    while position < len(value):
        match = _TOKEN.match(value, position)
        assert match is not None, "the last alternative takes any character"
        kind = _KINDS[match.lastgroup or "ATOM"]
        end = match.end()
        if kind in openers:
            close = openers[kind](value, end)
            if close == -1:
                # This was a look at all the rest; a second one would not be linear.
                openers[kind] = _never
                yield _Token(_Kind.ATOM, match[0])
            elif kind is _Kind.QUOTE:
                end = close + 1
                yield _Token(_Kind.QUOTED, value[position:end])
            else:
                yield _Token(_Kind.COMMENT, value[end:close])
                end = close + 1
        else:
            yield _Token(kind, match[0])
        position = end


def _never(value: str, position: int) -> int:
    return -1


def irregular_steps(value: str, defects: list[str], budget: Budget, found: list[Address]) -> Iterator[None]:
    """Read any list token by token, some of them a step; `address_steps` has a shorter way for regular lists."""
    if len(value) > MAX_LENGTH:
        # A mailbox that was cut would be another one, so the list ends at a comma if it has any.
        note(defects, ADDRESS_LIMIT)
        comma = value.rfind(",", 0, MAX_LENGTH)
        value = value[: MAX_LENGTH if comma == -1 else comma]
    reader = _Reader(defects, budget, found)
    for index, token in enumerate(_tokens(value), 1):
        if not budget.address_tokens or not budget.addresses or reader.tokens >= MAX_MAILBOX_TOKENS:
            note(defects, ADDRESS_LIMIT)
            return
        budget.address_tokens -= 1
        reader.read(token)
        if index % _STEP_TOKENS == 0:
            yield
    reader.end_mailbox()


class _Reader:
    """Collects the tokens of a mailbox until a separator shows that it is complete."""

    __slots__ = (
        "_angle",
        "_behind",
        "_budget",
        "_comment",
        "_defects",
        "_found",
        "_has_address",
        "_has_text",
        "_in_angle",
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
        self._phrase: list[_Token] = []  # before angle brackets
        self._angle: list[str] | None = None  # inside them
        self._behind: list[_Token] = []
        self._in_angle = False
        self._has_address = False  # an `@` in the phrase
        self._has_text = False  # anything but blanks in the phrase
        self._comment = ""  # the last one
        self.tokens = 0

    def read(self, token: _Token) -> None:
        """Take the next token."""
        self.tokens += 1
        if token.kind is _Kind.COMMENT:
            self._comment = token.text
        elif token.kind is _Kind.WORD and not self._is_decoded and self._read_word(token):
            pass  # it was more than a part of a name
        elif self._in_angle:
            self._read_angle(token)
        elif token.kind is not _Kind.SPECIAL:
            (self._phrase if self._angle is None else self._behind).append(token)
            self._has_text = self._has_text or token.kind is not _Kind.BLANK
            if token.kind is _Kind.ATOM:
                self._has_address = self._has_address or "@" in token.text
                if token.text in _UNCLOSED:
                    note(self._defects, INVALID_ADDRESS)
                if token.text == '"' and self._angle is None:
                    self._phrase.pop()  # what was to be quoted is what counts
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

    def _read_word(self, token: _Token) -> bool:
        """Read an encoded word that is, or has in it, what RFC 2047 section 5 allows in names alone; whether it is one.

        QUIRK: Exchange gateways encode addresses. Python before 3.11.9 and 3.12.3, where it folds a list, encodes the
        comma between two mailboxes, at times with the end of the first one.
        """
        text = decode_words(token.text, [])
        if self._in_angle:
            note(self._defects, INVALID_ENCODED_WORD)
            self.read_decoded(text)
            return True
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
            self._phrase.append(_Token(_Kind.WORD, f"=?utf-8?b?{b64encode(rest.encode()).decode()}?="))
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
            while _is_blank(self._phrase[-1]):
                self._phrase.pop()
            self._phrase.append(_Token(_Kind.ATOM, end))
        self.end_mailbox()
        return rest.strip()

    def _take_hidden(self, token: _Token) -> str | None:
        """Make addresses of all mailboxes in the phrase and in `token` that a comma ends; return what is behind them.

        None where there are none.
        """
        if self.tokens > _MAX_HIDDEN:
            return None
        text = self._text([*self._phrase, token])
        rest = None
        while len(text) <= _MAX_HIDDEN and (match := _HIDDEN_MAILBOX.match(text)) is not None:
            self._add(Address(_unquoted(match[1].strip(' "')), match[2] or match[3]))
            rest = text = text[match.end() :].strip()
        return rest

    def read_decoded(self, text: str) -> None:
        """Read text that was encoded as if it had not been; encoded words in it are not decoded again."""
        was_decoded, self._is_decoded = self._is_decoded, True
        for token in _tokens(text):
            if not self._budget.address_tokens:
                note(self._defects, ADDRESS_LIMIT)
                break
            self._budget.address_tokens -= 1
            self.read(token)
        self._is_decoded = was_decoded

    def _read_comma(self, token: _Token) -> None:
        undecided = self._angle is None and not self._has_address and self._has_text
        if undecided and self.tokens < _MAX_UNDECIDED:
            # QUIRK: Lotus Notes and scripts do not quote `Doe, John <john@example.com>`: decided at the next address.
            self._phrase.append(token)
        else:
            self.end_mailbox()

    def _read_colon(self, token: _Token) -> None:
        if self._angle is None and not self._has_address:  # what came before is the name of a group
            while self._phrase and not _is_comma(self._phrase[-1]):
                self._phrase.pop()
            self.end_mailbox()  # of what may stand before the group: `root, friends: joe@example.com;`
        else:
            (self._phrase if self._angle is None else self._behind).append(token)

    def _begin_angle(self) -> None:
        if self._angle is not None:  # QUIRK: scripts put lists together without commas
            note(self._defects, INVALID_ADDRESS)
            behind, self._behind = self._behind, []
            self.end_mailbox()
            self._phrase = behind
        elif _ends_with_mailbox(self._phrase):  # `root, <joe@example.com>`
            self.end_mailbox()
        self._angle = []
        self._in_angle = True

    def _read_angle(self, token: _Token) -> None:
        assert self._angle is not None
        if token.kind is _Kind.BLANK:
            return
        text = token.text
        if token.kind is not _Kind.SPECIAL:
            self._angle.append(text)
        elif text == ">":
            self._in_angle = False
        elif text == ":":
            # Before it: a route (RFC 5322 section 4.4, obs-route). QUIRK: or `mailto`, from web forms.
            self._angle.clear()
        elif text == "<":
            if self._angle:
                note(self._defects, INVALID_ADDRESS)
            self._angle.clear()
        elif not (self._angle and self._angle[0].startswith("@")):  # a comma that is not in a route
            note(self._defects, INVALID_ADDRESS)
            self._in_angle = False
            self.end_mailbox()

    def end_mailbox(self) -> None:
        """Make an address of what was read since the last one."""
        if self._angle is not None and not self._angle and self._has_address:
            # QUIRK: templates without a value for one of the two: `joe@example.com <>`.
            note(self._defects, INVALID_ADDRESS)
            self._end_bare([*self._phrase, *self._behind])
        elif self._angle is not None:
            behind = self._text(self._behind)
            if self._in_angle or behind or any(map(_is_comma, self._phrase)):
                note(self._defects, INVALID_ADDRESS)
            while self._phrase and (_is_comma(self._phrase[-1]) or _is_blank(self._phrase[-1])):
                self._phrase.pop()
            name = self._text(self._phrase) or behind or self._comment_text()
            self._add(Address(name, self._address("".join(self._angle))))
        else:
            for phrase in _split(self._phrase, _is_comma):
                self._end_bare(phrase)
        self._begin_mailbox()

    def _add(self, address: Address) -> None:
        if self._budget.addresses:
            self._budget.addresses -= 1
            self._found.append(address)
        else:
            note(self._defects, ADDRESS_LIMIT)

    def _end_bare(self, phrase: list[_Token]) -> None:
        """Addresses without angle brackets, or what was found in their place."""
        words = _split(phrase, _is_blank)
        extents = _extents(words)
        if not extents:
            if words:
                note(self._defects, INVALID_ADDRESS)
                self._end_without_address(phrase, words)
            return
        if len(extents) > 1:  # QUIRK: scripts separate addresses by blanks, as GMime and MimeKit read them
            note(self._defects, INVALID_ADDRESS)
            done = 0
            for first, last in extents[:-1]:
                self._end_bare_mailbox(words[done:first], words[first:last], [])
                done = last
            words = words[done:]
            extents = [(extents[-1][0] - done, extents[-1][1] - done)]
        first, last = extents[0]
        self._end_bare_mailbox(words[:first], words[first:last], words[last:])

    def _end_bare_mailbox(
        self, before: list[list[_Token]], address: list[list[_Token]], behind: list[list[_Token]]
    ) -> None:
        rest = [*before, *behind]
        if rest:  # QUIRK: scripts that forget the brackets: `John Doe john@example.com`
            note(self._defects, INVALID_ADDRESS)
        name = self._text(_spaced(rest)) or self._comment_text()
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
        return decode_words(text, self._defects, self._budget)

    def _end_without_address(self, phrase: list[_Token], words: list[list[_Token]]) -> None:
        if len(words) == 1 and all(token.kind is _Kind.ATOM for token in words[0]):
            # QUIRK: cron sends `To: root`, a mailbox of its own host.
            self._add(Address(self._comment_text(), "".join([token.text for token in words[0]])))
            return
        text = self._text(phrase)
        if self._is_decoded or not _HAS_ADDRESS.search(text) or not any(token.kind is _Kind.WORD for token in phrase):
            self._add(Address(text, ""))
            return
        # QUIRK: PHP scripts encode whole mailboxes: `=?utf-8?Q?J=C3=B6rg_<joerg@example.com>?=`.
        self._read_again(text)

    def _read_again(self, text: str) -> None:
        """Read mailboxes that were encoded."""
        reader = _Reader(self._defects, self._budget, self._found, is_decoded=True)
        reader.read_decoded(text)
        reader.end_mailbox()

    def _comment_text(self) -> str:
        return decode_words(_unquoted(self._comment), self._defects, self._budget).strip(" \t\r\n")

    def _text(self, tokens: list[_Token]) -> str:
        return _phrase_text(tokens, self._defects, self._budget)


def _is_comma(token: _Token) -> bool:
    return token.kind is _Kind.SPECIAL and token.text == ","


def _ends_with_mailbox(tokens: list[_Token]) -> bool:
    """Whether the last of the tokens are one word and a comma: a mailbox, no name that goes on behind the comma."""
    ending = [token for token in tokens[-_MAX_ENDING:] if not _is_blank(token)]
    if len(ending) < 2 or not _is_comma(ending[-1]) or ending[-2].kind is not _Kind.ATOM:
        return False
    return len(ending) == 2 or _is_comma(ending[-3])


def _is_blank(token: _Token) -> bool:
    return token.kind is _Kind.BLANK


def _has_at(word: list[_Token]) -> bool:
    return any(token.kind is _Kind.ATOM and "@" in token.text for token in word)


def _split(tokens: list[_Token], is_separator: Callable[[_Token], bool]) -> list[list[_Token]]:
    """The runs of tokens between separators, without empty ones."""
    runs: list[list[_Token]] = [[]]
    for token in tokens:
        if is_separator(token):
            runs.append([])
        else:
            runs[-1].append(token)
    return [run for run in runs if run]


def _spaced(words: list[list[_Token]]) -> list[_Token]:
    return [token for word in words for token in (*word, _Token(_Kind.BLANK, " "))]


def _extents(words: list[list[_Token]]) -> list[tuple[int, int]]:
    """Where the addresses are among the words of a phrase: from the first of their words up to the last.

    Blanks around dots and `@` are obsolete (RFC 5322 section 4.4).
    """
    extents: list[tuple[int, int]] = []
    done = 0
    for at, word in enumerate(words):
        if at >= done and _has_at(word):
            first, done = at, at + 1
            while first > (extents[-1][1] if extents else 0) and _begins(words[first - 1], words[first]):
                first -= 1
            while done < len(words) and _goes_on(words[done - 1], words[done]):
                done += 1
            extents.append((first, done))
    return extents


def _begins(word: list[_Token], following: list[_Token]) -> bool:
    """Whether an address that `following` belongs to begins with `word` or before: the dot of `Dr.` ends a name."""
    return word[-1].text[-1] == "@" or following[0].text[0] in ".@"


def _goes_on(word: list[_Token], following: list[_Token]) -> bool:
    """Whether an address that `word` belongs to goes on in `following`."""
    return word[-1].text[-1] in ".@" or following[0].text[0] in ".@"


def _phrase_text(tokens: list[_Token], defects: list[str], budget: Budget) -> str:
    """The text of a phrase: quotes off, encoded words decoded, blanks outside of quotes made one."""
    texts: list[str] = []
    run: list[str] = []  # tokens that are not quoted
    for token in tokens:
        if token.kind is _Kind.QUOTED:
            texts.append(decode_words("".join(run), defects, budget))
            run = []
            quoted = _unquoted(token.text[1:-1])
            if "=?" in quoted:
                # QUIRK: Outlook and Gmail put encoded words in quotes, which RFC 2047 section 5 forbids.
                decoded = decode_words(quoted, defects, budget)
                if decoded != quoted:
                    note(defects, INVALID_ENCODED_WORD)
                quoted = decoded
            texts.append(quoted)
        else:
            run.append(" " if token.kind is _Kind.BLANK else token.text)
    texts.append(decode_words("".join(run), defects, budget))
    return "".join(texts).strip(" \t\r\n")


def _unquoted(text: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", text) if "\\" in text else text
