"""RPC called from PHP: every method, its effect on sessions and workers, and its shape."""

from __future__ import annotations

import base64
import json
import re
import signal
import smtplib
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from servers import TESTS, WORKERS, Serve, Server

import fastsmtp

MESSAGE = b"Subject: x\r\n\r\nx\r\n"
TIMESTAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
ACCEPTED = (250, b"2.0.0 Message accepted")
CLOSING = (421, b"4.3.2 Server is shutting down")


def address_of(server: Server) -> str:
    """Where the server listens for RPC: it logs that."""
    (line,) = (line for line in server.lines if "RPC is listening" in line)
    return line.rpartition("address=")[2]


def call_all(server: Server, *calls: tuple[object, ...]) -> list[dict[str, Any]]:
    """Make `calls`, (method, argument) each, from one PHP process over one connection."""
    command = ["php", str(TESTS / "clients" / "rpc.php"), address_of(server), json.dumps(calls)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def call(server: Server, method: str, argument: object = True) -> Any:
    [answer] = call_all(server, (method, argument))
    return answer["result"]


@pytest.fixture(params=["tcp", "unix"])
def server(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path) -> Server:
    listen = {"tcp": "tcp://127.0.0.1:0", "unix": f"unix://{tmp_path}/rpc.sock"}[request.param]
    return serve({"rpc": {"listen": listen}})


def test_connections(server: Server) -> None:
    assert call(server, "smtp.ListConnections") == []
    with smtplib.SMTP(server.host, server.port, "client.example.com") as client:
        client.ehlo()
        client.user, client.password = "user", "secret"
        client.auth("PLAIN", client.auth_plain)
        client.sendmail("s@example.com", "r@example.com", MESSAGE)
        client.mail("s2@example.com")
        client.rcpt("r2@example.com")
        client.rcpt("r3@example.com")
        [connection] = call(server, "smtp.ListConnections")
        assert client.sock is not None
        host, port = client.sock.getsockname()
        assert re.fullmatch(TIMESTAMP, connection.pop("since"))
        [record] = server.records()
        assert connection == {
            "uuid": record["connection_uuid"],
            "remote_addr": f"{host}:{port}",
            "server": "default",
            "emails": 1,
            "email_uuid": record["uuid"],
            "state": "transaction",
            "helo": "client.example.com",
            "from": "s2@example.com",
            "to": ["r2@example.com", "r3@example.com"],
            "authenticated": True,
            "username": "user",
        }
        client.rset()
        [connection] = call(server, "smtp.ListConnections")
        assert (connection["state"], connection["from"], connection["to"]) == ("idle", "", [])
        client.mail("s@example.com")
        client.rcpt("r@example.com")
        client.docmd("DATA")
        [connection] = call(server, "smtp.ListConnections")
        assert connection["state"] == "receiving"
        client.send(b".\r\n")
        client.getreply()
    assert call(server, "smtp.ListConnections") == []


@pytest.mark.parametrize("key", ["connection_uuid", "uuid"])
def test_close_an_idle_connection(server: Server, key: str) -> None:
    with smtplib.SMTP(server.host, server.port) as client, smtplib.SMTP(server.host, server.port) as other:
        client.sendmail("s@example.com", "r@example.com", MESSAGE)
        [record] = server.records()
        assert call(server, "smtp.CloseConnection", record[key]) is True
        assert client.getreply() == CLOSING
        assert client.file is not None
        assert client.file.read() == b""
        client.close()
        assert other.noop()[0] == 250
        error = {"error": f"no such connection: {record[key]}"}
        assert call_all(server, ("smtp.CloseConnection", record[key])) == [error]
        assert call_all(server, ("smtp.CloseConnection", "")) == [{"error": "no such connection: "}]


def test_close_a_connection_after_its_transaction(server: Server) -> None:
    client = smtplib.SMTP(server.host, server.port)
    client.ehlo()
    client.mail("s@example.com")
    [connection] = call(server, "smtp.ListConnections")
    assert call(server, "smtp.CloseConnection", connection["uuid"]) is True
    assert client.rcpt("r@example.com")[0] == 250
    assert client.data(MESSAGE) == ACCEPTED
    assert client.getreply() == CLOSING
    client.close()


def test_a_worker_closes_the_connection_of_its_email(serve: Serve) -> None:
    server = serve({"rpc": {"listen": "tcp://127.0.0.1:0"}}, worker="closes_by_rpc.php")
    for _ in range(2):
        client = smtplib.SMTP(server.host, server.port)
        client.ehlo()
        client.mail("s@example.com")
        client.rcpt("r@example.com")
        assert client.data(MESSAGE) == ACCEPTED
        assert client.getreply() == CLOSING
        client.close()


def test_stats(server: Server) -> None:
    with smtplib.SMTP(server.host, server.port) as client:
        client.sendmail("s@example.com", "r@example.com", MESSAGE)
        stats = call(server, "smtp.Stats")
    assert re.fullmatch(TIMESTAMP, stats.pop("started"))
    assert stats == {
        "connections": 1,
        "inflight_bytes": 0,
        "pools": {
            "smtp": {
                "workers": 2,
                "idle": 2,
                "busy": 0,
                "waiting": 0,
                "execs": 1,
                "errors": 0,
                "unknown_answers": 0,
                "worker_failures": 0,
                "exec_timeouts": 0,
                "allocate_timeouts": 0,
                "queue_overflows": 0,
                "starts": 2,
                "start_failures": 0,
            }
        },
    }


def test_workers(server: Server) -> None:
    assert call(server, "informer.List") == ["smtp"]
    workers = call(server, "informer.Workers", "smtp")["workers"]
    assert [{key: type(value) for key, value in worker.items()} for worker in workers] == 2 * [
        {
            "pid": int,
            "status": int,
            "numExecs": int,
            "created": int,
            "memoryUsage": int,
            "CPUPercent": float,
            "command": str,
            "statusStr": str,
        }
    ]
    command = f"php {WORKERS / 'record.php'}"
    shown = [{key: worker[key] for key in ("status", "numExecs", "command", "statusStr")} for worker in workers]
    assert shown == 2 * [{"status": 1, "numExecs": 0, "command": command, "statusStr": "ready"}]
    assert all(worker["memoryUsage"] > 1_000_000 and worker["created"] > 1e18 for worker in workers)

    assert call(server, "informer.AddWorker", "smtp") is True
    assert len(call(server, "informer.Workers", "smtp")["workers"]) == 3
    assert call(server, "informer.RemoveWorker", "smtp") is True
    assert call(server, "informer.RemoveWorker", "smtp") is True
    assert len(call(server, "informer.Workers", "smtp")["workers"]) == 1
    assert call(server, "smtp.Stats")["pools"]["smtp"]["workers"] == 1
    assert call_all(
        server,
        ("informer.RemoveWorker", "smtp"),
        ("informer.Workers", "http"),
        ("informer.AddWorker", "http"),
        ("informer.RemoveWorker", "http"),
        ("resetter.Reset", "http"),
    ) == [
        {"error": "the last worker of a pool stays"},
        {"result": {"workers": None}},
        {"error": "no such plugin: http"},
        {"error": "no such plugin: http"},
        {"error": "no such plugin: http"},
    ]


def test_reset(server: Server) -> None:
    assert call(server, "resetter.List") == ["smtp"]
    before = {worker["pid"] for worker in call(server, "informer.Workers", "smtp")["workers"]}
    assert call(server, "resetter.Reset", "smtp") is True
    after = {worker["pid"] for worker in call(server, "informer.Workers", "smtp")["workers"]}
    assert len(after) == 2
    assert after & before == set()
    with smtplib.SMTP(server.host, server.port) as client:
        client.sendmail("s@example.com", "r@example.com", MESSAGE)


def test_reset_that_fails(serve: Serve, tmp_path: Path) -> None:
    command = tmp_path / "worker.sh"
    command.write_text(f"exec php {WORKERS / 'record.php'}\n")
    server = serve({"rpc": {"listen": "tcp://127.0.0.1:0"}, "server": {"command": f"sh {command}"}})
    command.write_text("exit 3\n")
    [answer] = call_all(server, ("resetter.Reset", "smtp"))
    assert answer == {
        "error": f'workers could not be replaced: worker "sh {command}" did not start: ended without a handshake; '
        "exit status 3"
    }
    with smtplib.SMTP(server.host, server.port) as client:
        client.sendmail("s@example.com", "r@example.com", MESSAGE)


def test_version_and_config(serve: Serve) -> None:
    server = serve(
        {
            "rpc": {"listen": "tcp://127.0.0.1:0"},
            "server": {"env": {"TOKEN": "hidden"}},
            "smtp": {"read_timeout": "1m30s"},
        }
    )
    assert call(server, "rpc.Version") == fastsmtp.__version__
    text = base64.b64decode(call(server, "rpc.Config"))
    assert b"hidden" not in text
    config = json.loads(text)
    sections = {"version", "server", "rpc", "logs", "metrics", "status", "endure", "smtp", "inbox", "cluster"}
    assert set(config) == sections
    assert config["server"]["env"] == {"RECORDS": "******", "TOKEN": "******"}
    assert config["rpc"] == {"listen": "tcp://127.0.0.1:0"}
    assert (config["smtp"]["read_timeout"], config["smtp"]["write_timeout"]) == ("90s", "10s")
    assert config["smtp"]["pool"]["supervisor"] == {
        "watch_tick": "5s",
        "ttl": "0s",
        "idle_ttl": "0s",
        "exec_ttl": "60s",
        "max_worker_memory": 0,
    }


def test_app_log(server: Server) -> None:
    levels = ("Debug", "Info", "Warning", "Error", "Log")
    entry = {"message": "context", "log_attrs": [{"key": "user", "value": "x y"}, {"key": "event", "value": "e"}]}
    answers = call_all(
        server,
        *((f"app.{level}", f"plain {level}\n{{x}} %s") for level in levels),
        *((f"app.{level}WithContext", entry) for level in levels),
    )
    assert answers == 5 * [{"result": True}] + 5 * [{"result": []}]  # PHP reads {} as an empty array
    server.wait_for(lambda: sum("context" in line for line in server.lines) == 4)
    lines = [re.sub(r"^\S+ +", "", line) for line in server.lines if "  app  " in line]
    assert lines == [
        "INFO   app  plain Info\\n{x} %s",
        "WARN   app  plain Warning\\n{x} %s",
        "ERROR  app  plain Error\\n{x} %s",
        "INFO   app  plain Log\\n{x} %s",
        'INFO   app  context  user="x y"  event_=e',
        'WARN   app  context  user="x y"  event_=e',
        'ERROR  app  context  user="x y"  event_=e',
        'INFO   app  context  user="x y"  event_=e',
    ]


def test_other_codecs_and_unknown_methods_keep_the_connection(server: Server) -> None:
    assert call_all(
        server, ("jobs.Push", []), ("rpc.Version", "", 0x04), ("rpc.Version", "", 0x10), ("rpc.Version", True)
    ) == [
        {"error": "rpc: can't find method jobs.Push"},
        {"error": "the codec raw is not supported, use JSON"},
        {"error": "the codec msgpack is not supported, use JSON"},
        {"result": fastsmtp.__version__},
    ]


def test_unix_socket_is_private_and_gone_at_the_end(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"
    server = serve({"rpc": {"listen": f"unix://{path}"}})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert address_of(server) == f"unix://{path}"
    assert server.stop() == 0
    assert not path.exists()


@pytest.mark.parametrize("force", [False, True])
def test_stop(server: Server, force: bool) -> None:
    [answer] = call_all(server, ("rpc.Stop", "yes"))
    assert answer["error"].startswith("the argument of rpc.Stop is not what it should be: ")
    if not force:
        assert call(server, "rpc.Stop", False) is True
        assert server.wait_for_end() == 0
        return
    with smtplib.SMTP(server.host, server.port) as client:
        client.ehlo()
        client.mail("s@example.com")
        client.rcpt("r@example.com")
        client.docmd("DATA")
        # It may be gone before its answer is.
        subprocess.run(
            ["php", str(TESTS / "clients" / "rpc.php"), address_of(server), json.dumps([["rpc.Stop", True]])],
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        server.exit_code = server.wait_for_end()
        client.close()
    assert server.exit_code in (128 + signal.SIGINT, 128 + signal.SIGTERM)
