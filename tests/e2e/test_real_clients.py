"""A mail with text, HTML with an inline image, and an attachment; with a login, over TLS; by every client there is.

None of them is skipped where it is missing: `make test` installs them.
"""

from __future__ import annotations

import base64
import os
import shutil
import smtplib
import tempfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from commands import run
from servers import TESTS, Serve, Server
from wire import trusting

pytestmark = pytest.mark.one_python

CLIENTS = TESTS / "clients"
SUBJECT = "Grüße aus Köln"
TEXT = "Schöne Grüße,\nZoë\n"
HTML = '<p>Schöne Grüße</p><img src="cid:'
CSV_NAME = "Übersicht für März.csv"
CSV = b"a;b\n1;2\n"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\1\2\3" * 1000
NODEMAILER = "7.0.11"


def build_message() -> bytes:
    """For the clients that send what they are given."""
    message = EmailMessage()
    message["From"] = "Zoë Müller <zoe@example.com>"
    message["To"] = "Bob <bob@example.com>, carol@example.com"
    message["Subject"] = SUBJECT
    message.set_content(TEXT)
    message.add_alternative(f'{HTML}pixel@example.com">', subtype="html")
    html = message.get_payload(1)
    assert isinstance(html, EmailMessage)
    html.add_related(
        PNG, maintype="image", subtype="png", cid="<pixel@example.com>", filename="pixel.png", disposition="inline"
    )
    message.add_attachment(CSV, maintype="text", subtype="csv", filename=CSV_NAME)
    return message.as_bytes().replace(b"\n", b"\r\n")


def by_smtplib(server: Server, _directory: Path) -> None:
    with smtplib.SMTP(server.host, server.port, "client.example.com") as client:
        client.starttls(context=trusting())
        client.ehlo()
        client.user, client.password = "user", "secret"  # smtplib takes ASCII only
        client.auth("PLAIN", client.auth_plain)
        client.sendmail("zoe@example.com", ["bob@example.com", "carol@example.com"], build_message())


def by_swaks(server: Server, directory: Path) -> None:
    (directory / "message").write_bytes(build_message())
    command = ["swaks", "--server", server.host, "--port", str(server.port), "--helo", "client.example.com", "--tls"]
    command += ["--from", "zoe@example.com", "--to", "bob@example.com,carol@example.com"]
    command += ["--auth", "PLAIN", "--auth-user", "jürgen", "--auth-password", "gehëim"]
    run([*command, "--data", f"@{directory / 'message'}"])


def by_msmtp(server: Server, _directory: Path) -> None:
    command = ["msmtp", "--file=/dev/null", f"--host={server.host}", f"--port={server.port}"]
    command += ["--domain=client.example.com", "--tls=on", "--tls-starttls=on", "--tls-certcheck=off"]
    command += ["--auth=plain", "--user=jürgen", "--passwordeval=echo gehëim", "--from=zoe@example.com"]
    run([*command, "--", "bob@example.com", "carol@example.com"], octets=build_message().replace(b"\r\n", b"\n"))


def by_curl(server: Server, directory: Path) -> None:
    (directory / "message").write_bytes(build_message())
    command = ["curl", "--silent", "--show-error", "--ssl-reqd", "--insecure", "--max-time", "30"]
    command += [f"smtp://{server.host}:{server.port}/client.example.com", "--upload-file", str(directory / "message")]
    command += ["--mail-from", "zoe@example.com", "--mail-rcpt", "bob@example.com", "--mail-rcpt", "carol@example.com"]
    run([*command, "--user", "jürgen:gehëim", "--login-options", "AUTH=LOGIN"])


def by_s_nail(server: Server, directory: Path) -> None:
    (directory / CSV_NAME).write_bytes(CSV)
    (directory / "pixel.png").write_bytes(PNG)
    variables = ["v15-compat", f"mta=smtp://j%C3%BCrgen:geh%C3%ABim@{server.host}:{server.port}", "smtp-use-starttls"]
    variables += ["tls-verify=ignore", "smtp-auth=login", "from=Zoë Müller <zoe@example.com>", "ttycharset=utf-8"]
    variables += ["hostname=client.example.com", "sendwait", "fullnames"]
    command = ["s-nail", "-:/", *(word for variable in variables for word in ("-S", variable))]
    command += ["-s", SUBJECT, "-a", str(directory / CSV_NAME), "-a", str(directory / "pixel.png")]
    run([*command, "Bob <bob@example.com>", "carol@example.com"], octets=TEXT.encode())


