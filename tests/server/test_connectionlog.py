"""Lines of the log, transcript and counters of one connection, each whole."""

from __future__ import annotations

from typing import Any

import pytest
from destinations import Shelf
from listenings import LogLines, make_listening

from fastsmtp.ops.counters import Counters
from fastsmtp.server.connectionlog import ConnectionLog
from fastsmtp.smtp.envelope import Credentials
from fastsmtp.smtp.transcript import CLIENT, SERVER
from fastsmtp.smtp.violations import INVALID_HELO, LOWER_CASE_VERB, Violation

WHO = {"peer": "192.0.2.1:4321", "connection": "an-id"}


def make_log(**changes: Any) -> tuple[ConnectionLog, LogLines]:
    lines: LogLines = []
    log = ConnectionLog(make_listening(lines, Shelf(), **changes))
    log.uuid, log.peer = "an-id", "192.0.2.1:4321"
    return log, lines


@pytest.mark.parametrize(("quiet", "level"), [(False, "info"), (True, "debug")])
def test_from_beginning_to_end(quiet: bool, level: str) -> None:
    counters = Counters()
    log, lines = make_log(quiet=quiet, counters=counters)
    log.opened()
    log.closed(2)
    assert lines == [
        {"level": level, "event": "connection", **WHO},
        {"level": level, "event": "connection closed", **WHO, "emails": 2},
    ]
    assert (counters.connections, counters.turned_away) == (1, 0)


def test_a_connection_without_a_mail_is_told_of_in_any_case() -> None:
    log, lines = make_log(quiet=True)
    log.closed(0)
    assert lines == [{"level": "info", "event": "connection closed", **WHO, "emails": 0}]


def test_turned_away() -> None:
    counters = Counters()
    log, lines = make_log(counters=counters)
    log.turned_away(b"421 4.3.2 Too many connections\r\n")
    assert lines == [
        {
            "level": "warning",
            "event": "connection turned away",
            "peer": WHO["peer"],
            "reply": "421 4.3.2 Too many connections",
        }
    ]
    assert (counters.connections, counters.turned_away) == (0, 1)


def test_timeouts_and_faults() -> None:
    log, lines = make_log()
    log.timed_out("read timeout")
    try:
        raise ValueError("ours")
    except ValueError:
        log.given_up()
    assert lines == [
        {"level": "warning", "event": "read timeout", **WHO},
        {"level": "error", "event": "connection given up", **WHO, "exc_info": True},
    ]


def test_what_was_said() -> None:
    log, lines = make_log(include_transcript=True)
    log.opened()
    log.add_line("command", CLIENT, "NOOP")
    log.add_line("reply", SERVER, "250 2.0.0 OK")
    assert lines[1:] == [
        {"level": "debug", "event": "command", **WHO, "line": "NOOP"},
        {"level": "debug", "event": "reply", **WHO, "line": "250 2.0.0 OK"},
    ]
    assert log.transcript is not None
    assert [line[1:] for line in log.transcript.lines()] == [(CLIENT, "NOOP", ""), (SERVER, "250 2.0.0 OK", "")]


def test_without_a_transcript_lines_are_logged_all_the_same() -> None:
    log, lines = make_log()
    log.opened()
    log.add_line("command", CLIENT, "NOOP")
    assert log.transcript is None
    assert lines[-1] == {"level": "debug", "event": "command", **WHO, "line": "NOOP"}


def test_a_proxy_names_its_client() -> None:
    log, lines = make_log()
    log.client_named("203.0.113.7:99")
    log.timed_out("read timeout")
    told = {"peer": "203.0.113.7:99", "connection": "an-id"}
    assert lines == [
        {"level": "info", "event": "client of a proxy", **told, "proxy": "192.0.2.1:4321"},
        {"level": "warning", "event": "read timeout", **told},
    ]


def test_each_login_counts_once() -> None:
    counters = Counters()
    log, _ = make_log(counters=counters)
    first, second = Credentials("PLAIN", "ada"), Credentials("PLAIN", "ada")
    for credentials in (None, first, first, second, Credentials("LOGIN", "ada")):
        log.count_login(credentials)
    assert {mechanism: count for mechanism, count in counters.logins.items() if count} == {"PLAIN": 2, "LOGIN": 1}


def test_violations() -> None:
    counters = Counters()
    log, lines = make_log(counters=counters)
    log.tell_violations([Violation(LOWER_CASE_VERB, "mail", 3), Violation(INVALID_HELO, "", 1)])
    assert lines == [
        {"level": "debug", "event": "violation", **WHO, "code": LOWER_CASE_VERB, "detail": "mail", "count": 3},
        {"level": "warning", "event": "violation", **WHO, "code": INVALID_HELO, "detail": "", "count": 1},
    ]
    assert {code: count for code, count in counters.violations.items() if count} == {
        LOWER_CASE_VERB: 3,
        INVALID_HELO: 1,
    }


def test_without_metrics_nothing_is_counted() -> None:
    log, lines = make_log(counters=None)
    log.opened()
    log.count_login(Credentials("PLAIN", "ada"))
    log.tell_violations([Violation(INVALID_HELO, "", 1)])
    log.turned_away(b"")
    assert [line["event"] for line in lines] == ["connection", "violation", "connection turned away"]


@pytest.mark.parametrize(("probe", "level"), [(False, "warning"), (True, "debug")])
def test_a_handshake_that_fails(probe: bool, level: str) -> None:
    log, lines = make_log()
    log.handshake_failed("no cipher", probe=probe)
    assert lines == [{"level": level, "event": "TLS handshake failed", **WHO, "error": "no cipher"}]


def test_a_malformed_header() -> None:
    log, lines = make_log()
    log.malformed_header(b"PROXY \xff\r\n")
    assert lines == [
        {"level": "warning", "event": "malformed PROXY header", "peer": WHO["peer"], "header": "PROXY \xff\r\n"}
    ]
