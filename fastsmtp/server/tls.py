"""The certificate of a listener and its TLS context, and what is known of a connection that has TLS."""

from __future__ import annotations

import asyncio
import datetime
import errno
import functools
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fastsmtp.config.settings import ListenerSettings, TLSSettings
from fastsmtp.errors import StartError
from fastsmtp.smtp.envelope import TLSInfo
from fastsmtp.text import pip_install

if TYPE_CHECKING:
    from cryptography import x509

AUTO = "auto"

_VALID_DAYS = 397  # what clients that check at all accept at most
_ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")
WRONG_NAME = "wrong.example"
_REASONS = {"KEY_VALUES_MISMATCH": "the key is of another certificate"}  # OpenSSL's -> ours


def make_contexts(listeners: Mapping[str, ListenerSettings]) -> dict[str, ssl.SSLContext | None]:
    """The server-side context of each listener, None for those without a certificate.

    Those with `cert: auto` have one certificate, which is valid for all their names. Raises StartError
    when one cannot be read or made.
    """
    names = names_to_certify(listeners)
    made = _load_self_signed(self_signed(names)) if names else None
    return {name: made if is_auto(listener.tls) else make_context(listener.tls) for name, listener in listeners.items()}


def is_auto(settings: TLSSettings | None) -> bool:
    """Whether the certificate is made at start."""
    return settings is not None and settings.cert == AUTO


def names_to_certify(listeners: Mapping[str, ListenerSettings]) -> list[str]:
    """The host names of all listeners whose certificate is made at start."""
    return list(dict.fromkeys(listener.hostname for listener in listeners.values() if is_auto(listener.tls)))


def make_context(settings: TLSSettings | None) -> ssl.SSLContext | None:
    """The context of a certificate in a file, None where there is none. Raises StartError when it cannot be read."""
    if settings is None or not settings.cert:
        return None
    context = _server_context()
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


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION  # it costs the server more than the client, and nothing needs it
    return context


def _load_self_signed(pem: bytes) -> ssl.SSLContext:
    context = _server_context()
    # OpenSSL's API for chains takes files only. 0600 by mkstemp, gone before any client connects.
    descriptor, path = tempfile.mkstemp(prefix="fastsmtp-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        context.load_cert_chain(path)
    finally:
        os.unlink(path)
    return context


@functools.lru_cache(maxsize=16)
def faulty_context(fault: str, hostname: str) -> ssl.SSLContext:
    """The context of a certificate that clients refuse: `expired`, `wrong-name` or `self-signed`. Raises StartError."""
    if fault == "wrong-name":
        return _load_self_signed(self_signed([WRONG_NAME], also=()))
    return _load_self_signed(self_signed([hostname], days=-1 if fault == "expired" else _VALID_DAYS))


def self_signed(hostnames: Sequence[str], *, also: Sequence[str] = _ALWAYS_NAMED, days: int = _VALID_DAYS) -> bytes:
    """A key and a certificate for these names, localhost and both loopback addresses, in PEM. Raises StartError.

    It ends in so many days, which may be over. It is that of a server, and of no authority (RFC 5280 section 4.2.1):
    clients that trust it refuse any other as one.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise StartError(
            f'smtp.tls.cert: "auto" needs the package cryptography: {pip_install("cryptography")}'
        ) from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hostnames[0][:64])])
    now = datetime.datetime.now(datetime.timezone.utc)
    alternatives: list[x509.GeneralName] = []
    for alternative in dict.fromkeys((*hostnames, *also)):
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
        .not_valid_before(now - (datetime.timedelta(hours=1) if days > 0 else datetime.timedelta(days=30)))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_only_signatures(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def _only_signatures() -> x509.KeyUsage:
    """Of a handshake: the key signs no certificates."""
    from cryptography.x509 import KeyUsage

    no = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return KeyUsage(digital_signature=True, **no)


# What a connection has


def tls_info(transport: asyncio.BaseTransport) -> TLSInfo:
    """Version and cipher of a connection that speaks TLS."""
    name, version, _bits = transport.get_extra_info("cipher") or ("", "", 0)
    protocol = transport.get_extra_info("ssl_object")
    return TLSInfo(protocol.version() if protocol is not None else version, name)
