"""A transport without a socket, and a loop whose time stands still."""

from __future__ import annotations

import asyncio
from typing import Any


class Transport(asyncio.Transport):
    """Keeps what is written; `closed` is how it was closed. Calls that asyncio would not forgive fail."""

    def __init__(self, **extra: Any) -> None:
        super().__init__()
        self._extra = {"peername": ("192.0.2.1", 4321), **extra}
        self._written = b""
        self.unwritten = 0  # what the write buffer is said to hold
        self.writes = 0
        self.reading = True
        self.closed = ""
        self.ended = False  # nothing more is written, and that was told
        self.protocol: asyncio.BaseProtocol | None = None

    def take(self) -> bytes:
        """What was written since the last time."""
        written, self._written = self._written, b""
        return written

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write_eof(self) -> None:
        assert not self.closed
        self.ended = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._extra.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unwritten

    def write(self, octets: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        assert not self.ended
        self._written += octets
        self.writes += 1

    def pause_reading(self) -> None:
        assert self.reading
        assert not self.closed
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        assert not self.closed
        self.reading = True

    def is_closing(self) -> bool:
        return bool(self.closed)

    def close(self) -> None:
        self.closed = self.closed or "closed"

    def abort(self) -> None:
        self.closed = "aborted"


_STEP_S = 0.005


class StoppedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still until `advance`, and that runs only what is due."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def turn(self) -> None:
        """Run what is due now."""
        self.call_soon(self.stop)
        self.run_forever()

    def advance(self, seconds: float) -> None:
        """Let time pass, in steps too small for a stall, and run what is due."""
        ends = self.now + seconds
        while ends - self.now > _STEP_S:
            self.stall(_STEP_S)
        self.stall(ends - self.now)

    def stall(self, seconds: float) -> None:
        """Let time pass in which nothing runs, then run what is due."""
        self.now += seconds
        for _ in range(4):  # and what was scheduled by it for now
            self.turn()
