"""Content-Type and Content-Disposition: a value and its parameters (RFC 2045 section 5.1, RFC 2183, RFC 2231).

A value that follows the grammar is taken apart by one pattern, parameter by parameter; at the first sign of anything
else a scanner starts over, that knows comments and what mailers get wrong. Results are cached by value: most parts of
most mails carry one of a few.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from fastsmtp.mime.budget import MAX_FIELD_PARAMETERS, MAX_LENGTH, Budget
from fastsmtp.mime.defects import INVALID_CONTENT_TYPE, INVALID_DISPOSITION, PARAMETER_LIMIT, note
from fastsmtp.mime.parameterscanner import TOKEN, ParameterScanner
from fastsmtp.mime.parametervalues import BLANKS, Parameter, assemble

_CACHED_LENGTH: Final = 160  # characters of the longest value that is cached; keys and results stay below about 1 MB
_QUOTES: Final = "\"'"
_OPENING: Final = ("'", "<")  # what a type may be put into besides quotes
_AROUND: Final = BLANKS + _QUOTES + "<>"
_IN_QUOTES: Final = re.compile(r"""[ \t]*(["'])([^"'\\]*)\1""")


class MediaType(NamedTuple):
    """A Content-Type: `value` is "type/subtype" in lower case. Cached and shared: `parameters` must not be changed."""

    value: str
    parameters: Mapping[str, str]


class Disposition(NamedTuple):
    """A Content-Disposition: `value` is "inline", "attachment" or whatever was sent, in lower case; "" where the
    field says nothing. Cached and shared: `parameters` must not be changed.
    """

    value: str
    parameters: Mapping[str, str]


def parse_media_type(value: str, defects: list[str], budget: Budget | None = None) -> MediaType:
    """The media type of a Content-Type value; text/plain where it has none (RFC 2045 section 5.2).

    Parameter names are in lower case, values unquoted and decoded (RFC 2231; RFC 2047 is tolerated). Parameters beyond
    the `budget` of the mail, without one of a single field, are left out.
    """
    if budget is None:
        budget = Budget()
    if len(value) > _CACHED_LENGTH:
        return _media_type(_cut(value, defects), defects, budget)
    media_type, noted, used = _cached_media_type(value)
    if noted:
        _note_all(noted, defects)
    if used is not None and not budget.take(used):
        note(defects, PARAMETER_LIMIT)
        return MediaType(media_type.value, {})
    return media_type


def parse_disposition(value: str, defects: list[str], budget: Budget | None = None) -> Disposition:
    """The disposition of a Content-Disposition value; parameters as those of `parse_media_type`."""
    if budget is None:
        budget = Budget()
    if len(value) > _CACHED_LENGTH:
        return _disposition(_cut(value, defects), defects, budget)
    disposition, noted, used = _cached_disposition(value)
    if noted:
        _note_all(noted, defects)
    if used is not None and not budget.take(used):
        note(defects, PARAMETER_LIMIT)
        return Disposition(disposition.value, {})
    return disposition


def filename_of(media_type: MediaType | None, disposition: Disposition | None) -> str | None:
    """The file name: `filename` of the disposition, else `name` of the media type (RFC 2183 section 2.3).

    As sent, decoded, not made safe; None where there is none or it is blank.
    """
    if disposition is not None:
        filename = disposition.parameters.get("filename")
        if filename and not filename.isspace():
            return filename
    if media_type is not None:
        # QUIRK: Outlook Express sends the name in Content-Type only.
        name = media_type.parameters.get("name")
        if name and not name.isspace():
            return name
    return None


def _note_all(noted: tuple[str, ...], defects: list[str]) -> None:
    for defect in noted:
        note(defects, defect)


def _cut(value: str, defects: list[str]) -> str:
    """As much of a value as is looked at."""
    if len(value) > MAX_LENGTH:
        note(defects, PARAMETER_LIMIT)
    return value[:MAX_LENGTH]


@lru_cache(maxsize=1024)
def _cached_media_type(value: str) -> tuple[MediaType, tuple[str, ...], Budget | None]:
    """The media type, its defects, and the budget that it was taken from; None for no parameters."""
    defects: list[str] = []
    budget = Budget()
    media_type = _media_type(value, defects, budget)
    return media_type, tuple(defects), budget if media_type.parameters else None


@lru_cache(maxsize=1024)
def _cached_disposition(value: str) -> tuple[Disposition, tuple[str, ...], Budget | None]:
    defects: list[str] = []
    budget = Budget()
    disposition = _disposition(value, defects, budget)
    return disposition, tuple(defects), budget if disposition.parameters else None


# The good case: RFC 2045 tokens without comments; quoted strings without quoted pairs.
_MEDIA_TYPE: Final = re.compile(rf"(?!'){TOKEN}/{TOKEN}")
_DISPOSITION: Final = re.compile(TOKEN)
_PARAMETER: Final = re.compile(rf'[ \t]*;[ \t]*({TOKEN})=(?:"([^"\\]*)"|({TOKEN}))')


def _media_type(value: str, defects: list[str], budget: Budget) -> MediaType:
    match = _MEDIA_TYPE.match(value)
    if match is not None:
        parameters = _regular_parameters(value, match.end(), defects, budget)
        if parameters is not None:
            return MediaType(match[0].lower(), assemble(parameters, defects, budget))
    return irregular_media_type(value, defects, budget)


def _disposition(value: str, defects: list[str], budget: Budget) -> Disposition:
    match = _DISPOSITION.match(value)
    if match is not None and value[0] != "'":
        parameters = _regular_parameters(value, match.end(), defects, budget)
        if parameters is not None:
            return Disposition(match[0].lower(), assemble(parameters, defects, budget))
    return irregular_disposition(value, defects, budget)


def _regular_parameters(value: str, position: int, defects: list[str], budget: Budget) -> list[Parameter] | None:
    """The parameters of a value that follows the grammar from `position` to its end, else None."""
    parameters: list[Parameter] = []
    end = len(value)
    limit = min(MAX_FIELD_PARAMETERS, budget.parameters)
    while position < end:
        match = _PARAMETER.match(value, position)
        if match is None:
            if value[position:].strip("; \t"):  # as what separates parameters for a `ParameterScanner`
                return None
            break
        if len(parameters) == limit:
            note(defects, PARAMETER_LIMIT)
            break
        name, quoted, token = match.groups()
        parameters.append(Parameter(name, token if quoted is None else quoted))
        position = match.end()
    budget.parameters -= len(parameters)
    return parameters


def irregular_media_type(value: str, defects: list[str], budget: Budget) -> MediaType:
    """Read any value, sign by sign; `parse_media_type` has a shorter way for regular ones, with the same result."""
    bare = _without_quotes(_without_name(value))
    scanner = ParameterScanner(bare, defects, budget)
    head = scanner.take_head()
    if bare is not value or '"' in head or head[:1] in _OPENING:
        note(defects, INVALID_CONTENT_TYPE)
    parameters = assemble(scanner.take_parameters(), defects, budget)
    sent = [part.strip(BLANKS) for part in head.partition("/")]
    kind, _, subtype = [part.strip(_AROUND) for part in sent]
    if [kind, subtype] != [sent[0], sent[2]]:
        note(defects, INVALID_CONTENT_TYPE)
    match = _DISPOSITION.match(subtype)
    if match is not None and _DISPOSITION.fullmatch(kind):
        if match.end() != len(subtype):
            note(defects, INVALID_CONTENT_TYPE)
        return MediaType(f"{kind}/{match[0]}".lower(), parameters)
    note(defects, INVALID_CONTENT_TYPE)
    if kind.lower() in ("", "multipart") and not subtype and "boundary" in parameters:
        return MediaType("multipart/mixed", parameters)  # its parts can be told apart, so they should be
    return MediaType("text/plain", parameters)


def irregular_disposition(value: str, defects: list[str], budget: Budget) -> Disposition:
    """Read any value, sign by sign; `parse_disposition` has a shorter way for regular ones, with the same result."""
    scanner = ParameterScanner(_without_quotes(value), defects, budget)
    head = scanner.take_head().strip(BLANKS + _QUOTES)
    parameters = assemble(scanner.take_parameters(), defects, budget)
    match = _DISPOSITION.match(head)
    if match is None or match.end() != len(head):
        note(defects, INVALID_DISPOSITION)
    if match is not None:
        return Disposition(match[0].lower(), parameters)
    # QUIRK: CGI scripts send `Content-Disposition: filename="x"`; what has a file name is meant as a file.
    return Disposition("attachment" if "filename" in parameters else "", parameters)


def _without_name(value: str) -> str:
    """QUIRK: scripts put the name of the field before a value that has it: `Content-Type: text/html`."""
    name, colon, rest = value.partition(":")
    return rest.lstrip(BLANKS) if colon and name.strip(BLANKS).lower() == "content-type" else value


def _without_quotes(value: str) -> str:
    """QUIRK: scripts put the type, or all of the value, into quotes: `"text/html"; charset=utf-8`."""
    match = _IN_QUOTES.match(value)
    return value if match is None else match[2] + value[match.end() :]
