"""`fastsmtp testserver`: one server for all that wait, and none after them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from waits import wait_until

pytestmark = pytest.mark.one_python
COMMAND = [sys.executable, "-m", "fastsmtp", "testserver"]


class Waiting:
    """A client that keeps the server."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def told(self) -> dict[str, str]:
        assert self.process.stdout is not None
        told: dict[str, str] = json.loads(self.process.stdout.readline())
        return told

    def end(self, number: int = 0) -> tuple[int, str]:
        if number:
            os.kill(self.process.pid, number)
        _shown, complaint = self.process.communicate()
        return self.process.returncode, complaint


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/livez", timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_one_server_until_the_last_has_ended_or_was_killed(scratch: Path) -> None:
    waiting = [Waiting("--run", "one") for _ in range(3)]
    first, *others = [one.told() for one in waiting]
    assert others == [first] * 2
    os.kill(waiting[0].process.pid, signal.SIGINT)  # Ctrl-C is for the tests
    assert waiting[0].end() == (0, "")
    assert waiting[1].end(signal.SIGKILL) == (-signal.SIGKILL, "")
    assert answers(first["url"])
    assert waiting[2].end() == (0, "")
    wait_until(lambda: not answers(first["url"]))
    wait_until(lambda: not list(scratch.iterdir()))


def test_runs_have_servers_of_their_own_and_a_killed_one_is_replaced(scratch: Path) -> None:
    one, other = Waiting("--run", "one"), Waiting("--run", "other")
    told = [one.told(), other.told()]
    assert told[0]["url"] != told[1]["url"]
    [ready] = scratch.glob("fastsmtp-run-*-one/ready.json")
    os.kill(json.loads(ready.read_text())["pid"], signal.SIGKILL)
    wait_until(lambda: not list(scratch.glob("fastsmtp-run-*-one")))
    again = Waiting("--run", "one")
    assert answers(again.told()["url"])
    assert [waiting.end() for waiting in (one, other, again)] == [(0, "")] * 3
    wait_until(lambda: not list(scratch.glob("fastsmtp-run-*")))


def test_the_name_is_that_of_the_parent_unless_told(scratch: Path) -> None:
    waiting = Waiting()
    waiting.told()
    assert [path.name for path in scratch.glob("fastsmtp-run-*")] == [f"fastsmtp-run-{os.getuid()}-{os.getpid()}"]
    assert waiting.end() == (0, "")
    wait_until(lambda: not list(scratch.glob("fastsmtp-run-*")))


def test_what_is_no_name_is_refused() -> None:
    complaint = "fastsmtp: --run: letters, digits, and . _ - between them, not '../x'\n"
    assert Waiting("--run", "../x").end() == (2, complaint)


def test_a_server_that_cannot_start_says_why(scratch: Path) -> None:
    """Its files are removed."""
    directory = scratch / f"fastsmtp-run-{os.getuid()}-one"
    directory.mkdir(mode=0o700)
    (directory / ".rr.yaml").write_text("smtp: {nonsense: 1}")
    status, complaint = Waiting("--run", "one").end()
    assert (status, complaint.splitlines()[0]) == (1, "fastsmtp: fastsmtp did not start:")
    assert "nonsense" in complaint
    wait_until(lambda: not directory.exists())
