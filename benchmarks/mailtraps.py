"""Other servers that keep mails for tests, started beside ours: all of them on loopback, with their mails on disk."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping

from serving import Server

_HOST = "127.0.0.1"
_OPENS_S = 20.0


def mailpit(binary: str, directory: str, ports: list[int]) -> tuple[list[str], Mapping[str, str]]:
    """Mailpit 1.x: a database on disk, and nothing asked of other hosts."""
    command = [binary, "--database", f"{directory}/mailpit.db", "--max", "0", "--disable-version-check", "--quiet"]
    listening = ["--smtp", f"{_HOST}:{ports[0]}", "--listen", f"{_HOST}:{ports[1]}", "--smtp-disable-rdns"]
    return [*command, *listening], {}


def inbucket(binary: str, directory: str, ports: list[int]) -> tuple[list[str], Mapping[str, str]]:
    """Inbucket 3: files, and no limit of a mailbox; its page is not there, only its API."""
    return [binary], {
        "INBUCKET_LOGLEVEL": "error",
        "INBUCKET_SMTP_ADDR": f"{_HOST}:{ports[0]}",
        "INBUCKET_SMTP_MAXMESSAGEBYTES": "33554432",
        "INBUCKET_WEB_ADDR": f"{_HOST}:{ports[1]}",
        "INBUCKET_POP3_ADDR": f"{_HOST}:{ports[2]}",
        "INBUCKET_STORAGE_TYPE": "file",
        "INBUCKET_STORAGE_PARAMS": f"path:{directory}",
        "INBUCKET_STORAGE_MAILBOXMSGCAP": "0",
    }


def mailhog(binary: str, directory: str, ports: list[int]) -> tuple[list[str], Mapping[str, str]]:
    """MailHog 1.0: a maildir."""
    command = [binary, "-storage", "maildir", "-maildir-path", directory, "-smtp-bind-addr", f"{_HOST}:{ports[0]}"]
    return [*command, "-api-bind-addr", f"{_HOST}:{ports[1]}", "-ui-bind-addr", f"{_HOST}:{ports[1]}"], {}


MAILTRAPS: dict[str, Callable[[str, str, list[int]], tuple[list[str], Mapping[str, str]]]] = {
    "mailpit": mailpit,
    "inbucket": inbucket,
    "MailHog": mailhog,
}


@contextlib.contextmanager
def mailtrap_serving(name: str, binary: str) -> Iterator[Server]:
    """The server of this name, one of `MAILTRAPS`, and where it takes mails."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        ports = _free_ports(3)
        command, variables = MAILTRAPS[name](binary, directory, ports)
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            command, cwd=directory, env={**os.environ, **variables}, stdout=quiet, stderr=quiet
        ) as process:
            try:
                _until_open(name, ports[0])
                yield Server(process.pid, _HOST, ports[0])
            finally:
                process.terminate()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        return [stack.enter_context(socket.create_server((_HOST, 0))).getsockname()[1] for _ in range(count)]


def _until_open(name: str, port: int) -> None:
    ends = time.monotonic() + _OPENS_S
    while time.monotonic() < ends:
        try:
            socket.create_connection((_HOST, port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"{name} does not listen")
