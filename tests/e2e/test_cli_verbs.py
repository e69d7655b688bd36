"""Every verb of the command line on its real output, against real servers."""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import json
import os
import pty
import re
import signal
import smtplib
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import FASTSMTP, PATIENCE_S, stderr_on_terminal
from gates import Gate
from servers import WORKERS, Serve, Server

RPC = {"rpc": {"listen": "unix://rpc.sock"}}
MESSAGE = b"Subject: x\r\n\r\nx\r\n"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `fastsmtp` to its end in the directory where `serve` put its configuration."""

    def start(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        options = {"stdin": subprocess.DEVNULL, "timeout": PATIENCE_S, **options}
        return subprocess.run([*FASTSMTP, *arguments], cwd=tmp_path, capture_output=True, text=True, **options)

    return start


def outcome(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


# --- what answers without a server


@pytest.mark.parametrize("verb", [["workers"], ["connections"], ["close", "x"], ["reset"], ["stop"]], ids=" ".join)
def test_rpc_is_off(run: Run, tmp_path: Path, verb: list[str]) -> None:
    otherwise = "; or use `serve -p`, which writes .pid" if verb == ["stop"] else ""
    hint = f'set rpc.listen, for example "tcp://127.0.0.1:6001"{otherwise}\n'
    assert outcome(run(*verb)) == (2, "", f"fastsmtp: RPC is off without a configuration: {hint}")
    (tmp_path / ".rr.yaml").write_text("smtp: {}\n")
    assert outcome(run(*verb)) == (2, "", f"fastsmtp: RPC is off in .rr.yaml: {hint}")


@pytest.mark.parametrize("verb", [["workers"], ["connections"], ["close", "x"], ["reset"], ["stop"]], ids=" ".join)
def test_nobody_listens(run: Run, verb: list[str]) -> None:
    assert outcome(run(*verb, "-o", "rpc.listen=tcp://127.0.0.1:1")) == (
        3,
        "",
        "fastsmtp: no server answers at rpc.listen, tcp://127.0.0.1:1: Connection refused\n",
    )


def test_bad_configuration(run: Run) -> None:
    assert outcome(run("workers", "-o", "rpc.listen=x")) == (
        2,
        "",
        '-o: rpc.listen: expected an address like "tcp://127.0.0.1:6001" or "unix:///path", got "x"\n',
    )


def test_somebody_else_listens(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as web:
        listen = f"tcp://127.0.0.1:{web.getsockname()[1]}"
        command = [*FASTSMTP, "workers", "-o", f"rpc.listen={listen}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = web.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            assert process.stderr is not None
            assert process.stderr.read().startswith(f"fastsmtp: {listen}: not a Goridge frame: ")
        assert process.returncode == 3


# --- check


def test_check(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".rr.yaml").write_text('server: {command: "php worker.php"}\nsmtp: {addr: ":1025"}\n')
    (tmp_path / "worker.php").touch()
    code, out, err = outcome(run("check"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:3] == [
        f"{tmp_path}/.rr.yaml is valid. With it, fastsmtp serve will do this:",
        "",
        '  listen       :1025, greets as "buggregator.local", without TLS',
    ]
    assert lines[-1] == (
        "WARNING: :1025 can be reached from other machines: "
        "every mail and every login is accepted, keep it off the internet"
    )
    (tmp_path / "worker.php").unlink()
    code, out, err = outcome(run("check"))
    assert (code, err) == (1, "")
    assert out.splitlines()[-1] == (
        "CANNOT START: server.command: php worker.php is to take the mails, "
        f"and there is no file worker.php in {tmp_path}"
    )


def test_check_without_a_configuration(run: Run, tmp_path: Path) -> None:
    done = run("check")
    assert done.returncode == 0
    assert done.stdout.startswith(
        f"There is no .rr.yaml in {tmp_path}; the default configuration is valid. "
        "With it, fastsmtp serve will do this:\n"
    )


def test_check_of_a_bad_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("smtp: {adr: x}\n")
    fault = "x.yaml:1: smtp.adr: unknown key, did you mean addr?"
    assert outcome(run("check", "-c", "x.yaml")) == (2, "", fault + "\n")
    done = run("check", "-c", "x.yaml", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (2, {"valid": False, "file": "x.yaml", "faults": [fault]})


def test_check_as_json(run: Run) -> None:
    done = run("check", "--json", "-o", "smtp.read_timeout=90s")
    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert answer["config"]["smtp"]["read_timeout"] == "90s"
    del answer["config"]
    assert answer == {"valid": True, "file": None, "faults": [], "obstacles": [], "warnings": [], "without_effect": {}}


# --- workers


def test_workers(serve: Serve, run: Run) -> None:
    server = serve(RPC)
    with smtplib.SMTP(server.host, server.port) as client:
        client.sendmail("a@b", "c@d", MESSAGE)
        code, out, err = outcome(run("workers"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "smtp: 2 workers, 2 idle, 0 busy; 0 mails waiting, 1 connection"
    assert lines[1].split() == ["PID", "STATUS", "EXECS", "MEMORY", "CPU", "AGE", "COMMAND"]
    row = r" *\d+  ready   +[01]  +[\d.]+ MB  +[\d.]+ %  \d+s +php " + re.escape(str(WORKERS / "record.php"))
    assert [bool(re.fullmatch(row, line)) for line in lines[2:]] == [True, True]
    assert sorted(line.split()[2] for line in lines[2:]) == ["0", "1"]


def test_workers_as_json(serve: Serve, run: Run) -> None:
    serve(RPC)
    [state, _] = json.loads(run("workers", "--json").stdout)["smtp"]
    assert set(state) == {
        "pid", "status", "numExecs", "created", "memoryUsage", "CPUPercent", "command", "statusStr",
    }  # fmt: skip


def test_workers_again_and_again(serve: Serve, tmp_path: Path) -> None:
    serve(RPC)
    command = [*FASTSMTP, "workers", "-i"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        tables = [[process.stdout.readline() for _ in range(5)] for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    heads = ["smtp: 2 workers, 2 idle, 0 busy; 0 mails waiting, 0 connections\n", "\n"]
    assert [[table[0], table[-1]] for table in tables] == [heads, heads]


def test_workers_on_a_terminal_are_drawn_over(serve: Serve, tmp_path: Path) -> None:
    serve(RPC)
    outer, inner = pty.openpty()
    process = subprocess.Popen([*FASTSMTP, "workers", "-i"], cwd=tmp_path, stdout=inner, stderr=inner)
    os.close(inner)
    shown = b""
    while shown.count(b"\x1b[H\x1b[2Jsmtp: 2 workers") < 2:
        shown += os.read(outer, 65536)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    os.close(outer)


def on_terminal(directory: Path, columns: int, *arguments: str) -> list[str]:
    """The lines that a verb shows on a terminal."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([*FASTSMTP, *arguments], cwd=directory, stdout=inner, stderr=inner)
    os.close(inner)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while chunk := os.read(outer, 65536):
            shown += chunk
    os.close(outer)
    assert process.wait(PATIENCE_S) == 0
    return shown.decode().splitlines()


