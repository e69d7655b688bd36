"""The worker that takes the mails where no `server.command` is set: it shows each, readable, on stdout.

The server runs it, with `--save DIR` if so wanted. It is a worker like any other and speaks Goridge with the server.
Nothing that stands in a mail reaches the terminal as a control character, and nothing that happens to stdout or to DIR
fails a mail.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from fastsmtp.printer.archive import Archive
from fastsmtp.text import size
from fastsmtp.worker import Worker

_Mail: TypeAlias = Mapping[str, Any]  # the JSON that a worker gets

_STDOUT, _STDERR = 1, 2
_LABEL_WIDTH = 11
_INDENT = "\n" + " " * (_LABEL_WIDTH + 3)
_EXCERPT_LINES = 12
_EXCERPT_CHARS = 16384  # of the body, looked at for the excerpt
_VALUE_CHARS = 500  # of one value, shown
_ATTACHMENTS_SHOWN = 50
_TO_SHOWN = 10  # addresses, violations and defects of one mail, shown

_BOLD, _DIM, _YELLOW, _CYAN, _GREEN = "1", "2", "33", "36", "32"

# RFC 5321 section 2.4 allows it, and Python's smtplib does it in every session.
_NO_ALARM = "lower-case-verb"

_NARROW = re.compile("[\\x20-\u02ff]*")  # one column each: Latin letters

# Joiners that emoji and several scripts need; every other format character could turn or hide text on the terminal.
_HARMLESS_FORMAT = frozenset("\u200c\u200d")


def main() -> None:
    """Take mails until the server says stop or is gone."""
    keeper = Keeper(sys.argv[2]) if sys.argv[1:2] == ["--save"] else None
    try:
        mails = Worker()
        painter = Painter(colours=_wants_colours(), width=_terminal_width(), wrap=os.isatty(_STDOUT))
        for mail in mails:
            _show(painter.block(mail.context, "" if keeper is None else keeper.keep(mail.context)))
    except ConnectionError:  # the server ended without a word
        return


class Keeper:
    """Keeps mails in a directory; what goes wrong with it is told once, until it is well again."""

    def __init__(self, directory: str) -> None:
        self._archive = Archive(directory)
        self._directory = directory
        self._complaint = ""  # the last one

    def keep(self, mail: _Mail) -> str:
        """Return the path of the .eml, "" when it could not be written. Never raises."""
        try:
            path = self._archive.keep(mail)
        except OSError as error:
            complaint = error.strerror or str(error)
            if complaint != self._complaint:
                _complain(f"fastsmtp: mails cannot be kept in {self._directory}: {complaint}\n")
            self._complaint = complaint
            return ""
        self._complaint = ""
        return path


class Painter:
    """Turns mails into blocks of text."""

    def __init__(self, *, colours: bool, width: int, wrap: bool = False) -> None:
        """With `wrap` long values go on below where they begin; what reads a pipe is better off with whole lines."""
        self._colours = colours
        self._width = width
        self._wrap = wrap

    def block(self, mail: _Mail, path: str = "") -> str:
        """The whole block of one mail, from a ruled line to an empty one; `path` is where it was kept."""
        lines = [self._rule(mail), *self._fields(mail)]
        if path:
            lines.append(self._raw_field("saved", self._paint(_one_line(path), _DIM)))  # whole, to be copied
        excerpt = list(self._excerpt(mail["message"]))
        if excerpt:
            lines += ["", *excerpt]
        tail = [*self._attachments(mail["attachments"]), *self._complaints(mail)]
        if tail:
            lines += ["", *tail]
        return "\n".join(lines) + "\n\n"

    def _rule(self, mail: _Mail) -> str:
        title = f" {_one_line(mail['received_at'])[11:20]}  {_one_line(mail['remote_addr'])} "
        return self._paint("━━", _GREEN) + title + self._paint("━" * max(2, self._width - len(title) - 2), _GREEN)

    def _fields(self, mail: _Mail) -> Iterator[str]:
        envelope, message, session = mail["envelope"], mail["message"], mail["session"]
        yield self._field("subject", message["subject"] or "(none)", _BOLD)
        for label in ("from", "to", "cc", "bcc", "reply_to"):
            if message[label]:
                yield self._field(label.replace("_", "-"), _listed(map(_address, message[label])))
        yield self._field("envelope", f"<{envelope['from']}> to {_listed(f'<{path}>' for path in envelope['to'])}")
        if message["date"]:
            yield self._field("date", message["date"])
        authentication = mail["authentication"]
        if authentication["attempted"]:
            shown = (authentication[key] for key in ("mechanism", "username", "password"))
            yield self._field("auth", "  ".join(str(value) for value in shown if value is not None) or "(none)", _CYAN)
        yield self._field("helo", ("EHLO " if session["esmtp"] else "HELO ") + (envelope["helo"] or "(none)"))
        if session["tls"]:
            yield self._field("tls", f"{session['tls']['version']}  {session['tls']['cipher']}")
        yield self._field("size", f"{size(message['size'])}  {mail['uuid']}", _DIM)

    def _excerpt(self, message: _Mail) -> Iterator[str]:
        text, note = message["text"], ""
        if text is None and message["html"] is not None:
            text, note = _text_of_html(message["html"][:_EXCERPT_CHARS]), "(from HTML)"
        lines = [line.rstrip() for line in (text or "")[:_EXCERPT_CHARS].splitlines()]
        lines = [line for index, line in enumerate(lines) if line or (index and lines[index - 1])]
        while lines and not lines[-1]:
            lines.pop()
        rows: list[str] = []
        more = len(lines)  # of which not all is shown
        for line in lines:
            rows += self._rows(line)
            if len(rows) > _EXCERPT_LINES:
                break
            more -= 1
        yield from rows[:_EXCERPT_LINES]
        if more or len(text or "") > _EXCERPT_CHARS:
            counted = f"{more} more line{'s' if more > 1 else ''}" if more else ""
            note = " ".join(filter(None, ["...", counted, note]))
        if note:
            yield "  " + self._paint(note, _DIM)

    def _rows(self, line: str) -> list[str]:
        """A line of the body as it is shown: on a terminal in as many rows as it needs, else cut."""
        columns = self._width - 2
        line = _harmless(line.expandtabs(4))
        if not self._wrap:
            return [("  " + _cut(line, columns)).rstrip()]
        # More of a line than could be shown would cost time for nothing.
        return [("  " + row).rstrip() for row in _wrapped(line[: (_EXCERPT_LINES + 1) * self._width], columns)]

    def _attachments(self, attachments: Sequence[_Mail]) -> Iterator[str]:
        columns = [
            (_cut(_one_line(item["filename"]), 60), _one_line(item["content_type"]), size(item["size"]))
            for item in attachments[:_ATTACHMENTS_SHOWN]
        ]
        widths = [max(map(_columns, column)) for column in zip(*columns, strict=True)]
        for index, (item, row) in enumerate(zip(attachments, columns, strict=False)):
            cells = [cell + " " * (width - _columns(cell)) for cell, width in zip(row, widths, strict=True)]
            if "path" in item:
                cells.append(_one_line(item["path"]))
            if item["defects"]:
                cells.append(self._paint(_one_line(", ".join(item["defects"])), _YELLOW))
            yield self._raw_field("" if index else "attached", "  ".join(cells).rstrip())
        if len(attachments) > _ATTACHMENTS_SHOWN:
            yield self._field("", f"and {len(attachments) - _ATTACHMENTS_SHOWN} more")

    def _complaints(self, mail: _Mail) -> Iterator[str]:
        violations = [item for item in mail["session"]["violations"] if item["code"] != _NO_ALARM]
        for index, item in enumerate(violations[:_TO_SHOWN]):
            times = f"  x{item['count']}" if item["count"] > 1 else ""
            detail = f": {item['detail']}" if item["detail"] else ""
            yield self._field("" if index else "violations", f"{item['code']}{detail}{times}", _YELLOW)
        if len(violations) > _TO_SHOWN:
            yield self._field("", f"and {len(violations) - _TO_SHOWN} more", _YELLOW)
        defects = mail["message"]["defects"]
        if defects:
            yield self._field("defects", _listed(defects), _YELLOW)

    def _field(self, label: str, value: object, style: str = "") -> str:
        text = _one_line(value)
        lines = _wrapped(text, self._width - _LABEL_WIDTH - 3) if self._wrap else [text]
        return self._raw_field(label, _INDENT.join(self._paint(line, style) if style else line for line in lines))

    def _raw_field(self, label: str, text: str) -> str:
        return f"  {self._paint(f'{label:<{_LABEL_WIDTH}}', _DIM)} {text}"

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colours and text.strip() else text


def _address(item: _Mail) -> str:
    return f"{item['name']} <{item['address']}>" if item["name"] else str(item["address"])


def _listed(items: Iterable[object]) -> str:
    shown = [str(item) for item in items]
    more = len(shown) - _TO_SHOWN
    return ", ".join(shown[:_TO_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _text_of_html(source: str) -> str:
    """Roughly what a browser would show of a piece of HTML."""
    import html  # not needed by most mails, and slow to import

    source = re.sub(r"(?is)<(script|style|head|title)\b.*?(</\1\s*>|\Z)", "", source)
    source = re.sub(r"\s+", " ", source)
    source = re.sub(r"(?i)<(br|p|div|tr|li|h[1-6]|/p|/div|/h[1-6]|/table)\b[^<>]*>", "\n", source)
    source = re.sub(r"(?s)<!--.*?(?:-->|\Z)|<[/!a-zA-Z][^<>]*>", "", source)
    return "\n".join(line.strip() for line in html.unescape(source).splitlines())


def _harmless(text: str) -> str:
    """Text with nothing in it that a terminal would obey: such characters are shown as escapes."""
    if text.isprintable():
        return text
    return "".join(map(_harmless_character, text))


def _harmless_character(char: str) -> str:
    if char.isprintable() or char in _HARMLESS_FORMAT:
        return char
    return " " if unicodedata.category(char) == "Zs" else ascii(char)[1:-1]


def _one_line(value: object) -> str:
    text = str(value)
    return _harmless(text if len(text) <= _VALUE_CHARS else text[: _VALUE_CHARS - 3] + "...")


def _columns(text: str) -> int:
    """Width on a terminal: East Asian wide characters and most emoji take two columns, combining ones none."""
    return len(text) if _NARROW.fullmatch(text) else sum(map(_width, text))


@lru_cache(maxsize=4096)
def _width(char: str) -> int:
    if unicodedata.combining(char) or char in _HARMLESS_FORMAT:
        return 0
    return 1 + (unicodedata.east_asian_width(char) in "WF")


def _cut(text: str, columns: int) -> str:
    if len(text) * 2 <= columns or _columns(text) <= columns:
        return text
    text = text[: 4 * columns]  # what is behind it would be seen only if most of it were combining characters
    while _columns(text) > columns - 1:
        text = text[: max(0, min(len(text) - 1, columns))]
    return text + "…"


def _wrapped(text: str, columns: int) -> list[str]:
    """Lines of at most so many columns, broken at blanks where there are any. Nothing is lost but these blanks."""
    lines = []
    while _columns(text) > columns:
        end = min(len(text), columns)
        while _columns(text[:end]) > columns:
            end -= 1
        blank = text.rfind(" ", 1, end + 1)
        lines.append(text[: blank if blank > 0 else end])
        text = text[blank + 1 if blank > 0 else end :]
    return [*lines, text]


def _wants_colours() -> bool:
    """On a terminal, unless asked not to (https://no-color.org)."""
    return os.isatty(_STDOUT) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _terminal_width() -> int:
    try:
        columns = os.get_terminal_size(_STDOUT).columns
    except OSError:  # not a terminal
        columns = 80
    return max(40, min(columns or 80, 120))


def _show(block: str) -> None:
    """One write per block, so that nothing comes in between. A reader that went away is no reason to fail a mail."""
    left = block.encode(sys.stdout.encoding if sys.stdout is not None else "utf-8", errors="backslashreplace")
    try:
        while left:
            left = left[os.write(_STDOUT, left) :]
    except OSError:
        return


def _complain(text: str) -> None:
    try:
        os.write(_STDERR, text.encode(errors="backslashreplace"))
    except OSError:
        return


if __name__ == "__main__":
    main()
