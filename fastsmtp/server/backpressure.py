"""How much is held in memory over all connections, and who has to wait while it is too much."""

from __future__ import annotations

from typing import Final, Protocol

SHARE: Final = 24 * 1024  # octets that a connection may hold whatever the others do
MOST_SHARE: Final = SHARE + 16 * 1024  # with the read that went beyond
# A connection that is read on above the limit has to bring so much in so long, or another one gets its turn.
_PROGRESS_OCTETS: Final = 64 * 1024
_PROGRESS_S: Final = 2.0


class Reader(Protocol):
    """A connection whose socket can be left unread for a while. Both calls may come twice in a row."""

    @property
    def complete(self) -> bool:
        """All octets of its mail are there: it waits for a worker, not for its client."""

    @property
    def has_unread(self) -> bool:
        """Whether octets of its client wait in the kernel."""

    def pause(self) -> None:
        """Stop reading."""

    def shed(self) -> None:
        """Give up a mail that arrives; what it holds is set free."""

    def resume(self) -> None:
        """Read on."""


class Backpressure:
    """Counts octets held by connections against `limit` (0 = unlimited).

    Above the limit those that hold more than their `share` are paused, but for one, whose turn it is: the first that
    held so much. It can come to its end and set free what it holds. If its client only trickles, the turn goes to who
    is paused longest and has sent something, so none is held up for ever; where half as much again as the limit is
    held beside the shares, it gives up its mail, or all might bring as much in their turn and stop. Who is paused is
    read on when the limit is kept again, when it is its turn, or when it holds no more than its share.
    """

    def __init__(self, limit: int, share: int = SHARE) -> None:
        self.limit = limit
        self.held = 0  # octets, over all connections
        self._beside = 0  # of them, what is held beside the connections
        self._share = share
        self._holds: dict[Reader, int] = {}  # octets by connection
        self._large: dict[Reader, None] = {}  # those above their share, in the order in which they came to be
        self._paused: dict[Reader, None] = {}  # in the order in which they were paused
        self._turn: Reader | None = None  # who is read on above the limit, None: the first of `_large`
        self._seen: tuple[Reader, int] | None = None  # whose turn it was at the last look, and what it held
        self._next_look = 0.0

    @property
    def is_short(self) -> bool:
        """Whether more is held than the limit."""
        return self.held > self.limit > 0

    def has_turn(self, reader: Reader) -> bool:
        """Whether `reader` is the one that is read on above the limit."""
        return self._whose_turn() is reader

    def hold(self, reader: Reader, octets: int) -> None:
        """The connection `reader` now holds `octets`, more or fewer than before; it, or others, may be paused."""
        before = self._holds.get(reader, 0)
        if octets != before:
            self.held += octets - before
            if octets:
                self._holds[reader] = octets
            else:
                del self._holds[reader]
        if octets > self._share or self._large:
            self._judge(reader, octets > self._share)

    def hold_beside(self, octets: int) -> None:
        """Beside what connections hold there are now `octets`, more or fewer than before."""
        self.held += octets - self._beside
        self._beside = octets
        if not self.is_short:
            self._resume_all()

    def _judge(self, reader: Reader, is_large: bool) -> None:
        if is_large:
            self._large[reader] = None
        elif reader in self._large:
            del self._large[reader]
            if reader is self._turn:
                self._turn = None
            self._resume(reader)
        if not self.is_short:
            self._resume_all()
            return
        turn = self._whose_turn()
        if is_large and turn is not reader:
            self._paused[reader] = None
            reader.pause()
        if turn is not None:
            self._resume(turn)

    def look(self, now: float, stalled_s: float = 0.0) -> None:
        """Called again and again by a `Sweep`: takes the turn from a connection that gets nowhere."""
        self._next_look += stalled_s
        if now < self._next_look:
            return
        self._next_look = now + _PROGRESS_S
        reader = self._whose_turn()
        if not self._paused or reader is None:
            self._turn = self._seen = None
            return
        seen = self._seen
        if seen is not None and seen[0] is reader and not reader.complete and self._gets_nowhere(reader, seen[1]):
            stalled, reader = reader, self._pass_turn(reader)
            if stalled is not reader and self.held > self._most():
                stalled.shed()
        self._seen = (reader, self._holds.get(reader, 0))

    def _most(self) -> int:
        """Octets that may be held however slow clients are: one that is above them for long gives up its mail."""
        return self.limit * 3 // 2 + MOST_SHARE * len(self._holds)

    def _gets_nowhere(self, reader: Reader, before: int) -> bool:
        return self._holds.get(reader, 0) - before < _PROGRESS_OCTETS

    def _pass_turn(self, reader: Reader) -> Reader:
        """Give the turn to who waits longest for it; those whose client has sent nothing do not. Returns who has it."""
        for waiting in self._paused:
            if waiting.has_unread:
                self._turn = waiting
                self._resume(waiting)
                return waiting
        return reader

    def _whose_turn(self) -> Reader | None:
        return next(iter(self._large), None) if self._turn is None else self._turn

    def _resume_all(self) -> None:
        for reader in list(self._paused):
            self._resume(reader)

    def _resume(self, reader: Reader) -> None:
        if reader in self._paused:
            del self._paused[reader]
            reader.resume()
