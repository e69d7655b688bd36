"""How much mail is held in memory over all sessions, and which connections wait while it is too much."""

from __future__ import annotations

from typing import Final, Protocol

# A transaction that is read on above the limit has to bring so much in so long, or another one gets its turn.
_PROGRESS_OCTETS: Final = 64 * 1024
_PROGRESS_S: Final = 2.0


class Reader(Protocol):
    """A transaction whose socket can be left unread for a while. Both calls may come twice in a row."""

    @property
    def complete(self) -> bool:
        """All octets are there: it waits for a worker, not for its client."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read on."""


class Backpressure:
    """Counts octets held by transactions against `limit` (0 = unlimited).

    Above the limit only one transaction is read on, the oldest: it can come to its end and set free what it holds. If
    its client only trickles, the turn goes to the reader that is paused longest, so that none is held up for ever. A
    paused reader goes on when the limit is kept again, when it is its turn, or when its own transaction is over.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0  # octets, over all transactions
        self._holds: dict[Reader, int] = {}  # octets by transaction, oldest first
        self._paused: dict[Reader, None] = {}  # in the order in which they were paused
        self._turn: Reader | None = None  # the one that is read on above the limit, None: the oldest
        self._seen: tuple[Reader, int] | None = None  # whose turn it was at the last look, and what it held
        self._next_look = 0.0

    def begin(self, reader: Reader) -> None:
        """A transaction begins."""
        self._holds[reader] = 0

    def hold(self, reader: Reader, octets: int) -> None:
        """The transaction of `reader` now holds `octets`, more or fewer than before; it may be paused."""
        self.held += octets - self._holds[reader]
        self._holds[reader] = octets
        if self.limit and self.held > self.limit:
            if self._whose_turn() is not reader:
                self._paused[reader] = None
                reader.pause()
        elif self._paused:
            self._resume_all()

    def end(self, reader: Reader) -> None:
        """The transaction is over and holds nothing any more. Others may read on."""
        self.held -= self._holds.pop(reader)
        if reader is self._turn:
            self._turn = None
        if not self._paused:
            return
        self._resume(reader)
        if self.held <= self.limit:
            self._resume_all()
        elif self._holds:
            self._resume(self._whose_turn())

    def look(self, now: float, stalled_s: float = 0.0) -> None:
        """Called again and again by a `Sweep`: takes the turn from a transaction that gets nowhere."""
        self._next_look += stalled_s
        if now < self._next_look:
            return
        self._next_look = now + _PROGRESS_S
        if not self._paused:
            self._turn = self._seen = None
            return
        reader = self._whose_turn()
        octets = self._holds[reader]
        if (
            self._seen is not None
            and self._seen[0] is reader
            and octets - self._seen[1] < _PROGRESS_OCTETS
            and not reader.complete
        ):
            self._turn = reader = next(iter(self._paused))
            octets = self._holds[reader]
            self._resume(reader)
        self._seen = (reader, octets)

    def _whose_turn(self) -> Reader:
        return next(iter(self._holds)) if self._turn is None else self._turn

    def _resume_all(self) -> None:
        for reader in list(self._paused):
            self._resume(reader)

    def _resume(self, reader: Reader) -> None:
        if reader in self._paused:
            del self._paused[reader]
            reader.resume()
