"""Contexts from certificates, and what is said about those that cannot be used."""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest
from cryptography import x509

from fastsmtp.config.settings import ListenerSettings, TLSSettings
from fastsmtp.errors import StartError
from fastsmtp.server.tls import make_context, make_contexts, names_to_certify, self_signed


def openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cert.pem, key.pem, both.pem; other.pem is a key without a certificate, locked.pem the key behind a password."""
    directory = tmp_path_factory.mktemp("pem")
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x")
    openssl(directory, *new, "-keyout", "key.pem", "-out", "cert.pem")
    openssl(directory, *new, "-keyout", "other.pem", "-out", "unused.pem")
    openssl(directory, "ec", "-in", "key.pem", "-aes128", "-passout", "pass:secret", "-out", "locked.pem")
    (directory / "both.pem").write_bytes((directory / "key.pem").read_bytes() + (directory / "cert.pem").read_bytes())
    (directory / "garbage.pem").write_text("garbage")
    return directory


@pytest.mark.parametrize("settings", [None, TLSSettings(), TLSSettings(key="key.pem")])
def test_no_certificate_no_context(settings: TLSSettings | None) -> None:
    assert make_context(settings) is None


@pytest.mark.parametrize(("cert", "key"), [("cert.pem", "key.pem"), ("both.pem", "")])
def test_own_certificate(pem: Path, cert: str, key: str) -> None:
    context = make_context(TLSSettings(cert=str(pem / cert), key=key and str(pem / key)))
    assert context is not None
    assert context.verify_mode is ssl.CERT_NONE
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("cert", "key", "fault"),
    [
        ("missing.pem", "key.pem", "no such file: {}/missing.pem"),
        ("cert.pem", "missing.pem", "no such file: {}/missing.pem"),
        ("cert.pem", "other.pem", "cannot use {}/cert.pem: the key is of another certificate"),
        ("cert.pem", "", "cannot use {}/cert.pem: there is no certificate or no key in PEM format in it"),
        ("garbage.pem", "", "cannot use {}/garbage.pem: there is no certificate or no key in PEM format in it"),
        ("cert.pem", "locked.pem", "cannot use {}/cert.pem: the key is behind a password"),
        (".", "", "cannot use {}/.: Is a directory"),
    ],
)
def test_what_cannot_be_used_is_said(pem: Path, cert: str, key: str, fault: str) -> None:
    with pytest.raises(StartError) as raised:
        make_context(TLSSettings(cert=f"{pem}/{cert}", key=key and f"{pem}/{key}"))
    assert str(raised.value) == "smtp.tls: " + fault.format(pem)


@pytest.mark.parametrize(
    ("hostname", "names", "addresses"),
    [
        ("mx.example.com", ["mx.example.com", "localhost"], ["127.0.0.1", "::1"]),
        ("localhost", ["localhost"], ["127.0.0.1", "::1"]),
        ("192.0.2.1", ["localhost"], ["192.0.2.1", "127.0.0.1", "::1"]),
        ("a" * 60 + ".example.com", ["a" * 60 + ".example.com", "localhost"], ["127.0.0.1", "::1"]),
    ],
)
def test_self_signed(hostname: str, names: list[str], addresses: list[str]) -> None:
    pem = self_signed([hostname])
    certificate = x509.load_pem_x509_certificate(pem)
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert named.get_values_for_type(x509.DNSName) == names
    assert [str(address) for address in named.get_values_for_type(x509.IPAddress)] == addresses


def test_self_signed_leaves_no_file_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    make_contexts({"a": ListenerSettings(addr=":1", hostname="a.test", tls=TLSSettings(cert="auto"))})
    assert list(tmp_path.iterdir()) == []


def test_the_certificate_is_that_of_a_server_and_of_no_authority() -> None:
    found = x509.load_pem_x509_certificate(self_signed(["a.example.com", "b.example.com"])).extensions
    usage = found.get_extension_for_class(x509.KeyUsage)
    signs, others = usage.value.digital_signature, [usage.value.key_cert_sign, usage.value.key_encipherment]
    assert (usage.critical, signs, others) == (True, True, [False, False])
    assert found.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(False, None)
    assert list(found.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        x509.oid.ExtendedKeyUsageOID.SERVER_AUTH
    ]
    named = found.get_extension_for_class(x509.SubjectAlternativeName).value
    assert named.get_values_for_type(x509.DNSName) == ["a.example.com", "b.example.com", "localhost"]


def test_listeners_share_the_certificate_that_is_made(pem: Path) -> None:
    auto, own = TLSSettings(cert="auto"), TLSSettings(cert=str(pem / "both.pem"))
    listeners = {
        "a": ListenerSettings(addr=":1", hostname="a.test", tls=auto),
        "b": ListenerSettings(addr=":2", hostname="b.test", tls=TLSSettings(cert="auto", mode="implicit")),
        "c": ListenerSettings(addr=":3", hostname="c.test", tls=own),
        "d": ListenerSettings(addr=":4", hostname="d.test", tls=None),
    }
    contexts = make_contexts(listeners)
    assert names_to_certify(listeners) == ["a.test", "b.test"]
    assert contexts["a"] is contexts["b"]
    assert len({id(context) for context in contexts.values()}) == 3
    assert contexts["d"] is None


def test_nothing_is_made_where_nothing_asks_for_it() -> None:
    assert make_contexts({"a": ListenerSettings(addr=":1", hostname="a.test", tls=TLSSettings())}) == {"a": None}
