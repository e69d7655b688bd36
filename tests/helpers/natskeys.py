"""Keys and certificates for a NATS server: an operator with an account and a user, an nkey, and TLS both ways."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import os
from pathlib import Path
from typing import Any

import nkeys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIMITED = "subs data payload imports exports conn leaf mem_storage disk_storage streams consumer"
_NO_LIMITS = dict.fromkeys(_LIMITED.split(), -1)


def new_key(kind: int) -> tuple[nkeys.KeyPair, str]:
    """A key pair, and its seed as text."""
    seed = nkeys.encode_seed(os.urandom(32), kind)
    return nkeys.from_seed(bytearray(seed)), seed.decode()


def public(key: nkeys.KeyPair) -> str:
    """The public key as text."""
    return str(key.public_key.decode())


def token(issuer: nkeys.KeyPair, subject: nkeys.KeyPair, kind: str, **claims: Any) -> str:
    """A JWT of NATS."""
    body = {"jti": kind, "iat": 1, "iss": public(issuer), "name": kind, "sub": public(subject)}
    parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, {**body, "nats": {**claims, "type": kind, "version": 2}}]
    signed = b".".join(_encode(json.dumps(part).encode()) for part in parts)
    return (signed + b"." + _encode(issuer.sign(signed))).decode()


def _encode(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def write_operator(directory: Path) -> str:
    """Write `user.creds`; return what the configuration of a server says of its operator."""
    operator, _ = new_key(nkeys.PREFIX_BYTE_OPERATOR)
    account, _ = new_key(nkeys.PREFIX_BYTE_ACCOUNT)
    system, _ = new_key(nkeys.PREFIX_BYTE_ACCOUNT)
    user, seed = new_key(nkeys.PREFIX_BYTE_USER)
    limits = {**_NO_LIMITS, "wildcards": True}
    no_jetstream = {"mem_storage": 0, "disk_storage": 0}
    accounts = {
        public(account): token(operator, account, "account", limits=limits),
        public(system): token(operator, system, "account", limits={**limits, **no_jetstream}),
    }
    user_token = token(account, user, "user", pub={}, sub={}, subs=-1, data=-1, payload=-1)
    (directory / "user.creds").write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
    return (
        f'operator: "{token(operator, operator, "operator")}"\n'
        f"resolver: MEMORY\nsystem_account: {public(system)}\n"
        f"resolver_preload: {json.dumps(accounts)}\n"
    )


def write_nkey(directory: Path) -> str:
    """Write `user.nk`, a seed; return what the configuration of a server says of its user."""
    user, seed = new_key(nkeys.PREFIX_BYTE_USER)
    (directory / "user.nk").write_text(f"{seed}\n")
    return f'authorization: {{ users: [ {{ nkey: "{public(user)}" }} ] }}\n'


def write_certificates(directory: Path) -> str:
    """Write `ca.pem`, `client.pem` and `client.key`; return what the configuration of a server says of TLS."""
    authority = _Certificate("authority", None)
    for name in ("server", "client"):
        certificate = _Certificate(name, authority)
        (directory / f"{name}.pem").write_bytes(certificate.pem)
        (directory / f"{name}.key").write_bytes(certificate.key_pem)
    (directory / "ca.pem").write_bytes(authority.pem)
    files = {"cert_file": "server.pem", "key_file": "server.key", "ca_file": "ca.pem"}
    named = [f'{name}: "{directory / file}"' for name, file in files.items()]
    return f"tls {{ {', '.join(named)}, verify: true }}\n"


class _Certificate:
    def __init__(self, name: str, authority: _Certificate | None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        issuer = authority or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(issuer.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
        )
        self.pem = builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self.key_pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
