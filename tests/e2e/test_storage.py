"""Tempfiles of a real server: what is left behind by refusals, broken connections, killed processes and full disks."""

from __future__ import annotations

import hashlib
import resource
import smtplib
import socket
from pathlib import Path
from typing import Any

import pytest
from damage import multipart
from procs import descriptors
from servers import Serve, Server
from waits import PATIENCE_S

SIZE = 200_000
MAIL = multipart(f"--b\nContent-Type: image/png\n\n{'x' * SIZE}\n--b\nContent-Type: image/png\n\n{'y' * SIZE}\n--b--\n")


def settings(directory: Path, **smtp: Any) -> dict[str, Any]:
    storage = {"mode": "tempfile", "temp_dir": str(directory), **smtp.pop("attachment_storage", {})}
    return {"smtp": {"attachment_storage": storage, "max_message_size": 0, **smtp}}


def send(server: Server, octets: bytes = MAIL) -> tuple[int, bytes]:
    """The reply to one mail."""
    with smtplib.SMTP(server.host, server.port, timeout=PATIENCE_S) as client:
        client.ehlo()
        client.mail("s@example.com")
        client.rcpt("r@example.com")
        return client.data(octets)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def open_files(server: Server, directory: Path) -> list[str]:
    """What the server has open below `directory`, deleted files too."""
    return [target for target in descriptors(server.process.pid) if target.startswith(f"{directory}/")]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "attachments"


def test_the_worker_gets_the_files(serve: Serve, directory: Path) -> None:
    server = serve(settings(directory))
    assert send(server)[0] == 250
    [context] = server.records()
    paths = [Path(item["path"]) for item in context["attachments"]]
    assert [path.read_bytes() for path in paths] == [b"x" * SIZE, b"y" * SIZE]
    assert names(directory) == [path.name for path in paths]


