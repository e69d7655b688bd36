"""Large mails with an inbox: they go by a file, stay out of memory, and leave nothing where they are not taken."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from apicalls import call
from procs import children_of, inbox_of, memory_kb
from servers import Serve, Server
from waits import wait_until
from wire import Wire, wait_for_log

pytestmark = pytest.mark.one_python

ACCEPTED = b"250 2.0.0 Message accepted\r\n"
REFUSED = b"451 4.3.0 Storage failed, try again later\r\n"
HEAD = b"Subject: %s\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
MIB = 1024 * 1024
BLOCK = (b"QUJD" * 19 + b"\r\n") * 3360  # 256 KiB, nearly


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def settings(store: Path | str, tmp_path: Path, **smtp: Any) -> dict[str, Any]:
    storage = {"mode": "tempfile", "temp_dir": str(tmp_path / "attachments"), "cleanup_after": "0s"}
    return {"inbox": {"address": "127.0.0.1:0", "path": str(store)}, "smtp": {"attachment_storage": storage, **smtp}}


def incoming(store: Path) -> list[str]:
    return sorted(os.listdir(store / "incoming"))


def begin(client: Wire, subject: str, octets: int) -> Any:
    """Send a mail of so many octets but for its end; return the hash of it."""
    client.begin()
    digest = hashlib.sha256(HEAD % subject.encode())
    client.send(HEAD % subject.encode())
    for _ in range(octets // len(BLOCK)):
        client.send(BLOCK)
        digest.update(BLOCK)
    return digest


def raw_of(server: Server, uuid: str = "latest") -> Any:
    """The hash of a mail as the API has it."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(f"{server.inbox}/api/ns/default/mails/{uuid}/raw", timeout=30) as answer:
        while octets := answer.read(MIB):
            digest.update(octets)
    return digest.hexdigest()


def subjects(server: Server, outcome: str = "accepted") -> list[str]:
    status, listed = call(server, "GET", f"/api/ns/default/mails?order=asc&outcome={outcome}")
    assert status == 200
    return [mail["subject"] for mail in listed["mails"]]


def test_a_large_mail_leaves_memory_as_it_was(serve: Serve, store: Path, tmp_path: Path) -> None:
    server = serve(settings(store, tmp_path, max_message_size=0), worker="accepts.php")
    pids = [server.process.pid, inbox_of(server.process.pid)]
    with Wire(server) as client:
        begin(client, "first", MIB)
        assert client.ask(b".\r\n") == ACCEPTED
        before = [memory_kb(pid, "VmHWM") for pid in pids]
        digest = begin(client, "large", 96 * MIB)
        assert len(incoming(store)) == 1
        assert client.ask(b".\r\n") == ACCEPTED
        grown = [memory_kb(pid, "VmHWM") - kb for pid, kb in zip(pids, before, strict=True)]
    assert max(grown) < 12 * 1024, grown
    assert (incoming(store), [file.stat().st_nlink for file in store.glob("*.eml")]) == ([], [1])
    assert raw_of(server) == digest.hexdigest()


def test_a_large_mail_in_a_temporary_store(serve: Serve, tmp_path: Path) -> None:
    for durability in ("normal", "memory"):
        given = settings("", tmp_path)
        given["inbox"]["durability"] = durability
        server = serve(given, worker="accepts.php")
        with Wire(server) as client:
            digest = begin(client, "large", 3 * MIB)
            assert client.ask(b".\r\n") == ACCEPTED
        assert raw_of(server) == digest.hexdigest()


def test_without_a_directory_for_files_large_mails_go_through_memory(serve: Serve, store: Path, tmp_path: Path) -> None:
    store.mkdir()
    (store / "incoming").mkdir()
    (store / "incoming").chmod(0o777)
    server = serve(settings(store, tmp_path), worker="accepts.php")
    [line] = wait_for_log(server, "large mails go through memory")
    assert "everybody may write to the directory" in line
    with Wire(server) as client:
        digest = begin(client, "large", 3 * MIB)
        assert incoming(store) == []
        assert client.ask(b".\r\n") == ACCEPTED
    assert raw_of(server) == digest.hexdigest()


