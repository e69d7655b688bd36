"""The example of a cluster on one machine, run as its README says."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from natsservers import nats_server
from servers import TESTS
from waits import wait_until

pytestmark = pytest.mark.one_python

EXAMPLE = TESTS.parent / "examples" / "cluster" / "run"


def test_the_example_runs(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "fastsmtp").write_text(f'#!/bin/sh\nexec {sys.executable} -m fastsmtp "$@"\n')
    (programs / "fastsmtp").chmod(0o755)
    (programs / "nats-server").symlink_to(Path(nats_server()).resolve())
    port = 20_000 + os.getpid() % 1900  # below those that the kernel gives away
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PORT": str(port), "SMTP": str(port + 3)}
    environment["INBOX_PORT"] = str(port + 5)
    output = tmp_path / "output"
    with output.open("wb") as stream:
        running = subprocess.Popen([EXAMPLE], env=environment, stdout=stream, stderr=stream, start_new_session=True)
    for told in ("NATS servers are there", "FASTSMTP-nodes", "Mails go to"):  # each takes a while
        wait_until(lambda told=told: told in output.read_text() or running.poll() is not None)  # type: ignore[misc]
    assert running.poll() is None, output.read_text()
    for number in (0, 1):
        with smtplib.SMTP("127.0.0.1", port + 3 + number, timeout=30) as smtp:
            smtp.sendmail("a@example.com", ["b@example.com"], f"Subject: mail {number}\r\n\r\nx\r\n")
    wait_until(lambda: all(f": mail {number}" in output.read_text() for number in (0, 1)))
    with urllib.request.urlopen(f"http://127.0.0.1:{port + 5}/api/ns/default/mails", timeout=30) as told:
        assert [mail["subject"] for mail in json.load(told)["mails"]] == ["mail 1", "mail 0"]
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0, output.read_text()
    assert "Traceback" not in output.read_text()
