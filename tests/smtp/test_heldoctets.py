"""Octets that wait: kept, read piece by piece, and given back where they came from."""

from __future__ import annotations

from fastsmtp.smtp.events import HEADROOM
from fastsmtp.smtp.heldoctets import HeldOctets


def test_kept_and_taken() -> None:
    held = HeldOctets()
    assert held.empty
    held.keep(bytearray(b"..QUIT\r\n.."), 2, 8)
    assert (held.empty, held.octets[held.start :]) == (False, b"QUIT\r\n")
    assert (held.take(), held.empty) == (HEADROOM, True)


def test_the_rest_comes_back() -> None:
    """The reader gives back, by its place, what it did not read; what comes later is behind it."""
    held = HeldOctets()
    held.keep(bytearray(b"NOOP\r\nRSET\r\n"), 0, 12)
    start = held.take()
    held.keep(held.octets, start + 6, len(held.octets))
    held.keep(bytearray(b"QUIT\r\n"), 0, 6)
    assert (held.octets[held.take() :], held.empty) == (b"RSET\r\nQUIT\r\n", True)
