"""An address that stays while the server behind it is another one, as it is for clients of a server that restarts."""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import Any, Final
from urllib.parse import urlsplit


class Forwarder:
    """Connections to `url` lead to a server, and end with it."""

    def __init__(self, url: str) -> None:
        """`url` is that of the server."""
        self._target = _place(url)
        forwarder = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                forwarder._forward(self.request)

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, _request: Any, _client_address: Any) -> None:
                """A side that goes away is no error."""

        self._server = Listener(("127.0.0.1", 0), Handler)
        self.url: Final = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def lead_to(self, url: str) -> None:
        """Let connections from now on lead to another server."""
        self._target = _place(url)

    def _forward(self, client: socket.socket) -> None:
        with socket.create_connection(self._target) as server:
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join()


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Send what comes until it ends, and that it ended."""
    try:
        while octets := source.recv(65536):
            target.sendall(octets)
    except OSError:
        pass
    for side in (source, target):
        try:
            side.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is no more
