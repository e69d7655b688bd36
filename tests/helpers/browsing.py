"""What tests of the page in a browser share: the server behind it, and a server that counts who comes."""

from __future__ import annotations

import http.client
import json
import smtplib
import socketserver
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import urlsplit

from servers import Server


class Mailbox:
    """One namespace of a server, and its address on the page."""

    def __init__(self, server: Server, name: str) -> None:
        self.server: Final = server
        self.name: Final = name
        self.url: Final = f"{server.inbox}/ui/ns/{name}"

    def call(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        """Return the document of an answer, below the namespace."""
        status, _headers, octets = fetch(
            self.server.inbox, f"/api/ns/{self.name}{path}", method, body, {"Content-Type": kind}
        )
        assert status < 300, octets
        return json.loads(octets)

    def put(self, octets: bytes) -> str:
        """File a mail without SMTP; return its uuid."""
        return str(self.call("POST", "/send", octets, "message/rfc822")["uuid"])

    def fill(self, count: int) -> None:
        """File mails with the subjects "mail 0", "mail 1", ..."""
        mails = b"".join(
            b"From a@example.com Thu Jan  1 00:00:00 2026\nFrom: Ann <a@example.com>\nTo: b@example.com\n"
            b"Subject: mail %d\n\nThis is the text.\n\n" % number
            for number in range(count)
        )
        self.call("POST", "/import?format=mbox", mails, "application/mbox")

    def html(self, markup: str, *parts: str) -> str:
        """File a mail with HTML and related parts; return its uuid."""
        related = "".join(f"\r\n--o\r\n{part}" for part in parts)
        return self.put(
            "From: a@example.com\r\nTo: b@example.com\r\nSubject: A mail\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: multipart/related; boundary=o\r\n\r\n--o\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
            f"{markup}{related}\r\n--o--\r\n".encode()
        )

    def smtp(self) -> smtplib.SMTP:
        """Return a client whose mails come here."""
        client = smtplib.SMTP(self.server.host, self.server.port, local_hostname="client.test", timeout=30)
        client.login(self.name, "secret")
        return client

    @property
    def subjects(self) -> list[str]:
        """Subjects of the newest mails."""
        return [mail["subject"] for mail in self.call("GET", "/mails?outcome=any")["mails"]]


def fetch(
    url: str, path: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """Return status, header fields and octets of an answer, whatever it is."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Trap:
    """An HTTP server at another origin: `connections` counts who connects, `paths` is what was asked for."""

    def __init__(self, pages: Mapping[str, str] | None = None) -> None:
        """`pages` are HTML documents by path; anything else is an empty one."""
        self.connections = 0
        self.paths: list[str] = []
        trap = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                trap.paths.append(self.path)
                body = (pages or {}).get(self.path, "").encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                """Nothing."""

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def process_request(self, request: Any, client_address: Any) -> None:
                trap.connections += 1
                super().process_request(request, client_address)

            def handle_error(self, _request: Any, _client_address: Any) -> None:
                """A browser that goes away is no error."""

        self._server = Listener(("127.0.0.1", 0), Handler)
        self.port: Final[int] = self._server.server_address[1]
        self.url: Final = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
