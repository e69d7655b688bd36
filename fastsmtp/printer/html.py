"""What an HTML body says, as text: its lines, and where its links lead.

Roughly what a browser shows, and no more than is asked for: reading ends as soon as there is enough text. Any source is
read in linear time, and none raises.
"""

from __future__ import annotations

import re
from html import unescape
from typing import NamedTuple

from fastsmtp.mime.htmltokens import attribute, tokens


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What begins on a line of its own, and ends its line.
_BLOCKS = _names(
    "address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hr legend li main nav ol p pre section summary table tbody tfoot thead tr ul"
)
_CELLS = frozenset({"td", "th"})
_VOID = _names("area base br col embed hr img input link meta source track wbr")  # they have no end

_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\n\r\f]+")

_BULLET = "- "
_GAP = "  "  # between cells
# Characters without any width that stand in words; and a run of blanks and others with which senders fill up what is
# shown of a mail in a list of mails.
_INVISIBLE = dict.fromkeys([0xAD, 0x200B, 0x2060, 0xFEFF])
_FILLING = re.compile("[ \u00a0\u034f\u200c\u200d]{3,}")
_WITHOUT_SCHEME = re.compile(r"(?:mailto:|tel:|https?://)?(.*?)/?", re.IGNORECASE | re.DOTALL)
_NO_TARGETS = ("#", "javascript:")


class Rendered(NamedTuple):
    """Lines, the targets of links in the order of their numbers, and whether there is more than was asked for."""

    lines: list[str]
    links: list[str]
    more: bool


def render(source: str, most: int) -> Rendered:
    """Return about the first `most` characters of text; a link that does not say its target is followed by `[1]`."""
    page = _Page()
    for token in tokens(source):
        if isinstance(token, str):
            page.add(token)
        elif token.closing:
            page.end(token.name)
        else:
            page.begin(token.name, token.attributes)
        if page.length > most:
            return page.finish(more=True)
    return page.finish(more=False)


class _Page:
    """The lines that came of the tokens so far."""

    def __init__(self) -> None:
        self._links: dict[str, int] = {}  # their numbers, by target
        self.length = 0  # of the text
        self._lines: list[str] = []
        self._line: list[str] = []  # the pieces of the last one
        self._target = ""  # of the link that is open
        self._label: list[str] | None = None  # the pieces of its text
        self._preformatted = 0  # elements that are open
        self._hidden = ""  # the element that hides what is in it, and how often it is open
        self._depth = 0

    def finish(self, *, more: bool) -> Rendered:
        """All lines, without empty ones at the end."""
        self._end_link()
        self._begin_line()
        while self._lines and not self._lines[-1]:
            self._lines.pop()
        return Rendered(self._lines, list(self._links), more)

    def begin(self, name: str, attributes: str) -> None:
        """A tag opens an element."""
        if self._hidden:
            self._depth += name == self._hidden
        elif name not in _VOID and _HIDDEN.search(attribute(attributes, "style")):
            self._hidden, self._depth = name, 1
        elif name == "br":
            self._break_line()
        elif name == "a":
            self._begin_link(attribute(attributes, "href"))
        elif name == "img":
            self._put(f"[{alt}]" if (alt := attribute(attributes, "alt")) else "")
        elif name in _CELLS:
            self._begin_cell()
        elif name in _BLOCKS:
            self._begin_line()
            self._preformatted += name == "pre"
            if name == "li" and not self._line:
                self._put(_BULLET)

    def end(self, name: str) -> None:
        """A tag closes an element, or one that never was open."""
        if self._hidden:
            self._depth -= name == self._hidden
            if not self._depth:
                self._hidden = ""
        elif name == "a":
            self._end_link()
        elif name in _BLOCKS:
            self._begin_line()
            self._preformatted = max(0, self._preformatted - (name == "pre"))

    def add(self, text: str) -> None:
        """Text between tags."""
        if self._hidden:
            return
        text = unescape(text).translate(_INVISIBLE)
        if self._preformatted:
            *whole, text = text.replace("\r\n", "\n").split("\n")
            for line in whole:
                self._put(line)
                self._break_line()
            self._put(text)
        else:
            self._put(_BLANKS.sub(" ", text))

    def _put(self, piece: str) -> None:
        if not self._preformatted and (not self._line or self._line[-1].endswith(" ")):
            piece = piece.lstrip(" ")
        if piece:
            self._line.append(piece)
            self.length += len(piece)
            if self._label is not None:
                self._label.append(piece)

    def _begin_cell(self) -> None:
        if self._line and self._line[-1] not in (_GAP, _BULLET):
            self._line.append(_GAP)

    def _begin_line(self) -> None:
        if self._line and self._line != [_BULLET]:
            self._break_line()

    def _break_line(self) -> None:
        line = "".join(self._line)
        line = line.rstrip() if self._preformatted else _FILLING.sub(_GAP, line).strip()
        self._line.clear()
        if line or (self._lines and self._lines[-1]):
            self._lines.append(line)

    # links

    def _begin_link(self, target: str) -> None:
        self._end_link()  # they cannot be nested
        if target and not target.lower().startswith(_NO_TARGETS):
            self._target, self._label = target, []

    def _end_link(self) -> None:
        if self._label is None:
            return
        label, self._label = "".join(self._label).strip(), None
        if _bare(label) == _bare(self._target):
            return
        number = self._links.setdefault(self._target, len(self._links) + 1)
        self._mark(f"[{number}]", label)

    def _mark(self, mark: str, label: str) -> None:
        """Put it behind the text of the link, which may be the end of a line already."""
        if not self._line and label and self._lines:
            self._lines[-1] += f" {mark}"
            return
        last = self._line[-1] if self._line else ""
        if label and last.endswith(" "):
            self._line[-1] = last.rstrip(" ")
        self._put(f" {mark}" + " " * last.endswith(" "))


def _bare(address: str) -> str:
    """An address, or a text that may be one, without what people leave out."""
    match = _WITHOUT_SCHEME.fullmatch(address.strip())
    return match[1].casefold() if match is not None else address
