"""The TLS handshake on a connection that is open already (RFC 3207), and what came of one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, cast

from fastsmtp.smtp.envelope import TLSInfo

# How long a client may take to answer our close_notify. Nothing is lost with one that does not.
TLS_SHUTDOWN_S: Final = 2.0


def tls_timeouts(read_timeout_s: float) -> dict[str, float]:
    """Arguments of `loop.start_tls` and `loop.create_server`. Without a limit of ours the loop's own minute stands."""
    timeouts = {"ssl_shutdown_timeout": TLS_SHUTDOWN_S}
    if read_timeout_s:
        timeouts["ssl_handshake_timeout"] = read_timeout_s
    return timeouts


def tls_info(transport: asyncio.BaseTransport) -> TLSInfo:
    """Version and cipher of a connection that speaks TLS."""
    name, version, _bits = transport.get_extra_info("cipher") or ("", "", 0)
    protocol = transport.get_extra_info("ssl_object")
    return TLSInfo(protocol.version() if protocol is not None else version, name)


class Upgraded(Protocol):
    """The connection that is to speak TLS."""

    def on_tls(self, encrypted: asyncio.Transport) -> None:
        """The handshake is done."""

    def on_tls_failure(self, plain: asyncio.Transport, error: OSError) -> None:
        """The handshake failed; ssl.SSLError and every kind of timeout are among the errors."""


async def upgrade(
    owner: Upgraded,
    loop: asyncio.AbstractEventLoop,
    plain: asyncio.Transport,
    protocol: asyncio.BaseProtocol,
    context: ssl.SSLContext,
    read_timeout_s: float,
) -> None:
    """Do the handshake and tell the owner how it ended."""
    try:
        encrypted = await shake_hands(loop, plain, protocol, context, read_timeout_s)
    except OSError as error:
        owner.on_tls_failure(plain, error)
    else:
        owner.on_tls(encrypted)


async def shake_hands(
    loop: asyncio.AbstractEventLoop,
    plain: asyncio.Transport,
    protocol: asyncio.BaseProtocol,
    context: ssl.SSLContext,
    read_timeout_s: float,
) -> asyncio.Transport:
    """Return the transport that speaks TLS over `plain`, for the same protocol. Raises OSError."""
    if plain.is_closing():
        raise ConnectionAbortedError("closed before it began")
    start_tls = cast(Callable[..., Awaitable[asyncio.Transport | None]], loop.start_tls)
    encrypted = await start_tls(plain, protocol, context, server_side=True, **tls_timeouts(read_timeout_s))
    # Cut while it was going on: some loops return as if all were well.
    if encrypted is None or encrypted.get_extra_info("ssl_object") is None:
        raise ConnectionAbortedError("closed before it ended")
    return encrypted
