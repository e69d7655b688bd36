"""The jobs shape, taken by a consumer in PHP."""

from __future__ import annotations

import smtplib
from typing import Any

import pytest
from servers import Serve, Server

ACCEPTED = (250, b"2.0.0 Message accepted")
WORKER_FAILED = (451, b"4.3.0 Worker failed, try again later")
SETTINGS: dict[str, Any] = {"smtp": {"payload": "jobs", "jobs": {"pipeline": "mails"}}}


def connect(server: Server) -> smtplib.SMTP:
    client = smtplib.SMTP(server.host, server.port)
    client.ehlo()
    return client


def send(client: smtplib.SMTP, subject: str, body: str = "x") -> tuple[int, bytes]:
    assert client.mail("s@example.com")[0] == 250
    assert client.rcpt("r@example.com")[0] == 250
    return client.data(f"From: a@example.com\r\nSubject: {subject}\r\n\r\n{body}\r\n")


@pytest.mark.parametrize("relay", ["unix", "pipes"])
def test_a_consumer_gets_the_job(serve: Serve, relay: str) -> None:
    server = serve({**SETTINGS, "server": {"relay": relay}}, worker="job.php")
    large = "0123456789" * 100_000
    with connect(server) as client:
        assert send(client, '{"type":0,"data":[]}', large) == ACCEPTED
    [record] = server.records()
    uuid, body = record["uuid"], record["body"]
    assert record["mode"] == "jobs"
    assert record["context"] == {
        "id": uuid,
        "job": "smtp.email",
        "driver": "memory",
        "headers": {"uuid": [uuid], "payload_class": ["smtp:handler"]},
        "pipeline": "mails",
    }
    assert body["envelope"]["from"] == [{"email": "a@example.com", "name": ""}]
    assert body["envelope"]["allRecipients"] == ["r@example.com"]
    assert body["message"]["raw"] == (f'From: a@example.com\r\nSubject: {{"type":0,"data":[]}}\r\n\r\n{large}\r\n')


ERROR = "a worker answered with an error"
UNKNOWN = "a worker gave an unknown answer, taken as CONTINUE"
ANSWERS = {
    '{"type":0}': (ACCEPTED, None),
    '{"type":2,"data":[]}': (ACCEPTED, None),
    '{"type":1,"data":{"message":"oops","requeue":false,"delay_seconds":0}}': (ACCEPTED, f"{ERROR}  error=oops"),
    '{"type":3,"data":{"message":"no"}}': (ACCEPTED, f"{ERROR}  error=no"),
    '{"type":4,"data":{"message":"later"}}': (ACCEPTED, f'{ERROR}  error="later (not queued again)"'),
    "error frame": (ACCEPTED, f'{ERROR}  error="the database is gone"'),
    "CONTINUE": (ACCEPTED, f"{UNKNOWN}  answer=b'CONTINUE'"),
    "crash": (WORKER_FAILED, None),
}


def test_answers(serve: Serve) -> None:
    server = serve(SETTINGS, worker="job.php")
    with connect(server) as client:
        for subject, (reply, _) in ANSWERS.items():
            assert send(client, subject) == reply, subject
        assert send(client, '{"type":0}') == ACCEPTED
    assert server.stop() == 0
    warnings = [line.partition("  pool  ")[2] for line in server.lines if " WARN   pool  " in line]
    shown = [f"{head}  {tail.partition('  ')[2]}" for head, _, tail in (line.partition("  ") for line in warnings)]
    assert shown == [line for _, line in ANSWERS.values() if line is not None]


def test_answers_in_the_context_count_as_ever(serve: Serve) -> None:
    server = serve(SETTINGS, worker="job.php")
    with connect(server) as client:
        assert send(client, "close") == ACCEPTED
        assert client.getreply()[0] == 221


def test_the_embedded_worker_gets_the_usual_shape(serve: Serve) -> None:
    server = serve(SETTINGS, worker=None)
    with connect(server) as client:
        assert send(client, "Hello") == ACCEPTED
    server.wait_for(lambda: any("Hello" in line for line in server.printed))


@pytest.mark.parametrize("processes", [1, 2])
def test_jobs_without_the_payload_for_them_is_told_at_the_start(serve: Serve, processes: int) -> None:
    """A file for RoadRunner's plugin, where jobs are all there is."""
    server = serve({"smtp": {"jobs": {"pipeline": "mails"}, "processes": processes}, "logs": {"level": "warn"}})
    with connect(server) as client:
        assert send(client, "x") == ACCEPTED
    told = 'smtp  smtp.jobs has no effect: workers get mails, not jobs, unless smtp.payload is "jobs"'
    assert [line.partition("  WARN   ")[2] for line in server.lines if "smtp.jobs" in line] == [told]
    [record] = server.records()
    assert record["message"]["subject"] == "x"
