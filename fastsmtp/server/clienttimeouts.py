"""How long a client may be silent, take for a handshake, or leave replies unread. The clock is told."""

from __future__ import annotations

from typing import Final

from fastsmtp.system.patience import moved

HANDSHAKE_S: Final = 60.0  # for a TLS handshake, where there is no read_timeout


class ClientTimeouts:
    """Since when one client is awaited: it is to send something, or to read what is written to it. 0 = no timeout."""

    __slots__ = ("_read_s", "_unread", "_unread_since", "_write_s", "since")

    def __init__(self, read_timeout_s: float, write_timeout_s: float) -> None:
        self._read_s: Final = read_timeout_s
        self._write_s: Final = write_timeout_s
        self.since = 0.0  # loop time from which read_timeout runs
        self._unread_since = 0.0  # loop time since which the client does not read, 0 = it does
        self._unread = 0  # octets that then waited to be written

    def await_reader(self, now: float, unread: int) -> None:
        """So many octets wait to be written: write_timeout runs from now."""
        self._unread_since = now
        self._unread = unread

    def end_waiting(self, now: float) -> None:
        """The client reads again: read_timeout runs from now."""
        self._unread_since = 0.0
        self.since = now

    def stand_still(self, stalled_s: float, now: float) -> None:
        """The process did nothing for so long, which is not charged to the client."""
        self.since = moved(self.since, stalled_s, now)
        self._unread_since = self._unread_since and moved(self._unread_since, stalled_s, now)

    @property
    def awaits_reader(self) -> bool:
        """Whether the client does not read; else it is to send something."""
        return self._unread_since > 0.0

    def reader_is_late(self, now: float, unread: int) -> bool:
        """Whether the client has read nothing for too long, where so many octets wait. It may read slowly."""
        if unread < self._unread:
            self.await_reader(now, unread)
        return 0 < self._write_s < now - self._unread_since

    def sender_is_late(self, now: float) -> bool:
        """Whether the client has said nothing for too long."""
        return 0 < self._read_s < now - self.since

    def handshake_is_late(self, now: float) -> bool:
        """Whether the handshake has begun too long ago."""
        return now - self.since > (self._read_s or HANDSHAKE_S)
