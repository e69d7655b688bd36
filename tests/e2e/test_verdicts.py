"""What the client gets for what a worker does, and that session and pool are well afterwards."""

from __future__ import annotations

import smtplib

import pytest
from servers import Serve, Server

ACCEPTED = (250, b"2.0.0 Message accepted")
WORKER_FAILED = (451, b"4.3.0 Worker failed, try again later")
NO_WORKER = (451, b"4.3.2 No worker free, try again later")

VERDICTS = {"CONTINUE": ACCEPTED, "": ACCEPTED, "WHAT?": ACCEPTED, "error": ACCEPTED}
FAILURES = {"crash": WORKER_FAILED, "garbage": WORKER_FAILED, "hang": WORKER_FAILED}


def connect(server: Server) -> smtplib.SMTP:
    client = smtplib.SMTP(server.host, server.port)
    client.ehlo()
    return client


def send(client: smtplib.SMTP, subject: str) -> tuple[int, bytes]:
    assert client.mail("s@example.com")[0] == 250
    assert client.rcpt("r@example.com")[0] == 250
    return client.data(f"Subject: {subject}\r\n\r\nx\r\n")


@pytest.mark.parametrize("relay", ["unix", "pipes"])
def test_the_session_goes_on_whatever_the_worker_does(serve: Serve, relay: str) -> None:
    settings = {"server": {"relay": relay}, "smtp": {"pool": {"num_workers": 1, "supervisor": {"exec_ttl": "2s"}}}}
    server = serve(settings, worker="obeys.php")
    with connect(server) as client:
        for subject, reply in {**VERDICTS, **FAILURES}.items():
            assert send(client, subject) == reply, subject
        assert send(client, "CONTINUE") == ACCEPTED
    assert [item["message"]["subject"] for item in server.records()] == ["CONTINUE", "", "WHAT?", "CONTINUE"]
    assert any("the database is gone" in line for line in server.lines)


def test_close_is_250_then_221_and_the_end(serve: Serve) -> None:
    server = serve(worker="obeys.php")
    client = connect(server)
    assert send(client, "CLOSE") == ACCEPTED
    assert client.getreply() == (221, b"2.0.0 Bye")
    assert client.sock is not None
    assert client.sock.recv(1) == b""
    client.close()
    assert [item["message"]["subject"] for item in server.records()] == ["CLOSE"]


def test_no_worker_in_time_is_451(serve: Serve) -> None:
    pool = {"num_workers": 1, "allocate_timeout": "500ms", "destroy_timeout": "1s"}
    settings = {"endure": {"grace_period": "1s"}, "smtp": {"pool": pool}}
    server = serve(settings, worker="obeys.php")
    with connect(server) as busy, connect(server) as waiting:
        busy.mail("s@example.com")
        busy.rcpt("r@example.com")
        busy.putcmd("DATA")
        assert busy.getreply()[0] == 354
        busy.send(b"Subject: hang\r\n\r\nx\r\n.\r\n")
        assert send(waiting, "CONTINUE") == NO_WORKER
        busy.close()


def test_tempfiles_of_a_failed_email_are_gone(serve: Serve) -> None:
    storage = {"mode": "tempfile", "temp_dir": "attachments"}
    server = serve({"smtp": {"attachment_storage": storage}}, worker="obeys.php")
    octets = "Subject: {}\r\nContent-Type: image/png\r\n\r\nx\r\n"
    with connect(server) as client:
        for subject, code in {"crash": 451, "CONTINUE": 250}.items():
            client.mail("s@example.com")
            client.rcpt("r@example.com")
            assert client.data(octets.format(subject))[0] == code
    [context] = server.records()
    kept = [attachment["path"] for attachment in context["attachments"]]
    assert [str(path) for path in (server.directory / "attachments").iterdir()] == kept
