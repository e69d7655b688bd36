"""Logs of a running server: levels, encodings, outputs, rotation, secrets."""

from __future__ import annotations

import base64
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from servers import Serve, Server
from wire import MAIL, Wire, logged, wait_for_log

import fastsmtp

LOGIN = (base64.b64encode(b"user"), base64.b64encode(b"hunter2"))


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def fields(record: dict[str, Any]) -> dict[str, Any]:
    """Those that are not in every record."""
    return {key: value for key, value in record.items() if key not in ("level", "ts", "logger", "msg")}


def deliver(server: Server, subject: bytes = b"x") -> None:
    with Wire(server) as wire:
        wire.begin()
        assert wire.ask(MAIL % subject)[:3] == b"250"
        wire.ask(b"QUIT\r\n")


def test_json_in_a_file_tells_the_story_of_a_session(serve: Serve, tmp_path: Path) -> None:
    server = serve({"logs": {"mode": "production", "output": "server.log"}}, banner=False)
    with Wire(server) as wire:
        wire.begin()
        assert wire.ask(MAIL % b"x")[:3] == b"250"
        wire.ask(b"MAIL FROM: a@b.c\r\n")
        wire.ask(b"QUIT\r\n")
    server.stop()
    found = records(tmp_path / "server.log")
    assert [(item["level"], item["logger"], item["msg"]) for item in found] == [
        ("info", "smtp", "listening"),
        ("info", "smtp", "connection"),
        ("info", "smtp", "email"),
        ("warn", "smtp", "violation"),
        ("warn", "smtp", "violation"),
        ("info", "smtp", "connection closed"),
        ("info", "smtp", "stopping"),
        ("info", "smtp", "stopped"),
    ]
    [context] = server.records()
    assert [item["connection"] for item in found if "connection" in item] == [context["connection_uuid"]] * 4
    assert fields(found[0]) == {
        "addresses": f"{server.host}:{server.port}",
        "pid": server.process.pid,
        "version": fastsmtp.__version__,
    }
    assert fields(found[2]) == {
        "uuid": context["uuid"],
        "peer": context["remote_addr"],
        "from": "s@example.com",
        "to": "r@example.com",
        "recipients": 1,
        "subject": "x",
        "size": context["message"]["size"],
        "attachments": 0,
    }
    assert fields(found[-2]) == {"reason": "SIGTERM"}
    assert (server.lines, server.printed) == ([], [])  # no banner either


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", {"DEBUG", "INFO", "WARN", "ERROR"}),
        ("info", {"INFO", "WARN", "ERROR"}),
        ("warn", {"WARN", "ERROR"}),
        ("error", {"ERROR"}),
        ("panic", set()),
    ],
)
def test_levels(serve: Serve, level: str, shown: set[str]) -> None:
    server = serve({"logs": {"level": level, "output": "server.log"}}, worker="obeys.php")
    with Wire(server) as wire:
        wire.begin()
        assert wire.ask(MAIL % b"crash")[:3] == b"451"  # ERROR: the worker is lost
        wire.ask(b"MAIL FROM:a@b\r\n")  # WARN: no brackets
    server.stop()
    lines = (server.directory / "server.log").read_text().splitlines()
    assert {line.split("  ")[1].strip() for line in lines} == shown


@pytest.mark.parametrize("mode", ["none", "off"])
def test_off_is_silent(serve: Serve, mode: str) -> None:
    server = serve({"logs": {"mode": mode}})
    deliver(server)
    server.stop()
    assert [line for line in server.lines if "connection" in line or "email" in line] == []


