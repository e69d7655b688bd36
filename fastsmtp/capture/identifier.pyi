"""UUIDv7 (RFC 9562 5.7): names for connections and emails that sort by time."""

from collections.abc import Callable

def uuid7(clock: Callable[[], int] = ...) -> str:
    """A new UUIDv7 in its canonical form, which sorts behind every one made before it in this process.

    48 bits of Unix time in milliseconds, 12 bits of fraction (RFC 9562 6.2, method 3), 62 random bits. `clock` returns
    nanoseconds since the epoch; by default that of the system.
    """
