"""The embedded default worker: what it shows of a mail, and that nothing of it fails the mail or harms a terminal."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import pytest

from fastsmtp.goridge.frame import CODEC_JSON, CONTROL, Frame, FrameDecoder, encode_frame
from fastsmtp.printer.main import Painter


def mail(**changes: Any) -> dict[str, Any]:
    """A mail as the server hands it out; `message__text=...` changes what stands deeper."""
    found: dict[str, Any] = {
        "event": "EMAIL_RECEIVED",
        "uuid": "0192f3a4-0000-7000-8000-000000000000",
        "remote_addr": "127.0.0.1:54321",
        "received_at": "2025-11-03T10:30:45Z",
        "envelope": {
            "from": "bounce@example.com",
            "to": ["bob@example.com", "carol@example.com"],
            "helo": "client.test",
        },
        "authentication": {"attempted": False, "mechanism": None, "username": None, "password": None},
        "session": {"esmtp": True, "tls": None, "violations": []},
        "message": {
            "subject": "Grüße",
            "date": "Mon, 3 Nov 2025 10:30:45 +0000",
            "from": [{"name": "Änne", "address": "aenne@example.com"}],
            "to": [{"name": "", "address": "bob@example.com"}],
            "cc": [],
            "bcc": [],
            "reply_to": [],
            "text": "Hallo\r\n",
            "html": None,
            "size": 1234,
            "defects": [],
        },
        "attachments": [],
    }
    for name, value in changes.items():
        section, _, key = name.rpartition("__")
        (found[section] if section else found)[key] = value
    return found


def block(**changes: Any) -> list[str]:
    return Painter(colours=False, width=60).block(mail(**changes)).splitlines()


PLAIN_BLOCK = [
    "━━ 10:30:45Z  127.0.0.1:54321 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━",
    "  subject     Grüße",
    "  from        Änne <aenne@example.com>",
    "  to          bob@example.com",
    "  envelope    <bounce@example.com> to <bob@example.com>, <carol@example.com>",
    "  date        Mon, 3 Nov 2025 10:30:45 +0000",
    "  helo        EHLO client.test",
    "  size        1.2 kB  0192f3a4-0000-7000-8000-000000000000",
    "",
    "  Hallo",
    "",
]


def test_plain_mail() -> None:
    assert block() == PLAIN_BLOCK


def test_everything() -> None:
    attachments = [
        {
            "filename": "übersicht 日本.pdf",
            "content_type": "application/pdf",
            "size": 152340,
            "content": "",
            "defects": [],
        },
        {
            "filename": "a.txt",
            "content_type": "text/plain",
            "size": 12,
            "path": "/tmp/x",
            "defects": ["invalid-base64"],
        },
    ]
    violations = [
        {"code": "mail-without-brackets", "detail": "MAIL FROM:a@b", "count": 3},
        {"code": "bare-lf", "detail": "", "count": 1},
    ]
    assert block(
        authentication={"attempted": True, "mechanism": "PLAIN", "username": "me", "password": "se cret"},
        session={"esmtp": False, "tls": {"version": "TLSv1.3", "cipher": "AES"}, "violations": violations},
        message__cc=[{"name": "C", "address": "c@example.com"}],
        message__reply_to=[{"name": "", "address": "r@example.com"}],
        message__defects=["missing-closing-delimiter", "header-8bit"],
        attachments=attachments,
    ) == [
        *PLAIN_BLOCK[:4],
        "  cc          C <c@example.com>",
        "  reply-to    r@example.com",
        *PLAIN_BLOCK[4:6],
        "  auth        PLAIN  me  se cret",
        "  helo        HELO client.test",
        "  tls         TLSv1.3  AES",
        *PLAIN_BLOCK[7:],
        "  attached    übersicht 日本.pdf  application/pdf  152.3 kB",
        "              a.txt               text/plain       12 B      /tmp/x  invalid-base64",
        "  violations  mail-without-brackets: MAIL FROM:a@b  x3",
        "              bare-lf",
        "  defects     missing-closing-delimiter, header-8bit",
        "",
    ]


def test_nothing_known() -> None:
    assert block(
        envelope={"from": "", "to": ["x"], "helo": ""},
        authentication={"attempted": True, "mechanism": None, "username": None, "password": None},
        message={
            **dict.fromkeys(("subject", "date", "text", "html")),
            **{key: [] for key in ("from", "to", "cc", "bcc", "reply_to", "defects")},
            "size": 0,
        },
    ) == [
        PLAIN_BLOCK[0],
        "  subject     (none)",
        "  envelope    <> to <x>",
        "  auth        (none)",
        "  helo        EHLO (none)",
        "  size        0 B  0192f3a4-0000-7000-8000-000000000000",
        "",
    ]


def test_no_control_character_reaches_the_terminal() -> None:
    evil = "a\x1b[31m\x00\x07\x9b2J\r\nb\u202ec\ud800\u2028d\te"
    shown = Painter(colours=False, width=200).block(
        mail(
            remote_addr=evil,
            envelope={"from": evil, "to": [evil], "helo": evil},
            authentication={"attempted": True, "mechanism": evil, "username": evil, "password": evil},
            session={"esmtp": True, "tls": None, "violations": [{"code": evil, "detail": evil, "count": 1}]},
            message__subject=evil,
            message__date=evil,
            message__from=[{"name": evil, "address": evil}],
            message__text=evil,
            message__defects=[evil],
            attachments=[{"filename": evil, "content_type": evil, "size": 1, "path": evil, "defects": [evil]}],
        )
    )
    assert [char for char in shown if not char.isprintable() and char != "\n"] == []
    assert "  subject     a\\x1b[31m\\x00\\x07\\x9b2J\\r\\nb\\u202ec\\ud800\\u2028d\\te\n" in shown


def test_joined_emoji_and_odd_blanks_stay_readable() -> None:
    assert block(message__subject="👩‍👧\u00a0x")[1] == "  subject     👩‍👧 x"


def test_long_text_is_an_excerpt() -> None:
    text = "one\n\n\n\ntwo \n" + "long " * 30 + "\n" + "row\n" * 20
    assert block(message__text=text)[9:] == [
        "  one",
        "",
        "  two",
        "  long long long long long long long long long long long lo…",
        *["  row"] * 8,
        "  ... 12 more lines",
        "",
    ]


def test_html_only() -> None:
    html = "<html><head><title>T</title></head><style>p{}</style><!-- c --><p>Hi &amp; <b>you</b><br>1 < 2</p>\n</html>"
    assert block(message__text=None, message__html=html)[9:] == ["  Hi & you", "  1 < 2", "  (from HTML)", ""]


def test_many_of_everything() -> None:
    attachment = {"filename": "a", "content_type": "text/plain", "size": 1, "defects": []}
    lines = block(
        envelope={"from": "", "to": ["x"] * 100, "helo": ""},
        session={"esmtp": True, "tls": None, "violations": [{"code": "v", "detail": "", "count": 1}] * 12},
        message__subject="日" * 1000,
        attachments=[attachment] * 52,
    )
    assert lines[1] == "  subject     " + "日" * 497 + "..."
    assert lines[4] == "  envelope    <> to " + "<x>, " * 9 + "<x> and 90 more"
    assert lines[-13:] == [
        "              and 2 more",
        "  violations  v",
        *["              v"] * 9,
        "              and 2 more",
        "",
    ]


def test_long_values_go_on_below_where_they_begin() -> None:
    shown = Painter(colours=False, width=40, wrap=True).block(
        mail(message__subject="short words " * 4 + "x" * 30 + " 件名件名件名件名件名件名件名件名")
    )
    assert shown.splitlines()[1:5] == [
        "  subject     short words short words",
        "              short words short words",
        "              xxxxxxxxxxxxxxxxxxxxxxxxxx",
        "              xxxx",
    ]
    assert shown.splitlines()[5:7] == ["              件名件名件名件名件名件名件", "              名件名"]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a long line " * 4, ["  a long line a long line a long line a", "  long line"]),
        (
            "one\n" + "word " * 20,
            ["  one", *["  word word word word word word word"] * 2, "  word word word word word word"],
        ),
        ("word " * 90, [*["  word word word word word word word"] * 12, "  ... 1 more line"]),
        ("x" * 100_000 + "\n\nmore\n", [*["  " + "x" * 38] * 12, "  ... 1 more line"]),
        ("word " * 84 + "\nnext\nlast", [*["  word word word word word word word"] * 12, "  ... 2 more lines"]),
    ],
    ids=["two", "three", "too-long", "endless", "full"],
)
def test_text_goes_on_in_the_next_row_of_a_terminal(text: str, rows: list[str]) -> None:
    shown = Painter(colours=False, width=40, wrap=True).block(mail(message__text=text)).splitlines()
    begin = shown.index("") + 1
    assert shown[begin : shown.index("", begin)] == rows


def test_wrapping_colours_each_line() -> None:
    shown = Painter(colours=True, width=40, wrap=True).block(mail(message__subject="short words " * 3))
    assert shown.splitlines()[1:3] == [
        "  \x1b[2msubject    \x1b[0m \x1b[1mshort words short words\x1b[0m",
        "              \x1b[1mshort words \x1b[0m",
    ]


def test_lower_case_verbs_alarm_nobody() -> None:
    violations = [{"code": "lower-case-verb", "detail": "ehlo", "count": 5}]
    assert block(session={"esmtp": True, "tls": None, "violations": violations}) == PLAIN_BLOCK


def test_where_it_was_saved_is_one_line_to_be_copied() -> None:
    path = "/home/me/mails/" + "x" * 60 + ".eml"
    shown = Painter(colours=False, width=40, wrap=True).block(mail(), path)
    assert f"  saved       {path}" in shown.splitlines()


def test_colours() -> None:
    lines = Painter(colours=True, width=40).block(mail()).splitlines()
    assert lines[:2] == [
        "\x1b[32m━━\x1b[0m 10:30:45Z  127.0.0.1:54321 \x1b[32m━━━━━━━━━━\x1b[0m",
        "  \x1b[2msubject    \x1b[0m \x1b[1mGrüße\x1b[0m",
    ]


# --- as a process


class Peer:
    """The server's end of the relay."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.decoder = FrameDecoder(1 << 20)
        self.frames: list[Frame] = []

    def exchange(self, frame: bytes) -> Frame:
        self.connection.sendall(frame)
        while not self.frames:
            self.frames += self.decoder.feed(self.connection.recv(65536))
        return self.frames.pop(0)

    def deliver(self, document: dict[str, Any]) -> bytes:
        context = json.dumps(document).encode()
        return bytes(self.exchange(encode_frame(CODEC_JSON, context, (len(context),))).payload)


