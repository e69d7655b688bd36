"""What a connection leaves in memory when it is over: nothing that only a collection of garbage would find.

A connection and its parts hold each other. Where they do not part at the end, each closed connection stays in memory
until the next collection, with its descriptor's wrapper and all that was said on it, and that costs the living time.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from destinations import Shelf
from houses import ACCEPTED, BEGIN, GREETING, MAIL
from listenings import make_listening
from planners import FakeLink, listener_plans
from waits import PATIENCE_S, until

from fastsmtp.faults.actions import Action
from fastsmtp.server.listening import Listening
from fastsmtp.server.protocol import SMTPProtocol
from fastsmtp.server.tls import faulty_context
from fastsmtp.smtp.events import Verdict
from fastsmtp.system.timeslices import TimeSlices

BYE = b"221 2.0.0 Bye\r\n"


class Served:
    """A listener with a socket, whose emails wait on a shelf."""

    def __init__(self, listening: Listening, shelf: Shelf, address: tuple[str, int], link: FakeLink) -> None:
        self.listening = listening
        self.shelf = shelf
        self.address = address
        self.link = link

    async def connect(self, tls: ssl.SSLContext | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address, ssl=tls)

    async def begin(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client that may send mail data."""
        reader, writer = await self.connect()
        writer.write(BEGIN)
        await reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        return reader, writer

    async def end(self) -> None:
        """No client is left, and the loop has done what it puts off."""
        await until(lambda: not self.listening.connections)
        for _ in range(3):
            await asyncio.sleep(0)


Scenario = Callable[[Served], Awaitable[None]]


async def _mail(served: Served) -> None:
    reader, writer = await served.begin()
    writer.write(MAIL)
    await until(lambda: served.shelf.waiting)
    served.shelf.decide(Verdict.ACCEPT)
    writer.write(b"QUIT\r\n")
    assert await reader.read() == ACCEPTED + BYE
    writer.close()


async def _left_in_mail_data(served: Served) -> None:
    _reader, writer = await served.begin()
    writer.write(MAIL[:-3])
    writer.close()


async def _left_before_the_verdict(served: Served) -> None:
    _reader, writer = await served.begin()
    writer.write(MAIL)
    await until(lambda: served.shelf.waiting)
    _reset(writer)
    await until(lambda: not served.listening.connections)
    served.shelf.decide(Verdict.ACCEPT)


async def _turned_away(served: Served) -> None:
    reader, writer = await served.connect()
    await reader.readuntil(GREETING)
    late, other = await served.connect()
    assert (await late.read())[:4] == b"421 "
    other.close()
    writer.close()


async def _cut_by_the_server(served: Served) -> None:
    reader, writer = await served.begin()
    for connection in list(served.listening.connections):
        connection.abort()
    assert await reader.read() == b""
    writer.close()


async def _server_stops(served: Served) -> None:
    reader, writer = await served.connect()
    await reader.readuntil(GREETING)
    for connection in list(served.listening.connections):
        connection.shutdown()
    assert (await reader.read())[:4] == b"421 "
    writer.close()


async def _large_header(served: Served) -> None:
    reader, writer = await served.begin()
    writer.write(b"To: " + b"a@b, " * 40_000 + MAIL)
    await until(lambda: served.shelf.waiting)
    served.shelf.decide(Verdict.REFUSED)
    assert (await reader.readline())[:4] == b"451 "
    writer.close()


async def _starttls(served: Served) -> None:
    said = asyncio.get_running_loop().run_in_executor(None, _talk_over_tls, served.address)
    await until(lambda: served.shelf.waiting)
    served.shelf.decide(Verdict.ACCEPT)
    assert (await said).endswith(ACCEPTED + BYE)


def _talk_over_tls(address: tuple[str, int]) -> bytes:
    """A mail behind STARTTLS; what the server says until it ends."""
    with socket.create_connection(address) as plain, plain.makefile("rb") as replies:
        assert replies.readline() == GREETING
        plain.sendall(b"STARTTLS\r\n")
        assert replies.readline()[:4] == b"220 "
        with _trusting().wrap_socket(plain) as encrypted:
            encrypted.sendall(BEGIN + MAIL + b"QUIT\r\n")
            return b"".join(iter(lambda: encrypted.recv(4096), b""))


async def _no_handshake(served: Served) -> None:
    reader, writer = await served.connect()
    await reader.readuntil(GREETING)
    writer.write(b"STARTTLS\r\n")
    assert (await reader.readline())[:4] == b"220 "
    writer.write(b"EHLO x\r\n")
    await reader.read()
    writer.close()


async def _implicit(served: Served) -> None:
    served.listening.implicit_tls = True
    reader, writer = await served.connect(_trusting())
    writer.write(b"QUIT\r\n")
    assert await reader.read() == GREETING + BYE
    writer.close()


async def _implicit_without_handshake(served: Served) -> None:
    served.listening.implicit_tls = True
    _reader, writer = await served.connect()
    await until(lambda: served.listening.connections)
    writer.close()


async def _planned(served: Served, action: Action) -> None:
    """The recipient is what a plan wants to be asked about."""
    served.listening.planner = listener_plans(served.link)
    reader, writer = await served.connect()
    await reader.readuntil(GREETING)
    writer.write(BEGIN)
    await until(lambda: served.link.questions)
    served.link.answer(action)
    _reset(writer)


async def _closed_by_a_plan(served: Served) -> None:
    await _planned(served, Action(close="rst"))


async def _stalled_by_a_plan(served: Served) -> None:
    await _planned(served, Action(stall=3600.0))


async def _dribbled_by_a_plan(served: Served) -> None:
    await _planned(served, Action(rate=1))


def _reset(writer: asyncio.StreamWriter) -> None:
    """The client is gone; one that only sends nothing more would still get its reply."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


SCENARIOS = [
    _mail,
    _left_in_mail_data,
    _left_before_the_verdict,
    _turned_away,
    _cut_by_the_server,
    _server_stops,
    _large_header,
    _starttls,
    _no_handshake,
    _implicit,
    _implicit_without_handshake,
    _closed_by_a_plan,
    _stalled_by_a_plan,
    _dribbled_by_a_plan,
]


async def _run(scenario: Scenario, tls: ssl.SSLContext) -> Served:
    loop = asyncio.get_running_loop()
    lines: list[dict[str, Any]] = []
    shelf = Shelf()
    listening = make_listening(
        lines, shelf, tls=tls, max_connections=1, session={"tls_available": True}, slices=TimeSlices(loop)
    )
    server = await loop.create_server(lambda: SMTPProtocol(listening, loop), "127.0.0.1", 0)
    served = Served(listening, shelf, server.sockets[0].getsockname(), FakeLink("rcpt"))
    try:
        await asyncio.wait_for(scenario(served), PATIENCE_S)
        await served.end()
    finally:
        for connection in list(listening.connections):
            connection.abort()
    shelf.emails.clear()
    assert [line for line in lines if "exc_info" in line] == []
    server.close()
    return served


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[one.__name__[1:].replace("_", " ") for one in SCENARIOS])
@pytest.mark.parametrize("loops", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_nothing_is_left(loops: Callable[[], asyncio.AbstractEventLoop], scenario: Scenario) -> None:
    tls = faulty_context("wrong-name", "mx.test")  # with a key and a certificate of its own
    loop = loops()
    gc.collect()
    gc.disable()
    try:
        served = loop.run_until_complete(_run(scenario, tls))
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = sorted({type(one).__qualname__ for one in gc.garbage if type(one).__module__.startswith("fastsmtp.")})
        del served  # the listener lives on: it is the connections that end
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        loop.close()
    assert left == []
