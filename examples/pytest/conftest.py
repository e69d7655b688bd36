"""A mail server for tests: each test sees the mails that were sent during it, and a failing one shows them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class MailServer(NamedTuple):
    """Where to send to, and what came."""

    host: str
    port: int
    directory: Path  # where the server keeps the mails
    log: Path  # what the server prints: a block for each mail, who connected, what was wrong

    def mails(self) -> list[dict[str, Any]]:
        """The JSON of each mail, in the order in which they came; see docs/payload.md."""
        return [json.loads(path.read_text("utf-8")) for path in sorted(self.directory.glob("*.json"))]

    def clear(self) -> None:
        """Forget them."""
        for path in self.directory.iterdir():
            path.unlink()


@pytest.fixture(scope="session")
def running_mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    directory = tmp_path_factory.mktemp("fastsmtp")
    ready, mails, log = directory / "ready.json", directory / "mails", directory / "log"
    command = ["fastsmtp", "serve", "--silent", "--ready-file", str(ready), "--save", str(mails)]
    command += ["-w", str(directory), "-o", "smtp.addr=127.0.0.1:0"]  # port 0: any that is free
    # With "--debug" the log has every command and reply, too.
    with log.open("a") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        while not ready.exists():
            try:
                process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"fastsmtp did not start:\n{log.read_text()}")
        host, _, port = json.loads(ready.read_text())["listeners"]["default"][0].rpartition(":")
        yield MailServer(host, int(port), mails, log)
        process.terminate()


@pytest.fixture
def mail_server(running_mail_server: MailServer) -> Iterator[MailServer]:
    running_mail_server.clear()
    said_before = running_mail_server.log.stat().st_size
    yield running_mail_server
    # pytest shows this only if the test has failed.
    said = running_mail_server.log.read_bytes()[said_before:].decode("utf-8", "replace")
    print(f"The mail server, during this test:\n{said or 'no client connected'}")