def test_a_large_mail_that_is_broken_off_leaves_nothing(serve: Serve, store: Path, tmp_path: Path) -> None:
    server = serve(settings(store, tmp_path), worker="accepts.php")
    with Wire(server) as client:
        begin(client, "broken off", 3 * MIB)
        wait_until(lambda: len(incoming(store)) == 1)
    wait_until(lambda: incoming(store) == [])
    assert list(store.glob("*.eml")) == []


def test_a_worker_that_fails_does_not_lose_a_large_mail(serve: Serve, store: Path, tmp_path: Path) -> None:
    server = serve(settings(store, tmp_path), worker="crashes.php")
    with Wire(server) as client:
        digest = begin(client, "failed", 3 * MIB)
        assert client.ask(b".\r\n").startswith(b"451 ")
    assert (incoming(store), subjects(server, "worker-failed")) == ([], ["failed"])
    [mail] = call(server, "GET", "/api/ns/default/mails?outcome=worker-failed")[1]["mails"]
    assert raw_of(server, mail["uuid"]) == digest.hexdigest()


def test_a_full_disk_refuses_a_large_mail_and_keeps_nothing_of_it(serve: Serve, store: Path, tmp_path: Path) -> None:
    server = serve(settings(store, tmp_path), worker="accepts.php")
    pid = server.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    with Wire(server) as client:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (2 * MIB, hard))
        begin(client, "full", 4 * MIB)
        assert client.ask(b".\r\n") == REFUSED
        assert incoming(store) == []
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
        client.begin_next()
        client.send(HEAD % b"free" + BLOCK * 12)
        assert client.ask(b".\r\n") == ACCEPTED
    assert (incoming(store), subjects(server)) == ([], ["free"])


def test_an_smtp_process_that_is_killed_leaves_nothing_of_a_large_mail(
    serve: Serve, store: Path, tmp_path: Path
) -> None:
    server = serve(settings(store, tmp_path, processes=2), worker="accepts.php")
    with Wire(server) as kept, Wire(server) as lost:
        begin(lost, "lost", 3 * MIB)
        wait_until(lambda: len(incoming(store)) == 1)
        pid = next(pid for pid in children_of(server.process.pid) if has_open(pid, store / "incoming"))
        os.kill(pid, signal.SIGKILL)
        del kept
        wait_until(lambda: incoming(store) == [])
    with Wire(server) as client:
        digest = begin(client, "next", 3 * MIB)
        assert client.ask(b".\r\n") == ACCEPTED
    assert (subjects(server), raw_of(server)) == (["next"], digest.hexdigest())


def has_open(pid: int, directory: Path) -> bool:
    """Whether a process has a file of this directory open."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(entry).startswith(f"{directory}/"):
                return True
        except OSError:
            continue
    return False


def test_an_inbox_that_is_killed_has_a_large_mail_once(serve: Serve, store: Path, tmp_path: Path) -> None:
    """It is killed while one arrives, and stopped when the next one is handed over, and killed then."""
    server = serve(settings(store, tmp_path), worker="accepts.php")
    with Wire(server) as client:
        digest = begin(client, "first", 3 * MIB)
        os.kill(inbox_of(server.process.pid), signal.SIGKILL)
        assert client.ask(b".\r\n") == ACCEPTED
        assert raw_of(server) == digest.hexdigest()
        client.begin_next()
        client.send(HEAD % b"second" + BLOCK * 12)
        inbox = inbox_of(server.process.pid)
        os.kill(inbox, signal.SIGSTOP)
        client.send(b".\r\n")
        os.kill(inbox, signal.SIGKILL)
        assert client.reply() == ACCEPTED
    assert (subjects(server), incoming(store)) == (["first", "second"], [])
    ledger = json.loads(urllib.request.urlopen(f"{server.inbox}/api/ledger", timeout=30).read())
    assert ledger["balanced"]


def test_a_server_that_is_killed_leaves_nothing_of_a_large_mail(serve: Serve, store: Path, tmp_path: Path) -> None:
    server = serve(settings(store, tmp_path), worker="accepts.php")
    with Wire(server) as client:
        begin(client, "lost", 3 * MIB)
        wait_until(lambda: len(incoming(store)) == 1)
        server.kill()
    again = serve(settings(store, tmp_path), worker="accepts.php")
    assert (incoming(store), subjects(again)) == ([], [])
