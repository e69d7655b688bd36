"""`serve --save DIR`: each mail as it came, and its JSON."""

from __future__ import annotations

import json
import os
import re
import smtplib
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from servers import Serve, Server
from wire import Wire, logged, wait_for_log

STAMP = r"\d{8}T\d{6}Z-[0-9a-f-]{36}"
UMLAUT = "Subject: Grüße\r\n\r\nutf-8: ä\r\n".encode()
NOT_UTF8 = b"Subject: x\r\n\r\n\xff\x00\xfe bare\nlf\r\n"


def send(server: Server, *messages: bytes) -> None:
    with Wire(server) as wire:
        wire.begin()
        for index, message in enumerate(messages):
            if index:
                wire.begin_next()
            stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
            assert wire.ask(stuffed + b".\r\n")[:3] == b"250"


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def test_both_files_of_each_mail_are_there_when_the_client_has_its_250(serve: Serve) -> None:
    server = serve(worker=None, arguments=["--save", "kept/mails"])
    messages = [UMLAUT, NOT_UTF8, b".dots\r\n..\r\n\r\n", b""]
    send(server, *messages)
    kept = server.directory / "kept" / "mails"
    found = files(kept)
    names = [name.removesuffix(".eml") for name in found if name.endswith(".eml")]
    assert [found[f"{name}.eml"] for name in names] == messages
    assert sorted(found) == sorted(f"{name}{ending}" for name in names for ending in (".eml", ".json"))
    for name in names:
        assert re.fullmatch(STAMP, name)
        mail = json.loads(found[f"{name}.json"])
        assert name == re.sub("[-:]", "", mail["received_at"]) + "-" + mail["uuid"]
        assert "raw" not in mail["message"]
        assert mail["message"]["size"] == len(found[f"{name}.eml"])
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept.iterdir()} == {0o600}
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    server.stop()
    shown = [line.split()[1] for line in server.printed if line.startswith("  saved ")]
    assert shown == [str(kept / f"{name}.eml") for name in names]


def test_nothing_of_a_mail_gets_into_a_name(serve: Serve) -> None:
    server = serve(worker=None, arguments=["--save", "kept"])
    with smtplib.SMTP(server.host, server.port, local_hostname="../../evil") as client:
        client.sendmail(
            "../../s@x", ["../r@x"], b"Message-ID: <../../x>\r\nSubject: ../../x\r\n"
            b"Content-Disposition: attachment; filename=\"../../y\"\r\n\r\nx\r\n",
        )  # fmt: skip
    assert all(re.fullmatch(rf"{STAMP}\.(eml|json)", name) for name in files(server.directory / "kept"))
    assert len(files(server.directory / "kept")) == 2


def test_a_directory_that_fails_is_told_once_and_fails_no_mail(serve: Serve) -> None:
    server = serve(worker=None, arguments=["--save", "kept"])
    kept = server.directory / "kept"
    kept.rmdir()
    send(server, UMLAUT, UMLAUT)
    told = f"mails cannot be kept in {kept}: No such file or directory"
    assert wait_for_log(server, "mails cannot be kept") == [f"fastsmtp: {told}"]
    kept.mkdir()
    send(server, UMLAUT)
    assert [path.suffix for path in sorted(kept.iterdir())] == [".eml", ".json"]
    for path in kept.iterdir():
        path.unlink()
    kept.rmdir()
    send(server, UMLAUT)
    wait_for_log(server, "mails cannot be kept", 2)
    server.stop()
    assert len(logged(server, "mails cannot be kept")) == 2
    assert len([line for line in server.printed if line.startswith("  subject ")]) == 4


def test_a_full_disk_leaves_no_half_of_a_mail(serve: Serve) -> None:
    # Files of more than 64 KiB are "File too large" for every process of the server.
    limits = ["bash", "-c", 'ulimit -f 64; exec "$@"', "bash"]
    server = serve(worker=None, arguments=["--save", "kept"], wrapper=limits)
    send(server, b"Subject: large\r\n\r\n" + b"x" * 70_000 + b"\r\n", UMLAUT)
    assert wait_for_log(server, "mails cannot be kept") == [
        f"fastsmtp: mails cannot be kept in {server.directory / 'kept'}: File too large"
    ]
    assert [content for name, content in files(server.directory / "kept").items() if name.endswith(".eml")] == [UMLAUT]
    assert len(files(server.directory / "kept")) == 2


def test_a_directory_that_is_there_keeps_its_mode_and_its_files(serve: Serve, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o755)
    (kept / "mine.txt").write_text("x")
    server = serve(worker=None, arguments=["--save", str(kept)])
    send(server, UMLAUT)
    assert len(files(kept)) == 3
    assert stat.S_IMODE(kept.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--save", "file"], 1, "fastsmtp: cannot keep mails in file: File exists\n"),
        (["--save", "file/below"], 1, "fastsmtp: cannot keep mails in file/below: Not a directory\n"),
        (["--save", "kept", "-o", "server.command=php worker.php"], 2, "server.command names a worker"),
    ],
)
def test_what_cannot_be_is_told_at_the_start(tmp_path: Path, arguments: list[str], code: int, told: str) -> None:
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "fastsmtp", "serve", "-o", "smtp.addr=127.0.0.1:0", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == code
    assert told in done.stderr
    assert not (tmp_path / "kept").exists()
