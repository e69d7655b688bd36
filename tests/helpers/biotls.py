"""TLS over a socket octet by octet: what is sent before the handshake, and behind it, goes out in one piece with it."""

from __future__ import annotations

import contextlib
import socket
import ssl

from wire import trusting


class TLSClient:
    """The client's side of a handshake on an open connection, and what is said then."""

    def __init__(self, connection: socket.socket, *, ahead: bytes = b"", behind: bytes = b"", first: int = 0) -> None:
        """`ahead` goes before the first octet of the handshake, `behind` is said in one piece with its last.

        `first` octets are sent alone.
        """
        self._socket = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trusting().wrap_bio(self._incoming, self._outgoing)
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                octets = ahead + self._outgoing.read()
                self._socket.sendall(octets[:first])
                self._socket.sendall(octets[first:])
                ahead, first = b"", 0
                self._incoming.write(self._socket.recv(65536))
        if behind:
            self._tls.write(behind)
        self._socket.sendall(self._outgoing.read())

    def send(self, octets: bytes, *, last: bool = False) -> None:
        """`last`: close_notify comes with them."""
        self._tls.write(octets)
        if last:
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.unwrap()
        self._socket.sendall(self._outgoing.read())

    def read(self) -> bytes:
        """What comes next, b"" at the end."""
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLZeroReturnError:  # after the end of our side, too
                return b""
            except ssl.SSLWantReadError:
                octets = self._socket.recv(65536)
                if not octets:
                    return b""
                self._incoming.write(octets)

    def read_until(self, end: bytes) -> bytes:
        """All up to the octets that end it."""
        found = b""
        while not found.endswith(end):
            octets = self.read()
            assert octets, found
            found += octets
        return found
