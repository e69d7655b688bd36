"""Message-ID and Content-ID (RFC 5322 section 3.6.4, RFC 2045 section 7): a field value -> the identifier alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from fastsmtp.mime._quoting import find_comment_end, find_quote_end, is_plain_identifier
from fastsmtp.mime.budget import MAX_IDENTIFIER_LENGTH

_CACHED_LENGTH: Final = 160  # characters of the longest value that is cached
_TOKEN: Final = re.compile(r'([ \t\r\n]+)|[<>("]|[^ \t\r\n<>("]+')
_SIGNS: Final = "@."  # blanks around them are no part of an identifier (RFC 5322 section 4.5.4, obs-id-left)


def parse_message_id(value: str) -> str | None:
    """The identifier in `value`: what stands between the first angle brackets; None where there is nothing.

    Comments and blanks around it, and a semicolon behind it, are no part of it. A value without brackets is the
    identifier itself, and so is one that is longer than anything that means to be one. Never raises.
    """
    if is_plain_identifier(value):
        return value[1:-1]
    if len(value) > MAX_IDENTIFIER_LENGTH:
        return value
    return _cached_identifier(value) if len(value) <= _CACHED_LENGTH else _identifier(value)


def _identifier(value: str) -> str | None:
    pieces: list[str] = []
    blank = False  # between the last piece and the next one
    for token in _tokens(value):
        if token == "<":
            # QUIRK: scripts add brackets to an identifier that has them already: `<<a@b>>`.
            pieces.clear()
            blank = False
        elif token == ">":
            break
        elif token.isspace():
            blank = True
        else:
            if blank and pieces and token[0] not in _SIGNS and pieces[-1][-1] not in _SIGNS:
                pieces.append(" ")
            pieces.append(token)
            blank = False
    text = "".join(pieces).rstrip(" ;,")
    if (
        len(pieces) == 1 and len(text) > 1 and text[0] == text[-1] == '"'
    ):  # QUIRK: PHP scripts put all of it into quotes
        return _identifier(text[1:-1])
    return text or None


_cached_identifier: Final = lru_cache(maxsize=256)(_identifier)


def _tokens(value: str) -> Iterator[str]:
    """Brackets, blanks, quoted strings and the text between them, without comments.

    QUIRK: mailers put names of files into identifiers: in `<image(1).png@x>` the parenthesis begins no comment.
    """
    position = 0
    in_brackets = follows_text = False
    has_quotes = True  # there may be one that closes
    while (match := _TOKEN.match(value, position)) is not None:
        token, position = match[0], match.end()
        if token == "(" and not (in_brackets and follows_text):
            close = find_comment_end(value, position)
            if close == -1:
                return  # what is never closed is a comment to its end
            position = close + 1
            continue
        if token == '"' and has_quotes:
            close = find_quote_end(value, position)
            has_quotes = close != -1  # a second look at all the rest would not be linear
            if has_quotes:
                token, position = value[match.start() : close + 1], close + 1
        in_brackets = in_brackets or token == "<"
        follows_text = match[1] is None and token not in "<>"
        yield token
