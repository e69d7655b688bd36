"""What is shown of a mail: its block of text, for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from fastsmtp.system.table import GAP, LEAST, fit, padded
from fastsmtp.system.terminal import BOLD, CYAN, DIM, GREEN, YELLOW, cells, harmless, one_line, styled, wrapped
from fastsmtp.text import counted, size

Mail: TypeAlias = Mapping[str, Any]  # the JSON that a worker gets

_LABEL_WIDTH = 11
_INDENT = "\n" + " " * (_LABEL_WIDTH + 3)
_EXCERPT_LINES = 12
_EXCERPT_CHARS = 16384  # of the body, looked at for the excerpt
_HTML_CHARS = 262_144  # of an HTML body, looked at for as much text: it may begin with a long style sheet
_PROSE_WIDTH = 120  # cells; wider lines of text are hard to read
_NAME_WIDTH = 60  # of the name of an attachment where nothing wraps
_LINK_CHARS = 2048  # of a target, which is meant to be opened
_ATTACHMENTS_SHOWN = 50
_TO_SHOWN = 10  # addresses, violations and defects of one mail, shown

# RFC 5321 section 2.4 allows it, and Python's smtplib does it in every session.
_NO_ALARM = "lower-case-verb"


class Painter:
    """Turns mails into blocks of text."""

    def __init__(self, *, colours: bool, width: int, wrap: bool = False) -> None:
        """With `wrap` long values go on below where they begin; what reads a pipe is better off with whole lines."""
        self._colours = colours
        self._width = width
        self._wrap = wrap

    def block(self, mail: Mail, path: str = "") -> str:
        """The whole block of one mail, from a ruled line to an empty one; `path` is where it was kept."""
        lines = [self._rule(mail), *self._fields(mail)]
        if path:
            lines.append(self._raw_field("saved", self._paint(one_line(path), DIM)))  # whole, to be copied
        excerpt, links = self._body(mail["message"])
        if excerpt:
            lines += ["", *excerpt]
        tail = [*self._links(links), *self._attachments(mail["attachments"]), *self._complaints(mail)]
        if tail:
            lines += ["", *tail]
        return "\n".join(lines) + "\n\n"

    def _rule(self, mail: Mail) -> str:
        title = f" {one_line(mail['received_at'])[11:20]}  {one_line(mail['remote_addr'])} "
        return self._paint("━━", GREEN) + title + self._paint("━" * max(2, self._width - cells(title) - 2), GREEN)

    def _fields(self, mail: Mail) -> Iterator[str]:
        envelope, message, session = mail["envelope"], mail["message"], mail["session"]
        yield self._field("subject", message["subject"] or "(none)", BOLD)
        for label in ("from", "to", "cc", "bcc", "reply_to"):
            if message[label]:
                yield self._field(label.replace("_", "-"), _listed(map(_address, message[label])))
        yield self._field("envelope", f"<{envelope['from']}> to {_listed(f'<{path}>' for path in envelope['to'])}")
        if message["date"]:
            yield self._field("date", message["date"])
        authentication = mail["authentication"]
        if authentication["attempted"]:
            yield self._field("auth", _login(authentication), CYAN)
        yield self._field("helo", ("EHLO " if session["esmtp"] else "HELO ") + (envelope["helo"] or "(none)"))
        if session["tls"]:
            yield self._field("tls", f"{session['tls']['version']}  {session['tls']['cipher']}")
        yield self._field("size", f"{size(message['size'])}  {mail['uuid']}", DIM)

    def _body(self, message: Mail) -> tuple[list[str], list[str]]:
        """What is shown of the body, and the targets of links that are numbered in it."""
        text, html = message["text"], message["html"]
        if html is None or (text is not None and text.strip()):
            note = "" if html is None else "(also as HTML)"
            text = text or ""
            lines = text[:_EXCERPT_CHARS].splitlines()
            return list(self._excerpt(lines, len(text) > _EXCERPT_CHARS, note)), []
        from fastsmtp.printer.html import render  # not needed by most mails, and slow to import

        note = "(from HTML)" if text is None else "(from HTML, the text is empty)"
        rendered = render(html[:_HTML_CHARS], _EXCERPT_CHARS)
        more = rendered.more or len(html) > _HTML_CHARS
        return list(self._excerpt(rendered.lines, more, note)), rendered.links

    def _excerpt(self, lines: Sequence[str], more: bool, note: str) -> Iterator[str]:
        """The first lines, and in a note what is not shown; `more` says that there is more than these lines."""
        lines = [line.rstrip() for line in lines]
        lines = [line for index, line in enumerate(lines) if line or (index and lines[index - 1])]
        while lines and not lines[-1]:
            lines.pop()
        rows: list[str] = []
        left = len(lines)  # of which not all is shown
        for line in lines:
            rows += self._rows(line)
            if len(rows) > _EXCERPT_LINES:
                break
            left -= 1
        yield from rows[:_EXCERPT_LINES]
        if left or more:
            note = " ".join(filter(None, ["...", counted(left, "more line") if left else "", note]))
        if note:
            yield "  " + self._paint(note, DIM)

    def _rows(self, line: str) -> list[str]:
        """A line of the body as it is shown: on a terminal in as many rows as it needs."""
        if not self._wrap:
            return [("  " + one_line(line.expandtabs(4))).rstrip()]
        columns = min(self._width, _PROSE_WIDTH) - 2
        line = harmless(line.expandtabs(4))
        # More of a line than could be shown would cost time for nothing.
        return [("  " + row).rstrip() for row in wrapped(line[: (_EXCERPT_LINES + 1) * self._width], columns)]

    def _links(self, targets: Sequence[str]) -> Iterator[str]:
        """Each whole, and on a line of its own: to be opened from the terminal, or copied."""
        for index, target in enumerate(targets[:_TO_SHOWN]):
            yield self._raw_field("" if index else "links", f"[{index + 1}] {harmless(target[:_LINK_CHARS])}")
        if len(targets) > _TO_SHOWN:
            yield self._field("", f"and {len(targets) - _TO_SHOWN} more")

    def _attachments(self, attachments: Sequence[Mail]) -> Iterator[str]:
        shown = attachments[:_ATTACHMENTS_SHOWN]
        table = [(one_line(item["filename"]), one_line(item["content_type"]), size(item["size"])) for item in shown]
        widths = self._column_widths(table)
        for index, (item, row) in enumerate(zip(shown, table, strict=True)):
            columns = [padded(cell, width) for cell, width in zip(row, widths, strict=True)]
            if "path" in item:
                columns.append(one_line(item["path"]))
            if item["defects"]:
                columns.append(self._paint(one_line(", ".join(item["defects"])), YELLOW))
            yield self._raw_field("" if index else "attached", GAP.join(columns).rstrip())
        if len(attachments) > len(shown):
            yield self._field("", f"and {len(attachments) - len(shown)} more")

    def _column_widths(self, table: Sequence[Sequence[str]]) -> list[int]:
        """Those of names, types and sizes of attachments: as wide as the terminal allows."""
        widths = [max(map(cells, column)) for column in zip(*table, strict=True)]
        if self._wrap:
            return fit(widths, (LEAST, LEAST, 0), self._width - _LABEL_WIDTH - 3)
        return [min(widths[0], _NAME_WIDTH), *widths[1:]] if widths else []

    def _complaints(self, mail: Mail) -> Iterator[str]:
        violations = [item for item in mail["session"]["violations"] if item["code"] != _NO_ALARM]
        for index, item in enumerate(violations[:_TO_SHOWN]):
            times = f"  x{item['count']}" if item["count"] > 1 else ""
            detail = f": {item['detail']}" if item["detail"] else ""
            yield self._field("" if index else "violations", f"{item['code']}{detail}{times}", YELLOW)
        if len(violations) > _TO_SHOWN:
            yield self._field("", f"and {len(violations) - _TO_SHOWN} more", YELLOW)
        defects = mail["message"]["defects"]
        if defects:
            yield self._field("defects", _listed(defects), YELLOW)

    def _field(self, label: str, value: object, style: str = "") -> str:
        text = one_line(value)
        lines = wrapped(text, min(self._width, _PROSE_WIDTH) - _LABEL_WIDTH - 3) if self._wrap else [text]
        return self._raw_field(label, _INDENT.join(self._paint(line, style) if style else line for line in lines))

    def _raw_field(self, label: str, text: str) -> str:
        return f"  {self._paint(f'{label:<{_LABEL_WIDTH}}', DIM)} {text}"

    def _paint(self, text: str, style: str) -> str:
        return styled(text, style) if self._colours and text.strip() else text


def _login(authentication: Mail) -> str:
    shown = [
        str(authentication[key]) for key in ("mechanism", "username", "password") if authentication[key] is not None
    ]
    if authentication.get("digest") is not None:
        shown.append(f"(digest {authentication['digest']})")
    return "  ".join(shown) or "(none)"


def _address(item: Mail) -> str:
    return f"{item['name']} <{item['address']}>" if item["name"] else str(item["address"])


def _listed(items: Iterable[object]) -> str:
    shown = [str(item) for item in items]
    more = len(shown) - _TO_SHOWN
    return ", ".join(shown[:_TO_SHOWN]) + (f" and {more} more" if more > 0 else "")
