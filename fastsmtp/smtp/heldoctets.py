"""Octets that were read and have to wait: behind a mail that is being decided, or behind replies that are not taken."""

from __future__ import annotations

from fastsmtp.smtp.events import HEADROOM


class HeldOctets:
    """One buffer, from which mail after mail is read; nothing in it moves."""

    __slots__ = ("octets", "start")

    def __init__(self) -> None:
        self.octets = bytearray(HEADROOM)
        self.start = HEADROOM  # of what has not been read; at the end of `octets` all has

    def keep(self, buf: bytearray, start: int, end: int) -> None:
        """Keep `buf[start:end]`. Where this is the rest of `octets` itself, it is there already."""
        if self.octets is buf:
            self.start = start
        else:
            self.octets += buf[start:end]

    def take(self) -> int:
        """Return where the octets that are kept begin. They are read now; the rest of them comes back by `keep`."""
        start, self.start = self.start, len(self.octets)
        return start

    @property
    def empty(self) -> bool:
        """Whether all octets have been read."""
        return self.start == len(self.octets)
