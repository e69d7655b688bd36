"""Behind Debian's HAProxy and nginx: who the client is, where they are believed and where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from biotls import TLSClient
from proxyheaders import v2
from proxyservers import Client, haproxy, nginx
from servers import Serve, Server
from wire import Wire, logged, wait_for_log

DELIVERED = ["220", "250", "250", "250", "354", "250", "221"]
BELIEVED: dict[str, Any] = {"proxy_protocol": ["127.0.0.0/30", "::1"]}
IMPLICIT: dict[str, Any] = {"tls": {"cert": "auto", "mode": "implicit"}}


def address(server: Server) -> str:
    return server.listeners["default"][0]


def the_record(server: Server) -> dict[str, Any]:
    [record] = server.records()
    return record


def versions(record: dict[str, Any]) -> tuple[object, ...]:
    header = record["session"]["proxy"]["header"]
    return header["version"], header["source"], header["destination"]


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"])
def test_haproxy(serve: Serve, tmp_path: Path, options: str) -> None:
    server = serve({"smtp": BELIEVED})
    with haproxy(tmp_path, address(server), options) as port:
        client = Client(port)
        assert client.deliver() == DELIVERED
    record = the_record(server)
    version = 1 if options == "send-proxy" else 2
    assert record["remote_addr"] == client.address
    assert versions(record) == (version, client.address, f"127.0.0.1:{port}")
    assert record["session"]["proxy"]["believed"]
    assert record["session"]["violations"] == []
    [line] = wait_for_log(server, "client of a proxy")
    assert f"peer={client.address} " in line
    assert line.endswith(f"proxy={record['session']['proxy']['remote_addr']}")


def test_haproxy_with_a_unique_id(serve: Serve, tmp_path: Path) -> None:
    server = serve({"smtp": BELIEVED})
    with haproxy(tmp_path, address(server), "send-proxy-v2 proxy-v2-options crc32c,unique-id") as port:
        assert Client(port).deliver() == DELIVERED
    assert the_record(server)["session"]["proxy"]["header"]["fields"]["unique_id"].startswith("id-")


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2"])
def test_haproxy_before_tls(serve: Serve, tmp_path: Path, options: str) -> None:
    server = serve({"smtp": {**BELIEVED, **IMPLICIT}})
    with haproxy(tmp_path, address(server), options) as port:
        client = Client(port, tls=True)
        assert client.deliver() == DELIVERED
    record = the_record(server)
    assert (record["remote_addr"], record["session"]["tls"]["version"]) == (client.address, "TLSv1.3")


def test_haproxy_that_does_tls_with_the_server(serve: Serve, tmp_path: Path) -> None:
    """It sends the header before its own handshake."""
    server = serve({"smtp": {**BELIEVED, **IMPLICIT}})
    with haproxy(tmp_path, address(server), "send-proxy-v2 ssl verify none") as port:
        client = Client(port)
        assert client.deliver() == DELIVERED
    record = the_record(server)
    assert (record["remote_addr"], record["session"]["tls"]["version"]) == (client.address, "TLSv1.3")


def test_haproxy_before_starttls(serve: Serve, tmp_path: Path) -> None:
    server = serve({"smtp": {**BELIEVED, "tls": {"cert": "auto"}}})
    with haproxy(tmp_path, address(server), "send-proxy") as port:
        client = Client(port)
        assert [client.ask(line)[:3] for line in ("", "EHLO x", "STARTTLS")] == ["220", "250", "220"]
        client.start_tls()
        assert client.deliver(greeted=True) == DELIVERED[1:]
    record = the_record(server)
    assert (record["remote_addr"], record["session"]["tls"]["version"]) == (client.address, "TLSv1.3")


def test_health_checks_of_haproxy(serve: Serve, tmp_path: Path) -> None:
    """They bring a header without a client, and end without a mail."""
    server = serve({"smtp": BELIEVED})
    options = "send-proxy-v2 check inter 100ms"
    with haproxy(tmp_path, address(server), options) as port:
        wait_for_log(server, "connection closed")
        assert Client(port).deliver() == DELIVERED
    assert logged(server, "violation") == []


def test_haproxy_that_is_not_believed(serve: Serve, tmp_path: Path) -> None:
    server = serve({"smtp": {"proxy_protocol": ["192.0.2.0/24"]}})
    with haproxy(tmp_path, address(server), "send-proxy") as port:
        client = Client(port)
        assert client.deliver() == DELIVERED
    record = the_record(server)
    proxy = record["session"]["proxy"]
    assert (record["remote_addr"], proxy["believed"], proxy["header"]["source"]) == (
        proxy["remote_addr"],
        False,
        client.address,
    )
    assert record["session"]["violations"] == [
        {"code": "untrusted-proxy", "detail": f"PROXY {client.address}", "count": 1}
    ]


def test_nginx_believed(serve: Serve, tmp_path: Path) -> None:
    server = serve({"smtp": BELIEVED})
    with nginx(tmp_path, address(server)) as port:
        client = Client(port)
        assert client.deliver("AUTH PLAIN AGFubgBzZWNyZXQ=") == ["220", "250", "235", *DELIVERED[2:]]
    record = the_record(server)
    assert record["remote_addr"] == "127.0.0.5:0"
    assert record["session"]["proxy"]["xclient"] == {"ADDR": "127.0.0.5", "LOGIN": "ann", "NAME": "[UNAVAILABLE]"}
    assert record["envelope"]["helo"] == "client.test"
    assert record["authentication"] == {"attempted": True, "mechanism": "XCLIENT", "username": "ann", "password": None}
    assert record["session"]["violations"] == []


def test_nginx_that_is_not_believed(serve: Serve, tmp_path: Path) -> None:
    """It sends XCLIENT unasked, and its client gets 451 when that is refused."""
    server = serve()
    with nginx(tmp_path, address(server)) as port:
        assert Client(port).deliver() == DELIVERED
    record = the_record(server)
    assert record["remote_addr"] == record["session"]["proxy"]["remote_addr"]
    assert [item["code"] for item in record["session"]["violations"]] == ["untrusted-proxy"]


def test_nginx_logs_in_for_its_client_and_sends_a_header(serve: Serve, tmp_path: Path) -> None:
    server = serve({"smtp": BELIEVED})
    with nginx(tmp_path, address(server), "proxy_smtp_auth on; proxy_protocol on;") as port:
        client = Client(port)
        assert client.deliver("AUTH PLAIN AGFubgBzZWNyZXQ=") == ["220", "250", "235", *DELIVERED[2:]]
    record = the_record(server)
    assert versions(record) == (1, client.address, f"127.0.0.1:{port}")
    assert record["authentication"] == {
        "attempted": True,
        "mechanism": "PLAIN",
        "username": "ann",
        "password": "secret",
    }


# Without a real proxy: what these do not do


HEADER = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 465\r\n"


@pytest.mark.parametrize(
    "octets", [HEADER, v2(0x21, 0x11, b"\xcb\0\x71\7\xc0\0\2\1\x12\x67\1\xd1", checksum=True)], ids=["v1", "v2"]
)
def test_a_header_in_pieces_with_the_handshake_behind_it(serve: Serve, octets: bytes) -> None:
    """The last octets of the header and the first of the handshake come in one read."""
    server = serve({"smtp": {**BELIEVED, **IMPLICIT}})
    with Wire(server, greeted=False) as wire:
        for octet in octets[:-3]:
            wire.send(bytes([octet]))
        client = TLSClient(wire.socket, ahead=octets[-3:])
        assert client.read_until(b"\r\n").startswith(b"220 ")
        client.send(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
        client.read_until(b"<CR><LF>.<CR><LF>\r\n")
        client.send(b"Subject: x\r\n\r\n.\r\n")
        assert client.read_until(b"\r\n").startswith(b"250 ")
    assert the_record(server)["remote_addr"] == "203.0.113.7:4711"


@pytest.mark.parametrize("header", [b"", HEADER], ids=["without a header", "with a header"])
def test_what_comes_with_the_end_of_the_handshake(serve: Serve, header: bytes) -> None:
    server = serve({"smtp": {**BELIEVED, **IMPLICIT}})
    with Wire(server, greeted=False) as wire:
        client = TLSClient(wire.socket, ahead=header, behind=b"NOOP\r\nQUIT\r\n")
        assert client.read_until(b"Bye\r\n").endswith(b"fastsmtp\r\n250 2.0.0 OK\r\n221 2.0.0 Bye\r\n")


def test_a_proxy_may_come_without_a_header(serve: Serve) -> None:
    server = serve({"smtp": {**BELIEVED, **IMPLICIT}})
    with Wire(server, tls=True) as wire:
        wire.begin()
        assert wire.ask(b"Subject: x\r\n\r\n.\r\n").startswith(b"250 ")
    assert "proxy" not in the_record(server)["session"]


def test_a_header_before_tls_of_no_proxy(serve: Serve) -> None:
    server = serve({"smtp": {**IMPLICIT, "proxy_protocol": ["192.0.2.1"]}})
    with Wire(server, tls=True) as wire:
        wire.begin()
        assert wire.ask(b"Subject: x\r\n\r\n.\r\n").startswith(b"250 ")
    with Wire(server, greeted=False) as wire:
        client = TLSClient(wire.socket, ahead=HEADER, behind=b"QUIT\r\n")
        assert client.read_until(b"Bye\r\n").endswith(b"fastsmtp\r\n221 2.0.0 Bye\r\n")
    [line] = wait_for_log(server, "violation")
    assert line.endswith('code=untrusted-proxy  detail="PROXY 203.0.113.7:4711"  count=1')


def test_neither_header_nor_handshake(serve: Serve) -> None:
    server = serve({"smtp": {**IMPLICIT, **BELIEVED}})
    with Wire(server, greeted=False) as wire:
        wire.send(b"EHLO in the clear\r\n")
        wait_for_log(server, "TLS handshake failed")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_malformed_header(serve: Serve, tls: bool) -> None:
    server = serve({"smtp": {**BELIEVED, **(IMPLICIT if tls else {})}})
    with Wire(server, greeted=not tls) as wire:
        wire.send(b"PROXY nonsense\r\n")
        assert wire.reply() == (b"" if tls else b"421 4.7.0 Malformed PROXY header\r\n")
        assert wire.reply() == b""
    wait_for_log(server, "malformed PROXY header" if tls else "malformed-proxy-header")


def test_a_header_that_does_not_come(serve: Serve) -> None:
    server = serve({"smtp": {**BELIEVED, **IMPLICIT, "read_timeout": "1s"}})
    with Wire(server, greeted=False) as wire:
        wire.send(HEADER[:7])
        assert wire.reply() == b""
    wait_for_log(server, "read timeout")


def test_the_server_stops_while_headers_are_awaited(serve: Serve) -> None:
    server = serve({"smtp": {**BELIEVED, **IMPLICIT}})
    with Wire(server, greeted=False) as waits, Wire(server, greeted=False) as shakes:
        waits.send(HEADER[:7])
        shakes.send(HEADER + b"\x16\x03\x01")
        with Wire(server, tls=True):  # the others have been accepted before
            pass
        assert server.stop() == 0


def test_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "smtp.sock"
    servers = {"local": {"addr": f"unix:{path}"}}
    server = serve({"smtp": {"addr": "127.0.0.1:0", "servers": servers, "proxy_protocol": ["unix:"]}})
    with Wire(server, "local", greeted=False) as wire:
        wire.send(HEADER)
        assert wire.reply().startswith(b"220 ")
        wire.begin()
        assert wire.ask(b"Subject: x\r\n\r\n.\r\n").startswith(b"250 ")
    record = the_record(server)
    assert (record["remote_addr"], record["session"]["proxy"]["remote_addr"]) == ("203.0.113.7:4711", "unix")


def test_several_processes(serve: Serve, tmp_path: Path) -> None:
    server = serve({"smtp": {**BELIEVED, "processes": 2, "pool": {"num_workers": 2}}})
    with haproxy(tmp_path, address(server), "send-proxy") as port:
        clients = [Client(port) for _ in range(4)]
        assert [client.deliver() for client in clients] == [DELIVERED] * 4
    assert {record["remote_addr"] for record in server.records()} == {client.address for client in clients}
