"""TLS of a connection: it stands between the loop's transport and the protocol, to which it is the transport.

Why it is not the loop's: neither asyncio nor uvloop sends the alert of a handshake that fails ("the implementation
SHOULD send an appropriate fatal alert", RFC 8446 section 6.2; RFC 5246 section 7.2.2), so that a client of old protocol
versions sees a connection that is closed, and no more. Both limit handshakes by timers of their own, which charge the
client for a process that stood still. And each connection of uvloop has a buffer of 256 KB, where ours have the one of
the process: octets go through it twice, encrypted from the socket to OpenSSL, and back in the clear.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from fastsmtp.smtp.proxyheader import ProxyHeader, ProxyHeaderReader
from fastsmtp.system.patience import Timeout

# How long a client may take to close after our close_notify or our alert. Nothing is lost with one that does not.
TLS_SHUTDOWN_S: Final = 2.0

_HEADER: Final = 0  # a PROXY header may come first
_SHAKING: Final = 1
_OPEN: Final = 2
_ENDING: Final = 3  # our last octets are written; the end of the client's is awaited
_BROKEN: Final = 4  # as _ENDING, but the client's octets can no longer be read
_ENDED: Final = 5

# Whether OpenSSL has more octets in the clear
_MORE: Final = 0
_NO_MORE: Final = 1
_CLOSED: Final = 2  # the client has sent close_notify
_FAULTY: Final = 3


class HandshakeTold(Protocol):
    """What is told how the handshake goes."""

    def on_proxy_header(self, header: ProxyHeader) -> None:
        """There is one before the handshake."""

    def on_malformed_header(self, octets: bytes) -> None:
        """There is one, and it does not say anything: the connection is cut."""

    def on_tls(self) -> None:
        """The handshake is done."""

    def on_tls_failure(self, error: Exception) -> None:
        """The handshake failed, which the client is told; `connection_lost` follows."""


class Encrypted(Protocol):
    """The protocol whose octets are encrypted; its methods are those of `asyncio.BufferedProtocol`."""

    def get_buffer(self, sizehint: int) -> memoryview: ...
    def buffer_updated(self, nbytes: int) -> None: ...
    def eof_received(self) -> bool: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class TLSTransport(asyncio.BufferedProtocol):
    """The server's side of TLS over `plain`, from the first octet of the handshake on, or from a PROXY header on."""

    __slots__ = (
        "_handshake",
        "_incoming",
        "_loop",
        "_outgoing",
        "_paused",
        "_peer_ended",
        "_plain",
        "_protocol",
        "_reader",
        "_state",
        "_timeout",
        "_tls",
        "silent",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        plain: asyncio.Transport,
        protocol: Encrypted,
        handshake: HandshakeTold,
        context: ssl.SSLContext,
        *,
        proxied: bool = False,
    ) -> None:
        """Take the place of `protocol` at `plain`. If `proxied`, a PROXY header may come before the handshake."""
        self._loop = loop
        self._plain = plain
        self._protocol = protocol
        self._handshake = handshake
        self._reader: ProxyHeaderReader | None = ProxyHeaderReader() if proxied else None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._state = _HEADER if proxied else _SHAKING
        self._paused = False
        self._peer_ended = False  # its end was told to the protocol
        self._timeout: Timeout | None = None
        self.silent = True  # no octet has come
        plain.set_protocol(self)

    # What the loop calls

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop reads to."""
        return self._protocol.get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        """So many encrypted octets were read."""
        self.silent = False
        octets = self._protocol.get_buffer(nbytes)[:nbytes]
        if self._state == _HEADER:
            self._read_header(bytearray(octets))
        elif self._state != _BROKEN:
            self._incoming.write(octets)
        self._go_on()

    def eof_received(self) -> bool:
        """The client sends nothing more, and has not said so: whatever came whole still gets its answer."""
        if self._state != _OPEN:
            return False
        if self._peer_ended:
            return True
        self._peer_ended = True
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._state = _ENDED
        if self._timeout is not None:
            self._timeout.cancel()
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._protocol.resume_writing()

    # What the protocol calls, as of an `asyncio.Transport`

    @property
    def awaits_header(self) -> bool:
        """Whether the handshake cannot begin yet."""
        return self._state == _HEADER

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What `plain` says; `ssl_object` and `cipher` are ours."""
        if name == "ssl_object":
            return self._tls
        if name == "cipher":
            return self._tls.cipher()
        return self._plain.get_extra_info(name, default)

    def write(self, octets: bytes) -> None:
        """Encrypt and send."""
        if self._state == _OPEN and octets:
            self._tls.write(octets)  # all of it: memory is always writable
            self._flush()

    def pause_reading(self) -> None:
        """Deliver nothing, and read nothing."""
        self._paused = True
        if not self._plain.is_closing():
            self._plain.pause_reading()

    def resume_reading(self) -> None:
        """Deliver what was read, and read on."""
        self._paused = False
        if not self._plain.is_closing():
            self._plain.resume_reading()
            self._loop.call_soon(self._go_on)

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._state >= _ENDING or self._plain.is_closing()

    def get_write_buffer_size(self) -> int:
        """Encrypted octets that the kernel has not taken yet."""
        return self._plain.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Limit them."""
        self._plain.set_write_buffer_limits(high, low)

    def close(self) -> None:
        """Send what is to be sent and our close_notify, and wait a moment for the client's (RFC 5246 section 7.2.1)."""
        if self._state < _OPEN:
            self.abort()
        if self._state != _OPEN:
            return
        self._state = _ENDING
        try:
            self._tls.unwrap()
        except ssl.SSLError:  # theirs is missing, or octets are before it
            self._await_end()
        else:
            self._flush()
            self._plain.close()

    def abort(self) -> None:
        """Cut the connection."""
        self._state = _ENDED
        self._plain.abort()

    # In between

    def _go_on(self) -> None:
        """Do what can be done with the octets that have come."""
        if self._state == _SHAKING:
            self._shake_hands()
        if self._state == _OPEN:
            self._deliver()
        elif self._state == _ENDING:
            self._drop()

    def _read_header(self, octets: bytearray) -> None:
        reader = self._reader
        assert reader is not None
        used = reader.feed(octets, 0, len(octets))  # QUIRK: in the slice, mypyc would call it twice
        rest = octets[used:]
        if reader.malformed:
            self._handshake.on_malformed_header(bytes(reader.octets))
            self.abort()
        elif reader.decided:
            self._state = _SHAKING
            self._reader = None
            if reader.header is None:
                rest = reader.octets + rest
            else:
                self._handshake.on_proxy_header(reader.header)
            self._incoming.write(rest)

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._handshake.on_tls_failure(error)
            self._break_off()
        else:
            self._flush()
            self._state = _OPEN
            self._handshake.on_tls()

    def _deliver(self) -> None:
        """Decrypt, a buffer at a time, until there is nothing more or the protocol wants no more."""
        found = _MORE
        while found == _MORE and not self._paused and self._state == _OPEN:
            view = self._protocol.get_buffer(-1)
            count, found = self._decrypt(view)
            if count:
                self._protocol.buffer_updated(count)
        if self._state != _OPEN:
            return
        if found == _FAULTY:
            self._break_off()
            self._protocol.eof_received()
        elif found == _CLOSED and not self.eof_received():
            self.close()

    def _decrypt(self, view: memoryview) -> tuple[int, int]:
        """Fill `view`; return how many octets that were, and what comes then."""
        read: Callable[[int, memoryview], int] = cast(Any, self._tls.read)  # it fills what it is given
        incoming = self._incoming
        room, count = len(view), 0
        try:
            while count < room:
                # One record at a time: 16 KB at most.
                got = read(room - count, view[count:])
                if not got:
                    return count, _CLOSED
                count += got
                if count < room and not incoming.pending:  # as an exception it would cost much of a small mail
                    return count, _NO_MORE
        except ssl.SSLWantReadError:
            self._flush()  # the answer to a request for new keys
            return count, _NO_MORE
        except ssl.SSLError:
            return count, _FAULTY
        return count, _MORE

    def _drop(self) -> None:
        """Nothing that the client says now has an effect, but for its close_notify."""
        count, found = 1, _MORE
        while found == _MORE and count:
            count, found = self._decrypt(self._protocol.get_buffer(-1))
        if found != _NO_MORE:
            self._plain.close()

    def _break_off(self) -> None:
        """Send the alert that OpenSSL has made, which says what is wrong, and let the client read it."""
        self._state = _BROKEN
        self._await_end()

    def _await_end(self) -> None:
        """Send what is left, and end at the client's end, or soon: a reset would take from it what it has not read."""
        self._flush()
        if not self._plain.is_closing():
            if self._paused:
                self._plain.resume_reading()
            self._plain.write_eof()
            self._timeout = Timeout(TLS_SHUTDOWN_S, self._plain.abort)

    def _flush(self) -> None:
        if self._outgoing.pending:
            octets = self._outgoing.read()
            if not self._plain.is_closing():
                self._plain.write(octets)
