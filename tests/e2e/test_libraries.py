"""A mail with umlauts, HTML, two files, a login and STARTTLS, by the libraries of several languages: all of it arrives.

Those that are too big to be installed for each run are in `test_heavy_clients.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bigmail import CSV, expected, write_certificate, write_message
from commands import run
from servers import TESTS, Serve, Server
from wholemail import whole_mail

pytestmark = pytest.mark.one_python

CLIENTS = TESTS / "clients"

Send = Callable[[Server, Path], None]


def by_script(*command: str) -> Send:
    """A client whose script takes host, port, and the file with the message."""

    def send(server: Server, directory: Path) -> None:
        run([*command, server.host, str(server.port), str(write_message(directory))])

    return send


def by_django(server: Server, directory: Path) -> None:
    certificate = write_certificate(server, directory)
    command = [sys.executable, str(CLIENTS / "django_attachments.py"), server.host, str(server.port)]
    run(command, SSL_CERT_FILE=str(certificate))


SENDERS: dict[str, tuple[Send, dict[str, Any]]] = {
    "aiosmtplib": (by_script(sys.executable, str(CLIENTS / "aiosmtplib_mail.py")), expected("PLAIN")),
    "Django": (
        by_django,
        expected(
            "PLAIN",
            "juergen",  # smtplib, of which Django makes use, takes ASCII only
            "geheim",
            csv=CSV.replace(b"\n", b"\r\n"),
            violations=[("lower-case-verb", "ehlo", 6)],
        ),
    ),
    "Ruby's Net::SMTP": (by_script("ruby", str(CLIENTS / "net_smtp_message.rb")), expected("LOGIN")),
    "Perl's Net::SMTP": (by_script("perl", str(CLIENTS / "net_smtp_message.pl")), expected("PLAIN")),
}


@pytest.mark.parametrize("name", SENDERS)
def test_the_whole_mail_arrives(serve: Serve, tmp_path: Path, name: str) -> None:
    send, payload = SENDERS[name]
    server = serve({"smtp": {"tls": {"cert": "auto"}}})
    send(server, tmp_path)
    assert whole_mail(server) == payload
