"""The command as a person or a script sees it: output, exit codes, signals. Every server here is a real process."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from fastsmtp import __version__
from fastsmtp.cli.main import main

PATIENCE_S = 30  # far more than anything here takes
FASTSMTP = [sys.executable, "-m", "fastsmtp"]
NO_INBOX = ["-o", "inbox.address="]  # whose port may be taken by another run

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run `fastsmtp` with the given arguments in an empty directory to its end."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*FASTSMTP, *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    return run


class Serving:
    """A running `fastsmtp serve` that has said it is ready."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.ready_file = directory / "ready.json"
        self.process = subprocess.Popen(
            [*FASTSMTP, "serve", "--ready-file", str(self.ready_file), *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.banner = self._read_banner()
        # The file is there before the banner is shown.
        self.ready = json.loads(self.ready_file.read_text())

    def _read_banner(self) -> list[str]:
        """The banner is one write."""
        assert self.process.stderr is not None
        banner = b""
        while b"  config " not in banner:
            chunk = os.read(self.process.stderr.fileno(), 65536)
            assert chunk, banner
            banner += chunk
        return banner.decode().splitlines()

    @property
    def port(self) -> int:
        return int(self.ready["listeners"]["default"][0].rpartition(":")[2])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Signal; return exit code and the rest of stdout and stderr, without the times of records."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out.decode(), re.sub(r"(?m)^\S+Z  ", "", err.decode())


def ended(reason: str) -> tuple[int, str, str]:
    """A graceful end, and what is logged about it."""
    return 0, "", f"INFO   smtp  stopping  reason={reason}\nINFO   smtp  stopped\n"


Serve = Callable[..., Serving]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start `fastsmtp serve` on a free port, with the given arguments, in an empty directory."""
    started: list[Serving] = []

    def start(*arguments: str) -> Serving:
        started.append(Serving(tmp_path, "-o", "smtp.addr=127.0.0.1:0", "-o", "inbox.address=127.0.0.1:0", *arguments))
        return started[-1]

    yield start
    for serving in started:
        serving.process.kill()
        serving.process.communicate()


# --- without a server


@pytest.mark.parametrize("arguments", [["version"], ["--version"]], ids=" ".join)
def test_version(command: Command, arguments: list[str]) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"fastsmtp {__version__}\n", "")


def test_installed_command_is_the_same(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("fastsmtp")
    done = subprocess.run([script, "version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"fastsmtp {__version__}\n"


def test_help_tells_the_exit_codes(command: Command) -> None:
    done = command("serve", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("""\
  Exit codes:
    0         stopped gracefully
    1         cannot start: a taken port, a missing worker command, ...
    2         bad configuration or usage, one line per fault
    130, 143  ended at once by a second SIGINT or SIGTERM

  Signals:
    SIGINT, SIGTERM  stop gracefully; a second one ends at once
    SIGHUP           replace the workers one by one
    SIGUSR1          reopen the log files
""")


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, each by its words."""
    yield name, command
    if isinstance(command, click.Group):
        for word, below in command.commands.items():
            yield from commands(below, f"{name} {word}")


@pytest.mark.parametrize(("name", "verb"), list(commands(main, "fastsmtp")))
def test_help_fits_80_columns_and_names_its_values(name: str, verb: click.Command) -> None:
    text = verb.get_help(click.Context(verb, info_name=name, terminal_width=80))
    assert text.startswith(f"Usage: {name}")
    assert [line for line in text.splitlines() if len(line) > 80 or re.search("INTEGER|FLOAT|RANGE", line)] == []


# --- cannot start


def test_bad_file_is_a_line_per_fault(command: Command, tmp_path: Path) -> None:
    (tmp_path / ".rr.yaml").write_text("smtp:\n  adr: x\n  max_recipients: 0\n")
    done = command("serve")
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        ".rr.yaml:2: smtp.adr: unknown key, did you mean addr?\n"
        ".rr.yaml:3: smtp.max_recipients: expected an integer of 1 or more, got 0\n",
    )


def test_missing_file(command: Command) -> None:
    done = command("serve", "-c", "none.yaml")
    assert (done.returncode, done.stderr) == (2, "none.yaml: cannot be read: No such file or directory\n")


def test_bad_override(command: Command) -> None:
    done = command("serve", "-o", "smtp.addr=nowhere", "-o=smtp.strict=2")
    assert (done.returncode, done.stderr) == (
        2,
        '-o: smtp.addr: expected an address like "127.0.0.1:1025", "[::1]:1025", ":1025" or "unix:/path", '
        'got "nowhere": the port is missing\n'
        "-o: smtp.strict: expected true or false, got 2\n",
    )


@pytest.mark.parametrize("arguments", [["serve", "--no-such-option"], ["no-such-command"], ["serve", "-w", "/nowhere"]])
def test_bad_usage(command: Command, arguments: list[str]) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_taken_port(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = command("serve", "-o", f"smtp.addr={address}", *NO_INBOX)
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"fastsmtp: cannot listen on {address}: Address already in use\n",
    )


@pytest.mark.parametrize("other", ["smtp.addr", "status.address"])
def test_port_given_twice(command: Command, other: str) -> None:
    with socket.socket() as free:  # bound, so that it stays ours, and not listening
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        settings = {"smtp.addr": "127.0.0.1:0", "inbox.address": "", "metrics.address": address, other: address}
        done = command("serve", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}")))
    told = address if other == "smtp.addr" else f"{address} ({other})"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1:] == [f"fastsmtp: cannot listen on {told}: Address already in use"]


