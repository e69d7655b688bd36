"""The texts of a message: its bodies of one kind, each on lines of its own. Small ones at once, others in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from fastsmtp.capture.body import Body
from fastsmtp.mime.entity import Role

Text: TypeAlias = str | bytes  # bytes: a JSON string already, quotes included

_LINE_BREAK: Final = b"\\r\\n"  # as it stands inside of a JSON string
_BLOCK_OCTETS: Final = 32 * 1024  # smaller ones are put together


class Texts:
    """What a message says in plain text and in HTML. What costs time is done when it is first asked for, and once."""

    __slots__ = ("_bodies", "_defects", "_html", "_is_joined", "_quoted", "_text", "octets")

    def __init__(self, bodies: Sequence[Body], defects: list[str]) -> None:
        """`defects` are those of the message as a whole; those of charsets are added to them."""
        self._bodies = bodies
        self._defects = defects
        self._is_joined = False
        self._text: Text | None = None
        self._html: Text | None = None
        self._quoted: dict[Role, QuotedText | None] = {}
        self.octets = sum([body.held for body in bodies])

    @property
    def text(self) -> Text | None:
        """All plain text bodies in order; None without any."""
        self.join()
        return self._text

    @property
    def html(self) -> Text | None:
        """All HTML bodies in order; None without any."""
        self.join()
        return self._html

    @property
    def defects(self) -> list[str]:
        """What was wrong with the message, and with its texts as far as they were looked at; codes may recur."""
        return list(self._defects)

    def quote_steps(self) -> Iterator[None]:
        """Get `quoted` ready, some milliseconds at a time."""
        for role in (Role.TEXT, Role.HTML):
            if role not in self._quoted:
                bodies = self._of(role)
                quoted = QuotedText(bodies) if bodies else None
                if quoted is not None:
                    yield from quoted.measure(self._defects)
                self._quoted[role] = quoted

    def quoted(self, role: Role) -> QuotedText | None:
        """All bodies of this kind, after `quote_steps`; None without any."""
        return self._quoted[role]

    def _of(self, role: Role) -> list[Body]:
        return [body for body in self._bodies if body.entity.role is role]

    def join(self) -> None:
        """Look at all bodies."""
        if not self._is_joined:
            self._is_joined = True
            if self._bodies:
                self._text = _join(self._of(Role.TEXT), self._defects)
                self._html = _join(self._of(Role.HTML), self._defects)


class QuotedText:
    """A text as a JSON string, quotes included, that is made in blocks: it is never in memory as a whole."""

    __slots__ = ("_bodies", "size")

    def __init__(self, bodies: Sequence[Body]) -> None:
        self._bodies = bodies
        self.size = 0  # in octets, when it is measured

    def measure(self, found: list[str]) -> Iterator[None]:
        """Measure it, some milliseconds at a time; defects of charsets go to `found`."""
        size = 2
        open_line = False
        for body in self._bodies:
            yield from body.measure(found)
            size += body.escaped_size + (len(_LINE_BREAK) if open_line else 0)
            open_line = not body.is_empty and not body.ends_line
            yield
        self.size = size

    def blocks(self) -> Iterator[bytes | bytearray]:
        """Make it; may be called again."""
        pending = bytearray(b'"')
        open_line = False
        for body in self._bodies:
            if open_line:
                pending += _LINE_BREAK
            open_line = not body.is_empty and not body.ends_line
            for block in body.blocks():
                if len(pending) + len(block) > _BLOCK_OCTETS:
                    yield pending
                    pending = bytearray()
                pending += block
        pending += b'"'
        yield pending


def _join(bodies: Sequence[Body], found: list[str]) -> Text | None:
    """The text of all bodies, None without any; defects of their charsets go to `found`."""
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
        if text:
            open_line = not text.endswith("\n")
            parts.append(text)
    return "".join(parts)
