"""TLS between a transport and a protocol: handshakes, alerts, the end, back-pressure, and where octets go."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Awaitable, Callable

import pytest
from transports import Transport
from waits import until
from wire import trusting

from fastsmtp.config.settings import ListenerSettings, TLSSettings
from fastsmtp.server.tls import make_contexts, tls_info
from fastsmtp.server.tlstransport import TLS_SHUTDOWN_S, TLSTransport
from fastsmtp.smtp.proxyheader import ProxyHeader
from fastsmtp.system.loop import run

RECORD = 16_384
ROOM = 40_000  # of the buffer: two records and a half
HEADER = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 465\r\n"


@functools.cache
def context() -> ssl.SSLContext:
    settings = TLSSettings(cert="auto")
    made = make_contexts({"a": ListenerSettings(addr=":1", hostname="a.test", tls=settings)})["a"]
    assert made is not None
    return made


class Reader:
    """Keeps what it is told; `wants` says whether it wants to go on after the end of the client's octets."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.read = b""
        self.reads = 0
        self.wants = False
        self.view = memoryview(bytearray(ROOM))
        self.on_read: Callable[[], None] = lambda: None

    def on_proxy_header(self, header: ProxyHeader) -> None:
        self.told.append(f"header {header.source}")

    def on_malformed_header(self, octets: bytes) -> None:
        self.told.append(f"malformed {octets!r}")

    def on_tls(self) -> None:
        self.told.append("open")

    def on_tls_failure(self, error: Exception) -> None:
        assert isinstance(error, ssl.SSLError)
        self.told.append(f"failed {error.reason}")

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.view

    def buffer_updated(self, nbytes: int) -> None:
        self.read += bytes(self.view[:nbytes])
        self.reads += 1
        self.on_read()

    def eof_received(self) -> bool:
        self.told.append("end")
        return self.wants

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(f"lost {exc}")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class Pair:
    """A server's side under test, and OpenSSL as its client, with memory between them."""

    def __init__(self, client: ssl.SSLContext | None = None, *, proxied: bool = False) -> None:
        self.plain = Transport()
        self.reader = Reader()
        loop = asyncio.get_running_loop()
        self.tls = TLSTransport(loop, self.plain, self.reader, self.reader, context(), proxied=proxied)
        assert self.plain.protocol is self.tls
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = (client or trusting()).wrap_bio(self.incoming, self.outgoing)

    def give(self, octets: bytes) -> None:
        """Octets from the client's socket, in reads that fit."""
        while octets:
            view = self.tls.get_buffer(-1)
            count = min(len(view), len(octets))
            view[:count] = octets[:count]
            self.tls.buffer_updated(count)
            octets = octets[count:]

    def exchange(self) -> None:
        """Carry what both sides have written to the other."""
        self.give(self.outgoing.read())
        self.incoming.write(self.plain.take())

    def open(self, ahead: bytes = b"") -> Pair:
        """Do the handshake."""
        while True:
            try:
                self.client.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.give(ahead)
                ahead = b""
                self.exchange()
        self.exchange()
        return self

    def say(self, octets: bytes) -> None:
        self.client.write(octets)
        self.exchange()


