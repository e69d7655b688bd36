"""A server with its inbox, from outside: mail by SMTP, everything else by HTTP."""

from __future__ import annotations

import os
import signal
import smtplib
from email.message import EmailMessage
from pathlib import Path

import pytest
from apicalls import call
from procs import inbox_of
from servers import Serve, Server
from waits import wait_until


def send(server: Server, subject: str, namespace: str, to: str = "x@example.com") -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", to, subject
    message.set_content(f"This is {subject}.\n")
    with smtplib.SMTP(server.host, server.port, timeout=30) as client:
        client.login(namespace, "secret")
        client.send_message(message)


@pytest.mark.parametrize("processes", [1, 2])
def test_ten_mails_of_a_namespace(serve: Serve, processes: int) -> None:
    settings = {"inbox": {"address": "127.0.0.1:0"}, "smtp": {"processes": processes}}
    server = serve(settings, worker="echo.php")
    status, namespace = call(server, "PUT", "/api/ns/run-1/w3")
    assert (status, namespace["name"], namespace["mails"]) == (201, "run-1/w3", 0)
    for number in range(10):
        send(server, f"mail {number}", "run-1/w3")
    status, found = call(server, "POST", "/api/ns/run-1/w3/wait", {"exactly": 10, "where": {"to": "X@example.com"}})
    assert (status, found["matched"], found["more"]) == (200, 10, 0)
    assert [mail["subject"] for mail in found["mails"]] == [f"mail {number}" for number in range(10)]
    status, listed = call(server, "GET", "/api/ns/run-1/w3/mails?limit=3")
    assert (status, listed["total"], listed["unread"], listed["cursor"]) == (200, 10, 10, found["cursor"])
    assert [mail["subject"] for mail in listed["mails"]] == ["mail 9", "mail 8", "mail 7"]
    status, ledger = call(server, "GET", "/api/ns/run-1/w3/ledger")
    assert (status, ledger["store"]["present"], ledger["balanced"]) == (200, 10, True)
    assert ledger["sessions"] == {"begun": 10, "accepted": 10, "refused": 0, "aborted": 0, "moved": 0, "in_flight": 0}
    assert call(server, "DELETE", "/api/ns/run-1/w3") == (200, {"deleted": ["run-1/w3"]})
    assert call(server, "GET", "/api/ns/run-1/w3/mails")[0] == 404


@pytest.mark.parametrize("processes", [1, 2])
def test_the_inbox_without_a_configuration_has_namespaces(serve: Serve, processes: int) -> None:
    server = serve({"inbox": None, "smtp": {"processes": processes}}, worker=None)
    send(server, "filed", "run-3")
    status, listed = call(server, "GET", "/api/ns/run-3/mails")
    assert (status, [(mail["subject"], mail["username"]) for mail in listed["mails"]]) == (200, [("filed", "run-3")])
    assert call(server, "GET", "/api/ns/default/mails")[1]["mails"] == []


def test_a_mail_for_one_namespace_too_many_gets_451(serve: Serve) -> None:
    settings = {"inbox": {"address": "127.0.0.1:0", "retention": {"max_namespaces": 2}}}
    server = serve(settings, worker="echo.php")
    send(server, "filed", "run-1")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(server, "refused", "run-2")
    assert refused.value.args == (451, b"4.3.0 Storage failed, try again later")
    send(server, "filed, too", "run-1")
    status, found = call(server, "GET", "/api/ns")
    assert (status, [(space["name"], space["mails"]) for space in found["namespaces"]]) == (
        200,
        [("default", 0), ("run-1", 2)],
    )
    assert call(server, "PUT", "/api/ns/run-2")[0] == 429
    ended = {"begun": 3, "accepted": 2, "refused": 1, "aborted": 0, "moved": 0, "in_flight": 0}
    wait_until(lambda: call(server, "GET", "/api/ledger")[1]["sessions"] == ended)