def by_nodemailer(server: Server, _directory: Path) -> None:
    modules = str(nodemailer() / "node_modules")
    run(["node", str(CLIENTS / "nodemailer.js"), server.host, str(server.port)], NODE_PATH=modules)


def by_go(server: Server, directory: Path) -> None:
    (directory / "message").write_bytes(build_message())
    run(["go", "run", str(CLIENTS / "netsmtp.go"), server.host, str(server.port), str(directory / "message")])


def by_phpmailer(server: Server, _directory: Path) -> None:
    run(["php", str(CLIENTS / "phpmailer.php"), server.host, str(server.port), "tls"])


def by_symfony(server: Server, _directory: Path) -> None:
    run(["php", str(CLIENTS / "symfony_mailer.php"), server.host, str(server.port), "tls"])


def nodemailer() -> Path:
    """Where nodemailer is installed; put there the first time."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastsmtp-tests"
    directory = base / f"nodemailer-{NODEMAILER}"
    if not directory.exists():
        base.mkdir(parents=True, exist_ok=True)
        unfinished = tempfile.mkdtemp(dir=base)
        command = ["npm", "install", "--prefix", unfinished, "--no-audit", "--no-fund", "--ignore-scripts"]
        run([*command, f"nodemailer@{NODEMAILER}"])
        try:
            os.rename(unfinished, directory)
        except OSError:  # another run was quicker
            shutil.rmtree(unfinished)
    return directory


class Expected(NamedTuple):
    """What a client is known to do."""

    send: Callable[[Server, Path], None]
    mechanism: str
    username: str = "jürgen"
    password: str = "gehëim"
    html: bool = True  # it can make, or is given, HTML with an inline image
    csv: bytes = CSV  # line ends of text are the client's to choose


SENDERS = {
    "smtplib": Expected(by_smtplib, "PLAIN", "user", "secret"),
    "swaks": Expected(by_swaks, "PLAIN"),
    "msmtp": Expected(by_msmtp, "PLAIN"),
    "curl": Expected(by_curl, "LOGIN"),
    "s-nail": Expected(by_s_nail, "LOGIN", html=False, csv=CSV.replace(b"\n", b"\r\n")),
    "nodemailer": Expected(by_nodemailer, "PLAIN"),
    "go": Expected(by_go, "PLAIN"),
    "phpmailer": Expected(by_phpmailer, "LOGIN"),
    "symfony": Expected(by_symfony, "LOGIN", "Jürgen"),
}


@pytest.mark.parametrize("name", SENDERS)
def test_login_tls_html_inline_image_and_attachment(serve: Serve, tmp_path: Path, name: str) -> None:
    expected = SENDERS[name]
    server = serve({"smtp": {"tls": {"cert": "auto"}}})
    expected.send(server, tmp_path)
    [context] = server.records()
    assert context["session"]["tls"]["version"] == "TLSv1.3"
    assert context["session"]["esmtp"] is True
    assert context["envelope"]["from"] == "zoe@example.com"
    assert context["envelope"]["to"] == ["bob@example.com", "carol@example.com"]
    check_credentials(context["authentication"], expected)
    check_message(context["message"], expected)
    check_attachments(context["attachments"], expected)


def check_credentials(captured: dict[str, Any], expected: Expected) -> None:
    assert captured == {
        "attempted": True,
        "mechanism": expected.mechanism,
        "username": expected.username,
        "password": expected.password,
    }


def check_message(message: dict[str, Any], expected: Expected) -> None:
    assert message["subject"] == SUBJECT
    assert message["from"] == [{"name": "Zoë Müller", "address": "zoe@example.com"}]
    to = [{"name": "Bob", "address": "bob@example.com"}, {"name": "", "address": "carol@example.com"}]
    assert message["to"] == to
    assert message["text"].replace("\r\n", "\n").rstrip("\n") == TEXT.rstrip("\n")
    assert message["defects"] == []
    if expected.html:
        assert message["html"].startswith(HTML)
    else:
        assert message["html"] is None


def check_attachments(attachments: list[dict[str, Any]], expected: Expected) -> None:
    found = {
        item["filename"]: (item["disposition"], item["content_type"], item["size"], base64.b64decode(item["content"]))
        for item in attachments
    }
    assert found == {
        CSV_NAME: ("attachment", "text/csv", len(expected.csv), expected.csv),
        "pixel.png": ("inline" if expected.html else "attachment", "image/png", len(PNG), PNG),
    }
    [image] = [item for item in attachments if item["filename"] == "pixel.png"]
    assert image["content_id"] or not expected.html
