"""STARTTLS and implicit TLS over real sockets, good handshakes and bad ones."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from biotls import TLSClient
from servers import TESTS, Serve, Server
from waits import PATIENCE_S
from wire import Wire, logged, trusting, wait_for_log

ACCEPTED = b"250 2.0.0 Message accepted\r\n"
READY = b"220 2.0.0 Ready to start TLS\r\n"
AUTO = {"smtp": {"tls": {"cert": "auto"}}}
IMPLICIT = {"smtp": {"tls": {"cert": "auto", "mode": "implicit"}}}
QUICK = {"read_timeout": "1s"}  # long enough for a handshake on a busy machine


def offers(reply: bytes) -> list[bytes]:
    return [line[4:] for line in reply.splitlines()[1:]]


def secure(wire: Wire) -> None:
    assert wire.ask(b"EHLO before.example.com\r\n").startswith(b"250-")
    assert wire.ask(b"STARTTLS\r\n") == READY
    wire.start_tls()


def deliver(wire: Wire, subject: bytes = b"x") -> None:
    wire.begin()
    assert wire.ask(b"Subject: %s\r\n\r\n.\r\n" % subject) == ACCEPTED


def test_starttls_is_offered_until_it_is_done_and_the_session_starts_anew(serve: Serve) -> None:
    server = serve(AUTO)
    with Wire(server) as wire:
        assert b"STARTTLS" in offers(wire.ask(b"EHLO before.example.com\r\n"))
        assert wire.ask(b"AUTH PLAIN AGEAYg==\r\n").startswith(b"235 ")
        assert wire.ask(b"STARTTLS\r\n") == READY
        secured = wire.start_tls()
        cipher = secured.cipher()
        assert cipher is not None
        # What was said before counts no more (RFC 3207 section 4.2).
        assert b"STARTTLS" not in offers(wire.ask(b"EHLO after.example.com\r\n"))
        assert wire.ask(b"STARTTLS\r\n") == b"503 5.5.1 TLS already active\r\n"
        assert wire.ask(b"AUTH PLAIN AGMAZA==\r\n").startswith(b"235 ")
        wire.begin_next()
        assert wire.ask(b"Subject: x\r\n\r\n.\r\n") == ACCEPTED
        assert wire.ask(b"QUIT\r\n") == b"221 2.0.0 Bye\r\n"
        assert wire.reply() == b""
    [record] = server.records()
    assert record["session"] == {
        "esmtp": True,
        "tls": {"version": "TLSv1.3", "cipher": cipher[0]},
        "violations": [],
    }
    assert record["envelope"]["helo"] == "after.example.com"
    assert record["authentication"]["username"] == "c"


def test_plain_text_behind_starttls_is_dropped(serve: Serve) -> None:
    """CVE-2011-0411: none of it is carried out, before the handshake or after."""
    server = serve(AUTO)
    with Wire(server) as wire:
        wire.ask(b"EHLO x\r\n")
        wire.send(b"STARTTLS\r\nEHLO injected\r\nMAIL FROM:<injected@example.com>\r\nRSET\r\n")
        assert wire.reply() == READY
        wire.start_tls()
        assert wire.ask(b"RCPT TO:<r@example.com>\r\n") == b"503 5.5.1 Send MAIL first\r\n"
        deliver(wire)
    [record] = server.records()
    assert record["envelope"]["from"] == "s@example.com"
    assert record["envelope"]["helo"] == "client.example.com"
    assert [item["code"] for item in record["session"]["violations"]] == ["plaintext-after-starttls"]


def test_what_comes_with_the_end_of_the_handshake_is_no_plain_text(serve: Serve) -> None:
    """A quick client sends its EHLO in one segment with the last octets of the handshake."""
    server = serve(AUTO)
    for _ in range(20):
        with Wire(server) as wire:
            wire.ask(b"EHLO x\r\n")
            assert wire.ask(b"STARTTLS\r\n") == READY
            client = TLSClient(wire.socket, behind=b"NOOP\r\nQUIT\r\n")
            assert client.read_until(b"Bye\r\n") == b"250 2.0.0 OK\r\n221 2.0.0 Bye\r\n"
    assert logged(server, "violation") == []


def test_commands_pipelined_before_starttls_are_answered_first(serve: Serve) -> None:
    server = serve(AUTO)
    with Wire(server) as wire:
        wire.send(b"EHLO x\r\nNOOP\r\nSTARTTLS\r\n")
        assert [wire.reply()[:3] for _ in range(3)] == [b"250", b"250", b"220"]
        wire.start_tls()
        deliver(wire)


def test_big_mails_pipelined_commands_and_many_replies_pass_tls(serve: Serve) -> None:
    server = serve(AUTO)
    line = b"y" * 70 + b"\r\n"
    with Wire(server) as wire:
        secure(wire)
        wire.begin()
        wire.send(b"Subject: big\r\n\r\n" + line * 60_000 + b".\r\n")
        assert wire.reply() == ACCEPTED
        wire.send(b"NOOP\r\n" * 1000)
        assert {wire.reply() for _ in range(1000)} == {b"250 2.0.0 OK\r\n"}
        # Behind a dot, too.
        wire.begin_next()
        wire.send(b"Subject: next\r\n\r\n.\r\nNOOP\r\nQUIT\r\n")
        assert [wire.reply()[:3] for _ in range(3)] == [b"250", b"250", b"221"]
    assert [item["message"]["size"] for item in server.records()] == [16 + 60_000 * len(line), 17]


def test_without_a_certificate_there_is_no_starttls(serve: Serve) -> None:
    server = serve()
    with Wire(server) as wire:
        assert b"STARTTLS" not in offers(wire.ask(b"EHLO x\r\n"))
        assert wire.ask(b"STARTTLS\r\n") == b"502 5.5.1 Command not implemented\r\n"


# Handshakes that fail


def old(version: ssl.TLSVersion, ciphers: str) -> ssl.SSLContext:
    context = trusting()
    context.set_ciphers(ciphers)
    context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, version
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize(
    ("version", "ciphers", "alert"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", "TLSV1_ALERT_PROTOCOL_VERSION"),
        (ssl.TLSVersion.TLSv1_2, "AES128-SHA", "SSLV3_ALERT_HANDSHAKE_FAILURE"),
    ],
    ids=["version", "cipher"],
)
@pytest.mark.parametrize("settings", [AUTO, IMPLICIT], ids=["starttls", "implicit"])
def test_a_client_is_told_why_its_handshake_fails(
    serve: Serve, settings: dict[str, Any], version: ssl.TLSVersion, ciphers: str, alert: str
) -> None:
    server = serve(settings)
    with Wire(server, greeted=False) as wire:
        if settings is AUTO:
            assert [wire.reply()[:3], wire.ask(b"STARTTLS\r\n")[:3]] == [b"220", b"220"]
        with pytest.raises(ssl.SSLError) as raised:
            wire.start_tls(old(version, ciphers))
    assert raised.value.reason == alert
    assert len(wait_for_log(server, "TLS handshake failed")) == 1


def test_handshakes_of_implicit_tls_count_as_connections(serve: Serve) -> None:
    """Those that are let do it above the limit are told so; more are cut at once."""
    server = serve({"smtp": {**IMPLICIT["smtp"], "max_connections": 1}, "rpc": {"listen": "tcp://127.0.0.1:0"}})
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(Wire(server, greeted=False))
        with Wire(server, greeted=False, tls=True) as last:
            assert last.reply().startswith(b"421 4.3.2 ")
        refused = [stack.enter_context(Wire(server, greeted=False)) for _ in range(3)]
        assert [wire.reply() for wire in refused[1:]] == [b"", b""]
        wait_for_log(server, "connection turned away", 3)
    with Wire(server, greeted=False, tls=True) as wire:
        assert wire.reply()[:3] in (b"220", b"421")


def test_a_look_at_the_port_of_implicit_tls_is_no_warning(serve: Serve) -> None:
    server = serve({**IMPLICIT, "logs": {"level": "debug"}})
    Wire(server, greeted=False).socket.close()
    [line] = wait_for_log(server, "TLS handshake failed")
    assert "  DEBUG  " in line


@pytest.mark.parametrize(
    "octets", [b"EHLO in the clear\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 100], ids=["smtp", "tls"]
)
def test_garbage_instead_of_a_handshake_ends_the_connection_alone(serve: Serve, octets: bytes) -> None:
    server = serve({"smtp": {**AUTO["smtp"], "max_connections": 1}})
    with Wire(server) as wire:
        wire.ask(b"EHLO x\r\n")
        assert wire.ask(b"STARTTLS\r\n") == READY
        wire.send(octets)
        while wire.readable(30) and wire.socket.recv(1000):  # an alert, perhaps
            pass
    wait_for_log(server, "connection closed")
    assert len(logged(server, "TLS handshake failed")) == 1
    with Wire(server) as wire:
        secure(wire)
        deliver(wire)


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01\x01\x00"], ids=["nothing", "half"])
def test_a_handshake_that_never_comes_is_cut_after_read_timeout(serve: Serve, begun: bytes) -> None:
    server = serve({"smtp": {**AUTO["smtp"], **QUICK, "max_connections": 1}})
    with Wire(server) as wire:
        wire.ask(b"EHLO x\r\n")
        assert wire.ask(b"STARTTLS\r\n") == READY
        wire.send(begun)
        assert wire.reply() == b""
    wait_for_log(server, "connection closed")
    assert len(logged(server, "TLS handshake failed")) == 1
    with Wire(server) as wire:
        assert wire.greeting.startswith(b"220 ")


@pytest.mark.parametrize("how", ["closed", "reset", "half"])
def test_a_client_that_leaves_instead_of_a_handshake_is_forgotten(serve: Serve, how: str) -> None:
    server = serve({"smtp": {"tls": {"cert": "auto"}, "max_connections": 1}})
    wire = Wire(server)
    wire.ask(b"EHLO x\r\n")
    assert wire.ask(b"STARTTLS\r\n") == READY
    if how == "half":
        wire.send(b"\x16\x03\x01")
    wire.reset() if how == "reset" else wire.socket.close()
    wait_for_log(server, "connection closed")
    with Wire(server) as wire:
        secure(wire)
        deliver(wire)


def test_a_client_that_refuses_the_certificate_is_told_in_the_log(serve: Serve) -> None:
    server = serve(AUTO)
    with Wire(server) as wire:
        wire.ask(b"EHLO x\r\n")
        assert wire.ask(b"STARTTLS\r\n") == READY
        with pytest.raises(ssl.SSLCertVerificationError):
            wire.start_tls(ssl.create_default_context())
        wire.socket.close()
    wait_for_log(server, "connection closed")


@pytest.mark.parametrize(
    "octets", [b"", b"EHLO in the clear\r\n", b"\x16\x03\x01\x01\x00"], ids=["nothing", "smtp", "half"]
)
def test_implicit_tls_closes_who_does_not_shake_hands(serve: Serve, octets: bytes) -> None:
    server = serve({"smtp": {**IMPLICIT["smtp"], **QUICK}})
    with Wire(server, greeted=False) as wire:
        wire.send(octets)
        while wire.readable(30) and wire.socket.recv(1000):
            pass
    with Wire(server, tls=True) as wire:
        deliver(wire)
        assert b"STARTTLS" not in offers(wire.ask(b"EHLO x\r\n"))
    [record] = server.records()
    assert record["session"]["tls"]["version"] == "TLSv1.3"


def test_silence_under_tls_is_cut_after_read_timeout(serve: Serve) -> None:
    server = serve({"smtp": {**AUTO["smtp"], **QUICK}})
    with Wire(server) as wire:
        secure(wire)
        assert wire.reply() == b""
    assert len(wait_for_log(server, "read timeout")) == 1


def test_the_end_of_tls_before_the_reply_leaves_the_mail_with_the_worker(serve: Serve) -> None:
    """close_notify right behind the dot, and then the connection is closed."""
    server = serve(AUTO)
    wire = Wire(server)
    secure(wire)
    wire.begin()
    wire.send(b"Subject: x\r\n\r\n.\r\n")
    assert isinstance(wire.socket, ssl.SSLSocket)
    with contextlib.suppress(ssl.SSLError):  # where the reply was quicker
        wire.socket.unwrap()
    wire.socket.close()
    wait_for_log(server, "connection closed")
    wait_for_log(server, "  email  ")
    assert len(server.records()) == 1


@pytest.mark.parametrize("settings", [AUTO, IMPLICIT], ids=["starttls", "implicit"])
def test_a_client_that_only_ends_its_side_gets_its_reply(serve: Serve, settings: dict[str, Any]) -> None:
    """ "This alert notifies the recipient that the sender will not send any more messages" (RFC 8446 section 6.1)."""
    server = serve(settings)
    with Wire(server, greeted=False) as wire:
        if settings is AUTO:
            assert [wire.reply()[:3], wire.ask(b"STARTTLS\r\n")[:3]] == [b"220", b"220"]
        client = TLSClient(wire.socket)
        client.send(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
        client.read_until(b"<CR><LF>.<CR><LF>\r\n")
        client.send(b"Subject: x\r\n\r\n.\r\n", last=True)
        assert client.read_until(b"\r\n") == ACCEPTED
        assert client.read() == b""


def test_shutdown_says_421_under_tls(serve: Serve) -> None:
    server = serve(AUTO)
    with Wire(server) as wire:
        secure(wire)
        wire.ask(b"EHLO x\r\n")
        server.process.terminate()
        assert wire.reply() == b"421 4.3.2 Server is shutting down\r\n"
        assert server.wait_for_end() == 0  # though this client never answers close_notify
    assert logged(server, "grace period is over") == []


# Certificates


def check_certificate(server: Server, name: str) -> None:
    """A handshake by a client that trusts exactly this certificate, and checks the name."""
    with Wire(server) as wire:
        wire.ask(b"EHLO x\r\n")
        wire.ask(b"STARTTLS\r\n")
        pem = ssl.DER_cert_to_PEM_cert(peer_certificate(server))
        context = ssl.create_default_context(cadata=pem)
        context.wrap_socket(wire.socket, server_hostname=name).close()


def peer_certificate(server: Server) -> bytes:
    with Wire(server) as wire:
        wire.ask(b"EHLO x\r\n")
        wire.ask(b"STARTTLS\r\n")
        found = wire.start_tls(trusting()).getpeercert(binary_form=True)
        assert found is not None
        return found


def test_the_self_signed_certificate_is_valid_for_the_hostname_and_this_machine(serve: Serve) -> None:
    server = serve({"smtp": {"hostname": "mx.example.com", "tls": {"cert": "auto"}}})
    for name in ("mx.example.com", "localhost", "127.0.0.1", "::1"):
        check_certificate(server, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        check_certificate(server, "other.example.com")


def test_an_own_certificate_is_used(serve: Serve, tmp_path: Path) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += [
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-subj",
        "/CN=own",
        "-addext",
        "subjectAltName=DNS:own.example.com",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    server = serve({"smtp": {"tls": {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}}})
    check_certificate(server, "own.example.com")


# Clients


def test_smtplib(serve: Serve) -> None:
    server = serve(AUTO)
    with smtplib.SMTP(server.host, server.port) as client:
        client.starttls(context=trusting())
        client.login("user", "secret")
        client.sendmail("s@example.com", ["r@example.com"], b"Subject: x\r\n\r\nx\r\n")
    [record] = server.records()
    assert record["authentication"]["username"] == "user"
    assert record["session"]["tls"]["version"] == "TLSv1.3"


def test_smtplib_with_implicit_tls(serve: Serve) -> None:
    server = serve(IMPLICIT)
    with smtplib.SMTP_SSL(server.host, server.port, context=trusting()) as client:
        client.sendmail("s@example.com", ["r@example.com"], b"Subject: x\r\n\r\nx\r\n")
    assert len(server.records()) == 1


def run(command: list[str], octets: bytes = b"") -> str:
    ended = subprocess.run(command, input=octets, capture_output=True, check=False, timeout=PATIENCE_S)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.decode()


TRANSCRIPT = (
    b"EHLO x\r\nMAIL FROM:<s@example.com>\r\nRCPT TO:<r@example.com>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"
)


@pytest.mark.parametrize("settings", [AUTO, IMPLICIT], ids=["starttls", "implicit"])
def test_openssl_s_client(serve: Serve, settings: dict[str, Any]) -> None:
    server = serve(settings)
    command = ["openssl", "s_client", "-quiet", "-ign_eof", "-connect", f"{server.host}:{server.port}"]
    if settings is AUTO:
        command += ["-starttls", "smtp"]
    shown = run(command, TRANSCRIPT)
    assert "250 2.0.0 Message accepted" in shown
    assert "221 2.0.0 Bye" in shown
    [record] = server.records()
    assert record["session"]["tls"]["version"] == "TLSv1.3"


def test_both_versions(serve: Serve) -> None:
    server = serve(AUTO)
    command = ["openssl", "s_client", "-quiet", "-ign_eof", "-connect", f"{server.host}:{server.port}"]
    for version in ("-tls1_2", "-tls1_3"):
        run([*command, "-starttls", "smtp", version], TRANSCRIPT)
    assert [record["session"]["tls"]["version"] for record in server.records()] == ["TLSv1.2", "TLSv1.3"]


def test_php_stream_socket_enable_crypto(serve: Serve) -> None:
    server = serve(AUTO)
    assert run(["php", str(TESTS / "clients" / "enable_crypto.php"), server.host, str(server.port)]) == "sent\n"
    [record] = server.records()
    assert record["message"]["subject"] == "crypto"
    assert record["session"]["tls"]["version"] == "TLSv1.3"
