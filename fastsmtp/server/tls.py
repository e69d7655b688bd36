"""TLS of a listener: its context, and the handshake on a connection that is open already (RFC 3207)."""

from __future__ import annotations

import asyncio
import datetime
import errno
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, cast

from fastsmtp.config.settings import TLSSettings
from fastsmtp.errors import StartError
from fastsmtp.smtp.envelope import TLSInfo
from fastsmtp.system.patience import Timeout
from fastsmtp.text import pip_install

AUTO = "auto"

_VALID_DAYS = 397  # what clients that check at all accept at most
_ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")
_REASONS = {"KEY_VALUES_MISMATCH": "the key is of another certificate"}  # OpenSSL's -> ours
# How long a client may take to answer our close_notify. Nothing is lost with one that does not.
TLS_SHUTDOWN_S: Final = 2.0
_HANDSHAKE_S: Final = 60.0  # where there is no read_timeout
_NEVER_S: Final = 86_400.0  # the loop's own limit, which knows no patience


def make_context(settings: TLSSettings | None, hostname: str) -> ssl.SSLContext | None:
    """The server-side context that `settings` ask for, None where they ask for none.

    Raises StartError when the certificate cannot be read or made.
    """
    if settings is None or not settings.cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if settings.cert == AUTO:
        _load_self_signed(context, hostname)
        return context
    try:
        context.load_cert_chain(settings.cert, settings.key or None, _refuse_password)
    except FileNotFoundError:
        missing = next((path for path in (settings.cert, settings.key) if path and not os.path.exists(path)), "")
        raise StartError(f"smtp.tls: no such file: {missing}") from None
    except ssl.SSLError as error:  # an OSError, too
        reason = _REASONS.get(error.reason or "", "there is no certificate or no key in PEM format in it")
        raise StartError(f"smtp.tls: cannot use {settings.cert}: {reason}") from None
    except OSError as error:
        raise StartError(f"smtp.tls: cannot use {settings.cert}: {error.strerror or error}") from None
    return context


def _refuse_password() -> str:
    """OpenSSL would ask for it on the terminal, and a server has none."""
    raise PermissionError(errno.EACCES, "the key is behind a password")


def _load_self_signed(context: ssl.SSLContext, hostname: str) -> None:
    # OpenSSL's API for chains takes files only. 0600 by mkstemp, gone before any client connects.
    descriptor, path = tempfile.mkstemp(prefix="fastsmtp-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(self_signed(hostname))
        context.load_cert_chain(path)
    finally:
        os.unlink(path)


def self_signed(hostname: str) -> bytes:
    """A certificate for `hostname`, localhost and both loopback addresses, after its key; in PEM. Raises StartError."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise StartError(
            f'smtp.tls.cert: "auto" needs the package cryptography: {pip_install("cryptography")}'
        ) from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hostname[:64])])
    now = datetime.datetime.now(datetime.timezone.utc)
    alternatives: list[x509.GeneralName] = []
    for alternative in dict.fromkeys((hostname, *_ALWAYS_NAMED)):
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(alternative)))
        except ValueError:
            alternatives.append(x509.DNSName(alternative))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
    ) + certificate.public_bytes(serialization.Encoding.PEM)


# The handshake


def tls_timeouts(read_timeout_s: float) -> dict[str, float]:
    """Arguments of `loop.create_server`. Without a limit of ours the loop's own minute stands."""
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
    ahead: bytes = b"",
) -> None:
    """Do the handshake and tell the owner how it ended; `ahead` are octets of it that have been read already."""
    try:
        encrypted = await shake_hands(loop, plain, protocol, context, read_timeout_s, ahead)
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
    ahead: bytes = b"",
) -> asyncio.Transport:
    """Return the transport that speaks TLS over `plain`, for the same protocol. Raises OSError."""
    if plain.is_closing():
        raise ConnectionAbortedError("closed before it began")
    start_tls = cast(Callable[..., Awaitable[asyncio.Transport | None]], loop.start_tls)
    timeouts = {"ssl_handshake_timeout": _NEVER_S, "ssl_shutdown_timeout": TLS_SHUTDOWN_S}
    timeout = Timeout(read_timeout_s or _HANDSHAKE_S, plain.abort)
    try:
        handshake = start_tls(plain, protocol, context, server_side=True, **timeouts)
        if ahead:
            # The first step of the handshake calls soon what sets it up and reads on. These octets come right behind
            # that, before any from the socket.
            handshake = asyncio.ensure_future(handshake)
            loop.call_soon(loop.call_soon, _feed_handshake, plain, ahead)
        encrypted = await handshake
    finally:
        timeout.cancel()
    # Cut while it was going on: some loops return as if all were well.
    if encrypted is None or encrypted.get_extra_info("ssl_object") is None:
        raise ConnectionAbortedError("closed before it ended")
    return encrypted


def _feed_handshake(plain: asyncio.Transport, octets: bytes) -> None:
    if not plain.is_closing():
        feed_protocol(plain.get_protocol(), octets)


def feed_protocol(protocol: asyncio.BaseProtocol, octets: bytes) -> None:
    """Give octets to a protocol, as the event loop does."""
    if not hasattr(protocol, "get_buffer"):
        cast(asyncio.Protocol, protocol).data_received(octets)  # TLS of asyncio, up to Python 3.10
        return
    buffered = cast(asyncio.BufferedProtocol, protocol)
    while octets:
        view = memoryview(buffered.get_buffer(len(octets)))
        count = min(len(view), len(octets))
        view[:count] = octets[:count]
        buffered.buffer_updated(count)
        octets = octets[count:]
