"""Why a connection is not read at the moment, and the transport told so."""

from __future__ import annotations

import asyncio
from typing import Final

# A bit each. No enum.IntFlag: it is asked several times per mail, and costs a microsecond each time.
VERDICT: Final = 1  # a worker has its mail: what the client sends on waits in the kernel
INFLIGHT: Final = 2  # too much mail in memory over all sessions
OUTPUT: Final = 4  # the client does not read our replies
TLS: Final = 8  # a handshake is under way, and nothing in the clear comes meanwhile
COMMANDS: Final = 16  # commands that were read wait for their turn
LATE: Final = 32  # events that were read wait for theirs
RATE: Final = 64  # a fault plan lets mail data in slowly
SHAPED: Final = 128  # a fault plan lets a reply out slowly; those to what comes behind would wait in memory
NOT_THE_CLIENTS: Final = VERDICT | INFLIGHT | COMMANDS | LATE | RATE | SHAPED  # no silence of the client's


class FlowControl:
    """The reasons for which a transport is not read: it is paused for the first, and read on after the last.

    Both calls may come twice for a reason, and without a transport, which is then gone.
    """

    __slots__ = ("reasons",)

    def __init__(self) -> None:
        self.reasons = 0  # 0: it is read

    def pause(self, transport: asyncio.Transport | None, reason: int) -> None:
        """Do not read on, for this reason too."""
        if not self.reasons and transport is not None and not transport.is_closing():
            transport.pause_reading()
        self.reasons |= reason

    def resume(self, transport: asyncio.Transport | None, reason: int) -> None:
        """Read on, if there is no other reason."""
        if not self.reasons & reason:
            return
        self.reasons &= ~reason
        if not self.reasons and transport is not None and not transport.is_closing():
            transport.resume_reading()

    def begin_handshake(self, transport: asyncio.Transport) -> None:
        """Read a handshake, whatever reasons there are: they are about what comes behind it."""
        if self.reasons:
            transport.resume_reading()
        self.reasons |= TLS

    def end_handshake(self, transport: asyncio.Transport) -> None:
        """Let the reasons count again."""
        self.reasons &= ~TLS
        if self.reasons:
            transport.pause_reading()