class Worker:
    """`python -m fastsmtp.printer.main`, connected and past its handshake."""

    def __init__(self, directory: Path, stdout: int | IO[bytes], environment: dict[str, str] | None = None) -> None:
        path = str(directory / "relay.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fastsmtp.printer.main"],
                stdout=stdout,
                stderr=subprocess.PIPE,
                env={**os.environ, "RR_RELAY": f"unix://{path}", **(environment or {})},
            )
            self.peer = Peer(listener.accept()[0])
        answer = self.peer.exchange(encode_frame(CONTROL | CODEC_JSON, json.dumps({"pid": os.getpid()}).encode()))
        assert json.loads(bytes(answer.payload)) == {"pid": self.process.pid}

    def stop(self) -> tuple[int, bytes]:
        """Hang up; return exit code and stderr."""
        self.peer.connection.close()
        assert self.process.stderr is not None
        errors: bytes = self.process.stderr.read()
        return self.process.wait(), errors

    def close(self) -> None:
        self.process.kill()
        self.peer.connection.close()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.process.wait()


@pytest.fixture
def piped(tmp_path: Path) -> Iterator[Worker]:
    with closing(Worker(tmp_path, subprocess.PIPE)) as worker:
        yield worker


def test_process_shows_and_accepts(piped: Worker) -> None:
    assert piped.peer.deliver(mail()) == b"CONTINUE"
    assert piped.process.stdout is not None
    expected = Painter(colours=False, width=80).block(mail()).encode()
    assert piped.process.stdout.read(len(expected)) == expected
    assert piped.peer.deliver(mail()) == b"CONTINUE"
    assert piped.process.stdout.read(len(expected)) == expected
    assert piped.stop() == (0, b"")


