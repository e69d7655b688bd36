"""Reads irregular values of Content-Type and Content-Disposition: comments, and what mailers get wrong."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from fastsmtp.mime._quoting import find_comment_end, find_quote_end
from fastsmtp.mime.budget import MAX_FIELD_PARAMETERS, Budget
from fastsmtp.mime.defects import INVALID_PARAMETER, PARAMETER_LIMIT, note
from fastsmtp.mime.parametervalues import BLANKS, Parameter

TOKEN: Final = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"
_TOKEN_PATTERN: Final = re.compile(TOKEN)
_FILE_NAMES: Final = ("filename", "name")
_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_PAIR_OF_NAME: Final = re.compile(r'\\(["\\])')


class ParameterScanner:
    """Takes an irregular value apart from left to right; every step goes on where the last one stopped."""

    __slots__ = ("_budget", "_defects", "_left", "_position", "_value")

    _HEAD_SPECIAL: ClassVar[re.Pattern[str]] = re.compile(r'[;"(]')
    _UNQUOTED_SPECIAL: ClassVar[re.Pattern[str]] = re.compile(r"[;(]")
    _BLANK: ClassVar[re.Pattern[str]] = re.compile(r"[ \t\r\n]*")
    _SEPARATORS: ClassVar[re.Pattern[str]] = re.compile(r"[ \t\r\n;,]*")
    _HEAD_NAME: ClassVar[re.Pattern[str]] = re.compile(r'(?:^|[ \t\r\n,])[^ \t\r\n;,="()/]+[ \t\r\n]*=')
    _NAME: ClassVar[re.Pattern[str]] = re.compile(r'([^ \t\r\n;,="()]+)[ \t\r\n]*=[ \t\r\n]*')
    _NEXT_NAME: ClassVar[re.Pattern[str]] = re.compile(rf"(?:,[ \t\r\n]*|[ \t\r\n]+){TOKEN}[ \t\r\n]*=")
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
        return head.strip(BLANKS + ",")

    def take_parameters(self) -> list[Parameter]:
        """All the rest."""
        parameters: list[Parameter] = []
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
            parameters.append(Parameter(match[1], text))
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
            return self._value[start : self._position].rstrip(BLANKS + '"')
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
        text = self._value[start:end].rstrip(BLANKS)
        self._skip_comments()
        if not self._at_end():
            if self._NEXT_NAME.match(self._value, self._position):  # a forgotten semicolon
                note(self._defects, INVALID_PARAMETER)
            else:
                self._skip_junk()
        if not _TOKEN_PATTERN.fullmatch(text):
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
