"""What clients that we did not write make of faults: each does what its documentation says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from apicalls import call
from npm import npm_package
from postfix import postfix, submit
from servers import TESTS, Serve, Server
from waits import wait_until

pytestmark = pytest.mark.one_python

INBOX = {"inbox": {"address": "127.0.0.1:0"}}


def install(server: Server, *rules: dict[str, Any]) -> None:
    assert call(server, "PUT", "/api/ns/default/faults", {"seed": 1, "rules": list(rules)})[0] == 200


def subjects(server: Server) -> list[str]:
    _status, found = call(server, "GET", "/api/ns/default/mails")
    return sorted(mail["subject"] for mail in found["mails"])


def hits(server: Server) -> list[tuple[str, str]]:
    """Commands and actions of all hits."""
    _status, report = call(server, "GET", "/api/ns/default/faults")
    return [(hit["command"], hit["action"]) for rule in report["report"] for hit in rule["hits"]]


def test_postfix_retries_a_greylisted_mail(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    install(server, {"preset": "greylist"}, {"preset": "bounce", "when": {"at": "rcpt", "rcpt": "nosuch@*"}})
    with postfix(server) as home:
        submit(home, "b@slow.example", "greylisted")
        wait_until(lambda: subjects(server) == ["greylisted"])
        log = (home / "log").read_text()
    assert hits(server) == [("RCPT TO:<b@slow.example>", "reply 451")]
    assert log.count("status=deferred (host 127.0.0.1[127.0.0.1] said: 451 4.7.1 Greylisted, try again") == 1


# PHP


CLIENTS = TESTS / "clients"
RCPT = "RCPT TO:<bob@example.com>"
AFTER_RCPT = {"at": "rcpt", "rcpt": "bob@*"}
# A rule, and what each library says of it; with a lost 250 the mail is there, and comes twice when it is sent again.
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "421": (
        {"when": {"at": "mail"}, "do": {"reply": "421 4.3.2 Shutting down", "close": True}},
        "MAIL FROM command failed Detail: Shutting down",
        'Expected response code "250" but got code "421", with message "421 4.3.2 Shutting down".',
    ),
    "451": (
        {"when": AFTER_RCPT, "do": {"reply": "451 4.7.1 Greylisted"}},
        "bob@example.com: Greylisted",
        'Expected response code "250/251/252" but got code "451", with message "451 4.7.1 Greylisted".',
    ),
    "550": (
        {"when": AFTER_RCPT, "do": {"reply": "550 5.1.1 No such user"}},
        "bob@example.com: No such user",
        'Expected response code "250/251/252" but got code "550", with message "550 5.1.1 No such user".',
    ),
    "lost 250": (
        {"when": {"at": "data-end"}, "do": {"store": True, "close": "rst"}},
        "SMTP Error: data not accepted",
        "has been closed unexpectedly",
    ),
}


def php(server: Server, script: str) -> tuple[bool, str]:
    """Whether it was sent, and what the library says."""
    command = ["php", "-d", "display_errors=stderr", str(CLIENTS / script), server.host, str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("fault", REFUSED)
@pytest.mark.parametrize("script", ["phpmailer.php", "symfony_mailer.php"])
def test_php_tells_its_caller(serve: Serve, fault: str, script: str) -> None:
    server = serve({"inbox": {"address": "127.0.0.1:0", "namespace": []}}, worker="echo.php")
    rule, phpmailer, symfony = REFUSED[fault]
    install(server, {**rule, "times": 1})
    sent, said = php(server, script)
    assert (sent, (phpmailer if script == "phpmailer.php" else symfony) in said) == (False, True), said
    assert php(server, script)[0]
    # PHPMailer sends the mail to the recipients that are left, and complains then: who tries again sends it twice.
    twice = fault == "lost 250" or (script == "phpmailer.php" and fault != "421")
    assert subjects(server) == ["Grüße aus Köln"] * (2 if twice else 1)


# Node and curl


def test_nodemailers_pool_comes_back_after_a_reset(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    install(server, {"when": {"at": "mail", "nth": 2}, "do": {"close": "rst"}})
    modules = str(npm_package("nodemailer@6.9.16") / "node_modules")
    command = ["node", str(CLIENTS / "nodemailer_pool.js"), server.host, str(server.port)]
    done = subprocess.run(
        command, env={**os.environ, "NODE_PATH": modules}, capture_output=True, text=True, check=False, timeout=60
    )
    said = done.stdout.splitlines()
    assert (len(said), said[0], said[2]) == (3, "one sent", "three sent"), done.stderr
    assert hits(server) == [("MAIL FROM:<a@example.com>", "close rst")]
    assert subjects(server) == sorted(line.split()[0] for line in said if line.endswith(" sent"))


@pytest.mark.parametrize(("patience", "code"), [("30", 0), ("0.5", 28)])  # 28: "Operation timeout"
def test_curl_waits_for_a_dribbled_reply(serve: Serve, tmp_path: Path, patience: str, code: int) -> None:
    server = serve(INBOX, worker="echo.php")
    install(server, {"when": {"at": "ehlo"}, "do": {"rate": "100B/s"}})
    (tmp_path / "mail").write_bytes(b"Subject: curl\r\n\r\nhello\r\n")
    command = ["curl", "-sS", f"smtp://{server.host}:{server.port}", "--max-time", patience, "--upload-file", "mail"]
    command += ["--mail-from", "a@example.com", "--mail-rcpt", "b@example.com"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    assert subjects(server) == (["curl"] if code == 0 else [])
