"""What sessions keep takes memory: how much it is, and whether there is room for more."""

from __future__ import annotations

from typing import Final, Protocol

LARGE: Final = 8 * 1024  # octets for which there has to be room
LARGE_ENVELOPE: Final = 32 * 1024  # octets of an envelope, which has up to a hundred recipients
PARAMETER_OCTETS: Final = 256  # of memory for a parameter beside its text
RECIPIENT_OCTETS: Final = 200  # for a recipient beside its text


class Memory(Protocol):
    """Tells whether there is room: a `server.backpressure.Backpressure`."""

    @property
    def is_short(self) -> bool:
        """Whether more is held than should be."""


def memory_of(text: str) -> int:
    """Octets of memory for a text, at most, without what every object takes."""
    return len(text) if text.isascii() else 4 * len(text)