def test_tables_are_no_wider_than_the_terminal(serve: Serve, tmp_path: Path) -> None:
    server = serve(RPC)
    with smtplib.SMTP(server.host, server.port, "a-client-with-a-very-long-name-of-its-own.example.com") as client:
        client.ehlo()
        narrow = on_terminal(tmp_path, 60, "workers")[1:] + on_terminal(tmp_path, 100, "connections")
        wide = on_terminal(tmp_path, 300, "workers")[1:] + on_terminal(tmp_path, 300, "connections")
    assert [len(line) <= columns for line, columns in zip(narrow, [60] * 3 + [100] * 2, strict=True)] == [True] * 5
    assert [line.count("…") for line in narrow] == [0, 1, 1, 0, 1]
    assert [line.count("…") for line in wide] == [0] * 5


def test_check_goes_on_below_where_a_line_begins(tmp_path: Path) -> None:
    shown = on_terminal(tmp_path, 60, "check")
    start = next(index for index, line in enumerate(shown) if line.startswith("  accept "))
    assert shown[start : start + 3] == [
        "  accept       every sender and every login; mails up to",
        "               10.5 MB, to up to 100 recipients",
        "  connections  as many as the limit of open files leaves",
    ]


def test_workers_until_the_server_ends(serve: Serve, tmp_path: Path) -> None:
    server = serve(RPC)
    command = [*FASTSMTP, "workers", "-i"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        server.stop()
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3
    assert err.startswith("fastsmtp: unix://rpc.sock: ")


# --- connections, close


def test_connections(serve: Serve, run: Run) -> None:
    server = serve(RPC)
    assert outcome(run("connections")) == (0, "no client is connected\n", "")
    assert outcome(run("connections", "--json")) == (0, "[]\n", "")
    with smtplib.SMTP(server.host, server.port, "client.example.com") as client:
        client.login("user", "secret")
        assert client.sock is not None
        port = client.sock.getsockname()[1]
        heads, row = run("connections").stdout.splitlines()
        assert heads.split() == ["UUID", "CLIENT", "HELO", "USER", "STATE", "EMAILS", "AGE"]
        assert re.fullmatch(rf"{UUID}  127\.0\.0\.1:{port} +client\.example\.com  user  idle  +0  \d+s", row)
        [connection] = json.loads(run("connections", "--json").stdout)
        assert connection["uuid"] == row.split()[0]


def test_close(serve: Serve, run: Run) -> None:
    server = serve(RPC)
    client = smtplib.SMTP(server.host, server.port)
    [connection] = json.loads(run("connections", "--json").stdout)
    uuid = connection["uuid"]
    assert outcome(run("close", uuid)) == (0, f"closed {uuid}\n", "")
    assert client.getreply()[0] == 421
    client.close()
    assert outcome(run("close", uuid)) == (1, "", f"fastsmtp: no such connection: {uuid}\n")


# --- reset


def test_reset(serve: Serve, run: Run) -> None:
    serve(RPC)

    def pids() -> set[int]:
        return {worker["pid"] for worker in json.loads(run("workers", "--json").stdout)["smtp"]}

    before = pids()
    assert outcome(run("reset")) == (0, "replaced the workers of smtp\n", "")
    assert len(pids() - before) == 2
    assert outcome(run("reset", "smtp")) == (0, "replaced the workers of smtp\n", "")
    assert outcome(run("reset", "smtp", "-s")) == outcome(run("-s", "reset")) == (0, "", "")
    assert outcome(run("reset", "http")) == (1, "", "fastsmtp: no such plugin: http\n")


def test_workers_of_a_plugin(serve: Serve, run: Run) -> None:
    serve(RPC)
    named, all_of_them = (json.loads(run("workers", *words, "--json").stdout) for words in (["smtp"], []))
    assert [worker["pid"] for worker in named["smtp"]] == [worker["pid"] for worker in all_of_them["smtp"]]
    assert run("workers", "smtp").stdout.startswith("smtp: 2 workers, ")
    assert outcome(run("workers", "http")) == (1, "", "fastsmtp: no such plugin: http\n")


# --- stop


def test_stop_by_pid_file(serve: Serve, run: Run, tmp_path: Path) -> None:
    server = serve(arguments=["-p"])
    pid = server.process.pid
    assert (tmp_path / ".pid").read_text() == f"{pid}\n"
    assert outcome(run("stop")) == (0, f"stopped process {pid}\n", "")
    assert server.process.poll() == 0
    assert not (tmp_path / ".pid").exists()


def test_stop_by_rpc(serve: Serve, run: Run) -> None:
    server = serve(RPC)
    assert outcome(run("stop")) == (0, "stopped the server at rpc.listen\n", "")
    assert server.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("by", ["pid", "rpc"])
def test_stop_lets_a_mail_finish(serve: Serve, run: Run, gate: Gate, tmp_path: Path, by: str) -> None:
    server = serve({**RPC, **gate.settings()}, worker="slow.php", arguments=["-p"] if by == "pid" else [])
    with smtplib.SMTP(server.host, server.port) as client:
        client.ehlo()
        client.mail("a@b")
        client.rcpt("c@d")
        client.docmd("DATA")
        client.send(b"x\r\n.\r\n")
        stop = [*FASTSMTP, "stop", "-s"]
        with gate.wait_for_worker() as worker, subprocess.Popen(stop, cwd=tmp_path, stdout=subprocess.PIPE) as stopping:
            while is_listening(server):
                assert stopping.poll() is None
            worker.let_go()
            assert client.getreply()[0] == 250
            assert stopping.communicate(timeout=PATIENCE_S) == (b"", None)
        client.close()
    assert (stopping.returncode, server.process.wait(PATIENCE_S)) == (0, 0)


def is_listening(server: Server) -> bool:
    try:
        socket.create_connection((server.host, server.port)).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("by", ["pid", "rpc"])
def test_stop_at_once(serve: Serve, run: Run, by: str) -> None:
    server = serve(RPC, arguments=["-p"] if by == "pid" else [])
    with smtplib.SMTP(server.host, server.port) as client:
        client.ehlo()
        client.mail("a@b")
        client.rcpt("c@d")
        client.docmd("DATA")
        assert run("stop", "--force").returncode == 0
        client.close()
    server.exit_code = server.process.wait(PATIENCE_S)
    assert server.exit_code in (128 + signal.SIGINT, 128 + signal.SIGTERM)


def test_stop_with_a_stale_pid_file(run: Run, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    (tmp_path / ".pid").write_text(f"{ended.pid}\n")
    assert outcome(run("stop")) == (
        3,
        "",
        f"fastsmtp: the process {ended.pid} of .pid is gone; delete the file\n",
    )
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / ".pid").write_text(f"{other.pid}\n")
        os.utime(tmp_path / ".pid", (0, 0))  # a process of today has nothing but the number in common with its writer
        gone = f"fastsmtp: the process {other.pid} of .pid is gone; delete the file\n"
        assert outcome(run("stop")) == (3, "", gone)
        assert other.poll() is None
        other.kill()
    (tmp_path / ".pid").write_text("abc\n")
    assert outcome(run("stop")) == (2, "", "fastsmtp: .pid holds no pid, but 'abc'\n")


def test_silent_serve(serve: Serve, tmp_path: Path) -> None:
    command = [*FASTSMTP, "serve", "-s", "-p", "-o", "smtp.addr=127.0.0.1:0", "-o", "inbox.address="]
    command += ["--ready-file", "ready.json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "ready.json").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (out, re.findall(rb"^\S+  INFO   smtp  (\w+)", err, re.MULTILINE), err.count(b"\n")) == (
            b"",
            [b"listening", b"stopping", b"stopped"],  # the log alone
            3,
        )
    assert process.returncode == 0


# --- send


def test_send_to_the_configured_server(serve: Serve, run: Run, tmp_path: Path) -> None:
    server = serve()
    (tmp_path / "a.txt").write_text("attached")
    arguments = [
        "--from", "me@example.com", "--to", "a@example.com", "--to", "b@example.com", "--subject", "Grüße",
        "--text", "Hello", "--html", "<b>Hello</b>", "-a", "a.txt", "--header", "X-Tag: 1", "--helo", "me.example.com",
        "-o", f"smtp.addr={server.host}:{server.port}",
    ]  # fmt: skip
    code, out, err = outcome(run("send", *arguments))
    assert (code, err) == (0, "")
    assert re.fullmatch(rf"sent (\d+ B|1\.\d kB) to 127\.0\.0\.1:{server.port}: 250 2\.0\.0 Message accepted\n", out)
    [record] = server.records()
    message, envelope = record["message"], record["envelope"]
    assert (envelope["from"], envelope["to"], envelope["helo"]) == (
        "me@example.com",
        ["a@example.com", "b@example.com"],
        "me.example.com",
    )
    assert (message["subject"], message["text"].strip(), message["html"].strip(), message["headers"]["X-Tag"]) == (
        "Grüße",
        "Hello",
        "<b>Hello</b>",
        "1",
    )
    [attachment] = record["attachments"]
    assert (attachment["filename"], attachment["content"]) == ("a.txt", "YXR0YWNoZWQ=")
    assert (record["session"]["violations"], message["defects"]) == ([], [])


@pytest.mark.parametrize("mechanism", [None, "PLAIN", "login", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER"])
def test_send_logs_in(serve: Serve, run: Run, mechanism: str | None) -> None:
    server = serve()
    auth = [] if mechanism is None else ["--auth", mechanism]
    environment = {**os.environ, "FASTSMTP_PASSWORD": "secret"}
    done = run("send", "-s", "--user", "me", *auth, f"{server.host}:{server.port}", env=environment)
    assert outcome(done) == (0, "", "")
    [record] = server.records()
    authentication = record["authentication"]
    password: str | None = "secret"
    if mechanism == "CRAM-MD5":
        digest = hmac.new(b"secret", authentication.pop("challenge").encode(), "md5").hexdigest()
        password = None
        assert authentication.pop("digest") == digest
    assert authentication == {
        "attempted": True,
        "mechanism": (mechanism or "PLAIN").upper(),
        "username": "me",
        "password": password,
    }


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_send_over_tls(serve: Serve, run: Run, mode: str) -> None:
    server = serve({"smtp": {"tls": {"cert": "auto", "mode": mode}}})
    option = "--starttls" if mode == "starttls" else "--tls"
    address = f"{server.host}:{server.port}"
    assert outcome(run("send", option, address)) == (
        1,
        "",
        "fastsmtp: the certificate is not trusted: self-signed certificate; --insecure takes any\n",
    )
    assert run("send", option, "--insecure", address).returncode == 0
    [record] = server.records()
    assert record["session"]["tls"]["version"] == "TLSv1.3"


def test_send_shows_the_dialogue(serve: Serve, run: Run) -> None:
    server = serve()
    code, out, err = outcome(run("send", "-v", "--helo", "me", f"{server.host}:{server.port}"))
    assert code == 0
    assert out.endswith(": 250 2.0.0 Message accepted\n")
    size = len(server.records()[0]["message"]["text"])
    assert size > 0
    lines = re.sub(r"\d+ octets", "N octets", re.sub(r"SIZE=\d+", "SIZE=N", err)).splitlines()
    assert [lines[0], lines[1], *lines[lines.index("< 250 HELP") + 1 :]] == [
        "< 220 buggregator.local ESMTP fastsmtp",
        "> EHLO me",
        "> MAIL FROM:<fastsmtp@example.com> SIZE=N",
        "< 250 2.1.0 Sender accepted",
        "> RCPT TO:<you@example.com>",
        "< 250 2.1.5 Recipient accepted",
        "> DATA",
        "< 354 End data with <CR><LF>.<CR><LF>",
        "> (N octets of mail data)",
        "< 250 2.0.0 Message accepted",
        "> QUIT",
        "< 221 2.0.0 Bye",
    ]


def test_send_a_message_as_it_is(serve: Serve, run: Run, tmp_path: Path) -> None:
    server = serve({"smtp": {"include_raw": True}})
    raw = "Subject: as it is\r\n\r\n.\r\nend\r\n"
    (tmp_path / "mail.eml").write_text(raw, newline="")
    address = f"{server.host}:{server.port}"
    assert run("send", "--eml", "mail.eml", address).returncode == 0
    assert run("send", "--eml", "-", address, stdin=None, input=raw).returncode == 0
    assert [record["message"]["raw"] for record in server.records()] == [raw, raw]


TO_FOUR = "To: a@b.c, Bo <bo@b.c>\nCc: c@b.c\nBcc: d@b.c\n"
SAYS_NOTHING = "the message says nothing of it"


@pytest.mark.parametrize(
    ("header", "arguments", "envelope", "told"),
    [
        (
            "Return-Path: <bounce@b.c>\nFrom: Ada <ada@b.c>\nTo: Bo <bo@b.c>\n",
            [],
            ("bounce@b.c", ["bo@b.c"]),
            ["from <bounce@b.c>: as the message says", "to   <bo@b.c>: as the message says"],
        ),
        (
            "From: ada@b.c\n" + TO_FOUR,
            ["--from", "me@b.c"],
            ("me@b.c", ["a@b.c", "bo@b.c", "c@b.c", "d@b.c"]),
            ["to   <a@b.c>, <bo@b.c>, <c@b.c> and 1 more: as the message says"],
        ),
        (
            "From: ada@b.c\n" + TO_FOUR,
            ["--to", "x@b.c", "--to", "y@b.c"],
            ("ada@b.c", ["x@b.c", "y@b.c"]),
            ["from <ada@b.c>: as the message says"],
        ),
        (
            "Subject: x\n",
            [],
            ("fastsmtp@example.com", ["you@example.com"]),
            [f"from <fastsmtp@example.com>: {SAYS_NOTHING}", f"to   <you@example.com>: {SAYS_NOTHING}"],
        ),
        ("From: ada@b.c\n" + TO_FOUR, ["--from", "", "--to", "x@b.c"], ("", ["x@b.c"]), []),
        ("From: ada@b.c\nTo: bo@b.c\n", ["--silent"], ("ada@b.c", ["bo@b.c"]), []),
    ],
    ids=["all", "recipients", "sender", "nothing", "told otherwise", "silent"],
)
def test_send_takes_the_envelope_from_the_message(
    serve: Serve,
    run: Run,
    tmp_path: Path,
    header: str,
    arguments: list[str],
    envelope: tuple[str, list[str]],
    told: list[str],
) -> None:
    server = serve()
    (tmp_path / "mail.eml").write_text(f"{header}\nx\n")
    code, out, err = outcome(run("send", "--eml", "mail.eml", *arguments, f"{server.host}:{server.port}"))
    assert (code, [line for line in out.splitlines() if not line.startswith("sent ")], err) == (0, told, "")
    [record] = server.records()
    assert (record["envelope"]["from"], record["envelope"]["to"]) == envelope


def test_send_to_a_unix_socket(serve: Serve, run: Run, tmp_path: Path) -> None:
    server = serve({"smtp": {"servers": {"local": {"addr": "unix:smtp.sock"}}}})
    assert run("send", "unix:smtp.sock").returncode == 0
    assert [record["server"] for record in server.records()] == ["local"]


def test_send_a_large_one_with_a_progress_bar(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    (tmp_path / "large.bin").write_bytes(os.urandom(2_000_000))
    code, out, shown = stderr_on_terminal(tmp_path, "send", "-a", "large.bin", f"{server.host}:{server.port}")
    assert code == 0
    assert re.fullmatch(r"sent 2\.7 MB to 127\.0\.0\.1:\d+: 250 2\.0\.0 Message accepted\n", out)
    assert b"sending" in shown
    assert b"100%" in shown


def test_send_is_refused(serve: Serve, run: Run) -> None:
    server = serve({"smtp": {"max_message_size": 10, "max_recipients": 1}})
    address = f"{server.host}:{server.port}"
    done = run("send", address)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"fastsmtp: MAIL FROM:<fastsmtp@example\.com> SIZE=\d+ was refused: 552 5\.3\.4 .*\n", done.stderr
    )
    server = serve({"smtp": {"max_recipients": 1}})
    address = f"{server.host}:{server.port}"
    code, out, err = outcome(run("send", "--to", "a@b", "--to", "c@d", address))
    assert (code, out.partition(": ")[2]) == (1, "250 2.0.0 Message accepted\n")
    assert err.startswith("fastsmtp: RCPT TO:<c@d> was refused: 452 ")


@pytest.mark.parametrize(
    ("arguments", "refused", "reply"),
    [
        (["--helo", "b ad"], "HELO b ad", "501 5.5.4 Bad or missing argument"),
        (["--auth", "PLAIN", "--user", ""], "AUTH PLAIN", "501 5.5.2 Malformed credentials"),
        (["--from", "tester"], "MAIL FROM:<tester> SIZE=1018", "501 5.1.7 Bad sender mailbox syntax"),
        (["--to", "tester"], "RCPT TO:<tester>", "501 5.1.3 Bad recipient mailbox syntax"),
        (["--to", "tester", "--to", "nowhere"], "RCPT TO:<tester>", "501 5.1.3 Bad recipient mailbox syntax"),
        ([], "the mail", "554 5.6.0 Line longer than 998 octets in the message"),
    ],
    ids=["HELO", "AUTH", "MAIL", "RCPT", "every-RCPT", "mail"],
)
def test_send_says_quit_after_a_refusal(
    serve: Serve, run: Run, tmp_path: Path, arguments: list[str], refused: str, reply: str
) -> None:
    server = serve({"smtp": {"strict": True}})
    (tmp_path / "mail.eml").write_bytes(b"From: a@b.cd\n\n" + 1000 * b"x" + b"\n")
    code, out, err = outcome(run("send", "-v", "--eml", "mail.eml", *arguments, f"{server.host}:{server.port}"))
    assert (code, out) == (1, "")
    assert err.splitlines()[-4:] == [
        f"< {reply}",
        "> QUIT",
        "< 221 2.0.0 Bye",
        f"fastsmtp: {refused} was refused: {reply}",
    ]
    assert server.records() == []


def test_send_to_a_server_without_a_free_connection(serve: Serve, run: Run) -> None:
    server = serve({"smtp": {"max_connections": 1}})
    with smtplib.SMTP(server.host, server.port):
        assert outcome(run("send", f"{server.host}:{server.port}")) == (
            1,
            "",
            "fastsmtp: the connection was refused: 421 4.3.2 Too many connections\n",
        )


def test_send_to_nobody(run: Run) -> None:
    assert outcome(run("send", "127.0.0.1:1")) == (
        3,
        "",
        "fastsmtp: cannot connect to 127.0.0.1:1: Connection refused\n",
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere"], "Error: Invalid value for 'ADDRESS': nowhere: the port is missing"),
        (["--tls", "--starttls"], "Error: --starttls or --tls, not both"),
        (["--subject", "a\nb"], "Error: Invalid value for '--subject': there is a line break in 'a\\nb'"),
        (["--to", "a\nb"], "Error: Invalid value for '--to': there is a line break in 'a\\nb'"),
        (["-a", "none.pdf"], "fastsmtp: --attach none.pdf: No such file or directory"),
        (["--eml", "none.eml"], "fastsmtp: --eml none.eml: No such file or directory"),
        (["--ca", "none.pem"], "fastsmtp: --ca none.pem: No such file or directory"),
        (["--header", "X"], 'Error: Invalid value for \'--header\': a header field is like "X-Name: value", not "X"'),
    ],
)
def test_send_what_cannot_be_sent(run: Run, arguments: list[str], complaint: str) -> None:
    done = run("send", *arguments)
    assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (2, "", complaint)


# --- help and completion

VERBS = [
    "bench", "check", "close", "connections", "dead", "diff", "faults", "inbox", "ledger", "nodes", "ns", "record",
    "replay", "reset", "send", "sendmail", "serve", "stop", "testserver", "version", "workers",
]  # fmt: skip
# The exit codes of those in a group stand in the help of each.
SILENT_ABOUT_CODES = ("dead", "faults", "inbox", "nodes", "ns", "version")


def test_help_names_every_verb(run: Run) -> None:
    out = run("--help").stdout
    listed = re.findall(r"^  ([a-z]+) {2,}[A-Z]", out.partition("Commands:\n")[2], re.M)
    assert listed == VERBS


def test_help_cuts_no_sentence(run: Run) -> None:
    listed = re.findall(r"^  [a-z]+ {2,}(.*)", run("--help").stdout.partition("Commands:\n")[2], re.M)
    assert [sentence for sentence in listed if sentence.endswith("...")] == []


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in SILENT_ABOUT_CODES])
def test_help_tells_exit_codes(run: Run, verb: str) -> None:
    code, out, _ = outcome(run(verb, "-h"))
    assert code == 0
    assert "\n  Exit codes:\n    0  " in out
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(tmp_path: Path, shell: str) -> None:
    environment = {**os.environ, "_FASTSMTP_COMPLETE": f"{shell}_source"}
    done = subprocess.run(FASTSMTP, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0
    assert "_FASTSMTP_COMPLETE" in done.stdout


def test_completion(tmp_path: Path) -> None:
    environment = {**os.environ, "_FASTSMTP_COMPLETE": "bash_complete", "COMP_WORDS": "fastsmtp w", "COMP_CWORD": "1"}
    done = subprocess.run(FASTSMTP, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.stdout == "plain,workers\n"
