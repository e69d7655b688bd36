"""The end of a connection by a reset (RFC 9293 section 3.5.2), where a fault plan wants it."""

from __future__ import annotations

import asyncio
import os
import socket
import struct

_NO_LINGERING = struct.pack("ii", 1, 0)
_LOOK_S = 0.005


def reset(loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, descriptor: int) -> None:
    """Reset the connection whose socket this is, once the kernel has what is to be written."""
    if transport.get_write_buffer_size() and not transport.is_closing():
        loop.call_later(_LOOK_S, reset, loop, transport, descriptor)
        return
    if not transport.is_closing():
        with socket.socket(fileno=os.dup(descriptor)) as same:
            if same.family != socket.AF_UNIX:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
    transport.abort()