def test_process_ends_when_asked(piped: Worker) -> None:
    piped.peer.connection.sendall(encode_frame(CONTROL | CODEC_JSON, b'{"stop":true}'))
    assert piped.process.wait(timeout=30) == 0


def test_closed_stdout_does_not_fail_the_mail(piped: Worker) -> None:
    assert piped.process.stdout is not None
    piped.process.stdout.close()
    assert [piped.peer.deliver(mail()) for _ in range(2)] == [b"CONTINUE", b"CONTINUE"]
    assert piped.stop() == (0, b"")


def test_full_disk_does_not_fail_the_mail(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        worker = Worker(tmp_path, full)
    with closing(worker):
        assert worker.peer.deliver(mail()) == b"CONTINUE"
        assert worker.stop() == (0, b"")


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_only_on_a_terminal_that_wants_them(tmp_path: Path, no_color: str, coloured: bool) -> None:
    ours, theirs = pty.openpty()
    worker = Worker(tmp_path, theirs, {"NO_COLOR": no_color, "TERM": "xterm"})
    os.close(theirs)
    with closing(worker):
        assert worker.peer.deliver(mail()) == b"CONTINUE"
        shown = b""
        while b"Hallo" not in shown:
            shown += os.read(ours, 4096)
        assert (b"\x1b[" in shown) is coloured
        assert worker.stop() == (0, b"")
    os.close(ours)