@pytest.mark.parametrize(
    "setting",
    [
        "server.command=/no/such/program",
        "smtp.attachment_storage={mode: tempfile, temp_dir: /proc/no/such}",
        "logs.output=/no/such/directory/x.log",
    ],
)
def test_what_is_missing_is_one_line(command: Command, setting: str) -> None:
    done = command("serve", "-o", "smtp.addr=127.0.0.1:0", *NO_INBOX, "-o", setting)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("fastsmtp: ")
    assert "/no/such" in done.stderr or "/proc/no" in done.stderr


def test_ready_file_that_cannot_be_written(command: Command) -> None:
    done = command("serve", "-o", "smtp.addr=127.0.0.1:0", *NO_INBOX, "--ready-file", "/no/such/ready.json")
    assert (done.returncode, done.stderr) == (
        1,
        "fastsmtp: cannot write the ready file /no/such/ready.json: No such file or directory\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["-o", "smtp.adr=x"], 2), (["-c", "none.yaml"], 2), (["-o", "server.command=/no/such/program"], 1)],
    ids=["bad configuration", "no configuration", "no worker"],
)
def test_an_old_ready_file_is_gone_whatever_comes(
    command: Command, tmp_path: Path, arguments: list[str], code: int
) -> None:
    ready = tmp_path / "ready.json"
    ready.write_text("{}")
    assert (
        command("serve", "-o", "smtp.addr=127.0.0.1:0", *NO_INBOX, "--ready-file", "ready.json", *arguments).returncode
        == code
    )
    assert not ready.exists()


def test_an_old_ready_file_that_cannot_be_removed(command: Command, tmp_path: Path) -> None:
    (tmp_path / "ready.json").mkdir()
    done = command("serve", "-o", "smtp.addr=127.0.0.1:0", *NO_INBOX, "--ready-file", "ready.json")
    assert (done.returncode, done.stderr) == (
        1,
        "fastsmtp: cannot remove the old ready file ready.json: Is a directory\n",
    )


# --- serving


def test_banner_ready_file_and_graceful_end(serve: Serve) -> None:
    serving = serve()
    address = f"127.0.0.1:{serving.port}"
    inbox = serving.ready["inbox"]
    assert serving.ready == {"pid": serving.process.pid, "listeners": {"default": [address]}, "inbox": inbox}
    assert serving.banner == [
        f"fastsmtp {__version__}",
        f"  listening    {address}",
        f"  inbox        {inbox}",
        "  workers      embedded default: mails are shown here",
        f"  first mail   {Path(sys.executable).name} -m fastsmtp send {address}",
        "  attachments  in memory",
        "  config       defaults, there is no .rr.yaml here",
    ]
    assert serving.stop() == ended("SIGTERM")
    assert not serving.ready_file.exists()


def test_interrupt_is_graceful_too(serve: Serve) -> None:
    assert serve().stop(signal.SIGINT) == ended("SIGINT")


def test_default_file_and_work_directory(serve: Serve, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / ".rr.yaml").write_text(
        "logs: {level: error}\n"
        "smtp: {attachment_storage: {mode: tempfile, temp_dir: attachments}, pool: {num_workers: 2}}\n"
    )
    worker = [sys.executable, "-m", "fastsmtp.printer.main"]
    serving = serve("-w", str(work), "-o", f"server.command={json.dumps(worker)}")
    assert serving.banner[3:] == [
        f"  workers      2 x {sys.executable} -m fastsmtp.printer.main",
        "  attachments  files in attachments",
        f"  config       {work}/.rr.yaml",
    ]
    assert serving.stop() == (0, "", "")


def test_others_can_reach_it(serve: Serve) -> None:
    serving = serve("-o", "smtp.addr=0.0.0.0:0")
    assert serving.banner[7:] == [
        f"  WARNING      0.0.0.0:{serving.port} can be reached from other machines: "
        "every mail and every login is accepted, keep it off the internet"
    ]
    assert serving.stop() == ended("SIGTERM")


def test_mail_is_shown(serve: Serve) -> None:
    serving = serve("-o", "logs.level=warn")
    with smtplib.SMTP("127.0.0.1", serving.port) as client:
        client.sendmail("me@example.com", ["you@example.com"], "Subject: Hello\r\n\r\nIt works.\r\n")
    code, out, err = serving.stop()
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if "━" not in line and " size " not in line] == [
        "  subject     Hello",
        "  envelope    <me@example.com> to <you@example.com>",
        f"  helo        EHLO {client.local_hostname}",
        "",
        "  It works.",
        "",
    ]


