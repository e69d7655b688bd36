"""A timer that is not rounded to milliseconds, as those of the event loop are: a timerfd of Linux."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from typing import Final

_CLOCK_MONOTONIC: Final = 1
_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC  # TFD_NONBLOCK | TFD_CLOEXEC
_SHORTEST_S: Final = 1e-6  # 0 would disarm it


class _Setting(ctypes.Structure):
    """`struct itimerspec`: the interval, which stays 0, and the time until the alarm."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """Calls back once for each time it is set. os.timerfd_create is in Python from 3.13 on only."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_alarm: Callable[[], None]) -> None:
        """Raises OSError."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._loop = loop
        self._on_alarm = on_alarm
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _FLAGS)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.set = False
        loop.add_reader(self._fd, self._ring)

    def arm(self, seconds: float) -> None:
        """Call back in so many seconds, at once if they are over; in place of what was set before."""
        whole, rest = divmod(max(seconds, _SHORTEST_S), 1)
        setting = _Setting(0, 0, int(whole), int(rest * 1e9))
        self._libc.timerfd_settime(self._fd, 0, ctypes.byref(setting), None)
        self.set = True

    def close(self) -> None:
        """No more alarms."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _ring(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # set again meanwhile
            return
        self.set = False
        self._on_alarm()
