"""UUIDv7 (RFC 9562 5.7): names for connections and emails that sort by time."""

from __future__ import annotations

import random
import time

# Names, not secrets: Mersenne Twister, seeded by the operating system, saves a system call per email.
_random = random.Random()
_last_ticks = 0  # of the newest UUID; a tick is 1/4096 ms


def uuid7() -> str:
    """A new UUIDv7 in its canonical form, which sorts behind every one made before it in this process.

    48 bits of Unix time in milliseconds, 12 bits of fraction (RFC 9562 6.2, method 3), 62 random bits.
    """
    global _last_ticks
    ticks = (time.time_ns() << 12) // 1_000_000
    if ticks <= _last_ticks:  # the clock was set back, or is coarse
        ticks = _last_ticks + 1
    _last_ticks = ticks
    low = 0x8000_0000_0000_0000 | _random.getrandbits(62)
    time_part = f"{ticks >> 28:08x}-{ticks >> 12 & 0xFFFF:04x}-7{ticks & 0xFFF:03x}"
    return f"{time_part}-{low >> 48:04x}-{low & 0xFFFF_FFFF_FFFF:012x}"
