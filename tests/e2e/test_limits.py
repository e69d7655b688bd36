"""Limits, and clients that go away at a bad moment."""

from __future__ import annotations

import base64
import socket

import pytest
from gates import Gate
from procs import cpu_seconds, memory_kb
from servers import Serve
from wire import Wire, logged, wait_for_log

MB = 1 << 20
ACCEPTED = b"250 2.0.0 Message accepted\r\n"
TOO_BIG = b"552 5.3.4 Message exceeds the size limit\r\n"
TOO_MANY = b"421 4.3.2 Too many connections\r\n"
OK = b"250 2.0.0 OK\r\n"


def test_an_endless_line_is_swallowed_and_refused_once(serve: Serve) -> None:
    server = serve()
    with Wire(server) as wire:
        wire.send(b"x" * MB)
        before = memory_kb(server.process.pid)
        for _ in range(64):
            wire.send(b"x" * MB)
        wire.send(b"\r\n")
        assert wire.reply() == b"500 5.5.2 Command line too long\r\n"
        assert memory_kb(server.process.pid) - before < 8 * 1024
        assert wire.ask(b"NOOP\r\n") == OK


def test_a_declared_size_above_the_limit_is_refused_at_once(serve: Serve) -> None:
    server = serve({"smtp": {"max_message_size": "1MiB"}})
    with Wire(server) as wire:
        wire.ask(b"EHLO x\r\n")
        assert wire.ask(b"MAIL FROM:<a@b.c> SIZE=1048577\r\n") == TOO_BIG
        assert wire.ask(b"MAIL FROM:<a@b.c> SIZE=1048576\r\n") == b"250 2.1.0 Sender accepted\r\n"


