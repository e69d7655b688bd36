"""The TLS handshake of one connection, from its first octet, or the PROXY header before it, to its end."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, cast

from fastsmtp.server.connectionlog import ConnectionLog
from fastsmtp.server.tlstransport import Encrypted, TLSTransport
from fastsmtp.smtp.proxyheader import ProxyHeader


class TLSHandshake:
    """Encrypts `plain` for a protocol, and tells the log how that fails; it is over after `fail` or `time_out`."""

    __slots__ = ("_implicit", "_log", "_tls", "header")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        plain: asyncio.Transport,
        protocol: Encrypted,
        context: ssl.SSLContext,
        log: ConnectionLog,
        *,
        implicit: bool,
        proxied: bool = False,
    ) -> None:
        """`implicit`: TLS comes before the session. If `proxied`, a PROXY header may come before the handshake."""
        self._implicit: Final = implicit
        self._log: Final = log
        self._tls: Final = TLSTransport(loop, plain, protocol, context, proxied=proxied)
        self.header: ProxyHeader | None = None  # that came before

    @property
    def transport(self) -> asyncio.Transport:
        """What the protocol has in the place of `plain`."""
        return cast(asyncio.Transport, self._tls)

    def feed(self, octets: bytes) -> None:
        """Take encrypted octets that were read before it began."""
        start = 0
        while start < len(octets) and not self._tls.is_closing():
            view = self._tls.get_buffer(len(octets) - start)
            count = min(len(view), len(octets) - start)
            view[:count] = octets[start : start + count]
            start += count
            self._tls.buffer_updated(count)

    def fail(self, reason: str) -> None:
        """It has failed. A client that has said nothing, where TLS is to come first, only looks for an open port."""
        self._log.handshake_failed(reason, probe=self._implicit and self._tls.silent)

    def time_out(self) -> None:
        """It took too long: cut the connection."""
        if self._tls.awaits_header:
            self._log.timed_out("read timeout")
        else:
            self.fail("it took too long")
        self._tls.abort()
