"""What clients, mails and workers say is shown with escapes for what does not print: in logs, terminals and tables."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from servers import Serve, Server
from wire import Wire, wait_for_log

# CSI as ESC [ and as one C1 character, OSC, NEL, DEL, line and paragraph separators, marks, embeddings, overrides and
# isolates of bidirectional text, a tag character.
HOSTILE = "\x1b[31m\x9b2J\x9d0;x\x9c\x85\x7f\u2028\u2029\u200e\u200f\u202a\u202d\u202e\u2066\u2069\u061c\U000e0041"
ON_THE_WIRE = HOSTILE.encode() + b"\xff\xed\xa0\x80"  # and octets that are not UTF-8, a surrogate among them
ENCODED = b"=?utf-8?b?%s?=" % base64.b64encode(HOSTILE.encode())
LOGIN = base64.b64encode(b"\0" + ON_THE_WIRE + b"\0" + ON_THE_WIRE)

FORMS: dict[str, dict[str, Any]] = {
    "development": {"mode": "development"},
    "production": {"mode": "production"},
    "raw": {"mode": "raw"},
    "format": {"format": "%time% %level% %logger% %message% %attrs%"},
}


def talk(server: Server) -> None:
    """Say it wherever a client can say something."""
    with Wire(server) as wire:
        assert wire.ask(b"EHLO %s\r\n" % ON_THE_WIRE)[:3] == b"250"
        assert wire.ask(b"AUTH PLAIN %s\r\n" % LOGIN)[:3] == b"235"
        assert wire.ask(b"FOO %s\r\n" % ON_THE_WIRE)[:3] == b"500"
        for subject in (b"a ", b"crash "):
            wire.send(b"MAIL FROM:<%s@a> X%s=%s\r\n" % ((ON_THE_WIRE,) * 3))
            wire.reply()
            wire.send(b"MAIL FROM: <%s@a>\r\nRCPT TO:<%s@b>\r\nDATA\r\n" % (ON_THE_WIRE, ON_THE_WIRE))
            assert [wire.reply()[:3] for _ in range(3)][1:] == [b"250", b"354"]
            reply = wire.ask(
                b"Subject: %s\r\nFrom: %s <a@b>\r\nContent-Type: text/html; charset=%s\r\n"
                b"Content-Disposition: attachment; filename*=utf-8''%%C2%%9B2J\r\n\r\n%s\r\n.\r\n"
                % (subject + ENCODED, ENCODED, ON_THE_WIRE, ON_THE_WIRE)
            )
            assert reply[:3] in (b"250", b"451")
        wire.ask(b"QUIT\r\n")


def unprintable(text: str) -> set[str]:
    """The characters of `text` that do not print; a line feed is what ends a line."""
    return {char for char in text if not char.isprintable()} - {"\n"}


def read_all(server: Server, directory: Path) -> str:
    files = [path.read_bytes().decode("utf-8") for path in sorted(directory.glob("*.log"))]
    return "\n".join([*files, *server.lines, *server.printed])


@pytest.mark.parametrize("output", ["stderr", "stdout", "all.log"])
@pytest.mark.parametrize("form", FORMS)
def test_logs(serve: Serve, tmp_path: Path, form: str, output: str) -> None:
    logs = {**FORMS[form], "level": "debug", "output": output}
    server = serve({"logs": logs, "inbox": {"address": "127.0.0.1:0"}}, worker="repeats_to_stderr.php", banner=False)
    talk(server)
    server.stop()
    text = read_all(server, tmp_path)
    assert unprintable(text) == set()
    assert ("\\u009b2J" if form == "production" else "\\x9b2J") in text
    if form == "production":
        assert "a " + HOSTILE in [json.loads(line)["msg"] for line in text.split("\n") if line]


def test_a_rotated_file(serve: Serve, tmp_path: Path) -> None:
    logs = {"level": "debug", "file_logger_options": {"log_output": "all.log"}}
    server = serve({"logs": logs}, worker="repeats_to_stderr.php", banner=False)
    talk(server)
    server.stop()
    text = read_all(server, tmp_path)
    assert unprintable(text) == set()
    assert all(json.loads(line)["level"] for line in (tmp_path / "all.log").read_text().split("\n")[:-1])


def test_the_printer(serve: Serve, tmp_path: Path) -> None:
    server = serve(worker=None)
    talk(server)
    server.wait_for(lambda: any("crash" in line for line in server.printed))
    server.stop()
    text = read_all(server, tmp_path)
    assert unprintable(text) == set()
    assert "\\x1b[31m\\x9b2J" in text


def test_tables_and_errors_of_the_command_line(serve: Serve, tmp_path: Path) -> None:
    server = serve({"rpc": {"listen": "unix://rpc.sock"}}, worker="repeats_to_stderr.php")
    with Wire(server) as wire:
        wire.ask(b"EHLO %s\r\n" % ON_THE_WIRE)
        wire.ask(b"AUTH PLAIN %s\r\n" % LOGIN)
        for arguments in (
            ["connections"],
            ["connections", "--json"],
            ["workers"],
            ["workers", "--json"],
            ["close", HOSTILE],
        ):
            done = subprocess.run(
                [sys.executable, "-m", "fastsmtp", *arguments],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert unprintable(done.stdout + done.stderr) == set()
        wire.ask(b"QUIT\r\n")
    wait_for_log(server, "connection closed")
    assert unprintable("\n".join(server.lines)) == set()
