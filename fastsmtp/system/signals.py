"""Signals as calls in an event loop.

Not by the loop's `add_signal_handler`: that of uvloop 0.22 calls twice for one signal that arrives while another is
handled (`Loop._invoke_signals`: once for the wakeup descriptor, once for what the handler saw), a SIGTERM beside a
SIGCHLD for example. A second SIGTERM has a meaning of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Protocol


class Handle(Protocol):
    """Gives a signal its handler, in place of the one it had."""

    def __call__(self, number: int, callback: Callable[..., object], *arguments: Any) -> None:
        """From now on call `callback(*arguments)` in the loop for each signal of this number, once."""


@contextlib.contextmanager
def signal_handlers(loop: asyncio.AbstractEventLoop) -> Iterator[Handle]:
    """Signals are told to `loop` as long as the block runs; then they have the handlers from before.

    To be entered in the main thread.
    """
    before: dict[int, Any] = {}

    def handle(number: int, callback: Callable[..., object], *arguments: Any) -> None:
        def on_signal(_number: int, _frame: FrameType | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(callback, *arguments)

        previous = signal.signal(number, on_signal)
        signal.siginterrupt(number, False)  # system calls go on
        before.setdefault(number, previous)

    try:
        yield handle
    finally:
        for number, previous in before.items():
            signal.signal(number, previous or signal.SIG_DFL)