def test_rotation_by_move_and_sigusr1_loses_no_record(serve: Serve, tmp_path: Path) -> None:
    path, rotated = tmp_path / "server.log", tmp_path / "server.log.1"
    server = serve({"logs": {"encoding": "json", "output": "server.log"}})
    subjects = 6
    with Wire(server) as wire:
        for number in range(subjects):
            if number == subjects // 2:
                path.rename(rotated)
                server.process.send_signal(signal.SIGUSR1)
                while not path.exists():  # the server takes note of a signal between two reads
                    wire.ask(b"NOOP\r\n")
            wire.begin() if number == 0 else wire.begin_next()
            assert wire.ask(MAIL % b"x")[:3] == b"250"
    server.stop()
    emails = [[item["uuid"] for item in records(file) if item["msg"] == "email"] for file in (rotated, path)]
    assert [len(half) for half in emails] == [subjects // 2] * 2
    assert [*emails[0], *emails[1]] == [context["uuid"] for context in server.records()]


def test_sigusr1_without_a_file_changes_nothing(serve: Serve) -> None:
    server = serve()
    server.process.send_signal(signal.SIGUSR1)
    deliver(server)
    assert len(wait_for_log(server, "connection closed")) == 1


ODD_LOGINS = [
    [b"AUTH LOGIN %s\n" % LOGIN[0], LOGIN[1] + b"\n"],  # before EHLO, and lines that end in LF
    [b"EHLO x\r\n", b"AUTH PLAIN hunter2!\r\n"],  # no base64
    [b"EHLO x\r\n", b"auth login\r\n", b"hunter2 \xff\r\n"],
    [b"EHLO x\r\n", b"AUTH LOGIN\r\n", LOGIN[0] + b"\r\n", b"hunter2\r\r\n"],
    [b"EHLO x\r\n", b"  AUTH PLAIN %s\r\n" % base64.b64encode(b"hunter2 without NUL")],
    [b"EHLO x\r\n", b"AUTH PLAIN %s\xff\r\n" % LOGIN[1]],
]


def test_odd_logins_give_nothing_away(serve: Serve) -> None:
    server = serve()
    for lines in ODD_LOGINS:
        with Wire(server) as wire:
            for line in lines:
                assert wire.ask(line) != b""
    wait_for_log(server, "connection closed", len(ODD_LOGINS))
    secrets = ["hunter2", LOGIN[1].decode(), base64.b64encode(b"hunter2 without NUL").decode()]
    assert [line for line in server.lines for secret in secrets if secret in line] == []
    assert len(logged(server, "  violation  ")) >= len(ODD_LOGINS) - 1


def test_debug_shows_every_command_and_reply_with_the_connection(serve: Serve) -> None:
    server = serve(arguments=["--debug"])
    with Wire(server) as wire:
        wire.send(b"EHLO x\r\n")
        wire.reply()
        wire.ask(b"auth login\r\n")
        wire.ask(LOGIN[0] + b"\r\n")
        wire.ask(LOGIN[1] + b"\r\n")
        wire.ask(b"bogus \x1b[2J\r\n")
        wire.ask(b"QUIT\r\n")
    [closed] = wait_for_log(server, "connection closed")
    connection = next(word for word in closed.split() if word.startswith("connection="))
    talk = [line for line in server.lines if "  command  " in line or "  reply  " in line]
    assert all(connection in line for line in talk)
    assert [line.partition("line=")[2] for line in talk if "  command  " in line] == [
        '"EHLO x"',
        '"auth login"',
        LOGIN[0].decode(),
        LOGIN[1].decode(),
        '"bogus \\x1b[2J"',
        "QUIT",
    ]
    assert [line.partition("line=")[2].strip('"')[:3] for line in talk if "  reply  " in line] == [
        "220",
        *["250"] * 11,
        "334",
        "334",
        "235",
        "500",
        "221",
    ]
    lower_case = [line.split("  ")[1].strip() for line in logged(server, "code=lower-case-verb")]
    assert lower_case == ["DEBUG"]


def test_channels_have_levels_and_outputs_of_their_own(serve: Serve, tmp_path: Path) -> None:
    channels = {"smtp": {"level": "warn"}, "server": {"level": "debug", "mode": "production", "output": "workers.log"}}
    server = serve({"logs": {"channels": channels}})
    with Wire(server) as wire:
        wire.ask(b"MAIL FROM:a@b.c\r\n")  # no brackets
        wire.ask(b"QUIT\r\n")
    assert len(wait_for_log(server, "code=path-without-brackets")) == 1
    server.stop()
    assert [line for line in server.lines if "  INFO   " in line or "  DEBUG  " in line] == []
    found = {(item["level"], item["logger"], item["msg"]) for item in records(tmp_path / "workers.log")}
    assert found == {("debug", "pool", "worker is in service"), ("debug", "pool", "worker has ended")}


def test_debug_of_the_channel_alone_shows_commands(serve: Serve) -> None:
    server = serve({"logs": {"level": "error", "channels": {"smtp": {"level": "debug"}}}})
    with Wire(server) as wire:
        wire.ask(b"NOOP shown\r\n")
    assert len(wait_for_log(server, "NOOP shown")) == 1


@pytest.mark.parametrize("processes", [1, 2])
def test_a_full_log_file_is_replaced_and_no_record_is_lost(serve: Serve, tmp_path: Path, processes: int) -> None:
    file = {"log_output": "server.log", "max_size": 1}
    server = serve({"logs": {"level": "debug", "file_logger_options": file}, "smtp": {"processes": processes}})
    said = [f"NOOP {number} {'x' * 60_000}" for number in range(50)]
    for start in range(0, len(said), 5):
        with Wire(server) as wire:
            for line in said[start : start + 5]:
                assert wire.ask(line.encode() + b"\r\n")[:3] == b"250"
    server.stop()
    files = [*sorted(tmp_path.glob("server-*.log")), tmp_path / "server.log"]
    logged_lines = [item["line"] for file in files for item in records(file) if item["msg"] == "command"]
    assert sorted(logged_lines) == sorted(said)
    assert [file.stat().st_size <= 1024 * 1024 for file in files] == [True] * len(files)
    assert len(files) >= 3
    assert [line for line in server.lines if "NOOP" in line] == []
