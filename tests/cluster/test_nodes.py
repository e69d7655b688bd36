"""Fronts and relays with three real NATS servers: mails, refusals, dead mails."""

from __future__ import annotations

import json
import os
import smtplib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from clustermails import PLAIN, multipart, refused_start, run, without_varying
from natsservers import NATSCluster, Settings
from servers import Serve, Server
from waits import wait_until

pytestmark = pytest.mark.one_python


def send(server: Server, message: bytes = PLAIN) -> None:
    with smtplib.SMTP(server.host, server.port, timeout=30) as smtp:
        smtp.sendmail("a@example.com", ["b@example.com", "c@example.com"], message)


def refusal(server: Server, message: bytes) -> tuple[int, bytes]:
    """What a server says to mail data that it refuses."""
    with smtplib.SMTP(server.host, server.port, timeout=60) as smtp, pytest.raises(smtplib.SMTPDataError) as refused:
        smtp.sendmail("a@example.com", ["b@example.com"], message)
    error = refused.value.smtp_error
    return refused.value.smtp_code, error if isinstance(error, bytes) else error.encode()


SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "raw": {"include_raw": True},
    "jobs": {"payload": "jobs"},
    "omission": {"payload_omit": ["session", "text"]},
}


@pytest.mark.parametrize("more", SHAPES.values(), ids=SHAPES)
def test_workers_get_what_they_get_on_one_machine(serve: Serve, node: Settings, more: dict[str, Any]) -> None:
    told = [told_by(serve, {**settings, "smtp": more}) for settings in (node("front", "relay"), {})]
    assert told[0] == told[1]
    assert len(told[0]) == 3


def told_by(serve: Serve, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """What workers of a server get of a small mail, one with an attachment, and a large one."""
    server = serve(settings, worker="job.php" if settings["smtp"].get("payload") == "jobs" else "record.php")
    for message in (PLAIN, multipart(20_000), multipart(3_000_000)):
        send(server, message)
    wait_until(lambda: len(server.records()) == 3)
    server.stop()
    records = server.records()
    for path in server.directory.glob("records-*"):
        path.unlink()
    return [without_varying(record) for record in records]


def test_front_and_relay_are_two_programs(serve: Serve, node: Settings, tmp_path: Path) -> None:
    front = serve({**node("front"), "smtp": {"servers": {}}}, worker=None)
    send(front)  # a 250, and no worker anywhere
    relay = serve(node("relay"))
    wait_until(relay.records)
    told = "acknowledged 1 = 1 stored + 0 gone + 0 missing\nstored       1, 0 of them twice\nbalanced\n"
    wait_until(lambda: run("nodes", "ledger", directory=tmp_path) == told)  # the front tells it once a second
    listed = [json.loads(line) for line in run("nodes", "ls", "--json", directory=tmp_path).splitlines()]
    assert [
        (found["roles"], found["counts"]["confirmed"]) for found in listed if found["pid"] == front.process.pid
    ] == [(["front"], 1)]
    assert {str(front.process.pid), str(relay.process.pid)} <= set(run("nodes", "ls", directory=tmp_path).split())
    assert (relay.listeners, [record["envelope"]["to"] for record in relay.records()]) == (
        {},
        [["b@example.com", "c@example.com"]],
    )


def test_a_mail_that_kills_workers_is_found_among_the_dead(serve: Serve, node: Settings, tmp_path: Path) -> None:
    cure = tmp_path / "cure"
    settings = {**node("front", "relay"), "server": {"env": {"CURE": str(cure)}}}
    server = serve(settings, worker="dies_of.php")
    send(server, b"Subject: poison\r\n\r\nx\r\n")
    send(server, b"Subject: food\r\n\r\nx\r\n")
    server.wait_for(lambda: any("among the dead" in line for line in server.lines))
    listed = json.loads(run("dead", "ls", "--json", directory=tmp_path))
    assert (listed["number"], listed["mail"]["subject"], listed["mail"]["to"]) == (
        1,
        "poison",
        ["b@example.com", "c@example.com"],
    )
    assert (listed["death"]["reason"], listed["death"]["deliveries"]) == ("worker-failed", 5)
    assert "poison" in run("dead", "ls", directory=tmp_path)
    assert run("dead", "show", "1", "--raw", directory=tmp_path) == "Subject: poison\n\nx\n"
    shown = json.loads(run("dead", "show", "1", directory=tmp_path))
    assert shown["uuid"] == listed["mail"]["uuid"]
    cure.touch()
    assert run("dead", "retry", "1", directory=tmp_path) == f"retried 1, {listed['mail']['uuid']}\n"
    wait_until(lambda: len(server.records()) == 2)
    assert sorted(record["message"]["subject"] for record in server.records()) == ["food", "poison"]
    assert run("dead", "ls", directory=tmp_path) == "no mail is dead\n"
    assert run("dead", "rm", "1", directory=tmp_path, status=1) == "fastsmtp: there is no dead mail 1\n"


def test_a_full_stream_and_a_mail_that_is_too_large_are_told(serve: Serve, node: Settings) -> None:
    settings = node("front", stream={"partitions": 1}, retention={"max_bytes": "3MB"})
    server = serve(settings, worker=None)
    send(server, multipart(1_000_000))
    full = refusal(server, multipart(2_000_000))
    assert full == (452, b"4.3.1 Storage is full, try again later")
    send(server)  # there is room for a small one


def test_a_cluster_that_promises_less_is_not_used(serve: Serve, node: Settings, tmp_path: Path) -> None:
    once = node("front", stream={"replicas": 1})
    serve(once, worker=None).stop()
    assert refused_start(node("front"), tmp_path).endswith(
        "promises less than the configuration asks: it has 1 replicas, not 3"
    )
    more = node("front", stream={"replicas": 1}, retention={"max_age": "2h", "max_bytes": "400MB"})
    assert refused_start(more, tmp_path).endswith(
        "it keeps 3600 s at most, not 7200; it keeps 1e+08 bytes at most, not 2e+08"
    )
    missing = node("front", stream={"prefix": "NOWHERE", "manage": False})
    assert refused_start(missing, tmp_path).endswith("there is no stream NOWHERE-0, and cluster.stream.manage is false")


def test_servers_that_do_not_sync_are_refused(nats_cluster: NATSCluster, node: Settings, tmp_path: Path) -> None:
    lazy = NATSCluster(tmp_path, sync="2m", kin=1)
    lazy.start()
    told = refused_start(node("front", servers=lazy.urls(1), monitor=lazy.monitors), tmp_path)
    lazy.stop()
    assert f"the server at {lazy.monitors[0]} does not sync each write" in told
    gone = refused_start(node("front", monitor=lazy.monitors), tmp_path)
    assert gone == f"fastsmtp: cluster.monitor: {lazy.monitors[0]} does not answer: [Errno 111] Connection refused"
    assert nats_cluster.ask(0, "jsz?config=true")["config"]["sync_always"] is True


def test_one_machine_imports_nothing_of_it() -> None:
    code = (
        "import sys; import fastsmtp.server.server, fastsmtp.cli.main;"
        "print([name for name in sys.modules if name.split('.')[0] == 'nats' or 'fastsmtp.cluster' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "[]\n"