@pytest.mark.parametrize("mode", ["memory", "tempfile"])
def test_mail_above_the_limit_is_swallowed_and_the_session_goes_on(serve: Serve, mode: str) -> None:
    server = serve({"smtp": {"max_message_size": "1MiB", "attachment_storage": {"mode": mode, "temp_dir": "files"}}})
    with Wire(server) as wire:
        wire.begin()
        wire.send(b"Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n")
        line = base64.b64encode(b"\0" * 57) + b"\r\n"
        wire.send(line * (2 * MB // len(line)))
        before = memory_kb(server.process.pid)
        for _ in range(32):
            wire.send(line * (MB // len(line)))
        wire.send(b".\r\n")
        assert wire.reply() == TOO_BIG
        assert memory_kb(server.process.pid) - before < 8 * 1024
        wire.begin_next()
        assert wire.ask(b"Subject: next\r\n\r\n.\r\n") == ACCEPTED
    assert [item["message"]["subject"] for item in server.records()] == ["next"]
    assert list((server.directory).glob("files/*")) == []
    assert len(logged(server, "reason=size")) == 1


def test_a_chunk_above_the_limit_is_swallowed_and_the_session_goes_on(serve: Serve) -> None:
    server = serve({"smtp": {"max_message_size": "1MiB"}})
    with Wire(server) as wire:
        wire.ask(b"EHLO x\r\n")
        wire.send(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT %d LAST\r\n" % (2 * MB) + b"x" * (2 * MB))
        assert [wire.reply() for _ in range(3)][2] == TOO_BIG
        assert wire.ask(b"NOOP\r\n") == OK


def test_recipient_101_is_refused_and_the_mail_goes_to_the_others(serve: Serve) -> None:
    server = serve()
    recipients = [b"r%d@example.com" % number for number in range(102)]
    with Wire(server) as wire:
        wire.ask(b"EHLO x\r\n")
        wire.ask(b"MAIL FROM:<a@b.c>\r\n")
        wire.send(b"".join(b"RCPT TO:<%s>\r\n" % path for path in recipients))
        replies = [wire.reply() for _ in recipients]
        assert replies == [b"250 2.1.5 Recipient accepted\r\n"] * 100 + [b"452 4.5.3 Too many recipients\r\n"] * 2
        wire.ask(b"DATA\r\n")
        assert wire.ask(b"Subject: x\r\n\r\n.\r\n") == ACCEPTED
    [record] = server.records()
    assert record["envelope"]["to"] == [path.decode() for path in recipients[:100]]


def test_a_connection_above_max_connections_gets_421(serve: Serve) -> None:
    server = serve({"smtp": {"max_connections": 2}})
    with Wire(server), Wire(server) as second:
        with Wire(server) as third:
            assert third.greeting == TOO_MANY
            assert third.reply() == b""
        assert second.ask(b"QUIT\r\n") == b"221 2.0.0 Bye\r\n"
        wait_for_log(server, "connection closed")
        with Wire(server) as fourth:
            assert fourth.greeting.startswith(b"220 ")
    assert len(logged(server, "connection turned away")) == 1


def test_the_limit_of_open_files_is_a_limit_of_connections(serve: Serve) -> None:
    server = serve({"smtp": {"pool": {"num_workers": 1}}}, wrapper=["prlimit", "--nofile=100:100"])
    open_files = 100 - 64 - 6  # what is kept for tempfiles, logs, new workers; and for the worker
    wires = [Wire(server) for _ in range(open_files)]
    assert {wire.greeting[:3] for wire in wires} == {b"220"}
    with Wire(server) as refused:
        assert refused.greeting == TOO_MANY
    wires.pop().socket.close()
    wait_for_log(server, "connection closed")
    with Wire(server) as accepted:
        accepted.begin()
        assert accepted.ask(b"Subject: x\r\n\r\n.\r\n") == ACCEPTED
    for wire in wires:
        wire.socket.close()


def test_file_descriptors_used_up_are_no_end_and_no_busy_loop(serve: Serve) -> None:
    settings = {"smtp": {"max_connections": 1000, "pool": {"num_workers": 1}}}
    server = serve(settings, wrapper=["prlimit", "--nofile=64:64"])
    wires = [Wire(server, greeted=False) for _ in range(100)]
    greeted = [wire for wire in wires if wire.reply()]
    assert 0 < len(greeted) < 64
    before = cpu_seconds(server.process.pid)
    assert not greeted[0].readable(1.0)
    assert cpu_seconds(server.process.pid) - before < 0.2
    for wire in wires:
        wire.socket.close()
    wait_for_log(server, "connection closed", len(greeted))
    with Wire(server) as wire:
        wire.begin()
        assert wire.ask(b"Subject: x\r\n\r\n.\r\n") == ACCEPTED


# Clients that go away


def test_who_closes_its_half_after_the_dot_gets_its_reply(serve: Serve, gate: Gate) -> None:
    server = serve(gate.settings(), worker="slow.php")
    with Wire(server) as wire:
        wire.begin()
        wire.send(b"Subject: x\r\n\r\n.\r\n")
        wire.socket.shutdown(socket.SHUT_WR)
        with gate.wait_for_worker() as opened:
            opened.let_go()
        assert wire.reply() == ACCEPTED
        assert wire.reply() == b""


def test_who_closes_its_half_behind_commands_gets_all_replies(serve: Serve) -> None:
    server = serve()
    with Wire(server) as wire:
        wire.send(b"NOOP\r\nNOOP\r\n")
        wire.socket.shutdown(socket.SHUT_WR)
        assert [wire.reply() for _ in range(3)] == [OK, OK, b""]


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
def test_a_mail_whose_client_is_gone_stays_with_its_worker(serve: Serve, gate: Gate, reset: bool) -> None:
    server = serve(gate.settings(), worker="slow.php")
    wire = Wire(server)
    wire.begin()
    wire.send(b"Subject: x\r\n\r\n.\r\n")
    with gate.wait_for_worker() as opened:
        wire.reset() if reset else wire.socket.close()
        opened.let_go()
        assert len(wait_for_log(server, "  email  ")) == 1
    assert len(wait_for_log(server, "connection closed")) == 1


BEGUN = b"EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n"
RESET_IN = {
    "idle": (b"", 0),
    "a transaction": (BEGUN, 3),
    "mail data": (BEGUN + b"DATA\r\nSubject: cut\r\n\r\nx\r\n.", 4),
    "a chunk": (BEGUN + b"BDAT 3\r\nabcBDAT 100 LAST\r\nxx", 4),
    "AUTH": (b"EHLO x\r\nAUTH LOGIN\r\n", 2),
}


def test_resets_leave_nothing_behind(serve: Serve) -> None:
    server = serve()
    for sent, replies in RESET_IN.values():
        wire = Wire(server)
        wire.send(sent)
        for _ in range(replies):
            wire.reply()
        wire.reset()
    wait_for_log(server, "connection closed", len(RESET_IN))
    assert len(logged(server, "mail broken off")) == 2
    assert server.records() == []


def test_violations_are_in_the_log_with_detail_and_count(serve: Serve) -> None:
    server = serve()
    with Wire(server) as wire:
        wire.ask(b"HELO one\r\n")
        for _ in range(2):
            wire.ask(b"MAIL FROM: a@b.c\r\n")
            wire.ask(b"RSET\r\n")
    wait_for_log(server, "connection closed")
    lines = logged(server, "  violation  ")
    assert [line.split("  ")[1].strip() for line in lines] == ["WARN"] * 2
    assert [line[line.index("code=") :] for line in lines] == [
        'code=misplaced-space  detail="FROM: a@b.c"  count=2',
        "code=path-without-brackets  detail=a@b.c  count=2",
    ]


def test_passwords_are_in_the_log_at_debug_only(serve: Serve) -> None:
    secret = base64.b64encode(b"\0user\0hunter2")
    for arguments in ([], ["--debug"]):
        server = serve(arguments=arguments)
        with Wire(server) as wire:
            wire.ask(b"EHLO x\r\n")
            assert wire.ask(b"AUTH PLAIN %s\r\n" % secret) == b"235 2.7.0 Authentication accepted\r\n"
            wire.ask(b"QUIT\r\n")
        [closed] = wait_for_log(server, "connection closed")
        uuid = next(word for word in closed.split() if word.startswith("connection="))
        talk = [line[line.index("smtp  ") + 6 :] for line in logged(server, " DEBUG  smtp  ")]
        if not arguments:
            assert talk == []
            assert [line for line in server.lines if secret.decode() in line or "hunter2" in line] == []
            continue
        assert all(uuid in line for line in talk)
        shown = [(line.split("  ")[0], line.partition("line=")[2].strip('"')) for line in talk]
        assert shown[0] == ("reply", "220 buggregator.local ESMTP fastsmtp")
        assert shown[-4:] == [
            ("command", f"AUTH PLAIN {secret.decode()}"),
            ("reply", "235 2.7.0 Authentication accepted"),
            ("command", "QUIT"),
            ("reply", "221 2.0.0 Bye"),
        ]
