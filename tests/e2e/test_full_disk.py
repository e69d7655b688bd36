"""A disk that is full while mails come: refused meanwhile, told to those that watch, and all is well afterwards."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from apicalls import call
from fulldisk import Disk, LimitedFiles, small_disk
from procs import inbox_of
from servers import Serve, Server
from waits import wait_until
from wire import Wire, wait_for_log

ACCEPTED = b"250 2.0.0 Message accepted\r\n"
REFUSED = b"451 4.3.0 Storage failed, try again later\r\n"
FINE: dict[str, Any] = {"plugin_name": "smtp", "error_message": "", "status_code": 200}


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def status_of(server: Server) -> str:
    [line] = wait_for_log(server, "status is served")
    return f"http://{urlsplit(line.partition('url=')[2]).netloc}"


class Sender:
    """Sends mails one after the other, each with a subject of its own, and knows what became of each."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        assert self._wire.ask(b"EHLO client.example.com\r\n").startswith(b"250-")
        self.replies: dict[str, bytes] = {}  # by subject

    def send(self, count: int, octets: int = 300) -> list[bytes]:
        """Return the replies."""
        found = []
        for _ in range(count):
            subject = f"mail {len(self.replies)}"
            self._wire.begin_next()
            self._wire.send(
                f"Subject: {subject}\r\n\r\n{'x' * 70}\r\n".encode() + (b"y" * 68 + b"\r\n") * (octets // 70)
            )
            self.replies[subject] = self._wire.ask(b".\r\n")
            found.append(self.replies[subject])
        return found

    @property
    def accepted(self) -> list[str]:
        """Subjects of what was answered 250, in order."""
        return [subject for subject, reply in self.replies.items() if reply == ACCEPTED]


def subjects(server: Server) -> list[str]:
    """Those of the list, the oldest first."""
    status, listed = call(server, "GET", "/api/ns/default/mails?order=asc&limit=1000")
    assert status == 200
    return [mail["subject"] for mail in listed["mails"]]


def books(server: Server) -> tuple[int, int, int, bool]:
    """What the ledger says: accepted and refused by SMTP, present in the store, and whether it is balanced."""
    ledger = call(server, "GET", "/api/ledger")[1]
    sessions = ledger["sessions"]
    return sessions["accepted"], sessions["refused"], ledger["store"]["present"], ledger["balanced"]


@pytest.mark.parametrize(("processes", "make"), [(1, small_disk), (2, small_disk), (1, LimitedFiles)])
def test_a_full_disk_is_told_and_leaves_no_mail_behind(
    serve: Serve, tmp_path: Path, processes: int, make: Callable[[Path], Disk]
) -> None:
    (tmp_path / "disk").mkdir()
    disk = make(tmp_path / "disk")
    settings = {
        "inbox": {"address": "127.0.0.1:0", "path": str(tmp_path / "disk" / "store")},
        "smtp": {"processes": processes},
        "status": {"address": "127.0.0.1:0"},
    }
    server = serve(settings, worker="accepts.php", wrapper=disk.wrapper)
    status = status_of(server)
    with Wire(server) as wire:
        sender = Sender(wire)
        assert sender.send(20) == [ACCEPTED] * 20
        assert (get(f"{server.inbox}/readyz"), get(f"{status}/ready")[0]) == ((200, ""), 200)

        disk.fill(server)
        assert sender.send(2, octets=100_000) == [REFUSED] * 2
        assert set(sender.send(20)) <= {ACCEPTED, REFUSED}  # what is small may find a place in a page that was there
        wrong = f"the store failed: {disk.reason}"
        assert get(f"{server.inbox}/readyz") == (503, f"{wrong}\n")
        code, told = get(f"{status}/ready")
        complaint = {"plugin_name": "inbox", "error_message": wrong, "status_code": 503}
        assert (code, json.loads(told)) == (503, [FINE, complaint])
        assert get(f"{status}/health")[0] == 200  # to end the server would free nothing

        disk.free(server)
        assert (get(f"{server.inbox}/readyz"), get(f"{status}/ready")[0]) == ((200, ""), 200)
        assert sender.send(20) + sender.send(2, octets=100_000) == [ACCEPTED] * 22
        sent, kept = len(sender.replies), sender.accepted
        assert subjects(server) == kept
        wait_until(lambda: books(server) == (len(kept), sent - len(kept), len(kept), True))

        os.kill(inbox_of(server.process.pid), signal.SIGKILL)
        assert sender.send(1) == [ACCEPTED]
        assert subjects(server) == [*kept, f"mail {sent}"]
