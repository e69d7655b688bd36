"""The same mail by clients that we did not write, shown right by the embedded default and by PHP workers."""

from __future__ import annotations

import base64
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from commands import run
from servers import TESTS, Serve, Server

pytestmark = pytest.mark.one_python

CLIENTS = TESTS / "clients"
SUBJECT = "Grüße aus Köln"
TEXT = "Schöne Grüße,\nZoë\n"
CSV_NAME = "Übersicht für März.csv"
CSV = b"a;b\n1;2\n"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\1\2\3" * 1000

Send = Callable[[Server, Path], None]


def by_phpmailer(server: Server, _directory: Path) -> None:
    run(["php", str(CLIENTS / "phpmailer.php"), server.host, str(server.port)])


def by_symfony(server: Server, _directory: Path) -> None:
    run(["php", str(CLIENTS / "symfony_mailer.php"), server.host, str(server.port)])


def by_smtplib(server: Server, _directory: Path) -> None:
    message = EmailMessage()
    message["From"] = "Zoë Müller <zoe@example.com>"
    message["To"] = "Bob <bob@example.com>, carol@example.com"
    message["Subject"] = SUBJECT
    message.set_content(TEXT)
    message.add_attachment(CSV, maintype="text", subtype="csv", filename=CSV_NAME)
    message.add_attachment(PNG, maintype="image", subtype="png", filename="pixel.png")
    with smtplib.SMTP(server.host, server.port, "client.example.com") as client:
        client.ehlo()
        client.user, client.password = "user", "secret"  # smtplib takes no others
        client.auth("LOGIN", lambda challenge=None: client.auth_login(challenge))
        client.send_message(message)


def by_swaks(server: Server, directory: Path) -> None:
    (directory / CSV_NAME).write_bytes(CSV)
    (directory / "pixel.png").write_bytes(PNG)
    command = ["swaks", "--server", server.host, "--port", str(server.port), "--helo", "client.example.com"]
    command += ["--from", "zoe@example.com", "--to", "bob@example.com,carol@example.com"]
    command += ["--auth", "LOGIN", "--auth-user", "jürgen", "--auth-password", "gehëim"]
    encoded = base64.b64encode(SUBJECT.encode()).decode()
    command += ["--header", f"Subject: =?utf-8?B?{encoded}?="]
    command += ["--header", "To: Bob <bob@example.com>, carol@example.com"]
    command += ["--header", "From: =?utf-8?Q?Zo=C3=AB_M=C3=BCller?= <zoe@example.com>"]
    command += ["--attach-type", "text/plain; charset=utf-8", "--attach-body", TEXT]
    command += ["--attach-type", "text/csv", "--attach-name", CSV_NAME, "--attach", f"@{directory / CSV_NAME}"]
    command += ["--attach-type", "image/png", "--attach-name", "pixel.png", "--attach", f"@{directory / 'pixel.png'}"]
    run(command)


SENDERS: dict[Send, tuple[str, str, str]] = {
    by_smtplib: ("LOGIN", "user", "secret"),
    by_swaks: ("LOGIN", "jürgen", "gehëim"),
    by_phpmailer: ("LOGIN", "jürgen", "gehëim"),
    by_symfony: ("LOGIN", "Jürgen", "gehëim"),
}


def check_credentials(captured: dict[str, Any], mechanism: str, username: str, password: str) -> None:
    assert captured == {"attempted": True, "mechanism": mechanism, "username": username, "password": password}


@pytest.mark.parametrize("send", SENDERS)
def test_php_worker_gets_it_right(serve: Serve, tmp_path: Path, send: Send) -> None:
    server = serve()
    send(server, tmp_path)
    [context] = server.records()
    message = context["message"]
    assert context["envelope"]["from"] == "zoe@example.com"
    assert context["envelope"]["to"] == ["bob@example.com", "carol@example.com"]
    check_credentials(context["authentication"], *SENDERS[send])
    assert message["subject"] == SUBJECT
    assert message["from"] == [{"name": "Zoë Müller", "address": "zoe@example.com"}]
    assert message["to"] == [
        {"name": "Bob", "address": "bob@example.com"},
        {"name": "", "address": "carol@example.com"},
    ]
    assert message["text"].replace("\r\n", "\n").rstrip("\n") == TEXT.rstrip("\n")
    assert message["defects"] == []
    found = [
        (item["filename"], item["content_type"], item["size"], base64.b64decode(item["content"]))
        for item in context["attachments"]
    ]
    assert found == [(CSV_NAME, "text/csv", len(CSV), CSV), ("pixel.png", "image/png", len(PNG), PNG)]


@pytest.mark.parametrize("send", SENDERS)
def test_embedded_default_shows_it(serve: Serve, tmp_path: Path, send: Send) -> None:
    server = serve(worker=None)
    send(server, tmp_path)
    server.wait_for(lambda: any("pixel.png" in line for line in server.printed))
    shown = "\n".join(server.printed)
    wanted = [SUBJECT, "Zoë Müller <zoe@example.com>", "Bob <bob@example.com>, carol@example.com", CSV_NAME, "Zoë"]
    assert [part for part in wanted if part not in shown] == []
