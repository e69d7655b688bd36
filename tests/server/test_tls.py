"""Contexts from certificates, what is said about those that cannot be used, and the handshake."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest
from biotls import TLSClient
from cryptography import x509

from fastsmtp.config.settings import TLSSettings
from fastsmtp.errors import StartError
from fastsmtp.server.tls import TLS_SHUTDOWN_S, make_context, self_signed, shake_hands, tls_info, tls_timeouts, upgrade
from fastsmtp.system.loop import run


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
    assert make_context(settings, "localhost") is None


@pytest.mark.parametrize(("cert", "key"), [("cert.pem", "key.pem"), ("both.pem", "")])
def test_own_certificate(pem: Path, cert: str, key: str) -> None:
    context = make_context(TLSSettings(cert=str(pem / cert), key=key and str(pem / key)), "localhost")
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
        make_context(TLSSettings(cert=f"{pem}/{cert}", key=key and f"{pem}/{key}"), "localhost")
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
    pem = self_signed(hostname)
    certificate = x509.load_pem_x509_certificate(pem)
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert named.get_values_for_type(x509.DNSName) == names
    assert [str(address) for address in named.get_values_for_type(x509.IPAddress)] == addresses


def test_self_signed_leaves_no_file_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    make_context(TLSSettings(cert="auto"), "localhost")
    assert list(tmp_path.iterdir()) == []


# The handshake


def test_only_a_limit_of_ours_replaces_that_of_the_loop() -> None:
    assert tls_timeouts(0) == {"ssl_shutdown_timeout": TLS_SHUTDOWN_S}
    assert tls_timeouts(1.5) == {"ssl_shutdown_timeout": TLS_SHUTDOWN_S, "ssl_handshake_timeout": 1.5}


class Owner(asyncio.Protocol):
    """Begins with TLS at once, and keeps how that ended."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.ended: asyncio.Future[asyncio.Transport | OSError] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not hasattr(self, "upgrading"):  # some loops tell of the encrypted transport, too
            self.plain = cast(asyncio.Transport, transport)  # uvloop's are no subclass
            self.plain.write(b"!")  # the client may begin
            work = upgrade(self, asyncio.get_running_loop(), self.plain, self, self.context, 30)
            self.upgrading = asyncio.ensure_future(work)

    def on_tls(self, encrypted: asyncio.Transport) -> None:
        self.ended.set_result(encrypted)

    def on_tls_failure(self, plain: asyncio.Transport, error: OSError) -> None:
        assert plain is self.plain
        plain.abort()
        self.ended.set_result(error)


def upgraded(work: Callable[[Owner, int], Awaitable[None]]) -> None:
    """Do `work` with the owner of a connection and the port to connect to."""

    async def main() -> None:
        context = make_context(TLSSettings(cert="auto"), "localhost")
        assert context is not None
        owner = Owner(context)
        listener = await asyncio.get_running_loop().create_server(lambda: owner, "127.0.0.1", 0)
        try:
            await asyncio.wait_for(work(owner, listener.sockets[0].getsockname()[1]), 30)
        finally:
            listener.close()

    run(main())


def test_a_handshake_that_succeeds() -> None:
    async def work(owner: Owner, port: int) -> None:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readexactly(1)
        loop = asyncio.get_running_loop()
        ours = await loop.start_tls(writer.transport, asyncio.Protocol(), trusting)
        assert ours is not None
        encrypted = await owner.ended
        assert not isinstance(encrypted, OSError)
        info = tls_info(encrypted)
        assert (info.version, info.cipher) == ("TLSv1.3", ours.get_extra_info("cipher")[0])
        ours.abort()
        encrypted.abort()

    upgraded(work)


def test_a_client_that_speaks_no_tls() -> None:
    async def work(owner: Owner, port: int) -> None:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"NOOP\r\n")
        assert isinstance(await owner.ended, OSError)
        writer.transport.abort()

    upgraded(work)


def test_a_connection_that_is_closed_already() -> None:
    async def work(owner: Owner, port: int) -> None:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.abort()
        loop = asyncio.get_running_loop()
        with pytest.raises(ConnectionAbortedError, match=r"^closed before it began$"):
            await shake_hands(loop, writer.transport, asyncio.Protocol(), owner.context, 30)

    upgraded(work)


class Late(asyncio.Protocol):
    """Does its handshake when the first octets of it have been read, and echoes then."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._handshake: asyncio.Task[asyncio.Transport] | None = None
        self._plain: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._plain = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._plain is not None
        if self._handshake is None:
            self._plain.pause_reading()
            loop = asyncio.get_running_loop()
            self._handshake = loop.create_task(shake_hands(loop, self._plain, self, self._context, 30, data))
        else:
            self._handshake.add_done_callback(lambda done: done.result().write(data))


@pytest.mark.parametrize("run_loop", [run, asyncio.run], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("size", [1, 5, 100, 10_000])
def test_a_handshake_whose_first_octets_were_read_already(run_loop: Callable[..., None], size: int) -> None:
    async def main() -> None:
        context = make_context(TLSSettings(cert="auto"), "localhost")
        assert context is not None
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: Late(context), "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        answer = await asyncio.wait_for(loop.run_in_executor(None, ask_in_pieces, port, size), 30)
        listener.close()
        assert answer == b"hello"

    run_loop(main())


def ask_in_pieces(port: int, size: int) -> bytes:
    """Send the first `size` octets of a handshake alone, and say something in one piece with its end."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return TLSClient(connection, behind=b"hello", first=size).read_until(b"hello")
