"""The tokens of an address list (RFC 5322 sections 3.2 and 3.4), and the words and phrases that are made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from fastsmtp.mime._quoting import find_comment_end, find_quote_end
from fastsmtp.mime.budget import Budget
from fastsmtp.mime.defects import INVALID_ENCODED_WORD, note
from fastsmtp.mime.words import decode_words

_MAX_ENDING: Final = 6  # tokens of a comma, a word and a comma, with blanks around


class TokenKind(Enum):
    """What a token is; names are those of the groups of `_TOKEN`."""

    ATOM = auto()  # runs of other characters, domain literals; `@` and dots too
    WORD = auto()  # an encoded word
    QUOTED = auto()  # with its quotes
    BLANK = auto()
    COMMENT = auto()  # without its parentheses
    SPECIAL = auto()  # one of `<>,:;`
    QUOTE = auto()  # begins a quoted string; never leaves `tokens_of`
    OPEN = auto()  # begins a comment; never leaves `tokens_of`


class Token(NamedTuple):
    """A piece of an address list; `text` as it stands there, but for the parentheses of a comment."""

    kind: TokenKind
    text: str


_KINDS: Final = dict(TokenKind.__members__)

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
UNCLOSED: Final = ('"', "(")
_UNQUOTED: Final = re.compile(r"[)\[\]\\]")
# What a word in Q may have in a phrase (RFC 2047 section 5 (3)), and question marks, which are noted elsewhere.
_NOT_OF_PHRASE: Final = re.compile(r"=\?[^?]*\?[qQ]\?.*[^A-Za-z0-9!*+/=_?-]", re.DOTALL)
_LONE_AT: Final = re.compile(r"(?<![^ @])@|@(?![^ @])")
_ADDRESS: Final = re.compile(r'[^\s"(),:;<>@\[\]\\]+@[^\s"(),:;<>@\[\]\\]+')
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)


def tokens_of(value: str) -> Iterator[Token]:
    """All of `value`, cut up. A quote or parenthesis that is never closed is an ordinary character."""
    openers = {TokenKind.QUOTE: find_quote_end, TokenKind.OPEN: find_comment_end}
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
                yield Token(TokenKind.ATOM, match[0])
            elif kind is TokenKind.QUOTE:
                end = close + 1
                yield Token(TokenKind.QUOTED, value[position:end])
            else:
                yield Token(TokenKind.COMMENT, value[end:close])
                end = close + 1
        else:
            yield Token(kind, match[0])
        position = end


def _never(value: str, position: int) -> int:
    return -1


def is_around_dot(before: str, behind: str) -> bool:
    """Whether blanks between two pieces of an address stand around a dot or `@`, where they are obsolete."""
    return before[-1] in ".@" or behind[0] in ".@"


def is_comma(token: Token) -> bool:
    """Whether the token separates two mailboxes, if it is not in a name or a route."""
    return token.kind is TokenKind.SPECIAL and token.text == ","


def ends_with_mailbox(tokens: list[Token]) -> bool:
    """Whether the last of the tokens are one word and a comma: a mailbox, no name that goes on behind the comma."""
    ending = [token for token in tokens[-_MAX_ENDING:] if not is_blank(token)]
    if len(ending) < 2 or not is_comma(ending[-1]) or ending[-2].kind is not TokenKind.ATOM:
        return False
    return len(ending) == 2 or is_comma(ending[-3])


def has_specials(tokens: list[Token]) -> bool:
    """Whether a name has what may stand in quotes and comments only, of the `specials` (RFC 5322 section 3.2.3)."""
    if any(token.kind is TokenKind.ATOM and _UNQUOTED.search(token.text) is not None for token in tokens):
        return True
    if not _has_at(tokens):
        return False
    # QUIRK: scripts take an address for a name, without quotes, which costs no defect; any other `@` does.
    return _LONE_AT.search("".join([_STAND_INS.get(token.kind, token.text) for token in tokens])) is not None


_STAND_INS: Final = {TokenKind.QUOTED: "q", TokenKind.WORD: "w", TokenKind.BLANK: " "}


def is_blank(token: Token) -> bool:
    """Whether the token separates two words."""
    return token.kind is TokenKind.BLANK


def _has_at(word: list[Token]) -> bool:
    return any(token.kind is TokenKind.ATOM and "@" in token.text for token in word)


def split(tokens: list[Token], is_separator: Callable[[Token], bool]) -> list[list[Token]]:
    """The runs of tokens between separators, without empty ones."""
    runs: list[list[Token]] = [[]]
    for token in tokens:
        if is_separator(token):
            runs.append([])
        else:
            runs[-1].append(token)
    return [run for run in runs if run]


def spaced(words: list[list[Token]]) -> list[Token]:
    """The tokens of the words, with a blank behind each word."""
    return [token for word in words for token in (*word, Token(TokenKind.BLANK, " "))]


def extents_of(words: list[list[Token]]) -> list[tuple[int, int]]:
    """Where the addresses are among the words of a phrase: from the first of their words up to the last.

    Blanks around dots and `@` are obsolete (RFC 5322 section 4.4).
    """
    extents: list[tuple[int, int]] = []
    done = 0
    is_mixed = any(map(_has_at, words))  # of others a name and an address may be made once more
    for at, word in enumerate(words):
        if at >= done and (_has_at(word) or (is_mixed and _is_encoded_address(word))):
            first, done = at, at + 1
            while first > (extents[-1][1] if extents else 0) and _begins(words[first - 1], words[first]):
                first -= 1
            while done < len(words) and _goes_on(words[done - 1], words[done]):
                done += 1
            extents.append((first, done))
    return extents


def _is_encoded_address(word: list[Token]) -> bool:
    return (
        word[0].kind is TokenKind.WORD
        and len(word) == 1
        and _ADDRESS.fullmatch(decode_words(word[0].text, [])) is not None
    )


def _begins(word: list[Token], following: list[Token]) -> bool:
    """Whether an address that `following` belongs to begins with `word` or before: the dot of `Dr.` ends a name."""
    return word[-1].text[-1] == "@" or word[-1].text == "." or following[0].text[0] in ".@"


def _goes_on(word: list[Token], following: list[Token]) -> bool:
    """Whether an address that `word` belongs to goes on in `following`."""
    return is_around_dot(word[-1].text, following[0].text)


def phrase_text(tokens: list[Token], defects: list[str], budget: Budget) -> str:
    """The text of a phrase: quotes off, encoded words decoded, blanks outside of quotes made one."""
    texts: list[str] = []
    run: list[str] = []  # tokens that are not quoted
    for token in tokens:
        if token.kind is TokenKind.QUOTED:
            texts.append(decode_words("".join(run), defects, budget))
            run = []
            quoted = unquoted(token.text[1:-1])
            if "=?" in quoted:
                # QUIRK: Outlook and Gmail put encoded words in quotes, which RFC 2047 section 5 forbids.
                decoded = decode_words(quoted, defects, budget)
                if decoded != quoted:
                    note(defects, INVALID_ENCODED_WORD)
                quoted = decoded
            texts.append(quoted)
        else:
            if token.kind is TokenKind.WORD and _NOT_OF_PHRASE.match(token.text):
                note(defects, INVALID_ENCODED_WORD)
            run.append(" " if token.kind is TokenKind.BLANK else token.text)
    texts.append(decode_words("".join(run), defects, budget))
    return "".join(texts).strip(" \t\r\n")


def unquoted(text: str) -> str:
    """The text without the backslashes of its quoted pairs (RFC 5322 section 3.2.1)."""
    return _QUOTED_PAIR.sub(r"\1", text) if "\\" in text else text
