"""Debian's HAProxy and nginx in front of a server. They get listening sockets, so that nothing has to be waited for."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from wire import trusting

HAPROXY = """
global
    maxconn 2000  # HAProxy refuses descriptors above twice as many, and that of the test may be a high one
defaults
    mode tcp
    timeout connect 60s
    timeout client 60s
    timeout server 60s
frontend smtp
    bind fd@{fd}
    unique-id-format id-%pid
    default_backend fastsmtp
backend fastsmtp
    server one {address} {options}
"""
NGINX = """
daemon off;
user root;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log info;
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
events {{ worker_connections 64; }}
http {{
    access_log off;
    server {{
        listen unix:{directory}/auth.sock;
        location / {{
            add_header Auth-Status OK;
            add_header Auth-Server {host};
            add_header Auth-Port {port};
            return 204;
        }}
    }}
}}
mail {{
    server_name nginx.test;
    auth_http http://unix:{directory}/auth.sock:/auth;
    server {{
        listen 127.0.0.1:{listen};
        protocol smtp;
        smtp_auth plain none;
        {options}
    }}
}}
"""


class Client:
    """A client that connects from an address of its own, 127.0.0.5: to tell it from the proxy."""

    def __init__(self, port: int, *, tls: bool = False) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 60, source_address=("127.0.0.5", 0))
        host, number = self._socket.getsockname()
        self.address = f"{host}:{number}"
        self._file = self._socket.makefile("rb")
        if tls:
            self.start_tls()

    def start_tls(self) -> None:
        self._socket = trusting().wrap_socket(self._socket)
        self._file = self._socket.makefile("rb")

    def ask(self, line: str = "") -> str:
        """Send a line, where there is one, and return the reply to it."""
        if line:
            self._socket.sendall(line.encode() + b"\r\n")
        reply = ""
        while True:
            line = self._file.readline().decode()
            reply += line
            if line[3:4] != "-":
                return reply

    def deliver(self, *before: str, greeted: bool = False) -> list[str]:
        """A mail, from the greeting to QUIT, with these commands behind EHLO; the codes of all replies."""
        lines = [
            *([] if greeted else [""]),
            "EHLO client.test",
            *before,
            "MAIL FROM:<a@b>",
            "RCPT TO:<c@d>",
            "DATA",
            "Subject: x\r\n\r\ny\r\n.",
            "QUIT",
        ]
        try:
            return [self.ask(line)[:3] for line in lines]
        finally:
            self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@contextlib.contextmanager
def haproxy(directory: Path, address: str, options: str) -> Iterator[int]:
    """Run HAProxy in front of this address, and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        file = directory / "haproxy.cfg"
        file.write_text(HAPROXY.format(fd=listener.fileno(), address=address, options=options))
        with _running(["haproxy", "-db", "-f", str(file)], listener, directory):
            yield listener.getsockname()[1]


@contextlib.contextmanager
def nginx(directory: Path, address: str, options: str = "") -> Iterator[int]:
    """Run nginx in front of this address, and yield its port."""
    host, _, port = address.rpartition(":")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listen = listener.getsockname()[1]
        file = directory / "nginx.conf"
        file.write_text(NGINX.format(directory=directory, host=host, port=port, listen=listen, options=options))
        with _running(["nginx", "-e", str(directory / "nginx.log"), "-c", str(file)], listener, directory):
            yield listen


@contextlib.contextmanager
def _running(command: list[str], listener: socket.socket, directory: Path) -> Iterator[None]:
    descriptor = listener.fileno()
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin", "NGINX": f"{descriptor};"}
    with (directory / "proxy.out").open("wb") as output:
        process = subprocess.Popen(
            command, pass_fds=[descriptor], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield
            assert process.poll() is None, (process.returncode, (directory / "proxy.out").read_text())
        finally:
            process.terminate()
            process.wait(60)