def loop_test(work: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """A test in an event loop."""

    @functools.wraps(work)
    def test() -> None:
        run(asyncio.wait_for(work(), 60))

    return test


@loop_test
async def test_both_directions() -> None:
    pair = Pair().open()
    pair.say(b"a" * 100_000)
    assert (pair.reader.told, pair.reader.read) == (["open"], b"a" * 100_000)
    pair.tls.write(b"b" * 50_000)
    pair.exchange()
    assert b"".join(iter(lambda: read_some(pair), b"")) == b"b" * 50_000
    info = tls_info(pair.tls)
    assert (info.version, info.cipher) == ("TLSv1.3", pair.client.cipher()[0])  # type: ignore[index]
    assert pair.tls.get_extra_info("peername") == ("192.0.2.1", 4321)


def read_some(pair: Pair) -> bytes:
    try:
        return pair.client.read(65536)
    except ssl.SSLWantReadError:
        return b""


@loop_test
async def test_octet_by_octet() -> None:
    pair = Pair()
    while pair.reader.told != ["open"]:
        try:
            pair.client.do_handshake()
        except ssl.SSLWantReadError:
            pass
        for octet in pair.outgoing.read():
            pair.give(bytes([octet]))
        pair.incoming.write(pair.plain.take())
    pair.client.write(b"whole")
    for octet in pair.outgoing.read():
        pair.give(bytes([octet]))
    assert (pair.reader.read, pair.reader.reads) == (b"whole", 1)


def only(*, newest: ssl.TLSVersion | None = None, ciphers: str = "") -> ssl.SSLContext:
    client = trusting()
    if ciphers:
        client.set_ciphers(ciphers)
    if newest is not None:
        client.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        client.maximum_version = newest
    return client


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize(
    ("newest", "ciphers", "ours", "alert"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"),
        (ssl.TLSVersion.TLSv1_2, "AES128-SHA", "NO_SHARED_CIPHER", "SSLV3_ALERT_HANDSHAKE_FAILURE"),
    ],
    ids=["version", "cipher"],
)
def test_a_client_is_told_why_its_handshake_fails(newest: ssl.TLSVersion, ciphers: str, ours: str, alert: str) -> None:
    async def work() -> None:
        pair = Pair(only(newest=newest, ciphers=ciphers))
        with pytest.raises(ssl.SSLError) as raised:
            pair.open()
        assert (pair.reader.told, raised.value.reason) == ([f"failed {ours}"], alert)
        assert (pair.plain.ended, pair.plain.closed, pair.tls.is_closing()) == (True, "", True)
        pair.give(b"EHLO x\r\n" * 10_000)  # dropped
        assert not pair.tls.eof_received()  # the loop closes
        pair.tls.connection_lost(None)
        assert pair.reader.told == [f"failed {ours}", "lost None"]

    run(asyncio.wait_for(work(), 60))


@loop_test
async def test_a_client_that_does_not_close_after_an_alert_is_cut() -> None:
    pair = Pair()
    pair.give(b"EHLO in the clear\r\n")
    loop = asyncio.get_running_loop()
    began = loop.time()
    await until(lambda: pair.plain.closed == "aborted")
    assert loop.time() - began >= TLS_SHUTDOWN_S
    assert len(pair.reader.told) == 1


@loop_test
async def test_the_clients_alert_is_the_reason() -> None:
    pair = Pair(ssl.create_default_context())
    pair.client = ssl.create_default_context().wrap_bio(pair.incoming, pair.outgoing, server_hostname="a.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        pair.open()
    pair.exchange()
    assert pair.reader.told in (["failed TLSV1_ALERT_UNKNOWN_CA"], ["open", "end"])  # before our end of the handshake


@loop_test
async def test_close_says_so_and_waits_for_the_client() -> None:
    pair = Pair().open()
    pair.tls.write(b"bye")
    pair.tls.close()
    pair.exchange()
    assert (pair.client.read(10), pair.client.read(10), pair.plain.ended, pair.plain.closed) == (b"bye", b"", True, "")
    pair.say(b"x" * 100_000)  # dropped
    pair.client.unwrap()
    pair.exchange()
    assert (pair.reader.read, pair.reader.told, pair.plain.closed) == (b"", ["open"], "closed")
    pair.tls.connection_lost(None)


@loop_test
async def test_a_client_that_does_not_answer_close_notify_is_cut() -> None:
    pair = Pair().open()
    pair.tls.close()
    pair.tls.close()
    await until(lambda: pair.plain.closed == "aborted")
    pair.tls.write(b"x")  # without effect
    assert pair.reader.told == ["open"]


@pytest.mark.parametrize("notified", [True, False], ids=["close_notify", "end of the stream"])
def test_a_client_that_ends_may_get_its_answer(notified: bool) -> None:
    async def work() -> None:
        pair = Pair().open()
        pair.reader.wants = True
        if notified:
            with pytest.raises(ssl.SSLWantReadError):
                pair.client.unwrap()
            pair.exchange()
        assert pair.tls.eof_received()
        assert (pair.reader.told, pair.tls.is_closing()) == (["open", "end"], False)
        pair.tls.write(b"answer")
        pair.tls.close()
        pair.exchange()
        assert pair.client.read(10) == b"answer"
        if notified:
            assert pair.plain.closed == "closed"
        pair.tls.connection_lost(None)

    run(asyncio.wait_for(work(), 60))


@loop_test
async def test_a_client_that_ends_and_awaits_nothing() -> None:
    pair = Pair().open()
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.exchange()
    assert (pair.reader.told, pair.plain.closed) == (["open", "end"], "closed")


@loop_test
async def test_forged_octets_end_the_connection_with_an_alert() -> None:
    pair = Pair().open()
    pair.client.write(b"good")
    pair.give(pair.outgoing.read() + b"\x17\x03\x03\x00\x20" + b"\0" * 32)
    pair.incoming.write(pair.plain.take())
    with pytest.raises(ssl.SSLError) as raised:
        pair.client.read(1)
    assert raised.value.reason == "SSLV3_ALERT_BAD_RECORD_MAC"
    assert (pair.reader.read, pair.reader.told, pair.tls.is_closing()) == (b"good", ["open", "end"], True)


@loop_test
async def test_nothing_is_delivered_while_the_protocol_waits() -> None:
    pair = Pair().open()
    pair.reader.on_read = pair.tls.pause_reading
    pair.say(b"c" * 100_000)
    assert (len(pair.reader.read), pair.plain.reading) == (2 * RECORD, False)  # the third had not come whole
    while len(pair.reader.read) < 100_000:
        pair.tls.resume_reading()
        await asyncio.sleep(0)
    assert pair.reader.read == b"c" * 100_000


@loop_test
async def test_the_client_ends_while_the_protocol_waits() -> None:
    pair = Pair().open()
    pair.reader.on_read = pair.tls.pause_reading
    pair.client.write(b"d" * ROOM)
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.exchange()
    assert pair.reader.told == ["open"]
    pair.tls.resume_reading()
    await asyncio.sleep(0)
    assert (pair.reader.read, pair.reader.told) == (b"d" * ROOM, ["open", "end"])


@loop_test
async def test_what_is_told_of_writing() -> None:
    pair = Pair().open()
    pair.plain.unwritten = 7
    pair.tls.pause_writing()
    pair.tls.resume_writing()
    pair.tls.set_write_buffer_limits(high=1)
    assert (pair.tls.get_write_buffer_size(), pair.reader.told) == (7, ["open", "pause", "resume"])


@pytest.mark.parametrize(
    ("ahead", "told"),
    [(b"", ["open"]), (HEADER, ["header 203.0.113.7:4711", "open"])],
    ids=["without a header", "with a header"],
)
def test_a_header_may_come_first(ahead: bytes, told: list[str]) -> None:
    async def work() -> None:
        pair = Pair(proxied=True)
        assert (pair.tls.awaits_header, pair.tls.silent) == (True, True)
        pair.open(ahead)
        pair.say(b"e")
        assert (pair.reader.told, pair.reader.read) == (told, b"e")
        assert (pair.tls.awaits_header, pair.tls.silent) == (False, False)

    run(asyncio.wait_for(work(), 60))


@loop_test
async def test_a_header_that_is_none() -> None:
    pair = Pair(proxied=True)
    pair.give(b"PROXY nonsense\r\n")
    assert (pair.reader.told, pair.plain.closed) == (["malformed b'PROXY nonsense\\r\\n'"], "aborted")


@loop_test
async def test_an_end_instead_of_a_handshake() -> None:
    pair = Pair()
    assert not pair.tls.eof_received()
    pair.tls.close()
    assert (pair.reader.told, pair.plain.closed) == ([], "aborted")
