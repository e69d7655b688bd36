"""`fastsmtp bench` on real servers: what it prints, writes and draws, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from commands import FASTSMTP, PATIENCE_S, stderr_on_terminal
from gates import Gate
from servers import Serve, Server
from waits import wait_until

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `fastsmtp bench` to its end."""

    def start(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*FASTSMTP, "bench", *arguments],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE_S,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    return start


def address(server: Server) -> str:
    return f"{server.host}:{server.port}"


def idents(server: Server) -> list[str]:
    """Of what the workers got."""
    return [record["message"]["headers"]["X-Bench-ID"] for record in server.records()]


def test_a_report(serve: Serve, run: Run) -> None:
    server = serve()
    done = run("-n", "200", "--connections", "4", address(server))
    assert (done.returncode, done.stderr) == (0, "")
    number, times = r"\d+\.\d+", r"( +\d+\.\d+){8}"
    patterns = [
        re.escape(f"200 mails to {address(server)}, 4 connections"),
        "",
        "answered 250  200",
        "failed        0",
        rf"time          {number} s",
        rf"rate          {number} mails/s, {number} [kM]B/s",
        "connections   4",
        r"client        \d+ % of a core, \d+ us a mail",
        "",
        "milliseconds +min +mean +p50 +p90 +p95 +p99 +p99.9 +max",
        f"mail        {times}",
        f"end of data {times}",
        f"opening     {times}",
        "",
        "milliseconds per mail",
        *[rf" +{number} to +{number}  #* +{number} %"] * (len(done.stdout.splitlines()) - 15),
    ]
    assert [
        (line, pattern)
        for line, pattern in zip(done.stdout.splitlines(), patterns, strict=True)
        if not re.fullmatch(pattern, line)
    ] == []
    assert len(set(idents(server))) == 200


def test_refusals_are_a_table(serve: Serve, run: Run) -> None:
    server = serve({"smtp": {"max_message_size": 500}})
    done = run("-n", "3", address(server))
    assert done.returncode == 1
    assert "\nanswered 250  0\nfailed        3\n" in done.stdout
    shown = re.search(r"^failures .*\n(.*\n)+", done.stdout, re.M)
    assert shown is not None
    lines = [line.split(maxsplit=3) for line in shown[0].splitlines()]
    assert lines[0] == ["failures", "count", "the", "first"]
    assert [line[:3] for line in lines[1:]] == [["MAIL:", "552", "3"]]
    assert lines[1][3].startswith("552 5.3.4 ")