def test_second_signal_ends_at_once(serve: Serve) -> None:
    serving = serve("-o", "logs.level=error")
    with socket.create_connection(("127.0.0.1", serving.port)) as client, client.makefile("rb") as replies:
        replies.readline()
        client.sendall(b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
        assert [replies.readline()[:3] for _ in range(4)] == [b"250", b"250", b"250", b"354"]
        serving.process.send_signal(signal.SIGTERM)
        while os.path.exists(serving.ready_file):  # goes away when the graceful end begins
            assert serving.process.poll() is None
        code, _, _ = serving.stop()
    assert code == 128 + signal.SIGTERM


def test_hangup_replaces_workers_and_serves_on(serve: Serve) -> None:
    serving = serve("-o", "logs.level=error")
    serving.process.send_signal(signal.SIGHUP)
    with smtplib.SMTP("127.0.0.1", serving.port) as client:
        client.sendmail("me@example.com", ["you@example.com"], "Subject: Hello\r\n\r\nIt works.\r\n")
    code, out, err = serving.stop()
    assert (code, err) == (0, "")
    assert "  subject     Hello\n" in out


def test_log_file_is_reopened(serve: Serve, tmp_path: Path) -> None:
    log, rotated = tmp_path / "fast.log", tmp_path / "fast.log.1"
    serving = serve("-d", "-o", f"logs.output={log}")
    log.rename(rotated)
    serving.process.send_signal(signal.SIGUSR1)
    while not log.exists():
        assert serving.process.poll() is None
    with smtplib.SMTP("127.0.0.1", serving.port) as client:
        client.noop()
    assert serving.stop() == (0, "", "")
    assert "connection" in log.read_text()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(tmp_path: Path, closed: str) -> None:
    ready_file = tmp_path / "ready.json"
    arguments = [*FASTSMTP, "serve", "--ready-file", str(ready_file), "-o", "smtp.addr=127.0.0.1:0"]
    server = subprocess.Popen(["sh", "-c", f'exec "$@" {closed}', "sh", *arguments], cwd=tmp_path)
    try:
        while not ready_file.exists():
            assert server.poll() is None
        port = int(json.loads(ready_file.read_text())["listeners"]["default"][0].rpartition(":")[2])
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail("me@example.com", ["you@example.com"], "Subject: Hello\r\n\r\nIt works.\r\n")
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_S) == 0
    finally:
        server.kill()
        server.wait()


def test_log_that_nobody_reads_stops_nothing(serve: Serve) -> None:
    serving = serve("-d")  # its stderr is a pipe, read up to the banner
    with smtplib.SMTP("127.0.0.1", serving.port, timeout=PATIENCE_S) as client:
        for _ in range(2000):
            assert client.noop()[0] == 250
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(PATIENCE_S) == 0
    assert serving.process.stderr is not None
    assert 30_000 < len(serving.process.stderr.read()) <= 65536


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (["con"], ["connections"]),
        (["s"], ["send", "sendmail", "serve", "stop"]),
        (["check", "--co"], ["--config"]),
        (["send", "--auth", "cr"], ["cram-md5"]),
        (["check", "-c", "."], ["a file"]),
        (["send", "-a", "."], ["a file"]),
        (["serve", "--save", "."], ["a directory"]),
        (["serve", "-w", "."], ["a directory"]),
    ],
    ids=" ".join,
)
def test_bash_completes(tmp_path: Path, words: list[str], completions: list[str]) -> None:
    program = tmp_path / "fastsmtp"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m fastsmtp "$@"\n')
    program.chmod(0o755)
    # Readline is not there to be told (compopt) that file names are wanted.
    script = """
        eval "$(_FASTSMTP_COMPLETE=bash_source fastsmtp)"
        compopt() { case $2 in default) COMPREPLY=("a file") ;; dirnames) COMPREPLY=("a directory") ;; esac; }
        COMP_WORDS=(fastsmtp "$@") COMP_CWORD=$#
        _fastsmtp_completion fastsmtp
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script, "bash", *words],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert (done.stdout.splitlines(), done.stderr) == (completions, "")


def test_fish_keeps_commas_of_descriptions(command: Command) -> None:
    """Fish shows what stands behind the tab of each line; its script cuts the type off at the first comma."""
    script = command(_FASTSMTP_COMPLETE="fish_source").stdout
    assert re.findall("string split .*completion", script) == ['string split --max 1 "," $completion']
    done = command(_FASTSMTP_COMPLETE="fish_complete", COMP_WORDS="fastsmtp st", COMP_CWORD="st")
    assert done.stdout == "plain,stop\tStop a server gracefully, and wait for its...\n"
