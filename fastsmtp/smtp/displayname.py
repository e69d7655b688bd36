"""Paths that are written like an address in a header: with a display name, comments, or a bracket too many.

Careless applications put into MAIL and RCPT what they have in From and To: `<Joe <a@b>>`, `"Joe X" <a@b>`, `a@b (Joe)`.
RFC 5322 section 3.4 says what belongs to the name there; the address is what stands in the innermost brackets.

Strategy: quoted strings and comments are covered in a copy of the text that has the same length; what is found in the
copy stands at the same place of the text. Each step is linear in the text.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from fastsmtp.smtp.mailbox import is_mailbox

BLANKS: Final = " \t"
_brackets: Final = re.compile("[<>]").finditer
_surplus: Final = re.compile(r"(?:[ \t]*>)*").match
_word: Final = re.compile(r"[^ \t]+").search


class NamedPath(NamedTuple):
    """`address` is that of the text up to `end`; `bracketed` is False where it stood in none."""

    address: str
    end: int
    bracketed: bool


def find_named_path(text: str) -> NamedPath | None:
    """The path at the start of `text` without what does not belong to it, or None where it has nothing of that kind."""
    if "(" in text:
        found = _find(text, comments=True)
        # What looks like a comment may be part of a wrong address.
        if found is not None and is_mailbox(found.address):
            return found
    return _find(text, comments=False)


def _find(text: str, *, comments: bool) -> NamedPath | None:
    covered = _cover(text, comments)
    # Only comments are blanks in the copy and none in the text.
    plain = text if not comments else "".join(" " if c == " " else t for c, t in zip(covered, text, strict=True))
    first = _find_opening(covered)
    if first < 0:
        return _find_bare(text, plain, covered)
    stop = covered.find(">", first)
    if stop < 0:
        return None
    opening = covered.rindex("<", first, stop)
    end = _skip_comments(text, plain, covered, _find_end(covered, first))
    address = plain[opening + 1 : stop].strip(BLANKS)
    if first == 0 == opening and end == stop + 1 and plain[:end] == text[:end]:
        return None
    return NamedPath(address, end, True)


def _find_bare(text: str, plain: str, covered: str) -> NamedPath | None:
    """The first word is the address, with comments on both sides of it, and maybe a bracket that nothing has opened."""
    found = _word(covered)
    if found is None:
        return None
    start, end = found.span()
    address = plain[start:end].rstrip(">")
    if not address or "<" in address:
        return None
    end = _skip_surplus(covered, _skip_comments(text, plain, covered, end))
    return None if text[:end] == address else NamedPath(address, end, False)


def _find_opening(covered: str) -> int:
    """The bracket that opens the path, -1 where there is none: that of "AUTH=<>" belongs to a parameter."""
    first = covered.find("<")
    if first > 0:
        word = covered[max(covered.rfind(blank, 0, first) for blank in BLANKS) + 1 : first]
        # QUIRK: "=?utf-8?q?Joe?=<a@b>", an encoded word without the blank behind it.
        if "=" in word and not word.endswith("?="):
            return -1
    return first


def _find_end(covered: str, first: int) -> int:
    """Where the path ends that is opened by the bracket at `first`: every bracket in it is closed, or the first one."""
    end, depth = 0, 0
    for found in _brackets(covered, first):
        depth += 1 if found[0] == "<" else -1
        if depth == 0:
            end = found.end()
            break
    return _skip_surplus(covered, end or covered.index(">", first) + 1)


def _skip_comments(text: str, plain: str, covered: str, end: int) -> int:
    """Where the comments behind `end` end."""
    behind = _word(covered, end)
    following = len(text) if behind is None else behind.start()
    return end if plain[end:following] == text[end:following] else len(text[:following].rstrip(BLANKS))


def _skip_surplus(covered: str, end: int) -> int:
    """Where the brackets end that close nothing."""
    surplus = _surplus(covered, end)
    return end if surplus is None else surplus.end()


def _cover(text: str, comments: bool) -> str:
    """The text with "q" for what stands in quoted strings and, if `comments`, with blanks for these.

    What is opened and never closed is as it stands.
    """
    covered: list[str] = []
    position, quotes = 0, True
    while position < len(text):
        character = text[position]
        end = -1
        # To look again for the end of each that is never closed would take quadratic time.
        if character == '"' and quotes:
            end = _find_quote_end(text, position)
            quotes = end > 0
        elif character == "(" and comments:
            end = _find_comment_end(text, position)
            comments = end > 0
        if end < 0:
            covered.append(character)
            position += 1
        else:
            covered.append(("q" if character == '"' else " ") * (end - position))
            position = end
    return "".join(covered)


def _find_quote_end(text: str, start: int) -> int:
    position = start + 1
    while position < len(text):
        character = text[position]
        if character == '"':
            return position + 1
        position += 2 if character == "\\" else 1
    return -1


def _find_comment_end(text: str, start: int) -> int:
    """Comments nest (RFC 5322 section 3.2.2)."""
    position, depth = start, 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return position + 1
        position += 1
    return -1
