"""What a client sends while a fault plan is asked whether its TLS handshake may begin."""

from __future__ import annotations

import asyncio
from typing import Final

_READ_OCTETS: Final = 16 * 1024


class EarlyOctets(asyncio.BufferedProtocol):
    """Stands in for the protocol of a connection that is not to be read yet, and keeps what is read all the same.

    uvloop forgets a pause that comes before it has begun to read, and reads once.
    """

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.BaseProtocol) -> None:
        self.octets = b""
        self._transport: Final = transport
        self._protocol: Final = protocol
        self._buffer: Final = bytearray(_READ_OCTETS)
        transport.set_protocol(self)

    def end(self) -> bytes:
        """Let the protocol have its connection back; return what was read."""
        self._transport.set_protocol(self._protocol)
        return self.octets

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the loop reads to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So much was read; no more is."""
        self.octets += self._buffer[:nbytes]
        self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client is gone."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._protocol.connection_lost(exc)