def test_json(serve: Serve, run: Run) -> None:
    server = serve()
    done = run(
        "--json", "-n", "30", "--connections", "3", "--mix", "1KB:2,50KB:1", "--per-connection=4", address(server)
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert set(found) == {
        "address", "run", "options", "answered", "failed", "connections", "seconds", "rate", "octets", "client_cpu_s",
        "latency_ms", "failures", "limits", "intervals",
    }  # fmt: skip
    assert (found["address"], found["answered"], found["failed"], found["failures"]) == (address(server), 30, 0, [])
    assert found["options"]["mix"] == "1KB:2,50KB:1"
    assert "password" not in found["options"]
    assert found["connections"] >= 8
    assert [times["count"] for times in found["latency_ms"].values()] == [30, 30, found["connections"]]
    assert list(found["latency_ms"]["mail"]) == ["count", "min", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"]
    assert sum(interval["answered"] for interval in found["intervals"]) == 30
    sizes = {record["message"]["size"] for record in server.records()}
    assert sizes == {1000, 50_000}
    assert sum(record["message"]["size"] for record in server.records()) == found["octets"]
    assert {ident.partition("-")[0] for ident in idents(server)} == {found["run"]}


def test_the_ledger_balances(serve: Serve, run: Run, tmp_path: Path) -> None:
    server = serve()
    assert run("-n", "50", "--ledger", "ledger", address(server)).returncode == 0
    entries = [json.loads(line) for line in (tmp_path / "ledger").read_text().splitlines()]
    assert sorted(entry["id"] for entry in entries) == sorted(idents(server))
    assert all(entry["octets"] == 1000 and entry["latency_ms"] > 0 for entry in entries)
    records = [f"--ledger-check={path.name}" for path in tmp_path.glob("records-*")]
    done = run("--ledger", "ledger", *records)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "50 answered 250, 50 recorded\n  0 lost\n  0 more than once\n  0 recorded without a 250\n",
        "",
    )
    lost, twice = sorted(idents(server))[:2]
    (tmp_path / "records").write_text("\n".join([twice, *(ident for ident in idents(server) if ident != lost)]))
    done = run("--ledger", "ledger", "--ledger-check", "records")
    assert (done.returncode, done.stdout) == (
        1,
        f"50 answered 250, 49 recorded\n  1 lost: {lost}\n  1 more than once: {twice}\n  0 recorded without a 250\n",
    )
    done = run("--ledger", "ledger", "--ledger-check", "records", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (
        1,
        {"answered": 50, "recorded": 49, "lost": [lost], "repeated": [twice], "unanswered": [], "even": False},
    )


@pytest.mark.parametrize("option", ["--no-pipelining", "--pipelining", "--chunking"])
def test_mails_arrive_whole_however_they_are_sent(serve: Serve, run: Run, tmp_path: Path, option: str) -> None:
    server = serve({"smtp": {"include_raw": True, "include_transcript": True}})
    (tmp_path / "mail.eml").write_bytes("Subject: ü\n\n.\n..dots\nend".encode())
    done = run(
        option, "-n", "3", "--connections", "1", "--message", "mail.eml", "--to=a@b", "--to=c@d", address(server)
    )
    assert done.returncode == 0, done.stdout
    for record in server.records():
        raw = record["message"]["raw"]
        assert raw.partition("\r\nSubject: ")[2] == "ü\r\n\r\n.\r\n..dots\r\nend\r\n"
        assert record["envelope"]["to"] == ["a@b", "c@d"]
        assert record["envelope"]["mail_params"] == {"SIZE": str(len(raw.encode())), "BODY": "8BITMIME"}
        assert record["session"]["violations"] == []
        said = {line["line"].split()[0] for line in record["session"]["transcript"] if line["from"] == "client"}
        assert ("BDAT" in said, "DATA" in said) == (option == "--chunking", option != "--chunking")


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_tls_and_login(serve: Serve, run: Run, mode: str) -> None:
    server = serve({"smtp": {"tls": {"cert": "auto", "mode": mode}}})
    option = "--starttls" if mode == "starttls" else "--tls"
    done = run(option, address(server))
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"fastsmtp: {address(server)}: TLS: self-signed certificate\n",
    )
    login = ["--user", "me", "--password", "secret", "--auth", "LOGIN"]
    done = run(option, "--insecure", *login, "-n", "20", "--connections", "3", "--per-connection", "2", address(server))
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nanswered 250  20\nfailed        0\n" in done.stdout
    for record in server.records():
        assert record["session"]["tls"]["version"] == "TLSv1.3"
        assert record["authentication"]["password"] == "secret"


def test_unix_socket_and_configuration(serve: Serve, run: Run) -> None:
    server = serve({"smtp": {"servers": {"local": {"addr": "unix:smtp.sock"}}}})
    assert run("-n", "5", "-o", f"smtp.addr={address(server)}").returncode == 0
    assert run("-n", "5", "unix:smtp.sock").returncode == 0
    assert len(server.records()) == 10


def test_large_mails(serve: Serve, run: Run) -> None:
    server = serve({"smtp": {"max_message_size": 20_000_000}})
    done = run("-n", "4", "--connections", "2", "--size", "10MB", "--attachments", "2", address(server))
    assert done.returncode == 0, done.stdout
    for record in server.records():
        assert record["message"]["size"] == 10_000_000
        assert [attachment["size"] > 3_000_000 for attachment in record["attachments"]] == [True, True]
        assert (record["message"]["defects"], record["session"]["violations"]) == ([], [])


def test_duration_and_rate(serve: Serve, run: Run) -> None:
    server = serve()
    done = run("--duration", "500ms", "--rate", "100", "--connections", "2", "--json", address(server))
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["answered"] == 50
    assert len(server.records()) == 50


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_plot(serve: Serve, run: Run, tmp_path: Path, suffix: str) -> None:
    server = serve()
    done = run(
        "-n", "50", "--plot", f"load.{suffix}", address(server), env={**os.environ, "MPLCONFIGDIR": str(tmp_path)}
    )
    assert (done.returncode, done.stderr) == (0, "")
    picture = tmp_path / f"load.{suffix}"
    if suffix == "svg":
        assert ElementTree.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    else:
        assert picture.read_bytes().startswith(b"\x89PNG\r\n")


def test_a_picture_of_a_short_load_has_a_curve(serve: Serve, run: Run, tmp_path: Path) -> None:
    server = serve()
    environment = {**os.environ, "MPLCONFIGDIR": str(tmp_path)}
    assert run("--rate", "100", "-n", "50", "--plot", "load.svg", address(server), env=environment).returncode == 0
    lines = ElementTree.parse(tmp_path / "load.svg").iter("{http://www.w3.org/2000/svg}path")
    rate = max((path.get("d", "").count("L") for path in lines if path.get("clip-path")), default=0)
    assert rate > 20


@pytest.mark.parametrize(
    ("limit", "code", "verdict"),
    [
        (["--max-p99", "60000"], 0, "kept"),
        (["--max-p99", "0.0001"], 1, "NOT KEPT"),
        (["--min-rate", "0.1"], 0, "kept"),
        (["--min-rate", "1000000"], 1, "NOT KEPT"),
        (["--max-failed", "0"], 0, "kept"),
    ],
)
def test_limits(serve: Serve, run: Run, limit: list[str], code: int, verdict: str) -> None:
    server = serve()
    done = run("-n", "10", *limit, address(server))
    assert (done.returncode, done.stderr) == (code, "")
    head, shown = done.stdout.splitlines()[-2:]
    assert head.split() == ["limit", "allowed", "measured"]
    assert (shown.split()[0], shown.split("  ")[-1]) == (limit[0], verdict)
    [found] = json.loads(run("-n", "10", *limit, "--json", address(server)).stdout)["limits"]
    assert (found["option"], found["limit"], found["kept"]) == (limit[0], float(limit[1]), code == 0)


@pytest.mark.parametrize(("allowed", "code"), [("19", 1), ("20", 0)])
def test_so_many_failures_are_allowed(serve: Serve, run: Run, allowed: str, code: int) -> None:
    server = serve({"smtp": {"max_recipients": 1}})
    done = run("-n", "20", "--to", "a@example.com", "--to", "b@example.com", "--max-failed", allowed, address(server))
    assert done.returncode == code, done.stdout


def test_plot_without_matplotlib(run: Run, tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = run("--plot", "load.svg", env={**os.environ, "PYTHONPATH": path})
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        f"fastsmtp: --plot needs matplotlib, which is not here: {sys.executable} -m pip install matplotlib\n",
    )


@pytest.mark.parametrize("length", [["-n", "500"], ["--duration", "600ms"]], ids=" ".join)
def test_progress_bar(serve: Serve, tmp_path: Path, length: list[str]) -> None:
    server = serve()
    code, out, shown = stderr_on_terminal(tmp_path, "bench", *length, address(server))
    assert (code, "\nfailed        0\n" in out) == (0, True)
    assert b"sending" in shown
    assert re.search(rb"\d+ mails/s", shown)


def test_interrupted_it_still_reports(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    process = bench_for_an_hour(tmp_path, server)
    while not server.records():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["answered"] == len(server.records())


def test_interrupted_twice_it_ends_at_once(serve: Serve, gate: Gate, tmp_path: Path) -> None:
    server = serve(gate.settings(), worker="slow.php")
    process = bench_for_an_hour(tmp_path, server)
    with gate.wait_for_worker() as opened:
        process.send_signal(signal.SIGINT)
        wait_until(lambda: not pending(process.pid))  # two that wait at the same time would be one
        process.send_signal(signal.SIGINT)
        assert (process.communicate(timeout=PATIENCE_S), process.returncode) == (("", ""), 130)
        opened.let_go()


def pending(pid: int) -> bool:
    """Whether a signal has not reached the process yet."""
    status = Path(f"/proc/{pid}/status").read_text()
    return any(int(mask, 16) for mask in re.findall(r"^(?:SigPnd|ShdPnd):\t(\w+)$", status, re.M))


def bench_for_an_hour(directory: Path, server: Server) -> subprocess.Popen[str]:
    command = [*FASTSMTP, "bench", "--duration", "1h", "--json", "--connections", "1", address(server)]
    return subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_nobody_there(run: Run) -> None:
    done = run("127.0.0.1:1")
    assert (done.returncode, done.stdout, done.stderr) == (
        3,
        "",
        "fastsmtp: cannot connect to 127.0.0.1:1: connection refused\n",
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere"], "Error: Invalid value for 'ADDRESS': nowhere: the port is missing"),
        (["1025"], "Error: Invalid value for 'ADDRESS': 1025: did you mean \":1025\"?"),
        (["--tls", "--starttls"], "Error: --starttls or --tls, not both"),
        (["--mix=1KB", "--size=1KB"], "Error: only one of --size, --mix, --message and --replay"),
        (["--mix", "1KB:x"], "Error: Invalid value for '--mix': \"1KB:x\" is not like 100KB:9, a size and its weight"),
        (["--mix", ""], "Error: Invalid value for '--mix': \"\" is not like 100KB:9, a size and its weight"),
        (["--size", "foo"], "Error: Invalid value for '--size': \"foo\" is not a size like 1000, 100KB or 10MiB"),
        (["--size", "1KB:3"], "Error: Invalid value for '--size': \"1KB:3\" is not a size like 1000, 100KB or 10MiB"),
        (["--size", "10"], "Error: Invalid value for '--size': \"10\": a mail has at least 300 bytes"),
        (["--rate", "x"], "Error: Invalid value for '--rate': 'x' is not a valid number."),
        (["--rate", "nan"], "Error: Invalid value for '--rate': 'nan' is not a valid number."),
        (["--rate", "inf"], "Error: Invalid value for '--rate': 'inf' is not a valid number."),
        (["--rate", "1e999"], "Error: Invalid value for '--rate': '1e999' is not a valid number."),
        (["--mails", "x"], "Error: Invalid value for '-n' / '--mails': 'x' is not a valid integer."),
        (
            ["--duration", "5"],
            "Error: Invalid value for '--duration': \"5\" is not a duration like 500ms, 30s or 1h30m",
        ),
        (["--plot", "x.gif"], "Error: Invalid value for '--plot': x.gif does not end in .svg, .png, .pdf"),
        (["--message", "none.eml"], "fastsmtp: --message none.eml: No such file or directory"),
        (["--ca", "none.pem", "--tls"], "fastsmtp: --ca none.pem: No such file or directory"),
        (["--ledger", "none/x"], "fastsmtp: --ledger none/x: No such file or directory"),
        (["--ledger-check", "x"], "Error: --ledger-check needs --ledger, which names the ledger of the load"),
        (["--ledger", "x", "--ledger-check", "y"], "fastsmtp: --ledger x: No such file or directory"),
        (["--ledger", "/dev/null", "--ledger-check", "y"], "fastsmtp: --ledger-check y: No such file or directory"),
        (["--ledger", "/proc/version", "--ledger-check", "y"], "fastsmtp: --ledger: /proc/version is not a ledger"),
        (["--to", "a\nb"], "Error: Invalid value for '--to': there is a line break in 'a\\nb'"),
    ],
)
def test_bad_usage(run: Run, arguments: list[str], complaint: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (2, "", complaint)


def test_more_connections_than_files(run: Run) -> None:
    done = run("--connections", "100000000")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"fastsmtp: 100000000 connections need 100000064 open files, and \d+ are allowed \(ulimit -Hn\)\n", done.stderr
    )
