"""The TLSSettings context of a listener: from PEM files, or with a self-signed certificate made at start."""

from __future__ import annotations

import datetime
import errno
import ipaddress
import os
import ssl
import tempfile

from fastsmtp.config.settings import TLSSettings
from fastsmtp.errors import StartError

AUTO = "auto"

_VALID_DAYS = 397  # what clients that check at all accept at most
_ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")
_REASONS = {"KEY_VALUES_MISMATCH": "the key is of another certificate"}  # OpenSSL's -> ours


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
    # OpenSSL's API for chains takes files only. 0600 by mkstemp, gone before anybody connects.
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
        raise StartError('smtp.tls.cert: "auto" needs the package cryptography: pip install cryptography') from None
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
