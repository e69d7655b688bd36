"""Replies as a fault plan wants them written: in pieces, slowly, cut short, or with something before them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from fastsmtp.faults.actions import Action

_SPLIT_S: Final = 0.05  # between two pieces: time enough for a client to read them one by one
_STEP_S: Final = 0.1  # between two pieces of a reply that is dribbled, if they have an octet each


class ShapedWriter:
    """Writes to a transport; what comes behind a reply that takes its time waits for it."""

    __slots__ = ("_action", "_hurried", "_loop", "_on_idle", "_pieces", "_timer", "_transport")

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, on_idle: Callable[[], None]
    ) -> None:
        """`on_idle` is called whenever all is written."""
        self._transport: Final = transport
        self._loop: Final = loop
        self._on_idle: Final = on_idle
        self._action: Action | None = None  # for the next reply
        self._pieces: deque[tuple[float, bytes]] = deque()  # how long to wait before each
        self._timer: asyncio.TimerHandle | None = None
        self._hurried = False  # pieces do not wait

    def shape(self, action: Action) -> None:
        """Let the reply that is written next be as this action says."""
        self._action = action

    @property
    def idle(self) -> bool:
        """Whether there is nothing to write, and no reply to shape."""
        return self._action is None and not self._pieces

    def write(self, octets: bytes) -> None:
        """Write a reply, or what stands behind one."""
        action, self._action = self._action, None
        self._pieces += [(0.0, octets)] if action is None else pieces_of(action, octets)
        if self._timer is None:
            self._go_on()

    def skip(self) -> None:
        """There is no reply to shape: what goes before it is written all the same."""
        if self._action is not None:
            self.write(b"")

    def hurry(self) -> None:
        """Write all that there is, and what comes, without pauses."""
        self._hurried = True
        if self._timer is not None:
            self._timer.cancel()
            self._go_on()

    def end(self) -> None:
        """The connection is gone."""
        self._pieces.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        self._timer = None
        pieces = self._pieces
        while pieces and (self._hurried or not pieces[0][0]):
            self._write(pieces.popleft()[1])
        if pieces:
            seconds, octets = pieces.popleft()
            pieces.appendleft((0.0, octets))
            self._timer = self._loop.call_later(seconds, self._go_on)
        elif self._action is None:
            self._on_idle()

    def _write(self, octets: bytes) -> None:
        if octets and not self._transport.is_closing():
            self._transport.write(octets)


def pieces_of(action: Action, reply: bytes) -> Iterator[tuple[float, bytes]]:
    """Yield the pieces in which a reply is written, each with how long to wait before it."""
    if action.garbage:
        yield 0.0, action.garbage.encode()
    if action.truncate:
        reply = reply[: action.truncate]
    sizes, pause_s = action.split, _SPLIT_S
    if action.rate:
        step = max(1, int(action.rate * _STEP_S))
        sizes, pause_s = [step] * (len(reply) // step), step / action.rate
    start = 0
    for size in [*sizes, len(reply)]:
        piece = reply[start : start + size]
        if piece:
            yield pause_s if start or action.rate else 0.0, piece
        start += size