def test_same_mails_at_once_have_files_of_their_own(serve: Serve, directory: Path) -> None:
    server = serve(settings(directory))
    clients = [smtplib.SMTP(server.host, server.port) for _ in range(20)]
    for client in clients:
        client.ehlo()
        client.mail("s@example.com")
        client.rcpt("r@example.com")
        client.putcmd("data")
        assert client.getreply()[0] == 354
        client.send(MAIL[: SIZE * 3 // 2])
    for client in clients:
        client.send(MAIL[SIZE * 3 // 2 :] + b".\r\n")
    assert [client.getreply()[0] for client in clients] == [250] * 20
    for client in clients:
        client.quit()
    paths = {item["path"] for context in server.records() for item in context["attachments"]}
    assert len(paths) == 40
    assert {str(directory / name) for name in names(directory)} == paths


REFUSALS: dict[str, tuple[str, dict[str, Any], int]] = {
    "crashing worker": ("crashes.php", {}, 451),
    "worker that hangs": ("hangs.php", {"supervisor": {"exec_ttl": "300ms"}}, 451),
    "worker that answers nonsense": ("bad_crc.php", {}, 451),
    "worker that reports an error": ("error.php", {}, 250),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_files_go_with_a_refusal_and_stay_with_an_acceptance(serve: Serve, directory: Path, name: str) -> None:
    worker, pool, code = REFUSALS[name]
    server = serve(settings(directory, pool={"num_workers": 1, **pool}), worker=worker)
    assert send(server)[0] == code
    assert len(names(directory)) == (2 if code == 250 else 0)


def test_no_worker_in_time_leaves_no_file(serve: Serve, directory: Path) -> None:
    pool = {"num_workers": 1, "allocate_timeout": "400ms", "destroy_timeout": "100ms"}
    server = serve({**settings(directory, pool=pool), "endure": {"grace_period": "100ms"}}, worker="hangs.php")
    with smtplib.SMTP(server.host, server.port) as first:
        first.ehlo()
        first.mail("s@example.com")
        first.rcpt("r@example.com")
        first.putcmd("data")
        first.getreply()
        first.send(b"Subject: x\r\n\r\n.\r\n")  # the only worker is busy with this one
        assert send(server) == (451, b"4.3.2 No worker free, try again later")
        assert names(directory) == []
        first.close()


def start_mail(server: Server, directory: Path) -> socket.socket:
    """A connection in the middle of its second attachment, whose file is there."""
    client = socket.create_connection((server.host, server.port))
    replies = client.makefile("rb")
    replies.readline()
    for line in (b"HELO x\r\n", b"MAIL FROM:<s@example.com>\r\n", b"RCPT TO:<r@example.com>\r\n", b"DATA\r\n"):
        client.sendall(line)
        replies.readline()
    replies.close()
    client.sendall(MAIL[: SIZE + SIZE // 2])
    server.wait_for(lambda: len(names(directory)) == 2)
    return client


@pytest.mark.parametrize("reset", [False, True], ids=["end of input", "reset"])
def test_a_client_that_leaves_inside_data_leaves_no_file(serve: Serve, directory: Path, reset: bool) -> None:
    server = serve(settings(directory))
    client = start_mail(server, directory)
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    server.wait_for(lambda: any("mail broken off" in line for line in server.lines))
    assert names(directory) == []
    assert send(server)[0] == 250


def test_a_server_that_stops_leaves_no_file_of_an_unfinished_mail(serve: Serve, directory: Path) -> None:
    server = serve({**settings(directory), "endure": {"grace_period": "100ms"}})
    client = start_mail(server, directory)
    assert server.stop() == 0
    client.close()
    assert names(directory) == []


def test_files_of_a_killed_server_are_deleted_when_old(serve: Serve, directory: Path) -> None:
    killed = serve(settings(directory, pool={"num_workers": 1}))
    client = start_mail(killed, directory)
    killed.kill()
    client.close()
    assert len(names(directory)) == 2
    server = serve(settings(directory, attachment_storage={"cleanup_after": "1s"}))
    server.wait_for(lambda: not names(directory))
    assert names(directory) == []


def test_files_are_deleted_after_a_while(serve: Serve, directory: Path) -> None:
    server = serve(settings(directory, attachment_storage={"cleanup_after": "500ms"}))
    assert send(server)[0] == 250
    server.wait_for(lambda: any("old tempfiles deleted" in line for line in server.lines))
    assert names(directory) == []


def test_a_full_disk_is_a_refusal_and_no_more(serve: Serve, directory: Path) -> None:
    server = serve(settings(directory))
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    # Unprivileged, and the same for the server as a disk with no more room: write() stops short, then fails.
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (SIZE // 2, limits[1]))
    for _ in range(3):
        assert send(server) == (451, b"4.3.0 Storage failed, try again later")
        assert names(directory) == []
        assert open_files(server, directory) == []
    with smtplib.SMTP(server.host, server.port) as client:  # the session goes on, and other mails arrive
        assert client.docmd("HELO x")[0] == 250
        client.mail("s@example.com")
        client.rcpt("r@example.com")
        assert client.data(MAIL)[0] == 451
        client.mail("s@example.com")
        client.rcpt("r@example.com")
        assert client.data(b"Subject: x\r\n\r\ntext\r\n")[0] == 250
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
    assert send(server)[0] == 250
    assert len(names(directory)) == 2
    assert open_files(server, directory) == []


def test_a_directory_removed_while_running_is_made_again(serve: Serve, directory: Path) -> None:
    server = serve(settings(directory))
    directory.rmdir()
    assert send(server)[0] == 250
    assert len(names(directory)) == 2


def test_a_directory_that_is_a_file_meanwhile_is_a_refusal_until_it_is_gone(serve: Serve, directory: Path) -> None:
    server = serve(settings(directory))
    directory.rmdir()
    directory.touch()
    assert send(server)[0] == 451
    directory.unlink()
    assert send(server)[0] == 250
    assert len(names(directory)) == 2


@pytest.mark.parametrize("mode", ["memory", "tempfile"])
def test_a_checksum_is_there_when_asked_for(serve: Serve, directory: Path, mode: str) -> None:
    server = serve(settings(directory, attachment_storage={"mode": mode, "checksum": "sha256"}))
    assert send(server)[0] == 250
    [context] = server.records()
    assert [item["sha256"] for item in context["attachments"]] == [
        hashlib.sha256(octet * SIZE).hexdigest() for octet in (b"x", b"y")
    ]


def test_too_much_mail_in_memory_pauses_reading_and_loses_nothing(serve: Serve) -> None:
    """Connections take turns when together they hold more than allowed, and each sends a second mail afterwards."""
    server = serve({"smtp": {"max_inflight_bytes": 300_000}})
    clients = [socket.create_connection((server.host, server.port), timeout=PATIENCE_S) for _ in range(8)]
    mail = b"MAIL FROM:<s@example.com>\r\nRCPT TO:<r@example.com>\r\nDATA\r\n" + MAIL + b".\r\n"
    replies = [client.makefile("rb") for client in clients]
    for client in clients:
        client.sendall(b"HELO x\r\n")
    for _ in range(2):
        for client in clients:
            client.sendall(mail[: SIZE // 2])
        for client in reversed(clients):
            client.sendall(mail[SIZE // 2 :])
    for client in clients:
        client.sendall(b"QUIT\r\n")
    wanted = [b"220", b"250", *[b"250", b"250", b"354", b"250"] * 2, b"221"]
    for lines, client in zip(replies, clients, strict=True):
        assert [line[:3] for line in lines] == wanted
        lines.close()
        client.close()
    assert len(server.records()) == 16
