"""Files written for RoadRunner start as they are, and take a mail; `check` says what of them has no effect."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from commands import FASTSMTP, PATIENCE_S
from servers import TESTS, WORKERS, Serve, Server
from wire import MAIL, Wire, logged, wait_for_log

CONFIGS = TESTS / "configs"
ACCEPTED = b"250 2.0.0 Message accepted\r\n"
OTHERS = ("# TYPE rr_smtp_", "# TYPE process_")


@pytest.fixture(autouse=True)
def with_worker(tmp_path: Path) -> None:
    """The `worker.php` of the files."""
    (tmp_path / "worker.php").write_text(f"<?php\nrequire '{WORKERS / 'record.php'}';\n")


def check(name: str, tmp_path: Path) -> dict[str, Any]:
    """What `check` says of a file."""
    command = [sys.executable, "-m", "fastsmtp", "check", "-c", str(CONFIGS / name), "-w", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def deliver(server: Server) -> None:
    with Wire(server) as wire:
        wire.begin()
        assert wire.ask(MAIL % b"x") == ACCEPTED


def ask(server: Server, name: str) -> tuple[int, str]:
    """Status and body of the endpoint that the log says is served."""
    [line] = wait_for_log(server, f"{name} served")
    try:
        with urllib.request.urlopen(line.partition("url=")[2], timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_reference_starts_and_takes_a_mail(serve: Serve, tmp_path: Path) -> None:
    server = serve(
        text=(CONFIGS / "reference.yaml").read_text(), arguments=["-o", f"server.env.RECORDS={tmp_path}/records"]
    )
    deliver(server)
    [record] = server.records()
    assert record["message"]["subject"] == "x"
    [failed] = logged(server, "on_init failed")
    assert json.loads(failed)["reason"] == 'cannot start "no-such-program --migrate": No such file or directory'
    assert len(logged(server, "  DEBUG  smtp  ")) > 0
    status = [{"plugin_name": "smtp", "error_message": "", "status_code": 200}]
    code, body = ask(server, "status is")
    assert (code, json.loads(body)) == (200, status)
    code, body = ask(server, "metrics are")
    ours = [line for line in body.splitlines() if line.startswith("# TYPE") and not line.startswith(OTHERS)]
    assert (code, ours) == (
        200,
        ["# TYPE waiting summary", "# TYPE sizes histogram", "# TYPE older histogram"],
    )
    [line] = wait_for_log(server, "RPC is listening")
    command = [*FASTSMTP, "workers", "--json", "-o", f"rpc.listen={line.partition('address=')[2]}"]
    workers = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)
    assert [worker["command"] for worker in workers["smtp"]] == ["php worker.php"] * 2
    assert server.stop() == 0
    messages = [json.loads(line)["msg"] for line in server.lines if '"logger":"after_init"' in line]
    assert messages[0].startswith("PHP 8")


def test_the_reference_in_words(tmp_path: Path) -> None:
    answer = check("reference.yaml", tmp_path)
    assert answer["without_effect"] == {
        "logs.channels.http": "nothing here logs in this channel",
        "logs.encoding": "file_logger_options writes JSON",
        "logs.output": "file_logger_options writes to its own file",
        "metrics.collect.older.objectives": "only a summary has objectives",
        "smtp.pool.stream_timeout": "workers answer in one piece, not in streams",
        "status.check_timeout": "a server of one process says at once how it is",
        **dict.fromkeys(
            ["temporal", "kv", "service", "http", "jobs", "reload", "grpc", "fileserver", "centrifuge"],
            "for RoadRunner alone",
        ),
        "endure.print_graph": "for RoadRunner alone",
        "endure.log_level": "for RoadRunner alone",
    }
    assert (answer["warnings"], answer["obstacles"]) == ([], [])


def test_the_file_of_an_inspector_starts_and_takes_a_mail(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_ADDR", "127.0.0.1:0")
    monkeypatch.setenv("LOG_MODE", "development")
    monkeypatch.setenv("LOG_ENCODING", "console")
    arguments = ["-o", f"server.env.RECORDS={tmp_path}/records"]
    server = serve(text=(CONFIGS / "inspector.yaml").read_text(), arguments=arguments)
    deliver(server)
    [record] = server.records()
    assert record["message"]["subject"] == "x"
    assert len(wait_for_log(server, "smtp.jobs has no effect")) == 1
    assert server.stop() == 0


def test_the_file_of_an_inspector_in_words(tmp_path: Path) -> None:
    answer = check("inspector.yaml", tmp_path)
    assert answer["without_effect"] == {
        **{
            f"logs.channels.{name}": "nothing here logs in this channel"
            for name in ("centrifuge", "http", "jobs", "service", "tcp")
        },
        **dict.fromkeys(["http", "tcp", "kv", "jobs", "service", "centrifuge"], "for RoadRunner alone"),
    }
    assert answer["warnings"][1:] == [
        'smtp.jobs has no effect: workers get mails, not jobs, unless smtp.payload is "jobs"'
    ]
    assert answer["obstacles"] == []
