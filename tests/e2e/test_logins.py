"""Clients that we did not write, each with a user and a password and nothing else: a worker gets that password.

None of them is told which mechanism to take.
"""

from __future__ import annotations

import hmac
import smtplib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run
from servers import TESTS, Serve, Server

pytestmark = pytest.mark.one_python

CLIENTS = TESTS / "clients"
USER, PASSWORD = "tester", "s3cret & Co."
PATCH = """\
From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001
From: Zoe <zoe@example.com>
Date: Mon, 3 Nov 2025 10:30:45 +0000
Subject: [PATCH] Login

It works.
"""

Send = Callable[[Server, Path], None]


def by_smtplib(server: Server, _directory: Path) -> None:
    with smtplib.SMTP(server.host, server.port, "client.example.com") as client:
        client.login(USER, PASSWORD)
        client.sendmail("zoe@example.com", "bob@example.com", "Subject: Login\n\nIt works.\n")


def by_script(*command: str) -> Send:
    """A client whose script takes host, port, user and password."""

    def send(server: Server, _directory: Path) -> None:
        run([*command, server.host, str(server.port), USER, PASSWORD])

    return send


def by_git(server: Server, directory: Path) -> None:
    (directory / "0001.patch").write_text(PATCH)
    command = ["git", "send-email", f"--smtp-server={server.host}", f"--smtp-server-port={server.port}"]
    command += [f"--smtp-user={USER}", f"--smtp-pass={PASSWORD}", "--from=zoe@example.com", "--to=bob@example.com"]
    command += ["--confirm=never", "--suppress-cc=all", str(directory / "0001.patch")]
    run(command, HOME=str(directory), GIT_CONFIG_NOSYSTEM="1", EMAIL="zoe@example.com")


def by_swaks(server: Server, _directory: Path) -> None:
    command = ["swaks", "--server", server.host, "--port", str(server.port), "--to", "bob@example.com"]
    run([*command, "--from", "zoe@example.com", "--auth-user", USER, "--auth-password", PASSWORD])


SENDERS: dict[str, tuple[Send, str]] = {
    "smtplib": (by_smtplib, "PLAIN"),
    "Django": (by_script(sys.executable, str(CLIENTS / "django_mail.py")), "PLAIN"),
    "PHPMailer": (by_script("php", str(CLIENTS / "phpmailer_login.php")), "LOGIN"),
    "Symfony Mailer": (by_script("php", str(CLIENTS / "symfony_login.php")), "LOGIN"),
    "Net::SMTP of Ruby": (by_script("ruby", str(CLIENTS / "net_smtp.rb")), "PLAIN"),
    "Net::SMTP of Perl": (by_script("perl", str(CLIENTS / "net_smtp.pl")), "PLAIN"),
    "git send-email": (by_git, "PLAIN"),
    "swaks": (by_swaks, "LOGIN"),
}


@pytest.mark.parametrize("name", SENDERS)
def test_the_password_is_the_password(serve: Serve, tmp_path: Path, name: str) -> None:
    send, mechanism = SENDERS[name]
    server = serve()
    send(server, tmp_path)
    [record] = server.records()
    assert record["authentication"] == {
        "attempted": True,
        "mechanism": mechanism,
        "username": USER,
        "password": PASSWORD,
    }


@pytest.mark.parametrize("name", ["smtplib", "Django", "PHPMailer", "Symfony Mailer", "swaks"])
def test_where_cram_md5_is_offered_they_take_it(serve: Serve, tmp_path: Path, name: str) -> None:
    """Why it is not offered: no password arrives then."""
    server = serve({"smtp": {"auth_mechanisms": ["LOGIN", "PLAIN", "CRAM-MD5"]}})
    SENDERS[name][0](server, tmp_path)
    [record] = server.records()
    authentication = record["authentication"]
    digest = hmac.new(PASSWORD.encode(), authentication.pop("challenge").encode(), "md5").hexdigest()
    assert authentication == {
        "attempted": True,
        "mechanism": "CRAM-MD5",
        "username": USER,
        "password": None,
        "digest": digest,
    }
