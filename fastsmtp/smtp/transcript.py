"""What client and server said in one session, for `include_transcript`."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from fastsmtp.smtp.memory import memory_of

CLIENT: Final = "client"
SERVER: Final = "server"
OMITTED: Final = "fastsmtp"  # speaks where lines were left out

# The opening of a session (greeting, EHLO, STARTTLS, AUTH) is kept as well as what was said last.
MAX_OPENING_LINES: Final = 64
MAX_LATEST_LINES: Final = 256
MAX_LATEST_CHARS: Final = 64 * 1024
MAX_SHORT_OCTETS: Final = 8 * 1024  # of memory for both, while it is short
_LINE_OCTETS: Final = 150  # of memory for a line beside its text
MAX_LINE_CHARS: Final = 2048  # longer ones end in "…"


class Line(NamedTuple):
    """A command or a line of a reply; `ms` counts from the start of the session.

    `fault` is the rule of a fault plan whose reply it is, "" for ours.
    """

    ms: int
    speaker: str
    line: str
    fault: str = ""


class Transcript:
    """Keeps the first and the last lines of a session, whatever its length. Time is told by the owner."""

    __slots__ = ("_chars", "_latest", "_omitted", "_opening", "_since", "held")

    def __init__(self, since: float) -> None:
        """`since` is the start of the session, on the clock that `add` is given."""
        self._since = since
        self._opening: list[Line] = []
        self._latest: deque[Line] = deque()
        self._chars = 0  # in _latest
        self.held = 0  # octets in memory, about
        self._omitted = 0  # lines between the two

    def add(self, now: float, speaker: str, text: str, fault: str = "") -> None:
        """Keep a line."""
        if len(text) > MAX_LINE_CHARS:
            text = text[:MAX_LINE_CHARS] + "…"
        line = Line(int((now - self._since) * 1000), speaker, text, fault)
        self.held += _memory_of(line)
        if len(self._opening) < MAX_OPENING_LINES and not self._omitted:
            self._opening.append(line)
            return
        self._latest.append(line)
        self._chars += len(text)
        while len(self._latest) > MAX_LATEST_LINES or self._chars > MAX_LATEST_CHARS:
            self._omit()

    def shorten(self) -> None:
        """Leave out what takes much memory, for it is short."""
        while self._latest and self.held > MAX_SHORT_OCTETS:
            self._omit()
        while self._opening and self.held > MAX_SHORT_OCTETS:
            self.held -= _memory_of(self._opening.pop())
            self._omitted += 1

    def _omit(self) -> None:
        """Leave out the first line of the latest."""
        line = self._latest.popleft()
        self._chars -= len(line.line)
        self.held -= _memory_of(line)
        self._omitted += 1

    def lines(self) -> list[Line]:
        """All that is kept, in order; what was left out is one line by "fastsmtp" that says how much."""
        if not self._omitted:
            return [*self._opening, *self._latest]
        last = self._latest[0] if self._latest else self._opening[-1] if self._opening else Line(0, OMITTED, "")
        gap = Line(last.ms, OMITTED, f"{self._omitted} lines left out")
        return [*self._opening, gap, *self._latest]


def _memory_of(line: Line) -> int:
    return _LINE_OCTETS + memory_of(line.line)
