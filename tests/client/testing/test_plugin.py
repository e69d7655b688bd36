"""The pytest plugin, by runs of real pytest: alone, with workers side by side, with workers that are killed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from apicalls import call
from plugincalls import SENDING, environment, pytest_command, run_pytest
from servers import Serve, Server
from startserver import serve
from waits import wait_until

__all__ = ["serve"]
pytestmark = pytest.mark.one_python

TWENTY = """
from concurrent.futures import ThreadPoolExecutor


def test_twenty_mails_from_four_workers(inbox):
    addresses = [f"user{number}@example.com" for number in range(20)]
    with ThreadPoolExecutor(4) as workers:
        list(workers.map(lambda to: send(inbox, to), addresses))
    inbox.exactly(dict.fromkeys(addresses, 1))
"""


def servers(directory: Path) -> set[str]:
    """The servers that a run had, by what its tests wrote."""
    return set((directory / "servers").read_text().split())


def is_gone(url: str) -> bool:
    """Tell whether a server takes no connections any more."""
    host, _colon, port = url.rpartition("/")[2].rpartition(":")
    with contextlib.suppress(OSError):
        socket.create_connection((host, int(port)), 5).close()
        return False
    return True


def leaves_nothing(scratch: Path, directory: Path) -> None:
    """The servers of a run end after it, and their files are removed."""
    for url in servers(directory):
        wait_until(lambda url=url: is_gone(url))  # type: ignore[misc]
    wait_until(lambda: not list(scratch.glob("fastsmtp-run-*")))


def test_the_measure(scratch: Path, tmp_path: Path) -> None:
    """Twenty mails from four workers, exactly these and none to others: in a test of at most seven lines."""
    ran = run_pytest(tmp_path, TWENTY)
    assert (ran.status, ran.outcomes) == (0, "1 passed"), ran.shown
    assert len(TWENTY.partition("):\n")[2].strip().splitlines()) + 1 <= 7
    wait_until(lambda: not list(scratch.glob("fastsmtp-run-*")))


def test_workers_share_one_server_and_tests_share_no_inbox(scratch: Path, tmp_path: Path) -> None:
    suite = """
import pytest


@pytest.mark.parametrize("number", range(12))
def test_own(mail_server, inbox, number):
    with open("servers", "a") as file:
        file.write(f"{mail_server.url}\\n")
    assert inbox.mails == []
    for _ in range(number % 3):
        send(inbox, "a@example.com", f"subject {number}")
    assert [mail.subject for mail in inbox.exactly(number % 3)] == [f"subject {number}"] * (number % 3)
"""
    ran = run_pytest(tmp_path, suite, "-n", "4")
    assert (ran.status, ran.outcomes) == (0, "12 passed"), ran.shown
    assert len(servers(tmp_path)) == 1
    leaves_nothing(scratch, tmp_path)


def test_a_killed_worker_takes_nothing_along(scratch: Path, tmp_path: Path) -> None:
    suite = """
import pytest


@pytest.mark.parametrize("number", range(6))
def test_own(mail_server, inbox, number):
    with open("servers", "a") as file:
        file.write(f"{mail_server.url}\\n")
    send(inbox, "a@example.com")
    inbox.wait_one(to="a@example.com")
    if number == 2:
        os.kill(os.getpid(), 9)
