"""The TLS handshake of one connection, from its first octet, or the PROXY header before it, to its end."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

from fastsmtp.server.clienttimeouts import ClientTimeouts
from fastsmtp.server.connectionlog import ConnectionLog
from fastsmtp.server.flowcontrol import FlowControl
from fastsmtp.server.listening import Listening
from fastsmtp.server.tls import faulty_context, tls_info
from fastsmtp.server.tlstransport import Encrypted, TLSTransport
from fastsmtp.smtp.envelope import TLSInfo
from fastsmtp.smtp.proxyheader import ProxyHeader


class TLSOwner(Encrypted, Protocol):
    """The connection: a `protocol.SMTPProtocol`."""

    def on_encrypted(self, tls: TLSInfo, header: ProxyHeader | None) -> None:
        """The handshake is done; a PROXY header may have come before it."""


class TLSHandshake:
    """Encrypts a connection, before its session or when STARTTLS asks for it, and tells the log where that fails."""

    __slots__ = ("_flow", "_header", "_listening", "_log", "_loop", "_owner", "_timeouts", "_tls")

    def __init__(
        self,
        owner: TLSOwner,
        listening: Listening,
        loop: asyncio.AbstractEventLoop,
        log: ConnectionLog,
        flow: FlowControl,
        timeouts: ClientTimeouts,
    ) -> None:
        self._owner: Final = owner
        self._listening: Final = listening
        self._loop: Final = loop
        self._log: Final = log
        self._flow: Final = flow
        self._timeouts: Final = timeouts
        self._tls: TLSTransport | None = None  # while it is under way, or a PROXY header is awaited before it
        self._header: ProxyHeader | None = None  # that came before

    @property
    def under_way(self) -> bool:
        """Whether it has begun, and is not over."""
        return self._tls is not None

    def begin(self, plain: asyncio.Transport, certificate: str = "") -> asyncio.Transport:
        """Return what the connection has in the place of `plain`; `certificate` is a faulty one that a plan wants."""
        listening = self._listening
        context = listening.tls
        assert context is not None
        if certificate:
            context = faulty_context(certificate, listening.settings.hostname)
        proxied = listening.implicit_tls and bool(listening.proxies)
        self._flow.begin_handshake(plain)
        tls = self._tls = TLSTransport(self._loop, plain, self._owner, self, context, proxied=proxied)
        return cast(asyncio.Transport, tls)

    def feed(self, octets: bytes) -> None:
        """Take encrypted octets that were read before it began."""
        tls = self._tls
        start = 0
        while tls is not None and start < len(octets) and not tls.is_closing():
            view = tls.get_buffer(len(octets) - start)
            count = min(len(view), len(octets) - start)
            view[:count] = octets[start : start + count]
            start += count
            tls.buffer_updated(count)

    def time_out(self) -> None:
        """It took too long: cut the connection."""
        tls, self._tls = self._tls, None
        assert tls is not None
        if tls.awaits_header:
            self._log.timed_out("read timeout")
        else:
            self._fail(tls, "it took too long")
        tls.abort()

    def lose(self, exc: Exception | None) -> None:
        """The client is gone."""
        tls, self._tls = self._tls, None
        if tls is not None:
            self._fail(tls, "the client is gone" if exc is None else str(exc) or type(exc).__name__)

    def _fail(self, tls: TLSTransport, reason: str) -> None:
        """A client that has said nothing, where TLS is to come first, only looks for an open port."""
        self._log.handshake_failed(reason, probe=self._listening.implicit_tls and tls.silent)

    # What the transport tells: see `tlstransport.HandshakeTold`

    def on_proxy_header(self, header: ProxyHeader) -> None:
        """See `tlstransport.HandshakeTold`."""
        self._header = header

    def on_malformed_header(self, octets: bytes) -> None:
        """See `tlstransport.HandshakeTold`."""
        self._tls = None
        self._log.malformed_header(octets)

    def on_tls(self) -> None:
        """See `tlstransport.HandshakeTold`."""
        tls, self._tls = self._tls, None
        assert tls is not None
        transport = cast(asyncio.Transport, tls)
        self._flow.end_handshake(transport)
        self._timeouts.since = self._loop.time()
        self._owner.on_encrypted(tls_info(transport), self._header)

    def on_tls_failure(self, error: Exception) -> None:
        """See `tlstransport.HandshakeTold`."""
        tls, self._tls = self._tls, None
        assert tls is not None
        self._fail(tls, str(error))
