"""Processes that are killed under load: what was answered 250 is there, once, and the books are balanced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from apicalls import call
from crashload import CrashLoad, faults, settled_ledger
from procs import children_of, descriptors, inbox_of, wait_until_gone
from servers import Serve, Server
from waits import wait_until

MAILS = 40  # that are answered 250 between two kills


def smtp_process_of(pid: int) -> int:
    """One of several SMTP processes of a server."""
    return next(child for child in children_of(pid) if child != inbox_of(pid) and _is_python(child))


def _is_python(pid: int) -> bool:
    return "python" in os.readlink(f"/proc/{pid}/exe")


def worker_of(pid: int) -> int:
    """A PHP worker of one of its SMTP processes."""
    return children_of(smtp_process_of(pid))[0]


@pytest.fixture
def server(serve: Serve, tmp_path: Path) -> Server:
    settings = {
        "inbox": {"address": "127.0.0.1:0", "path": str(tmp_path / "store")},
        "smtp": {"processes": 2},
    }
    return serve(settings, worker="accepts.php")


@pytest.mark.parametrize("find", [inbox_of, smtp_process_of, worker_of], ids=["inbox", "smtp", "worker"])
def test_what_was_answered_250_outlives_a_killed_process(server: Server, find: Callable[[int], int]) -> None:
    with CrashLoad(server.host, server.port) as load:
        for _ in range(3):
            seen = load.accepted
            wait_until(lambda seen=seen: load.accepted >= seen + MAILS)  # type: ignore[misc]
            killed = find(server.process.pid)
            os.kill(killed, signal.SIGKILL)
            wait_until_gone(killed)
        seen = load.accepted
        wait_until(lambda: load.accepted >= seen + MAILS)  # it goes on
        fates = load.stop()
    assert len(fates.accepted) >= 4 * MAILS
    assert faults(server.inbox, fates) == []


def test_what_was_answered_250_outlives_a_killed_server(serve: Serve, tmp_path: Path) -> None:
    settings = {"inbox": {"address": "127.0.0.1:0", "path": str(tmp_path / "store")}}
    server = serve(settings, worker="accepts.php")
    with CrashLoad(server.host, server.port) as load:
        wait_until(lambda: load.accepted >= MAILS)
        server.kill()
        fates = load.stop()
    again = serve(settings, worker="accepts.php")
    assert faults(again.inbox, fates) == []


def test_mails_that_are_counted_only_are_counted_once_each(server: Server) -> None:
    """The inbox is killed while they come: what it has counted and not answered is sent again."""
    call(server, "PUT", "/api/ns/default", {"keep": "count"})
    with CrashLoad(server.host, server.port) as load:
        for _ in range(3):
            seen = load.accepted
            wait_until(lambda seen=seen: load.accepted >= seen + MAILS)  # type: ignore[misc]
            killed = inbox_of(server.process.pid)
            os.kill(killed, signal.SIGKILL)
            wait_until_gone(killed)
        seen = load.accepted
        wait_until(lambda: load.accepted >= seen + MAILS)
        fates = load.stop()
    ledger = settled_ledger(server.inbox)
    count = len(fates.accepted)
    assert (fates.refused, ledger["balanced"], ledger["store"]["counted_only"]) == (set(), True, count)
    sessions = {"begun": count, "accepted": count, "refused": 0, "aborted": 0, "moved": 0, "in_flight": 0}
    assert ledger["sessions"] == sessions


def test_two_servers_do_not_share_a_store(serve: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "store")
    server = serve({"inbox": {"address": "127.0.0.1:0", "path": path}}, worker="accepts.php")
    # The inbox has the lock, too: where the server is killed, the next one waits until it has committed what it has.
    assert f"{path}/lock" in descriptors(inbox_of(server.process.pid))
    command = [sys.executable, "-m", "fastsmtp", "serve", "-o", "smtp.addr=127.0.0.1:0", "-o", f"inbox.path={path}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    wrong = f"fastsmtp: inbox.path: another server keeps its mails in {path}\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", wrong)
