"""A raw client, and what the server logs."""

from __future__ import annotations

import socket
import ssl
import struct
from types import TracebackType

from ready import readable, writable
from servers import Server
from waits import PATIENCE_S

MAIL = b"Subject: %s\r\n\r\nHello\r\n.\r\n"


def trusting() -> ssl.SSLContext:
    """A client context that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Wire:
    """One connection; `greeting` was read already, unless `greeted` is False."""

    def __init__(
        self, server: Server, name: str = "default", *, tls: bool = False, greeted: bool = True, receive_buffer: int = 0
    ) -> None:
        address = server.listeners[name][0]
        host, _, port = address.rpartition(":")
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        if host == "unix":
            family = socket.AF_UNIX
        self.socket = socket.socket(family)
        self.socket.settimeout(PATIENCE_S)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(port if family == socket.AF_UNIX else (host.strip("[]"), int(port)))
        self._read = bytearray()
        if tls:
            self.start_tls()
        self.greeting = self.reply() if greeted else b""

    def __enter__(self) -> Wire:  # noqa: PYI034  (Self came with 3.11)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def reply(self) -> bytes:
        """The next whole reply; b"" when the server has closed."""
        lines = b""
        while True:
            line = self._line()
            lines += line
            if line[3:4] != b"-":
                return lines

    def _line(self) -> bytes:
        while (end := self._read.find(b"\n") + 1) == 0:
            try:
                octets = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                octets = b""
            if not octets:
                return b""
            self._read += octets
        line = bytes(self._read[:end])
        del self._read[:end]
        return line

    def rest(self) -> bytes:
        """All octets up to the end of the connection; `reset` where there are none, and it was reset."""
        octets = bytes(self._read)
        self._read.clear()
        try:
            while chunk := self.socket.recv(65536):
                octets += chunk
        except ConnectionResetError:
            return octets or b"reset"
        return octets

    def ask(self, octets: bytes) -> bytes:
        self.send(octets)
        return self.reply()

    def begin(self, sender: bytes = b"s@example.com") -> None:
        """Up to the reply to DATA."""
        assert self.ask(b"EHLO client.example.com\r\n").startswith(b"250-")
        self.begin_next(sender)

    def begin_next(self, sender: bytes = b"s@example.com") -> None:
        self.send(b"MAIL FROM:<%s>\r\nRCPT TO:<r@example.com>\r\nDATA\r\n" % sender)
        assert [self.reply()[:3] for _ in range(3)] == [b"250", b"250", b"354"]

    def start_tls(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """The handshake alone."""
        secured = (context or trusting()).wrap_socket(self.socket, server_hostname="localhost")
        self.socket = secured
        return secured

    def reset(self) -> None:
        """Close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def readable(self, seconds: float) -> bool:
        """Whether something, or the end, comes within so many seconds."""
        return readable(self.socket, seconds=seconds)

    def flood(self, octets: bytes, limit: int, quiet_s: float = 0.5) -> int:
        """Send `octets` again and again until nothing is taken for a while or `limit` is reached; how many went."""
        self.socket.setblocking(False)
        sent = 0
        try:
            while sent < limit and writable(self.socket, quiet_s):
                try:
                    sent += self.socket.send(octets)
                except BlockingIOError:
                    continue
                except (ConnectionResetError, BrokenPipeError):
                    break
        finally:
            self.socket.settimeout(PATIENCE_S)
        return sent


def logged(server: Server, text: str) -> list[str]:
    return [line for line in list(server.lines) if text in line]


def wait_for_log(server: Server, text: str, count: int = 1) -> list[str]:
    server.wait_for(lambda: len(logged(server, text)) >= count)
    return logged(server, text)
