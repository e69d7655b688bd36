"""Metrics and status of a running server, asked over HTTP as Prometheus and an orchestrator do."""

from __future__ import annotations

import http.client
import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from apicalls import call
from gates import Gate
from procs import children_of
from prometheus_client.parser import text_string_to_metric_families
from servers import Serve, Server
from waits import wait_until
from wire import MAIL, Wire, logged, wait_for_log

METRICS: dict[str, Any] = {"metrics": {"address": "127.0.0.1:0"}}
STATUS: dict[str, Any] = {"status": {"address": "127.0.0.1:0"}}
FINE = {"plugin_name": "smtp", "error_message": "", "status_code": 200}
BUSY = {"plugin_name": "smtp", "error_message": "no worker available", "status_code": 503}
STOPPING = "service is shutting down"


def place(server: Server, what: str) -> str:
    """`host:port` of an endpoint."""
    [line] = wait_for_log(server, f"{what} served")
    return urlsplit(line.partition("url=")[2]).netloc


def get(address: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("GET", path)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def ask(server: Server, path: str) -> tuple[int, Any]:
    code, text = get(place(server, "status is"), path)
    return code, json.loads(text)


def scrape(server: Server) -> dict[tuple[str, ...], float]:
    """Values by name of the sample and its labels; buckets and process are left out."""
    code, text = get(place(server, "metrics are"), "/metrics")
    assert code == 200
    return {
        (sample.name.removeprefix("rr_smtp_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("rr_smtp_") and not sample.name.endswith("_bucket")
    }


@pytest.mark.parametrize("processes", [1, 2])
def test_delays_of_all_event_loops_are_counted(serve: Serve, processes: int) -> None:
    server = serve(
        {**METRICS, "smtp": {"processes": processes}, "inbox": {"address": "127.0.0.1:0"}, "logs": {"level": "info"}}
    )
    wanted = {"smtp", "inbox"} | ({"parent"} if processes > 1 else set())

    def counted() -> set[str]:
        found = scrape(server)
        return {name for name in ("smtp", "parent", "inbox") if found["loop_delay_seconds_count", name]}

    wait_until(lambda: counted() == wanted)
    assert counted() == wanted


def test_what_happened_is_counted(serve: Serve) -> None:
    server = serve({**METRICS, "smtp": {"max_message_size": 1000}}, worker="obeys.php")
    with Wire(server) as wire:
        wire.ask(b"EHLO x\r\n")
        wire.ask(b"AUTH PLAIN AHUAcA==\r\n")
        for subject, code in ((b"CONTINUE", b"250"), (b"CONTINUE", b"250"), (b"error", b"250"), (b"crash", b"451")):
            wire.begin_next()
            assert wire.ask(MAIL % subject)[:3] == code
        wire.begin_next()
        assert wire.ask(b"x" * 1001 + b"\r\n.\r\n")[:3] == b"552"
        wire.ask(b"NOOP\n")
        during = scrape(server)
        assert during["open_connections",] == 1
        wire.begin_next()
        assert wire.ask(MAIL % b"CLOSE")[:3] == b"250"
    wait_for_log(server, "connection closed")
    found = scrape(server)
    assert {key[1:]: value for key, value in found.items() if key[0] == "request_total"} == {
        ("250", "accept"): 3,
        ("250", "accept-and-close"): 1,
        ("451", "worker-failed"): 1,
        ("451", "no-worker"): 0,
        ("451", "storage-failed"): 0,
        ("452", "storage-full"): 0,
        ("552", "too-large"): 0,
        ("554", "malformed"): 0,
        ("451", "refused-by-plan"): 0,
        ("250", "dropped-by-plan"): 0,
    }
    assert found["request_duration_seconds_count", "250"] == 4
    assert found["request_duration_seconds_count", "451"] == 1
    assert 0 < found["request_duration_seconds_sum", "250"] < 60
    assert found["worker_wait_seconds_count",] == 5
    labelled = ("aborted_total", "auth_total", "violations_total")
    assert {key: value for key, value in found.items() if key[0] in labelled and value} == {
        ("aborted_total", "size"): 1,
        ("auth_total", "PLAIN"): 1,
        ("violations_total", "bare-lf-in-command"): 1,
    }
    subjects = (b"CONTINUE", b"CONTINUE", b"error", b"crash", b"CLOSE")
    assert found["mail_bytes_total",] == sum(len(MAIL % subject) - len(b".\r\n") for subject in subjects)
    assert (found["open_connections",], found["connections_total",]) == (0, 1)
    assert (found["worker_execs_total",], found["worker_errors_total",], found["worker_failures_total",]) == (5, 1, 1)
    assert found["inflight_bytes",] == 0


def test_workers_are_shown_while_they_work(serve: Serve, gate: Gate) -> None:
    server = serve({**METRICS, **gate.settings(), "smtp": {"pool": {"num_workers": 2}}}, worker="slow.php")
    with Wire(server) as wire:
        wire.begin()
        wire.send(MAIL % b"x")
        with gate.wait_for_worker() as opened:
            found = scrape(server)
            opened.let_go()
        assert wire.reply()[:3] == b"250"
    assert sorted(key[0] for key in found if key[0].startswith("worker_state")) == ["worker_state"] * 2
    assert [found[name,] for name in ("total_workers", "workers_ready", "workers_working", "workers_invalid")] == [
        2,
        1,
        1,
        0,
    ]
    assert found["workers_memory_bytes",] > 1_000_000


def test_a_login_that_sends_no_mail_counts_and_so_does_one_before_starttls(serve: Serve) -> None:
    server = serve({**METRICS, "smtp": {"tls": {"cert": "auto"}}})
    with Wire(server) as wire:
        wire.ask(b"EHLO x\r\n")
        wire.ask(b"AUTH PLAIN AHUAcA==\r\n")
        wire.ask(b"STARTTLS\r\n")
        wire.start_tls()
        wire.ask(b"EHLO x\r\n")
        wire.ask(b"AUTH XOAUTH2 dXNlcj11AWF1dGg9QmVhcmVyIHgBAQ==\r\n")
        wire.ask(b"QUIT\r\n")
    wait_for_log(server, "connection closed")
    found = scrape(server)
    assert (found["auth_total", "PLAIN"], found["auth_total", "XOAUTH2"]) == (1, 1)


def test_those_who_are_turned_away_are_counted(serve: Serve) -> None:
    server = serve({**METRICS, "smtp": {"max_connections": 1}})
    with Wire(server), Wire(server) as second:
        assert second.greeting[:3] == b"421"
        found = scrape(server)
    assert (found["connections_total",], found["connections_turned_away_total",]) == (1, 1)


def test_ready_is_a_free_worker_and_health_any(serve: Serve, gate: Gate) -> None:
    server = serve({**STATUS, **gate.settings(), "smtp": {"pool": {"num_workers": 1}}}, worker="slow.php")
    assert ask(server, "/health?plugin=smtp") == (200, [FINE])
    assert ask(server, "/ready?plugin=smtp") == (200, [FINE])
    with Wire(server) as wire:
        wire.begin()
        wire.send(MAIL % b"x")
        with gate.wait_for_worker() as opened:
            assert ask(server, "/health") == (200, [FINE])
            assert ask(server, "/ready") == (503, [BUSY])
            opened.let_go()
        assert wire.reply()[:3] == b"250"
    assert ask(server, "/ready") == (200, [FINE])


def test_unavailable_status_code(serve: Serve, gate: Gate) -> None:
    settings = {"status": {"address": "127.0.0.1:0", "unavailable_status_code": 500}}
    server = serve({**settings, **gate.settings(), "smtp": {"pool": {"num_workers": 1}}}, worker="slow.php")
    with Wire(server) as wire:
        wire.begin()
        wire.send(MAIL % b"x")
        with gate.wait_for_worker() as opened:
            assert ask(server, "/ready") == (500, [{**BUSY, "status_code": 500}])
            opened.let_go()
        assert wire.reply()[:3] == b"250"


def test_a_server_that_drains_is_healthy_but_not_ready(serve: Serve, gate: Gate) -> None:
    server = serve({**STATUS, **gate.settings()}, worker="slow.php")
    address = place(server, "status is")
    with Wire(server) as idle, Wire(server) as wire:
        wire.begin()
        wire.send(MAIL % b"x")
        with gate.wait_for_worker() as opened:
            server.process.terminate()
            assert idle.reply()[:3] == b"421"  # it has begun to stop
            code, text = get(address, "/health")
            assert (code, json.loads(text)) == (200, [{**FINE, "error_message": STOPPING}])
            code, text = get(address, "/ready")
            assert (code, json.loads(text)) == (503, [{**BUSY, "error_message": STOPPING}])
            opened.let_go()
        assert wire.reply()[:3] == b"250"
    assert server.wait_for_end() == 0


@pytest.mark.parametrize("key", ["metrics.address", "status.address"])
def test_a_taken_port_is_told_and_nothing_is_left_running(tmp_path: Path, key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "fastsmtp", "serve", "-o", "smtp.addr=127.0.0.1:0", "-o", f"{key}={address}"]
        command += ["-o", "inbox.address="]  # whose port may be taken, too, which is told
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"fastsmtp: {key}: cannot listen on {address}: Address already in use\n"


def test_an_open_http_connection_does_not_hold_up_the_end(serve: Serve) -> None:
    server = serve(METRICS)
    host, _, port = place(server, "metrics are").rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
        assert server.stop() == 0


def test_signals_stay_ours_and_stdout_stays_empty(serve: Serve) -> None:
    server = serve({**METRICS, **STATUS})
    with smtplib.SMTP(server.host, server.port) as client:
        client.sendmail("s@example.com", ["r@example.com"], "Subject: x\r\n\r\nx\r\n")
    scrape(server)
    ask(server, "/health")
    assert server.stop() == 0
    assert server.printed == []
    assert logged(server, "aiohttp") == []


@pytest.mark.parametrize("processes", [1, 2])
def test_the_inbox_is_counted(serve: Serve, processes: int) -> None:
    server = serve({**METRICS, "inbox": {"address": "127.0.0.1:0"}, "smtp": {"processes": processes}})
    with smtplib.SMTP(server.host, server.port, timeout=30) as client:
        for _ in range(3):
            client.sendmail("a@example.com", ["b@example.com"], "Subject: x\r\n\r\nhello\r\n")
    assert call(server, "DELETE", "/api/ns/default/mails/latest")[0] == 200
    found = _inbox_samples(scrape(server))
    assert found.pop("bytes") == 2 * call(server, "GET", "/api/ns/default/mails")[1]["mails"][0]["size"]
    assert found.pop("commits_total") >= 1  # of mails, and of what sessions report
    assert found == {
        "up": 1,
        "full": 0,
        "namespaces": 1,
        "mails": 2,
        "unread": 2,
        "waits": 0,
        "streams": 0,
        "arrivals_total": {"accepted": 3},
        "gone_total": {"deleted": 1},
    }


def _inbox_samples(samples: dict[tuple[str, ...], float]) -> dict[str, Any]:
    """Values by name; those with labels by label, without those that are 0."""
    found: dict[str, Any] = {}
    for (name, *labels), value in samples.items():
        if name.startswith("inbox_") and not name.endswith("_created"):
            if not labels:
                found[name] = value
            elif value:
                found.setdefault(name, {})[labels[0]] = value
    return {name.removeprefix("inbox_"): value for name, value in found.items()}


def test_an_inbox_that_does_not_answer_is_shown(serve: Serve) -> None:
    server = serve({**METRICS, "inbox": {"address": "127.0.0.1:0"}})
    [inbox] = [pid for pid in children_of(server.process.pid) if b"inbox.process" in _command(pid)]
    os.kill(inbox, signal.SIGSTOP)
    try:
        assert scrape(server)["inbox_up",] == 0
    finally:
        os.kill(inbox, signal.SIGCONT)
    wait_until(lambda: scrape(server)["inbox_up",] == 1)


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
