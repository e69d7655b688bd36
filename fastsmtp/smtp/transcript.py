"""What client and server said in one session, for `include_transcript`."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

CLIENT: Final = "client"
SERVER: Final = "server"
OMITTED: Final = "fastsmtp"  # speaks where lines were left out

# The opening of a session (greeting, EHLO, STARTTLS, AUTH) is kept as well as what was said last.
MAX_OPENING_LINES: Final = 64
MAX_LATEST_LINES: Final = 256
MAX_LATEST_CHARS: Final = 64 * 1024
MAX_LINE_CHARS: Final = 2048  # longer ones end in "…"


class Line(NamedTuple):
    """A command or a line of a reply; `ms` counts from the start of the session."""

    ms: int
    speaker: str
    line: str


class Transcript:
    """Keeps the first and the last lines of a session, whatever its length. Time is told by the owner."""

    __slots__ = ("_chars", "_latest", "_omitted", "_opening", "_since")

    def __init__(self, since: float) -> None:
        """`since` is the start of the session, on the clock that `add` is given."""
        self._since = since
        self._opening: list[Line] = []
        self._latest: deque[Line] = deque()
        self._chars = 0  # in _latest
        self._omitted = 0  # lines between the two

    def add(self, now: float, speaker: str, text: str) -> None:
        """Keep a line."""
        if len(text) > MAX_LINE_CHARS:
            text = text[:MAX_LINE_CHARS] + "…"
        line = Line(int((now - self._since) * 1000), speaker, text)
        if len(self._opening) < MAX_OPENING_LINES:
            self._opening.append(line)
            return
        latest = self._latest
        latest.append(line)
        self._chars += len(text)
        while len(latest) > MAX_LATEST_LINES or self._chars > MAX_LATEST_CHARS:
            self._chars -= len(latest.popleft().line)
            self._omitted += 1

    def lines(self) -> list[Line]:
        """All that is kept, in order; what was left out is one line by "fastsmtp" that says how much."""
        if not self._omitted:
            return [*self._opening, *self._latest]
        gap = Line(self._latest[0].ms, OMITTED, f"{self._omitted} lines left out")
        return [*self._opening, gap, *self._latest]
