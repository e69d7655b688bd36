"""The texts of a message: the bodies of a view, each on lines of its own. Small ones at once, others in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple, TypeAlias

from fastsmtp.capture.body import Body
from fastsmtp.capture.views import Views, view
from fastsmtp.mime.entity import Role

Text: TypeAlias = str | bytes  # bytes: a JSON string already, quotes included

_LINE_BREAK: Final = b"\\r\\n"  # as it stands inside of a JSON string
_BLOCK_OCTETS: Final = 32 * 1024  # smaller ones are put together


class Texts:
    """What a message says in plain text and in HTML. What costs time is done when it is first asked for, and once."""

    __slots__ = ("_bodies", "_defects", "_html", "_is_joined", "_quoted", "_text", "_views", "octets")

    def __init__(self, bodies: list[Body], defects: list[str]) -> None:
        """`defects` are those of the message as a whole; those of charsets are added to them."""
        self._bodies = bodies
        self._defects = defects
        self._views: Views | None = None
        self._is_joined = False
        self._text: Text | None = None
        self._html: Text | None = None
        self._quoted: QuotedTexts | None = None
        self.octets = 0
        for body in bodies:
            self.octets += body.held

    @property
    def text(self) -> Text | None:
        """All plain text bodies in order; None without any."""
        self.join()
        return self._text

    @property
    def html(self) -> Text | None:
        """All bodies of the HTML view in order, plain text in `<pre>`; None where nothing is HTML."""
        self.join()
        return self._html

    @property
    def body(self) -> Text | None:
        """The text, or the HTML where there is no text but a footer of it."""
        self.join()
        if self._html is None or self._text is None:
            return self._text if self._html is None else self._html
        return self._text if self._view().is_text else self._html

    def body_alone(self) -> Text | None:
        """`body`, without a look at bodies that are not in it; defects are not noted."""
        if self._is_joined or len(self._bodies) < 2:
            return self.body
        views = self._view()
        is_text = not views.html or (bool(views.text) and views.is_text)
        return _join(views.text, []) if is_text else _join(views.html, [], in_html=True)

    @property
    def defects(self) -> list[str]:
        """What was wrong with the message, and with its texts as far as they were looked at; codes may recur."""
        return list(self._defects)

    def quote_steps(self) -> Iterator[None]:
        """Get `quoted` ready, some milliseconds at a time."""
        if self._quoted is not None:
            return
        views = self._view()
        yield
        text = QuotedText(views.text) if views.text else None
        if text is not None:
            yield from text.measure(self._defects)
        html = QuotedText(views.html, in_html=True) if views.html else None
        if html is not None:
            yield from html.measure(self._defects)
        self._quoted = QuotedTexts(text, html, text if html is None or views.is_text else html)

    @property
    def quoted(self) -> QuotedTexts:
        """The same texts as JSON, after `quote_steps`."""
        assert self._quoted is not None
        return self._quoted

    def _view(self) -> Views:
        if self._views is None:
            self._views = view(self._bodies)
        return self._views

    def join(self) -> None:
        """Look at all bodies."""
        if not self._is_joined:
            self._is_joined = True
            if len(self._bodies) == 1:  # most mails: there is nothing to sort
                text = _join(self._bodies, self._defects)
                if self._bodies[0].entity.role is Role.HTML:
                    self._html = text
                else:
                    self._text = text
            elif self._bodies:
                views = self._view()
                self._text = _join(views.text, self._defects)
                self._html = _join(views.html, self._defects, in_html=True)


class QuotedTexts(NamedTuple):
    """The texts of a message as JSON strings; `body` is one of the two others."""

    text: QuotedText | None
    html: QuotedText | None
    body: QuotedText | None


class QuotedText:
    """A text as a JSON string, quotes included, that is made in blocks: it is never in memory as a whole."""

    __slots__ = ("_bodies", "_in_html", "size")

    def __init__(self, bodies: Sequence[Body], *, in_html: bool = False) -> None:
        """`in_html` plain text is escaped."""
        self._bodies = bodies
        self._in_html = in_html
        self.size = 0  # in octets, when it is measured

    def measure(self, found: list[str]) -> Iterator[None]:
        """Measure it, some milliseconds at a time; defects of charsets go to `found`."""
        size = 2
        open_line = False
        for body in self._bodies:
            yield from body.measure(found)
            if open_line:
                size += len(_LINE_BREAK)
            if self._is_escaped(body):
                for block in _escaped_blocks(body):
                    size += len(block)
                    yield
            else:
                size += body.escaped_size
            open_line = self._leaves_line_open(body)
            yield
        self.size = size

    def blocks(self) -> Iterator[bytes | bytearray]:
        """Make it; may be called again."""
        pending = bytearray(b'"')
        open_line = False
        for body in self._bodies:
            if open_line:
                pending += _LINE_BREAK
            open_line = self._leaves_line_open(body)
            for block in _escaped_blocks(body) if self._is_escaped(body) else body.blocks():
                if len(pending) + len(block) > _BLOCK_OCTETS:
                    yield pending
                    pending = bytearray()
                pending += block
        pending += b'"'
        yield pending

    def _is_escaped(self, body: Body) -> bool:
        return self._in_html and body.entity.role is Role.TEXT and not body.is_empty

    def _leaves_line_open(self, body: Body) -> bool:
        return not body.is_empty and (self._is_escaped(body) or not body.ends_line)


def _escaped_blocks(body: Body) -> Iterator[bytes]:
    """A plain text as it stands in HTML and inside of a JSON string."""
    yield b"<pre>"
    for block in body.blocks():
        yield block.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
    yield b"</pre>"


def _join(bodies: Sequence[Body], found: list[str], *, in_html: bool = False) -> Text | None:
    """The text of all bodies, None without any; defects of their charsets go to `found`.

    `in_html` plain text is escaped.
    """
    if not bodies:
        return None
    if len(bodies) == 1:
        quoted = bodies[0].quote()
        return bodies[0].decode(found) if quoted is None else quoted
    # One join: adding text to text would copy all that is there with each body.
    parts: list[str] = []
    open_line = False  # what is joined so far does not end with a line end
    for body in bodies:
        if open_line:
            parts.append("\r\n")
            open_line = False
        text = body.decode(found)
        if text and in_html and body.entity.role is Role.TEXT:
            text = f"<pre>{escape(text, quote=False)}</pre>"
        if text:
            open_line = not text.endswith("\n")
            parts.append(text)
    return "".join(parts)
