"""What `check` says about a configuration."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fastsmtp.cli import summary
from fastsmtp.config.file import load


def test_defaults_in_words() -> None:
    assert summary.explain(load(None)) == [
        ("listen", '127.0.0.1:1025, greets as "buggregator.local", without TLS'),
        ("accept", "every sender and every login; mails up to 10.5 MB, to up to 100 recipients"),
        ("connections", "as many as the limit of open files leaves room for"),
        ("disconnect", "a client silent for 1m, or not reading for 10s"),
        ("workers", "none: server.command is not set, every mail is shown in the terminal"),
        ("attachments", "in the JSON, as base64"),
        ("payload", "one JSON object"),
        ("memory", "up to 268.4 MB of mails on their way; above it, clients take turns"),
        ("log", "info and above, to stderr"),
        ("inbox", "http://127.0.0.1:8025, mails are kept in a temporary directory"),
        ("rpc", "off: `workers`, `connections`, `close` and `reset` need rpc.listen"),
        ("metrics", "off"),
        ("status", "off"),
        ("stop", "running mails may take 30s to finish"),
    ]


@pytest.mark.parametrize(
    ("override", "row"),
    [
        ("smtp.servers={tls: {addr: ':465', tls: {cert: auto, mode: implicit}}}",
         ("listen (tls)", ':465, greets as "buggregator.local", TLS with a self-signed certificate')),
        ("smtp.tls={cert: /x.pem}",
         ("listen", '127.0.0.1:1025, greets as "buggregator.local", STARTTLS with the certificate /x.pem')),
        ("smtp.max_message_size=0",
         ("accept", "every sender and every login; mails of any size, to up to 100 recipients")),
        ("smtp.strict=true", ("strict", "what RFC 5321 says to refuse is refused, instead of recorded")),
        ("smtp.auth_mechanisms=[PLAIN, CRAM-MD5]",
         ("login", "CRAM-MD5 is offered: most clients take it, and send a digest instead of their password")),
        ("smtp.max_connections=7", ("connections", "up to 7")),
        ("smtp.read_timeout=0", ("disconnect", "a client not reading for 10s")),
        ("smtp.attachment_storage={mode: tempfile, temp_dir: /t}", ("attachments", "files in /t, deleted after 1h")),
        ("smtp.attachment_storage={mode: tempfile, temp_dir: /t, cleanup_after: '0'}",
         ("attachments", "files in /t, never deleted")),
        ("smtp.payload=jobs", ("payload", "a job of the pipeline smtp with the raw message")),
        ("smtp={include_raw: true, include_transcript: true}",
         ("payload", "one JSON object with the raw message and the SMTP transcript")),
        ("smtp={include_raw: true, payload_omit: [text, session]}",
         ("payload", "one JSON object with the raw message without text, session")),
        ("logs.mode='off'", ("log", "nothing")),
        ("logs={level: warn, output: [stderr, /x.log]}", ("log", "warn and above, to stderr, /x.log")),
        ("rpc.listen=tcp://127.0.0.1:6001", ("rpc", "tcp://127.0.0.1:6001")),
        ("metrics.address=127.0.0.1:2112", ("metrics", "http://127.0.0.1:2112/metrics")),
        ("status.address=127.0.0.1:2114", ("status", "http://127.0.0.1:2114/health and /ready")),
        ("endure.grace_period=5s", ("stop", "running mails may take 5s to finish")),
    ],
)  # fmt: skip
def test_settings_in_words(override: str, row: tuple[str, str]) -> None:
    assert row in summary.explain(load(None, [override]))


def test_workers_in_words() -> None:
    pool = "smtp.pool={num_workers: 8, max_jobs: 100, supervisor: {exec_ttl: 90s, ttl: 1h, max_worker_memory: 64}}"
    rows = summary.explain(load(None, ["server.command=php worker.php", "server.relay=pipes", pool]))
    assert [row for row in rows if row[0] in ("workers", "wait", "answer", "replace")] == [
        ("workers", "8 x php worker.php, over pipes"),
        ("wait", "up to 1m for a free worker; then the client gets 451 4.3.2"),
        ("answer", "within 1m30s; else the worker is killed and the client gets 451 4.3.0"),
        ("replace", "after 100 mails, 1h old, above 64 MB of memory"),
    ]


def test_growth_and_the_limit_of_waiting_mails_in_words() -> None:
    pool = "smtp.pool={max_queue_size: 9, dynamic_allocator: {max_workers: 25, spawn_rate: 10, idle_timeout: 10s}}"
    rows = dict(summary.explain(load(None, ["server.command=php worker.php", pool])))
    assert rows["wait"] == "up to 1m for a free worker, 9 mails at a time; then the client gets 451 4.3.2"
    assert rows["grow"] == ("by 10 while mails wait, up to 25 workers more, which leave when none has waited for 10s")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ([], []),
        (["server.command=php worker.php", "smtp.processes=2"], ["2, with 2 workers each"]),
        (["server.command=php worker.php", "smtp.processes=3"], ["3, with 1 or 2 workers each"]),
        (["server.command=php worker.php", "smtp.processes=4"], ["4, with 1 worker each"]),
        (["smtp.processes=2"], ["2, with a worker each"]),
        (["smtp.processes=auto", "smtp.pool.num_workers=1"], []),
    ],
    ids=["one", "even", "uneven", "as many", "embedded", "auto"],
)
def test_processes_in_words(settings: list[str], told: list[str]) -> None:
    config = load(None, settings)
    rows = [text for label, text in summary.explain(config) if label == "processes"]
    assert rows == [f"{text}; one that ends is started again" for text in told]
    lines = summary.banner(config, "", {"default": ["127.0.0.1:1025"]}).splitlines()
    assert [line for line in lines if line.startswith("  processes ")] == [f"  processes    {text}" for text in told]


@pytest.mark.parametrize(
    ("settings", "listening", "told"),
    [
        ([], "127.0.0.1:1025", ["127.0.0.1:1025"]),
        ([], "0.0.0.0:2525", ["127.0.0.1:2525"]),
        ([], "[::]:2525", ["'[::1]:2525'"]),
        ([], "[fe80::1%eth0]:2525", ["'[fe80::1%eth0]:2525'"]),
        ([], "192.0.2.1:25", ["192.0.2.1:25"]),
        ([], "unix:/run/smtp.sock", ["unix:/run/smtp.sock"]),
        ([], "unix:/a dir/smtp.sock", ["'unix:/a dir/smtp.sock'"]),
        (["smtp.tls={cert: auto}"], "127.0.0.1:1025", ["127.0.0.1:1025"]),
        (["smtp.tls={cert: auto, mode: implicit}"], "127.0.0.1:465", ["--tls --insecure 127.0.0.1:465"]),
        (["server.command=php worker.php"], "127.0.0.1:1025", []),
    ],
)
def test_the_banner_says_how_to_send_a_first_mail(settings: list[str], listening: str, told: list[str]) -> None:
    lines = summary.banner(load(None, settings), "", {"default": [listening]}, program="bin/fastsmtp").splitlines()
    assert [line for line in lines if " send " in line] == [
        f"  first mail   bin/fastsmtp send {place}" for place in told
    ]


def test_nothing_to_warn_of() -> None:
    assert summary.warnings(load(None, ["rpc.listen=unix://x.sock", "smtp.addr=[::1]:1025"])) == []


def test_what_the_printer_gets_all_the_same_is_told() -> None:
    told = ["smtp.payload_omit has no effect: without server.command mails are shown, and nothing is left out"]
    for overrides, expected in (
        (["smtp.payload_omit=[beyond]"], told),
        (["smtp.payload_omit=[beyond]", "server.command=php worker.php"], []),
        (["smtp.payload_omit=[]"], []),
    ):
        assert summary.misunderstandings(load(None, overrides)) == expected


def test_jobs_without_the_payload_for_them_is_told() -> None:
    told = ['smtp.jobs has no effect: workers get mails, not jobs, unless smtp.payload is "jobs"']
    for override, expected in (
        ("smtp.jobs.pipeline=smtp", told),
        ("smtp={payload: jobs, jobs: {pipeline: x}}", []),
        ("smtp.payload=jobs", []),
    ):
        config = load(None, [override])
        assert summary.misunderstandings(config) == summary.warnings(config) == expected


def test_warnings() -> None:
    config = load(
        None,
        ["smtp.addr=:1025", "rpc.listen=tcp://0.0.0.0:6001", "metrics.address=10.0.0.1:2112", "smtp.max_message_size=0",
         "smtp.pool.supervisor.exec_ttl=0", "inbox.address=0.0.0.0:8025"],
    )  # fmt: skip
    assert summary.warnings(config) == [
        ":1025 can be reached from other machines: every mail and every login is accepted, keep it off the internet",
        "rpc.listen: tcp://0.0.0.0:6001 can be reached from other machines, and RPC asks for no password",
        "inbox.address: 0.0.0.0:8025 can be reached from other machines, which may read and delete every mail;"
        " inbox.auth asks for a password",
        "metrics.address: 10.0.0.1:2112 can be reached from other machines",
        "smtp.max_message_size: 0 means no limit, and whole mails are held in memory",
        "smtp.pool.supervisor.exec_ttl: 0s means that a worker that hangs holds its client for ever",
    ]


@pytest.mark.parametrize(
    "override",
    [
        "inbox.auth={username: a, password: b}",
        "inbox.auth={token: t}",
        "inbox.address=127.0.0.1:8025",
        "inbox.address=",
    ],
)
def test_an_inbox_that_asks_or_is_local_is_no_danger(override: str) -> None:
    config = load(None, ["inbox.address=0.0.0.0:8025", override])
    assert summary.inbox_exposure(config, config.inbox.address if config.inbox else "") == ""


def test_the_banner_warns_of_an_open_inbox() -> None:
    shown = summary.banner(load(None), "", {"default": ["127.0.0.1:1025"]}, "http://0.0.0.0:8025")
    assert shown.splitlines()[-1] == (
        "  WARNING      inbox.address: 0.0.0.0:8025 can be reached from other machines, which may read and delete every"
        " mail; inbox.auth asks for a password"
    )


def test_obstacles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert summary.obstacles(load(None)) == []
    assert summary.obstacles(load(None, ["server.command=no-such-program"])) == [
        "server.command: there is no program no-such-program here"
    ]
    script = [f"server.command={sys.executable} worker.py"]
    missing = f"{sys.executable} worker.py is to take the mails, and there is no file worker.py in {tmp_path}"
    assert summary.obstacles(load(None, script)) == [f"server.command: {missing}"]
    (tmp_path / "worker.py").touch()
    assert summary.obstacles(load(None, script)) == []
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "worker.php").write_text("<?php require __DIR__ . '/../vendor/autoload.php';")
    script = [f"server.command=[{sys.executable}, app/worker.php]"]
    assert summary.obstacles(load(None, script)) == [
        f"server.command: {sys.executable} app/worker.php requires ../vendor/autoload.php, which is not there yet: "
        "run `composer install`"
    ]
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "autoload.php").touch()
    assert summary.obstacles(load(None, script)) == []
    assert summary.obstacles(load(None, ["smtp.tls.cert=/no/cert.pem"])) == ["smtp.tls: no such file: /no/cert.pem"]
    path = f"server={{command: tool, env: {{PATH: {tmp_path}}}}}"
    assert summary.obstacles(load(None, [path])) == ["server.command: there is no program tool here"]
    (tmp_path / "tool").touch(0o755)
    assert summary.obstacles(load(None, [path])) == []
