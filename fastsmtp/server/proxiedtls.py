"""A connection to a listener with implicit TLS that has proxies: a PROXY header may come before the handshake."""

from __future__ import annotations

import asyncio
from typing import cast

from fastsmtp.server.protocol import Listening, SMTPProtocol
from fastsmtp.server.tls import feed_protocol, upgrade
from fastsmtp.smtp.proxyheader import ProxyHeaderReader
from fastsmtp.system.addresses import format_peer
from fastsmtp.system.patience import Timeout


class ProxiedTLS(asyncio.Protocol):
    """Reads the header, if there is one, does the handshake, and leaves the connection to an `SMTPProtocol` then."""

    def __init__(self, listening: Listening, loop: asyncio.AbstractEventLoop, opening: set[ProxiedTLS]) -> None:
        """`opening` has those that are not yet an `SMTPProtocol`."""
        self._listening = listening
        self._log = listening.services.log
        self._loop = loop
        self._opening = opening
        self._peer = ""
        self._reader = ProxyHeaderReader()
        self._transport: asyncio.Transport | None = None
        self._timeout: Timeout | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._early = b""  # sent behind the handshake, and read before it is known here how that ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first octets."""
        transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self._transport = transport
        self._opening.add(self)
        self._peer = format_peer(transport.get_extra_info("peername"))
        timeout_s = self._listening.read_timeout_s
        if timeout_s:
            self._timeout = Timeout(timeout_s, self._on_timeout)

    def data_received(self, data: bytes) -> None:
        """Take octets of the header, and what is behind it."""
        if self._handshake is not None:
            self._early += data
            return
        assert self._transport is not None
        reader = self._reader
        rest = data[reader.feed(bytearray(data), 0, len(data)) :]
        if reader.malformed:
            self._log.warning("malformed PROXY header", peer=self._peer, header=reader.octets.decode("latin-1"))
            self._transport.abort()
        elif reader.decided:
            given_back = b"" if reader.header is not None else bytes(reader.octets)
            self._shake_hands(self._transport, given_back + rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone, before there was a session."""
        self._stop_waiting()
        self._opening.discard(self)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _shake_hands(self, transport: asyncio.Transport, ahead: bytes) -> None:
        self._stop_waiting()
        transport.pause_reading()
        context = self._listening.tls
        assert context is not None
        self._handshake = self._loop.create_task(
            upgrade(self, self._loop, transport, self, context, self._listening.read_timeout_s, ahead)
        )

    def on_tls(self, encrypted: asyncio.Transport) -> None:
        """The handshake is done: the session begins."""
        self._opening.discard(self)
        protocol = SMTPProtocol(self._listening, self._loop, self._reader.header)
        encrypted.set_protocol(protocol)
        protocol.connection_made(encrypted)
        if self._early:
            feed_protocol(protocol, self._early)

    def on_tls_failure(self, plain: asyncio.Transport, error: OSError) -> None:
        """Close the connection."""
        reason = str(error) or type(error).__name__
        self._log.warning("TLS handshake failed", peer=self._peer, error=reason)
        plain.abort()
        self._opening.discard(self)

    def _on_timeout(self) -> None:
        self._log.warning("read timeout", peer=self._peer)
        self.abort()

    def _stop_waiting(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
