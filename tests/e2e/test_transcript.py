"""`include_transcript`: what was said, in the payload a PHP worker gets."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest
from servers import Serve
from wire import Wire, logged, wait_for_log

TRANSCRIPT: dict[str, Any] = {"smtp": {"include_transcript": True, "hostname": "mx.test"}}
SECRET = base64.b64encode(b"\0me\0hunter2").decode()


def said(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["from"], item["line"]) for item in record["session"]["transcript"]]


def test_each_mail_has_all_that_was_said_before_it(serve: Serve) -> None:
    server = serve(TRANSCRIPT)
    with Wire(server) as wire:
        wire.ask(b"HELO one\r\n")
        wire.ask(b"AUTH PLAIN %s\r\n" % SECRET.encode())
        for _ in range(2):
            wire.begin_next()
            assert wire.ask(b"Subject: not in it\r\n\r\n.\r\n")[:3] == b"250"
    first, second = server.records()
    envelope = [
        ("client", "MAIL FROM:<s@example.com>"),
        ("server", "250 2.1.0 Sender accepted"),
        ("client", "RCPT TO:<r@example.com>"),
        ("server", "250 2.1.5 Recipient accepted"),
        ("client", "DATA"),
        ("server", "354 End data with <CR><LF>.<CR><LF>"),
    ]
    assert said(first) == [
        ("server", "220 mx.test ESMTP fastsmtp"),
        ("client", "HELO one"),
        ("server", "250 mx.test"),
        ("client", f"AUTH PLAIN {SECRET}"),
        ("server", "235 2.7.0 Authentication accepted"),
        *envelope,
    ]
    assert said(second) == [*said(first), ("server", "250 2.0.0 Message accepted"), *envelope]
    offsets = [item["ms"] for item in second["session"]["transcript"]]
    assert offsets == sorted(offsets)
    assert 0 <= offsets[0] <= offsets[-1] < 60_000
    assert logged(server, "hunter2") == logged(server, SECRET) == []


def test_pipelined_commands_and_chunks_are_in_it_in_their_order(serve: Serve) -> None:
    server = serve(TRANSCRIPT)
    with Wire(server) as wire:
        wire.send(b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<r@e>\r\nBDAT 3\r\nx:yBDAT 2 LAST\r\n\r\nQUIT\r\n")
        while wire.reply():
            pass
    [record] = server.records()
    assert [line for who, line in said(record) if who == "client"] == [
        "HELO x",
        "MAIL FROM:<>",
        "RCPT TO:<r@e>",
        "BDAT 3",
        "BDAT 2 LAST",
    ]


def test_starttls_does_not_begin_it_anew(serve: Serve) -> None:
    server = serve({"smtp": {**TRANSCRIPT["smtp"], "tls": {"cert": "auto"}}})
    with Wire(server) as wire:
        wire.ask(b"EHLO before\r\n")
        wire.ask(b"STARTTLS\r\n")
        wire.start_tls()
        wire.begin()
        wire.ask(b".\r\n")
    [record] = server.records()
    commands = [line.split(" ")[0] for who, line in said(record) if who == "client"]
    assert commands == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA"]


def test_a_long_session_keeps_its_opening_and_its_last_lines(serve: Serve) -> None:
    server = serve(TRANSCRIPT)
    with Wire(server) as wire:
        wire.send(b"".join(b"NOOP %d\r\n" % number for number in range(1000)))
        for _ in range(1000):
            wire.reply()
        wire.begin()
        wire.ask(b".\r\n")
    [record] = server.records()
    lines = said(record)
    assert len(lines) == 64 + 1 + 256
    assert lines[:2] == [("server", "220 mx.test ESMTP fastsmtp"), ("client", "NOOP 0")]
    [gap] = [index for index, (who, _) in enumerate(lines) if who == "fastsmtp"]
    everything = 1 + 2000 + 2 * 4 + 10
    assert lines[gap] == ("fastsmtp", f"{everything - 64 - 256} lines left out")
    assert gap == 64
    assert lines[-1] == ("server", "354 End data with <CR><LF>.<CR><LF>")


@pytest.mark.parametrize("level", ["debug", "info"])
def test_the_log_is_not_changed_by_it(serve: Serve, level: str) -> None:
    server = serve({**TRANSCRIPT, "logs": {"level": level}})
    with Wire(server) as wire:
        wire.begin()
        wire.ask(b".\r\n")
        wire.ask(b"QUIT\r\n")
    wait_for_log(server, "connection closed")
    [record] = server.records()
    talk = [line for kind in ("  command  ", "  reply  ") for line in logged(server, kind)]
    later = 3  # the reply to the mail, QUIT and the reply to it
    assert len(talk) == (len(said(record)) + later if level == "debug" else 0)


def test_without_it_there_is_no_key(serve: Serve) -> None:
    server = serve()
    with Wire(server) as wire:
        wire.begin()
        wire.ask(b".\r\n")
    [record] = server.records()
    assert sorted(record["session"]) == ["esmtp", "tls", "violations"]


def test_offsets_tell_the_time(serve: Serve) -> None:
    server = serve(TRANSCRIPT)
    with Wire(server) as wire:
        wire.readable(0.2)  # nothing comes
        wire.begin()
        wire.ask(b".\r\n")
    [record] = server.records()
    offsets = [item["ms"] for item in record["session"]["transcript"]]
    assert any(later - earlier >= 190 for earlier, later in itertools.pairwise(offsets))