"""
    ran = run_pytest(tmp_path, suite, "-n", "2")
    assert (ran.status, ran.outcomes) == (1, "1 failed, 5 passed"), ran.shown
    assert "test_own[2]" in ran.shown
    leaves_nothing(scratch, tmp_path)


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run whose only test never ends."""
    suite = """
import time


def test_forever(mail_server, inbox):
    with open("servers", "a") as file:
        file.write(f"{mail_server.url}\\n")
    time.sleep(3600)
"""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_suite.py").write_text(SENDING + suite)
    with subprocess.Popen(
        pytest_command(), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_until((tmp_path / "servers").exists)
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_server_ends_with_the_run(
    scratch: Path, tmp_path: Path, hanging: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    wait_until(lambda: (tmp_path / "servers").read_text().endswith("\n"))
    os.kill(hanging.pid, number)
    assert hanging.wait() != 0
    leaves_nothing(scratch, tmp_path)


FAILING = """
def test_missing(inbox):
    send(inbox, "x@example.com", "Welcome back")
    inbox.wait(2, to="x@example.com", subject="Welcome", within="100ms")


def test_other(inbox):
    send(inbox, "y@example.com")
    assert inbox.wait_one().subject == "Farewell"


def test_passes(inbox):
    send(inbox, "z@example.com")
    assert inbox.wait_one().subject == "Welcome"
"""


def own_parts(text: str) -> str:
    """What a run shows, without what is another each time."""
    text = re.sub(r"http://127\.0\.0\.1:\d+/ui/ns/[0-9a-f]{8}/", "PAGE/", text)
    text = re.sub(
        r"server: .*", lambda line: re.sub(r"\d+", "N", line[0]), text
    )  # a session is counted after its reply
    text = re.sub(r"[0-9a-f]{8}(?=/test-|\.\d)", "ID", text)
    return re.sub(r"\d\d:\d\d:\d\d\.\d{3}|[+-]?\d+\.\d{3}(?= s)", "TIME", text)


def test_a_failing_test_shows_the_report_and_the_page(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, FAILING)
    assert (ran.status, ran.outcomes) == (1, "2 failed, 1 passed"), ran.shown
    shown = own_parts(ran.shown)
    lines = [line.removeprefix("E   ").strip() for line in shown.splitlines() if line.startswith("E   ")]
    assert lines[:8] == [
        "fastsmtp.client.testing.mailbox.NotAsExpected: wait failed after TIME s in ID/test-missing-main-1 "
        "(ID.0 -> ID.1, 1 mail)",
        'x at least 2 to x@example.com, subject "Welcome": got 0',
        "one condition off:",
        '#1 TIME s  subject "Welcome back"',
        'unclaimed: #1 "Welcome back" to x@example.com',
        "server: N accepted, N refused, N aborted, N dropped, N in flight",
        "PAGE/test-missing-main-1",
        "AssertionError: assert 'Welcome' == 'Farewell'",
    ]
    sections = re.findall(r"-+ mails of this test -+\n(.*?)(?=^[_=]{4})", shown, re.M | re.S)
    assert sections == [
        f"#1 TIME shop@example.com -> {to}: {subject!r}\n"
        "server: N begun, N accepted, N refused, N aborted, N moved, N in flight\n"
        f"PAGE/{page}\n"
        for to, subject, page in (
            ("x@example.com", "Welcome back", "test-missing-main-1"),
            ("y@example.com", "Welcome", "test-other-main-2"),
        )
    ]
    assert "mailbox.py" not in shown  # nothing of ours stands between the test and its failure


@pytest.fixture
def running(serve: Serve) -> Server:
    return serve({"inbox": {"address": "127.0.0.1:0"}}, worker=None)


def namespaces(server: Server) -> list[str]:
    found = [one["name"].partition("/")[2] for one in call(server, "GET", "/api/ns")[1]["namespaces"]]
    return sorted(name for name in found if name)


def test_a_server_that_stays_keeps_the_inboxes_of_failed_tests(scratch: Path, tmp_path: Path, running: Server) -> None:
    directory = tmp_path / "suite"
    directory.mkdir()
    ran = run_pytest(directory, FAILING, FASTSMTP_URL=running.inbox)
    assert (ran.status, ran.outcomes) == (1, "2 failed, 1 passed"), ran.shown
    assert namespaces(running) == ["test-missing-main-1", "test-other-main-2"]
    assert not list(scratch.glob("fastsmtp-run-*"))


def test_with_one_port_for_all_tests_the_login_tells_them_apart(tmp_path: Path, running: Server) -> None:
    suite = """
def test_login(inbox):
    with smtplib.SMTP(inbox.smtp.host, inbox.smtp.port) as client:
        client.login(inbox.smtp.username, "any")
        client.sendmail("a@example.com", ["b@example.com"], "Subject: x\\n\\n")
    assert [mail.username for mail in inbox.exactly(1)] == [inbox.name]


def test_address(inbox):
    send(inbox, inbox.address)
    assert inbox.wait_one().recipients == [inbox.address]
"""
    directory = tmp_path / "suite"
    directory.mkdir()
    smtp = f"{running.host}:{running.port}"
    ran = run_pytest(directory, suite, FASTSMTP_URL=running.inbox, FASTSMTP_SMTP=smtp)
    assert (ran.status, ran.outcomes) == (0, "2 passed"), ran.shown


def test_what_cannot_be_reached_is_told(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, TWENTY, FASTSMTP_URL="http://127.0.0.1:9")
    assert (ran.status, ran.outcomes) == (1, "1 error")
    assert "InboxError: no inbox answers at http://127.0.0.1:9: Connection refused" in ran.shown
    ran = run_pytest(tmp_path, TWENTY, FASTSMTP_URL="http://127.0.0.1:9", FASTSMTP_SMTP="x")
    assert "RunError: FASTSMTP_SMTP=x is not like 127.0.0.1:1025" in ran.shown


def test_settings_of_an_inbox_can_be_overridden(tmp_path: Path) -> None:
    suite = """
import pytest


@pytest.fixture
def inbox_settings(inbox_settings):
    return {**inbox_settings, "keep": "count"}


def test_counted(inbox):
    for number in range(3):
        send(inbox, "a@example.com", str(number))
    assert inbox.mails == []
    assert inbox.ledger["store"]["counted_only"] == 3
"""
    ran = run_pytest(tmp_path, suite)
    assert (ran.status, ran.outcomes) == (0, "1 passed"), ran.shown


def test_without_a_use_nothing_is_imported(tmp_path: Path) -> None:
    suite = """
import json
import sys


def test_modules():
    assert json.dumps(sorted(name for name in sys.modules if name.startswith("fastsmtp."))) == EXPECTED
"""
    expected = ["fastsmtp.client", "fastsmtp.client.testing", "fastsmtp.client.testing.plugin", "fastsmtp.errors"]
    ran = run_pytest(tmp_path, f"EXPECTED = {json.dumps(expected)!r}\n{suite}")
    assert (ran.status, ran.outcomes) == (0, "1 passed"), ran.shown
