"""What is told of a handshake that does not come to its end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator

import pytest
from destinations import Shelf
from listenings import LogLines, make_listening
from transports import Transport

from fastsmtp.server.clienttimeouts import ClientTimeouts
from fastsmtp.server.connectionlog import ConnectionLog
from fastsmtp.server.flowcontrol import FlowControl
from fastsmtp.server.protocol import SMTPProtocol
from fastsmtp.server.proxies import Proxies
from fastsmtp.server.tlshandshake import TLSHandshake

WHO = {"peer": "192.0.2.1:4321", "connection": "an-id"}


class Shaking:
    """A handshake over a transport without a socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, implicit: bool, proxied: bool = False) -> None:
        self.lines: LogLines = []
        self.plain = Transport()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        proxies = Proxies(["192.0.2.1"] if proxied else [])
        quiet = make_listening([], Shelf())
        listening = make_listening(self.lines, Shelf(), tls=tls, implicit_tls=implicit, proxies=proxies)
        log = ConnectionLog(listening)
        log.uuid, log.peer = "an-id", "192.0.2.1:4321"
        protocol = SMTPProtocol(quiet, loop)
        protocol.connection_made(Transport())
        self.handshake = TLSHandshake(protocol, listening, loop, log, FlowControl(), ClientTimeouts(60.0, 10.0))
        self.transport = self.handshake.begin(self.plain)

    def send(self, octets: bytes) -> None:
        """The client begins."""
        tls = self.plain.protocol
        assert isinstance(tls, asyncio.BufferedProtocol)
        tls.get_buffer(-1)[: len(octets)] = octets
        tls.buffer_updated(len(octets))


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize(
    ("implicit", "octets", "level"),
    [(True, b"", "debug"), (True, b"\x16", "warning"), (False, b"", "warning")],
    ids=["a probe", "a client", "after STARTTLS"],
)
def test_failure(loop: asyncio.AbstractEventLoop, implicit: bool, octets: bytes, level: str) -> None:
    shaking = Shaking(loop, implicit=implicit)
    if octets:
        shaking.send(octets)
    shaking.handshake.lose(None)
    assert shaking.lines == [{"level": level, "event": "TLS handshake failed", **WHO, "error": "the client is gone"}]
    assert (shaking.plain.closed, shaking.handshake.under_way) == ("", False)


def test_a_handshake_that_takes_too_long_is_cut(loop: asyncio.AbstractEventLoop) -> None:
    shaking = Shaking(loop, implicit=False)
    shaking.handshake.time_out()
    assert shaking.lines == [{"level": "warning", "event": "TLS handshake failed", **WHO, "error": "it took too long"}]
    assert shaking.plain.closed == "aborted"


def test_a_header_that_does_not_come_is_cut(loop: asyncio.AbstractEventLoop) -> None:
    shaking = Shaking(loop, implicit=True, proxied=True)
    shaking.handshake.time_out()
    assert shaking.lines == [{"level": "warning", "event": "read timeout", **WHO}]
    assert shaking.plain.closed == "aborted"


def test_its_transport_takes_the_place_of_the_plain_one(loop: asyncio.AbstractEventLoop) -> None:
    shaking = Shaking(loop, implicit=False)
    assert shaking.plain.protocol is shaking.transport
    assert shaking.transport.get_extra_info("peername") == ("192.0.2.1", 4321)
