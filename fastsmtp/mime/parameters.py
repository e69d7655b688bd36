"""Content-Type and Content-Disposition: a value and its parameters (RFC 2045 section 5.1, RFC 2183, RFC 2231).

A value that follows the grammar is taken apart by one pattern, parameter by parameter; at the first sign of anything
else a scanner starts over, that knows comments and what mailers get wrong. Results are cached by value: most parts of
most mails carry one of a few.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple

from fastsmtp.mime._quoting import decode_hex, find_comment_end, find_quote_end
from fastsmtp.mime.budget import MAX_FIELD_PARAMETERS, MAX_FIELD_WORDS, MAX_LENGTH, Budget
from fastsmtp.mime.charset import decode_charset
from fastsmtp.mime.defects import (
    DUPLICATE_PARAMETER,
    INVALID_CONTENT_TYPE,
    INVALID_DISPOSITION,
    INVALID_ENCODED_WORD,
    INVALID_PARAMETER,
    PARAMETER_LIMIT,
    note,
)
from fastsmtp.mime.labels import codec_of
from fastsmtp.mime.words import decode_words

_CACHED_LENGTH: Final = 160  # characters of the longest value that is cached; keys and results stay below about 1 MB
_BLANKS: Final = " \t\r\n"
_QUOTES: Final = "\"'"
_IN_QUOTES: Final = re.compile(r"""[ \t]*(["'])([^"'\\]*)\1""")
_FILE_NAMES: Final = ("filename", "name")
_NUMBER_LENGTH: Final = 6  # digits of a continuation's number; a header of 1 MiB cannot hold more segments
_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_PAIR_OF_NAME: Final = re.compile(r'\\(["\\])')


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
_TOKEN: Final = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"
_MEDIA_TYPE: Final = re.compile(rf"(?!'){_TOKEN}/{_TOKEN}")
_DISPOSITION: Final = re.compile(_TOKEN)
_PARAMETER: Final = re.compile(rf'[ \t]*;[ \t]*({_TOKEN})=(?:"([^"\\]*)"|({_TOKEN}))')


class _Parameter(NamedTuple):
    name: str  # as sent, with the marks of RFC 2231
    value: str


def _media_type(value: str, defects: list[str], budget: Budget) -> MediaType:
    match = _MEDIA_TYPE.match(value)
    if match is not None:
        parameters = _regular_parameters(value, match.end(), defects, budget)
        if parameters is not None:
            return MediaType(match[0].lower(), _assemble(parameters, defects, budget))
    return irregular_media_type(value, defects, budget)


def _disposition(value: str, defects: list[str], budget: Budget) -> Disposition:
    match = _DISPOSITION.match(value)
    if match is not None and value[0] != "'":
        parameters = _regular_parameters(value, match.end(), defects, budget)
        if parameters is not None:
            return Disposition(match[0].lower(), _assemble(parameters, defects, budget))
    return irregular_disposition(value, defects, budget)


def _regular_parameters(value: str, position: int, defects: list[str], budget: Budget) -> list[_Parameter] | None:
    """The parameters of a value that follows the grammar from `position` to its end, else None."""
    parameters: list[_Parameter] = []
    end = len(value)
    limit = min(MAX_FIELD_PARAMETERS, budget.parameters)
    while position < end:
        match = _PARAMETER.match(value, position)
        if match is None:
            if value[position:].strip("; \t"):  # see _Scanner.next
                return None
            break
        if len(parameters) == limit:
            note(defects, PARAMETER_LIMIT)
            break
        name, quoted, token = match.groups()
        parameters.append(_Parameter(name, token if quoted is None else quoted))
        position = match.end()
    budget.parameters -= len(parameters)
    return parameters


def irregular_media_type(value: str, defects: list[str], budget: Budget) -> MediaType:
    """Read any value, sign by sign; `parse_media_type` has a shorter way for regular ones, with the same result."""
    bare = _without_quotes(value)
    scanner = _Scanner(bare, defects, budget)
    head = scanner.take_head()
    if bare is not value or '"' in head:
        note(defects, INVALID_CONTENT_TYPE)
    parameters = _assemble(scanner.take_parameters(), defects, budget)
    kind, _, subtype = [part.strip(_BLANKS + _QUOTES) for part in head.partition("/")]
    match = _DISPOSITION.match(subtype)
    if match is not None and _DISPOSITION.fullmatch(kind):
        if match.end() != len(subtype):
            note(defects, INVALID_CONTENT_TYPE)
        return MediaType(f"{kind}/{match[0]}".lower(), parameters)
    note(defects, INVALID_CONTENT_TYPE)
    if kind.lower() == "multipart" and not subtype and "boundary" in parameters:
        return MediaType("multipart/mixed", parameters)  # its parts can be told apart, so they should be
    return MediaType("text/plain", parameters)


def irregular_disposition(value: str, defects: list[str], budget: Budget) -> Disposition:
    """Read any value, sign by sign; `parse_disposition` has a shorter way for regular ones, with the same result."""
    scanner = _Scanner(_without_quotes(value), defects, budget)
    head = scanner.take_head().strip(_BLANKS + _QUOTES)
    parameters = _assemble(scanner.take_parameters(), defects, budget)
    match = _DISPOSITION.match(head)
    if match is None or match.end() != len(head):
        note(defects, INVALID_DISPOSITION)
    if match is not None:
        return Disposition(match[0].lower(), parameters)
    # QUIRK: CGI scripts send `Content-Disposition: filename="x"`; what has a file name is meant as a file.
    return Disposition("attachment" if "filename" in parameters else "", parameters)


def _without_quotes(value: str) -> str:
    """QUIRK: scripts put the type, or all of the value, into quotes: `"text/html"; charset=utf-8`."""
    match = _IN_QUOTES.match(value)
    return value if match is None else match[2] + value[match.end() :]


class _Scanner:
    """Takes an irregular value apart from left to right; every step goes on where the last one stopped."""

    __slots__ = ("_budget", "_defects", "_left", "_position", "_value")

    _HEAD_SPECIAL: ClassVar[re.Pattern[str]] = re.compile(r'[;"(]')
    _UNQUOTED_SPECIAL: ClassVar[re.Pattern[str]] = re.compile(r"[;(]")
    _BLANK: ClassVar[re.Pattern[str]] = re.compile(r"[ \t\r\n]*")
    _SEPARATORS: ClassVar[re.Pattern[str]] = re.compile(r"[ \t\r\n;,]*")
    _HEAD_NAME: ClassVar[re.Pattern[str]] = re.compile(r'(?:^|[ \t\r\n,])[^ \t\r\n;,="()/]+[ \t\r\n]*=')
    _NAME: ClassVar[re.Pattern[str]] = re.compile(r'([^ \t\r\n;,="()]+)[ \t\r\n]*=[ \t\r\n]*')
    _NEXT_NAME: ClassVar[re.Pattern[str]] = re.compile(rf"(?:,[ \t\r\n]*|[ \t\r\n]+){_TOKEN}[ \t\r\n]*=")
    _ESCAPED: ClassVar[re.Pattern[str]] = re.compile(r'\\"([^"\\]*)\\"')
    _END: ClassVar[re.Pattern[str]] = re.compile(r"[ \t\r\n]*(?:;|\Z)")
    _WORD: ClassVar[re.Pattern[str]] = re.compile(r"[^ \t\r\n;,(]*")
    _BOUNDARY_WORD: ClassVar[re.Pattern[str]] = re.compile(r"[^ \t\r\n;]*")

    def __init__(self, value: str, defects: list[str], budget: Budget) -> None:
        self._value = value
        self._defects = defects
        self._budget = budget
        self._left = MAX_FIELD_PARAMETERS  # steps
        self._position = 0

    def take_head(self) -> str:
        """The text before the first parameter, without comments."""
        head = self._take_text()
        # QUIRK: Content-Disposition without a type, and scripts that forget the semicolon or send a comma:
        # `text/plain charset=utf-8`, `text/html, charset=utf-8`.
        match = self._HEAD_NAME.search(head) if "=" in head else None
        if match is not None:
            self._value = head[match.start() :] + self._value[self._position :]
            self._position = 0
            head = head[: match.start()]
            note(self._defects, INVALID_PARAMETER)
        return head.strip(_BLANKS + ",")

    def take_parameters(self) -> list[_Parameter]:
        """All the rest."""
        parameters: list[_Parameter] = []
        while self._skip(self._SEPARATORS) < len(self._value) and self._may_go_on():
            if self._value[self._position] == "(":
                self._skip_comment()
                continue
            match = self._NAME.match(self._value, self._position)
            if match is None:
                self._skip_junk()
                continue
            self._position = match.end()
            if self._value.startswith('"', self._position):
                text = self._take_quoted(match[1].lower().partition("*")[0])
            elif (escaped := self._ESCAPED.match(self._value, self._position)) is not None:
                # QUIRK: templates escape quotes once too often: `boundary=\\"abc\\"`.
                self._position = escaped.end()
                note(self._defects, INVALID_PARAMETER)
                text = escaped[1]
            else:
                text = self._take_unquoted(match[1].lower().partition("*")[0])
            parameters.append(_Parameter(match[1], text))
        return parameters

    def _take_text(self) -> str:
        """Up to the next semicolon outside quotes, without comments."""
        pieces: list[str] = []
        start = self._position
        special = self._HEAD_SPECIAL
        while (match := special.search(self._value, self._position)) is not None and match[0] != ";":
            self._position = match.start()
            if match[0] == "(":
                pieces.append(self._value[start : self._position])
                start = self._skip_comment()
                continue
            close = find_quote_end(self._value, self._position + 1)
            if close == -1:  # neither this quote nor another one is closed
                special = self._UNQUOTED_SPECIAL
            else:
                self._position = close + 1
        self._position = len(self._value) if match is None else match.start()
        pieces.append(self._value[start : self._position])
        return "".join(pieces)

    def _take_quoted(self, name: str) -> str:
        start = self._position + 1
        close = find_quote_end(self._value, start)
        if close == -1:
            # QUIRK: mailers that cut long lines lose the closing quote; a name that ends in `\` escapes it.
            self._skip_to_semicolon()
            note(self._defects, INVALID_PARAMETER)
            return self._value[start : self._position].rstrip(_BLANKS + '"')
        self._position = close + 1
        self._skip_comments()
        if self._at_end():
            return _unescape(name, self._value[start:close])
        note(self._defects, INVALID_PARAMETER)
        if self._NEXT_NAME.match(self._value, close + 1):  # a forgotten semicolon
            self._position = close + 1
            return _unescape(name, self._value[start:close])
        # QUIRK: web mailers do not escape quotes in file names: `filename="my "best" photo.jpg"`.
        self._skip_to_semicolon()
        last = self._value.rfind('"', close, self._position)
        return _unescape(name, self._value[start:last])

    def _take_unquoted(self, name: str) -> str:
        start = self._position
        if name in _FILE_NAMES:
            # QUIRK: Google Docs does not quote names with blanks and parentheses, so there are no comments here.
            self._skip_to_semicolon()
            end = self._position
        elif name == "boundary":
            end = self._skip_boundary()
        else:
            end = self._skip(self._WORD)
        text = self._value[start:end].rstrip(_BLANKS)
        self._skip_comments()
        if not self._at_end():
            if self._NEXT_NAME.match(self._value, self._position):  # a forgotten semicolon
                note(self._defects, INVALID_PARAMETER)
            else:
                self._skip_junk()
        if not _DISPOSITION.fullmatch(text):
            note(self._defects, INVALID_PARAMETER)
        return text

    def _skip_boundary(self) -> int:
        """The end of a boundary without quotes. QUIRK: hand-made mail does not quote those with specials or blanks."""
        end = self._skip(self._BOUNDARY_WORD)
        while not self._at_end() and not self._NEXT_NAME.match(self._value, self._position) and self._may_go_on():
            if self._value.startswith("(", self._skip(self._BLANK)):
                break
            end = self._skip(self._BOUNDARY_WORD)
        return end

    def _skip(self, pattern: re.Pattern[str]) -> int:
        """Go behind `pattern`, which may match nothing."""
        match = pattern.match(self._value, self._position)
        if match is not None:
            self._position = match.end()
        return self._position

    def _skip_comment(self) -> int:
        """Go behind the comment that begins here, or to the end where it is not closed."""
        if not self._may_go_on():
            return self._position
        close = find_comment_end(self._value, self._position + 1)
        if close == -1:
            note(self._defects, INVALID_PARAMETER)
        self._position = len(self._value) if close == -1 else close + 1
        return self._position

    def _may_go_on(self) -> bool:
        """Whether the budget has another step; else go to the end."""
        if self._left and self._budget.parameters:
            self._left -= 1
            self._budget.parameters -= 1
            return True
        note(self._defects, PARAMETER_LIMIT)
        self._position = len(self._value)
        return False

    def _skip_comments(self) -> None:
        """Go behind comments and the blanks before them."""
        while True:
            start = self._position
            if not self._value.startswith("(", self._skip(self._BLANK)):
                self._position = start
                return
            self._skip_comment()

    def _at_end(self) -> bool:
        """Whether the parameter ends here."""
        return self._END.match(self._value, self._position) is not None

    def _skip_to_semicolon(self) -> None:
        semicolon = self._value.find(";", self._position)
        self._position = len(self._value) if semicolon == -1 else semicolon

    def _skip_junk(self) -> None:
        note(self._defects, INVALID_PARAMETER)
        self._skip_to_semicolon()


def _unescape(name: str, text: str) -> str:
    """The text of a quoted string of the parameter `name` without its quoted pairs (RFC 5322 section 3.2.4).

    QUIRK: Outlook and Internet Explorer send `filename="C:\\Users\\ada\\notes.txt"`; in names of files only `\\"` and
    `\\\\` are pairs.
    """
    if "\\" not in text:
        return text
    return (_PAIR_OF_NAME if name in _FILE_NAMES else _PAIR).sub(r"\1", text)


def _assemble(parameters: list[_Parameter], defects: list[str], budget: Budget) -> dict[str, str]:
    """Parameters by lower-case name, the first of each; RFC 2231 forms put together, which win over plain ones."""
    plain: dict[str, str] = {}
    extended: dict[str, _Segments] = {}
    for name, text in parameters:
        name = name.lower()
        if "*" in name:
            _add_segment(extended, name, text, defects)
        elif name in plain:
            note(defects, DUPLICATE_PARAMETER)
        else:
            plain[name] = _decode_plain(name, text, defects, budget)
    for name, segments in extended.items():
        plain[name] = _decode_extended(name, segments, defects, budget)
    return plain


def _decode_plain(name: str, text: str, defects: list[str], budget: Budget) -> str:
    if name == "boundary":
        # QUIRK: mailers pad it: `boundary="abc "`; RFC 2046 section 5.1.1: "must not end with white space".
        return text.rstrip(_BLANKS)
    if "=?" in text:
        # QUIRK: Outlook, Gmail and most others put encoded words in quotes, which RFC 2047 section 5 forbids.
        part = budget.copy()
        part.words = min(part.words, MAX_FIELD_WORDS)
        budget.words -= part.words
        decoded = decode_words(text, defects, part)
        budget.words += part.words
        if decoded != text:
            note(defects, INVALID_ENCODED_WORD)
        return decoded
    return text


class _Segment(NamedTuple):
    encoded: bool
    text: str


_Segments = dict[int, _Segment]  # by number; _WHOLE is `name*`, which is not continued
_WHOLE: Final = -1


def _add_segment(extended: dict[str, _Segments], name: str, text: str, defects: list[str]) -> None:
    """File `name*`, `name*0` or `name*0*` (RFC 2231 sections 3 and 4)."""
    encoded = name.endswith("*")
    base = name.removesuffix("*")
    number = _WHOLE
    stem, star, digits = base.rpartition("*")
    if star and len(digits) <= _NUMBER_LENGTH and digits.isascii() and digits.isdigit():
        base, number = stem, int(digits)
    if not base or "*" in base or (number == _WHOLE and not encoded):
        note(defects, INVALID_PARAMETER)
        return
    segments = extended.setdefault(base, {})
    if number in segments:
        note(defects, DUPLICATE_PARAMETER)
    else:
        segments[number] = _Segment(encoded, text)


def _decode_extended(name: str, segments: _Segments, defects: list[str], budget: Budget) -> str:
    if _WHOLE in segments:
        ordered = [segments[_WHOLE]]
    else:
        # QUIRK: segments come in any order; some mailers count from 1 or leave a number out. All there is, in order.
        numbers = sorted(segments)
        if numbers[-1] != len(numbers) - 1:
            note(defects, INVALID_PARAMETER)
        ordered = [segments[number] for number in numbers]
    if not any(segment.encoded for segment in ordered):
        return _decode_plain(name, "".join([segment.text for segment in ordered]), defects, budget)
    charset: str | None = None
    if ordered[0].encoded:
        charset, text = _split_charset(ordered[0].text, defects)
        ordered[0] = _Segment(True, text)
    return _join_segments(ordered, charset, defects)


def _split_charset(text: str, defects: list[str]) -> tuple[str | None, str]:
    """The charset and the rest of `charset'language'text`."""
    charset, *rest = text.split("'", 2)
    if len(rest) == 2:
        return charset or None, rest[1]
    # QUIRK: scripts leave out the language or all of it: `filename*=utf-8'x.txt`, `filename*=x.txt`.
    note(defects, INVALID_PARAMETER)
    if rest and codec_of(charset) is not None:
        return charset, rest[0]
    return None, text


def _join_segments(segments: list[_Segment], charset: str | None, defects: list[str]) -> str:
    """QUIRK: Apple Mail cuts between octets, not characters: neighbours that are encoded are decoded as one."""
    texts: list[str] = []
    encoded: list[str] = []
    for segment in segments:
        if segment.encoded:
            encoded.append(segment.text)
        else:
            texts.append(_decode_encoded("".join(encoded), charset, defects))
            texts.append(segment.text)
            encoded = []
    texts.append(_decode_encoded("".join(encoded), charset, defects))
    return "".join(texts)


def _decode_encoded(text: str, charset: str | None, defects: list[str]) -> str:
    if not text.isascii():  # raw characters where only escapes may be; what we read them as is UTF-8 here
        note(defects, INVALID_PARAMETER)
        charset = "utf-8"
    return decode_charset(decode_hex(text.encode(), b"%"), charset, defects)
