"""`-c DIR/.rr.yaml`, as `rr` takes it: what the file names is in DIR, what is typed is where it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from waits import wait_until

FASTSMTP = [sys.executable, "-m", "fastsmtp", "-c", "app/.rr.yaml"]
CONFIGURATION = """\
rpc: {listen: "unix://rpc.sock"}
smtp: {addr: "unix:smtp.sock"}
logs: {output: "server.log"}
"""

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a verb to its end where `app` is; return what it prints."""

    def start(*arguments: str) -> str:
        done = subprocess.run(
            [*FASTSMTP, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return start


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`serve` with all it can be given before the verb, started where `app` is."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / ".rr.yaml").write_text(CONFIGURATION)
    arguments = [*FASTSMTP, "-s", "-p", "serve", "--ready-file", "ready.json", "--save", "mails"]
    with subprocess.Popen(arguments, cwd=tmp_path) as process:
        wait_until(lambda: (tmp_path / "ready.json").exists() or process.poll() is not None)
        yield process
        process.kill()


def test_everything_is_where_it_belongs(tmp_path: Path, server: subprocess.Popen[bytes], run: Run) -> None:
    (tmp_path / "note.txt").write_text("attached")
    assert json.loads((tmp_path / "ready.json").read_text())["pid"] == server.pid
    assert (tmp_path / "app" / ".pid").read_text() == f"{server.pid}\n"
    assert (tmp_path / "app" / "server.log").exists()
    assert "sent " in run("send", "-a", "note.txt")
    assert run("-s", "send") == ""
    assert {path.suffix for path in (tmp_path / "mails").iterdir()} == {".eml", ".json"}
    assert json.loads(run("workers", "smtp", "--json")).keys() == {"smtp"}
    assert run("stop") == f"stopped process {server.pid}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app", "mails", "note.txt"]
    assert sorted(path.name for path in (tmp_path / "app").iterdir()) == [".rr.yaml", "server.log"]


def test_the_pid_file_of_a_live_server_is_not_taken_over(tmp_path: Path, server: subprocess.Popen[bytes]) -> None:
    second = [*FASTSMTP, "-p", "serve", "-o", "smtp.addr=127.0.0.1:0", "-o", "rpc.listen="]
    done = subprocess.run(second, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"fastsmtp: .pid is that of the live process {server.pid}: "
        "stop that server, or delete the file if it is not one\n",
    )
    assert (tmp_path / "app" / ".pid").read_text() == f"{server.pid}\n"
