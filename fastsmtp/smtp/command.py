"""The arguments of commands (RFC 5321 section 4.1.2): paths, ESMTP parameters, chunk sizes. Knows no session.

Strategy: what well-behaved clients send matches one expression; everything else goes through the tolerant parser, which
gives a meaning to what has one and says what it forgave. Whatever cannot be understood raises `ArgumentError`.
Expressions are such that each character can be taken in one way only: matching is linear in the line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from fastsmtp._parse import usual_argument
from fastsmtp.smtp import violations
from fastsmtp.smtp.displayname import BLANKS, find_named_path
from fastsmtp.smtp.mailbox import NON_ASCII, find_route, is_mailbox, is_route

MAX_PARAMETERS: Final = 64  # of one command; all those ever registered are fewer than 20
MAX_CHUNK_DIGITS: Final = 20  # RFC 3030 section 2 leaves it open; as size-value of RFC 1870 section 5


class ArgumentError(ValueError):
    """The argument of a command has no meaning: 501."""


class Quirk(NamedTuple):
    """Something forgiven: a code of `violations.CLAUSES` and the text it was found in."""

    code: str
    detail: str


# The argument of MAIL or RCPT: the path without angle brackets and source route, where "" is the null reverse-path;
# the parameters as sent; what was forgiven. A bare tuple because there is one per command.
PathArgument: TypeAlias = tuple[str, dict[str, str | None], Sequence[Quirk]]


class ChunkArgument(NamedTuple):
    """The argument of BDAT. `well_formed` is False where something else than LAST stands behind the size."""

    size: int
    last: bool
    well_formed: bool = True


_is_keyword: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*").fullmatch
_is_value: Final = re.compile(rf"(?:[!-<>-~]|{NON_ASCII})+").fullmatch

# RFC 3461 section 4; RFC 6533 section 3 adds UTF-8.
_XTEXT: Final = rf"(?:[!-*,-<>-~]|{NON_ASCII}|\+[0-9A-Fa-f]{{2}})+"
_NOTIFY: Final = "(?i:SUCCESS|FAILURE|DELAY)"

_SIZE: Final = re.compile("[0-9]{1,20}")  # RFC 1870 section 5
_is_size: Final = _SIZE.fullmatch

# What the values of the parameters that we advertise look like; None where there is none.
MAIL_PARAMETERS: Final[dict[str, re.Pattern[str] | None]] = {
    "SIZE": _SIZE,
    "BODY": re.compile("(?i:7BIT|8BITMIME|BINARYMIME)"),  # RFC 6152 section 2, RFC 3030 section 3
    "SMTPUTF8": None,  # RFC 6531 section 3.4
    "AUTH": re.compile(f"<>|{_XTEXT}"),  # RFC 4954 section 5
    "RET": re.compile("(?i:FULL|HDRS)"),  # RFC 3461 section 4.3
    "ENVID": re.compile(_XTEXT),  # RFC 3461 section 4.4
}
RCPT_PARAMETERS: Final[dict[str, re.Pattern[str] | None]] = {
    "NOTIFY": re.compile(f"(?i:NEVER)|{_NOTIFY}(?:,{_NOTIFY})*"),  # RFC 3461 section 4.1
    "ORCPT": re.compile(f"[A-Za-z0-9-]+;{_XTEXT}"),  # RFC 3461 section 4.2
}


def parse_mail(argument: str) -> PathArgument:
    """What stands behind "MAIL " (RFC 5321 section 4.1.1.2). Raises ArgumentError."""
    usual = usual_argument(argument, "FROM")  # no quoting, no route, nothing forgiven
    if usual is not None:
        path, words = usual
        if not words:
            return path, {}, ()
        # SIZE alone: what smtplib and most others send.
        if words[5:].isdigit() and words[:5].upper() == "SIZE=" and words.isascii() and len(words) <= 25:
            return path, {words[:4]: words[5:]}, ()
        if ">" not in words and "(" not in words:
            quirks: list[Quirk] = []
            return path, parse_parameters(words, MAIL_PARAMETERS, quirks), quirks
    return _parse_path_argument(argument, "FROM", MAIL_PARAMETERS)


def parse_rcpt(argument: str) -> PathArgument:
    """What stands behind "RCPT " (RFC 5321 section 4.1.1.3). Raises ArgumentError; so does the null path."""
    usual = usual_argument(argument, "TO")
    if usual is not None:
        path, words = usual
        if path and not words:
            return path, {}, ()
        if path and ">" not in words and "(" not in words:
            quirks: list[Quirk] = []
            return path, parse_parameters(words, RCPT_PARAMETERS, quirks), quirks
    found = _parse_path_argument(argument, "TO", RCPT_PARAMETERS)
    if not found[0]:
        raise ArgumentError("null forward-path")
    return found


def parse_parameters(text: str, known: dict[str, re.Pattern[str] | None], quirks: list[Quirk]) -> dict[str, str | None]:
    """Mail-parameters or Rcpt-parameters (RFC 5321 section 4.1.2), keywords and values as sent.

    Of a keyword that comes twice the first value stands. Raises ArgumentError for more than `MAX_PARAMETERS`.
    """
    parameters: dict[str, str | None] = {}
    seen: set[str] = set()
    brackets = ">" in text
    for word in (text.replace("\t", " ") if "\t" in text else text).split(" "):
        if not word:
            continue
        if len(seen) == MAX_PARAMETERS:
            raise ArgumentError("too many parameters")
        keyword, equals, value = word.partition("=")
        if brackets and keyword and not keyword.strip(">"):
            quirks.append(Quirk(violations.INVALID_PARAMETER, word))  # QUIRK: of a path, gone astray
            continue
        name = keyword.upper()
        if name in seen:
            quirks.append(Quirk(violations.DUPLICATE_PARAMETER, word))
            continue
        seen.add(name)
        parameters[keyword] = value if equals else None
        if name in known:
            pattern = known[name]
            valid = not equals if pattern is None else bool(equals) and pattern.fullmatch(value) is not None
            if not valid:
                quirks.append(Quirk(violations.INVALID_PARAMETER, word))
        elif _is_keyword(keyword) and (not equals or _is_value(value)):
            quirks.append(Quirk(violations.UNKNOWN_PARAMETER, word))
        else:
            quirks.append(Quirk(violations.INVALID_PARAMETER, word))
    return parameters


def parse_chunk(argument: str) -> ChunkArgument:
    """What stands behind "BDAT " (RFC 3030 section 2). Raises ArgumentError where there is no size."""
    size, _, end = argument.strip(" \t").partition(" ")
    if not (size.isascii() and size.isdigit()) or len(size) > MAX_CHUNK_DIGITS:
        raise ArgumentError("no chunk size")
    end = end.strip(" \t").upper()
    return ChunkArgument(int(size), end == "LAST", end in ("", "LAST"))


def parse_size(value: str | None) -> int:
    """The number in SIZE= (RFC 1870 section 5); 0 where it is malformed, which `parse_mail` has noted."""
    return int(value) if value is not None and _is_size(value) else 0


def _parse_path_argument(argument: str, keyword: str, known: dict[str, re.Pattern[str] | None]) -> PathArgument:
    """The tolerant parser behind `parse_mail` and `parse_rcpt`."""
    before, colon, text = argument.partition(":")
    if not colon or before.strip(BLANKS).upper() != keyword:
        raise ArgumentError(f"no {keyword}:")
    stripped = text.lstrip(BLANKS)
    quirks: list[Quirk] = []
    inner, end = _find_path(stripped, keyword, quirks)
    # QUIRK: "MAIL FROM: <a@b>"; "spaces are not permitted on either side of the colon" (RFC 5321 section 3.3).
    if len(stripped) != len(text) or len(before) != len(keyword):
        named = quirks and quirks[0].code == violations.INVALID_MAILBOX
        quirks.insert(1 if named else 0, Quirk(violations.MISPLACED_SPACE, argument))
    path = _check_path(inner, keyword, quirks)
    words = stripped[end:]
    if words and words[0] not in BLANKS and stripped[end - 1] == ">":
        quirks.append(Quirk(violations.INVALID_PARAMETER, words))
        glued = words.replace("\t", " ").partition(" ")[0]  # of which that was said already
        more: list[Quirk] = []
        parameters = parse_parameters(words, known, more)
        quirks += [quirk for quirk in more if quirk != (violations.INVALID_PARAMETER, glued)]
        return path, parameters, quirks
    return path, parse_parameters(words, known, quirks), quirks


def _find_path(text: str, keyword: str, quirks: list[Quirk]) -> tuple[str, int]:
    """What stands between the brackets of the path that `text` begins with, and where the path ends."""
    bracketed = text.startswith("<")
    end = _find_path_end(text, 1, ">") if bracketed else 0
    if bracketed and end < len(text):
        inner = text[1:end]
        if _is_path(inner.strip(BLANKS), keyword) and not text[end + 1 :].lstrip(BLANKS).startswith((">", "(")):
            return inner, end + 1
    # QUIRK: "MAIL FROM:<Joe <a@b>>", "MAIL FROM:Joe <a@b>".
    named = find_named_path(text)
    if named is not None:
        quirks.append(Quirk(violations.INVALID_MAILBOX, text[: named.end]))
        if not named.bracketed:
            quirks.append(Quirk(violations.PATH_WITHOUT_BRACKETS, text))
        return named.address, named.end
    if bracketed:
        if end == len(text):
            raise ArgumentError("unclosed path")
        return text[1:end], end + 1
    # QUIRK: "MAIL FROM:a@b".
    end = _find_path_end(text.replace("\t", " "), 0, " ")
    inner = text[:end]
    if not inner or "<" in inner or ("@" not in inner and "<" in text[end:]):
        raise ArgumentError("no path")
    quirks.append(Quirk(violations.PATH_WITHOUT_BRACKETS, text))
    return inner, end


def _find_path_end(text: str, start: int, stop: str) -> int:
    """Offset of the first `stop` at or behind `start` that is not inside a quoted string, else len(text).

    A quote that is never closed quotes nothing.
    """
    at = text.find(stop, start)
    quote = text.find('"', start)
    if quote < 0 or at < quote:
        return at if at >= 0 else len(text)
    position, quoted = quote, False
    while position < len(text):
        character = text[position]
        if character == "\\" and quoted:
            position += 1
        elif character == '"':
            quoted = not quoted
        elif character == stop and not quoted:
            return position
        position += 1
    return at if quoted and at >= 0 else len(text)


def _check_path(inner: str, keyword: str, quirks: list[Quirk]) -> str:
    """The mailbox of what stood between angle brackets: its source route is ignored, blanks around it are forgiven."""
    path = inner.strip(BLANKS)
    if len(path) != len(inner):
        quirks.append(Quirk(violations.MISPLACED_SPACE, inner))
    sent, start = path, find_route(path)
    if start:
        quirks.append(Quirk(violations.SOURCE_ROUTE, sent))
        path = sent[start:]
        if not path:
            raise ArgumentError("route without mailbox")
    if any(quirk.code == violations.INVALID_MAILBOX for quirk in quirks):
        return path
    if not is_route(sent[:start]):
        quirks.append(Quirk(violations.INVALID_MAILBOX, sent))
    elif not _is_path(path, keyword):
        quirks.append(Quirk(violations.INVALID_MAILBOX, path))
        # QUIRK: "<@relay a@b>", a source route without its colon.
        before, _, mailbox = path.rpartition(" ")
        if before.startswith("@") and is_mailbox(mailbox):
            return mailbox
    return path


def _is_path(path: str, keyword: str) -> bool:
    # RFC 5321 section 4.1.1.3: "RCPT TO:<Postmaster>" needs no domain.
    return not path or is_mailbox(path) or (keyword == "TO" and path.lower() == "postmaster")
