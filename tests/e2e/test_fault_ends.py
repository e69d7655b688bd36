"""Fault plans and what ends: the server, the inbox, the client, the time that is given to clients."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from apicalls import call
from procs import inbox_of
from servers import Serve, Server
from waits import wait_until
from wire import Wire

from fastsmtp.smtp.replies import MAIL_OK, MESSAGE_ACCEPTED, RCPT_OK, SHUTTING_DOWN, START_MAIL_INPUT

PATIENT = {"inbox": {"address": "127.0.0.1:0"}, "endure": {"grace_period": "10m"}}
STALL = {"stall": True, "for": "50m"}
DIALOGUE = b"EHLO client.test\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
TEXT = b"Subject: x\r\n\r\nhello\r\n.\r\n"


def install(server: Server, at: str | list[str], do: Any, **more: Any) -> None:
    plan = {"seed": 1, "rules": [{"id": "r", "when": {"at": at}, "do": do, **more}]}
    assert call(server, "PUT", "/api/ns/default/faults", plan)[0] == 200


def hits(server: Server) -> int:
    _status, report = call(server, "GET", "/api/ns/default/faults")
    return sum(rule["acted"] for rule in report["report"])


def in_flight(server: Server) -> int:
    _status, ledger = call(server, "GET", "/api/ns/default/ledger")
    count: int = ledger["sessions"]["in_flight"]
    return count


def test_a_reply_that_is_dribbled_is_written_at_once_when_the_server_stops(serve: Serve) -> None:
    server = serve(PATIENT, worker="echo.php")
    install(server, "ehlo", {"rate": "1B/s"})
    with Wire(server) as wire:
        wire.send(b"EHLO client.test\r\n")
        wait_until(lambda: hits(server) == 1)
        assert server.stop() == 0
        said = wire.rest()
    assert said.startswith(b"250-")
    assert said.endswith(b"250 HELP\r\n" + SHUTTING_DOWN)


def test_a_server_that_stops_makes_no_command_wait(serve: Serve) -> None:
    """Commands behind the one that is stalled would be stalled, too, and with them the transaction."""
    server = serve(PATIENT, worker="echo.php")
    install(server, ["mail", "rcpt", "data", "body", "data-end"], STALL)
    with Wire(server) as wire:
        wire.send(DIALOGUE + TEXT)
        wait_until(lambda: hits(server) == 1)
        assert server.stop() == 0
        wire.reply()
        assert wire.rest() == MAIL_OK + RCPT_OK + START_MAIL_INPUT + MESSAGE_ACCEPTED + SHUTTING_DOWN


@pytest.mark.parametrize("end", ["server", "client"])
def test_mail_data_that_is_read_slowly_is_read_fast_at_the_end(serve: Serve, end: str) -> None:
    server = serve(PATIENT, worker="echo.php")
    install(server, "body", {"read_rate": "1KB/s"})
    with Wire(server) as wire:
        wire.send(DIALOGUE + b"x" * 70 + b"\r\n")
        wait_until(lambda: hits(server) == 1)
        wire.send((b"x" * 998 + b"\r\n") * 3000 + b".\r\n")
        if end == "server":
            assert server.stop() == 0
        else:
            wire.reset()  # what came is read to its end, and fast; behind a plain close that would go slowly
            wait_until(lambda: in_flight(server) == 0)
            return
        assert [wire.reply()[:3] for _ in range(5)] == [b"250"] * 3 + [b"354", b"250"]


def test_a_server_stops_while_a_handshake_is_stalled(serve: Serve) -> None:
    server = serve({**PATIENT, "smtp": {"tls": {"cert": "auto"}}}, worker="echo.php")
    install(server, "tls", STALL)
    with Wire(server) as wire:
        wire.ask(b"EHLO client.test\r\n")
        wire.ask(b"STARTTLS\r\n")
        wait_until(lambda: hits(server) == 1)
        assert server.stop() == 0
        assert wire.rest() in (b"", b"reset")
    assert [line for line in server.lines if "Traceback" in line] == []


def test_no_more_is_read_while_a_reply_is_dribbled(serve: Serve) -> None:
    server = serve(PATIENT, worker="echo.php")
    install(server, "ehlo", {"rate": "1B/s"})
    with Wire(server) as wire:
        wire.send(b"EHLO client.test\r\n")
        wait_until(lambda: hits(server) == 1)
        sent = wire.flood(b"NOOP\r\n" * 10_000, 64_000_000)
    assert sent < 32_000_000


def test_a_killed_inbox_ends_what_its_plans_make_wait(serve: Serve) -> None:
    server = serve(PATIENT, worker="echo.php")
    install(server, "rcpt", STALL)
    with Wire(server) as wire:
        wire.send(DIALOGUE[: DIALOGUE.index(b"DATA")])
        wait_until(lambda: hits(server) == 1)
        os.kill(inbox_of(server.process.pid), signal.SIGKILL)
        assert [wire.reply()[:3] for _ in range(3)] == [b"250"] * 3


@pytest.mark.parametrize("close", ["fin", "rst"])
def test_a_last_reply_arrives_though_commands_behind_it_are_unread(serve: Serve, close: str) -> None:
    server = serve(PATIENT, worker="echo.php")
    install(server, "rcpt", [{"delay": "300ms", "reply": "421 4.3.2 Bye", "close": close}])
    with Wire(server) as wire:
        wire.send(DIALOGUE[: DIALOGUE.index(b"DATA")])
        wait_until(lambda: hits(server) == 1)
        wire.send(b"NOOP\r\n" * 50_000)
        said = wire.rest()
    assert said.endswith(b"421 4.3.2 Bye\r\n")  # Linux hands out what came before a reset


def test_plans_are_replaced_while_sessions_ask(serve: Serve) -> None:
    server = serve({**PATIENT, "smtp": {"processes": 2}}, worker="echo.php")
    install(server, "rcpt", {"delay": "1ms..20ms"})

    def send(number: int) -> list[bytes]:
        with Wire(server) as wire:
            wire.send(b"EHLO c\r\nMAIL FROM:<a@x.test>\r\n" + b"RCPT TO:<b@x.test>\r\n" * 50 + b"QUIT\r\n")
            return [wire.reply()[:3] for _ in range(53)]

    with ThreadPoolExecutor(8) as threads:
        sending = [threads.submit(send, number) for number in range(24)]
        for number in range(40):
            install(server, ["rcpt", "any"][: 1 + number % 2], {"delay": "1ms..20ms"})
            assert call(server, "DELETE", "/api/ns/default/faults")[0] == 200
        found = [one.result() for one in sending]
    assert found == [[b"250"] * 52 + [b"221"]] * 24


def test_times_is_exact_however_many_race(serve: Serve) -> None:
    server = serve({**PATIENT, "smtp": {"processes": 2}}, worker="echo.php")
    install(server, "rcpt", {"reply": "451 4.7.1 Later"}, times=5)
    with ExitStack() as open_:
        wires = [open_.enter_context(Wire(server)) for _ in range(24)]
        for wire in wires:
            wire.send(b"EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n")
        said = [[wire.reply()[:3] for _ in range(3)][-1] for wire in wires]
    assert (said.count(b"451"), said.count(b"250")) == (5, 19)


def test_the_same_plan_and_seed_give_the_same_faults_in_every_run(serve: Serve) -> None:
    """One process or two, and connections in whatever order: what is drawn depends on the key and its hits alone."""
    runs = []
    for processes in (1, 2):
        server = serve({**PATIENT, "smtp": {"processes": processes}}, worker="echo.php")
        install(server, "rcpt", {"reply": "451 4.7.1 Later"}, per="rcpt", probability=0.5)

        def send(number: int, server: Server = server) -> list[bytes]:
            with Wire(server) as wire:
                wire.send(b"EHLO c\r\nMAIL FROM:<a@x.test>\r\n" + b"RCPT TO:<%d@x.test>\r\n" % number * 12)
                return [wire.reply()[:3] for _ in range(14)][2:]

        with ThreadPoolExecutor(6) as threads:
            runs.append(list(threads.map(send, range(12))))
        assert server.stop() == 0
    assert runs[0] == runs[1]
    assert {code for codes in runs[0] for code in codes} == {b"250", b"451"}


def test_a_plan_of_many_patterns(serve: Serve) -> None:
    """They are compared with in a thread."""
    server = serve(PATIENT, worker="echo.php")
    when = {"at": "data-end", "rcpt": [f"*{number}?@*" for number in range(1000)]}
    rules = [{"id": str(one), "when": when, "do": {"reply": "451 4.3.0 Later"}, "times": 1} for one in range(2)]
    assert call(server, "PUT", "/api/ns/default/faults", {"seed": 1, "rules": rules})[0] == 200
    with Wire(server) as wire:
        wire.ask(b"EHLO c\r\n")
        said = []
        for _mail in range(4):
            wire.send(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<u77x@x.test>\r\nDATA\r\n")
            assert [wire.reply()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
            said.append(wire.ask(TEXT)[:3])
    assert said == [b"451"] * 2 + [b"250"] * 2


def test_garbage_under_tls(serve: Serve) -> None:
    server = serve({**PATIENT, "smtp": {"tls": {"cert": "auto"}}}, worker="echo.php")
    install(server, "mail", {"garbage": "\x00\xff\u2603\r\n", "split": [1, 2]})
    with Wire(server) as wire:
        wire.ask(b"EHLO c\r\n")
        wire.ask(b"STARTTLS\r\n")
        wire.start_tls()
        wire.ask(b"EHLO c\r\n")
        assert wire.ask(b"MAIL FROM:<a@x.test>\r\n") == "\x00\xff\u2603\r\n".encode()
        assert wire.reply() == MAIL_OK