def test_a_wait_that_is_in_vain_says_what_came_instead(serve: Serve) -> None:
    server = serve({"inbox": {"address": "127.0.0.1:0"}}, worker="echo.php")
    send(server, "Welcome back", "run-2")
    condition = {"timeout": "50ms", "where": {"to": "x@example.com", "subject": "Welcome"}}
    status, problem = call(server, "POST", "/api/ns/run-2/wait", condition)
    item = problem["report"]["items"][0]
    assert (status, item["wanted"], item["got"]) == (408, 'at least 1 to x@example.com, subject "Welcome"', 0)
    assert [(mail["seq"], mail["has"]) for mail in item["near"]] == [(1, 'subject "Welcome back"')]


def test_a_mail_says_what_its_worker_answered(serve: Serve) -> None:
    server = serve({"inbox": {"address": "127.0.0.1:0"}, "smtp": {"pool": {"num_workers": 1}}}, worker="obeys.php")
    for subject in ("CONTINUE", "CLOSE", "error", "quarantine"):
        send(server, subject, "default")
    with pytest.raises(smtplib.SMTPDataError):
        send(server, "crash", "default")
    assert call(server, "POST", "/api/ns/default/send", {"from": "a@example.com", "to": ["b@example.com"]})[0] == 201
    mails = call(server, "GET", "/api/ns/default/mails?outcome=any&order=asc")[1]["mails"]
    assert [mail.get("worker") and (mail["worker"]["answer"], mail["worker"]["text"]) for mail in mails] == [
        ("CONTINUE", ""),
        ("CLOSE", ""),
        ("ERROR", "the database is gone"),
        ("UNKNOWN", "quarantine"),
        ("LOST", "closed the connection"),
        None,
    ]
    told = [mail["worker"] for mail in mails[:4]]
    assert len({one["pid"] for one in told}) == 1
    assert call(server, "GET", f"/api/ns/default/mails/{mails[2]['uuid']}")[1]["worker"] == told[2]


def counted(server: Server) -> tuple[int, int, int]:
    """How many mails of the namespace were accepted, counted only, and are there."""
    store = call(server, "GET", "/api/ns/load/ledger")[1]["store"]
    return store["accepted"], store["counted_only"], store["present"]


@pytest.mark.parametrize("processes", [1, 2])
def test_mails_are_counted_only_as_long_as_the_namespace_says_so(serve: Serve, tmp_path: Path, processes: int) -> None:
    settings = {"inbox": {"address": "127.0.0.1:0", "path": str(tmp_path / "store")}, "smtp": {"processes": processes}}
    server = serve(settings, worker="echo.php")
    assert call(server, "PUT", "/api/ns/load", {"keep": "count"})[0] == 201
    for number in range(5):
        send(server, f"mail {number}", "load")
    assert counted(server) == (5, 5, 0)

    inbox = inbox_of(server.process.pid)
    os.kill(inbox, signal.SIGKILL)
    send(server, "to the next process", "load")
    assert counted(server) == (6, 6, 0)

    assert call(server, "PUT", "/api/ns/load", {"keep": "full"})[0] == 200
    send(server, "kept", "load")
    assert counted(server) == (7, 6, 1)
    assert call(server, "PUT", "/api/ns/load", {"keep": "count"})[0] == 200
    assert call(server, "DELETE", "/api/ns/load")[0] == 200
    send(server, "of another one", "load")
    assert counted(server) == (1, 0, 1)
    assert [mail["subject"] for mail in call(server, "GET", "/api/ns/load/mails")[1]["mails"]] == ["of another one"]


def test_a_mail_that_is_refused_is_kept_where_others_are_counted(serve: Serve) -> None:
    server = serve({"inbox": {"address": "127.0.0.1:0"}}, worker="crashes.php")
    assert call(server, "PUT", "/api/ns/load", {"keep": "count"})[0] == 201
    with pytest.raises(smtplib.SMTPDataError):
        send(server, "broken", "load")
    status, listed = call(server, "GET", "/api/ns/load/mails?outcome=any")
    assert (status, [mail["subject"] for mail in listed["mails"]], counted(server)) == (200, ["broken"], (0, 0, 0))
