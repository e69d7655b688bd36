"""UUIDv7; `identifier.pyi` says how it is used.

In C because an email pays for it twice over: in Python the shifts and the formatting of 128 bits cost as much as a
third of taking a small mail apart.
"""

import os
import time

from cpython.unicode cimport PyUnicode_1BYTE_DATA, PyUnicode_New

ctypedef unsigned char octet
ctypedef unsigned long long word

cdef:
    object _now_ns = time.time_ns
    word _last_ticks = 0   # of the newest UUID; a tick is 1/4096 ms
    # Names, not secrets: SplitMix64, seeded by the operating system, saves a system call per email.
    word _state = int.from_bytes(os.urandom(8), "little")
    const octet* _digits = b"0123456789abcdef"


cdef inline word _random() noexcept:
    global _state
    _state += 0x9E3779B97F4A7C15ULL
    cdef word mixed = _state
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ULL
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL
    return mixed ^ (mixed >> 31)


cdef inline octet* _spell(octet* out, word number, int count) noexcept:
    """The low `count` digits of `number`; returns where they end."""
    cdef int i
    for i in range(count - 1, -1, -1):
        out[i] = _digits[number & 15]
        number >>= 4
    return out + count


def uuid7(clock=_now_ns) -> str:
    global _last_ticks
    cdef word now = clock()
    cdef word ticks = (now // 1_000_000 << 12) | ((now % 1_000_000 << 12) // 1_000_000)
    if ticks <= _last_ticks:  # the clock was set back, or is coarse
        ticks = _last_ticks + 1
    _last_ticks = ticks
    cdef word random = _random()
    text = PyUnicode_New(36, 127)
    cdef octet* out = <octet*>PyUnicode_1BYTE_DATA(text)
    out = _spell(out, ticks >> 28, 8)
    out[0] = c"-"
    out = _spell(out + 1, ticks >> 12, 4)
    out[0] = c"-"
    out = _spell(out + 1, 0x7000 | (ticks & 0xFFF), 4)
    out[0] = c"-"
    out = _spell(out + 1, 0x8000 | (random >> 50), 4)
    out[0] = c"-"
    _spell(out + 1, random, 12)
    return text
