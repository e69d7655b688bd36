"""Policies: at which stage each is asked, what it is told, and what becomes of a session that it refuses something."""

from __future__ import annotations

import base64

import pytest
from support import ACCEPTED, DATA, EHLO, GREETING, MAIL, QUIT, RCPT, Player

from fastsmtp.smtp.policy import STAGES, Facts, Refusal
from fastsmtp.smtp.replies import (
    AUTHENTICATED,
    MAIL_FIRST,
    RCPT_FIRST,
    READY_FOR_TLS,
    RSET_OK,
    TOO_BIG,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_RECIPIENTS,
)
from fastsmtp.smtp.session import Session
from fastsmtp.smtp.sessionsettings import SessionSettings

LATER = b"451 4.7.1 Later\r\n"
AUTH = (b"AUTH PLAIN " + base64.b64encode(b"\0u\0p") + b"\r\n", AUTHENTICATED)
TEXT = b"Subject: x\r\n\r\ny\r\n"
MAIL_AND_REPLY = (TEXT + b".\r\n", ACCEPTED)
RSET = (b"RSET\r\n", RSET_OK)
SECOND_RCPT = (b"RCPT TO:<c@example.org>\r\n", RCPT[1])


class Rule:
    """Refuses the hit number `nth` at one stage, and keeps what it was told."""

    def __init__(self, stage: str = "", nth: int = 1, *, reply: bytes = LATER, close: bool = False) -> None:
        self.stage, self.nth, self.refusal = stage, nth, Refusal(reply, close)
        self.asked: list[Facts] = []

    def refuse(self, facts: Facts) -> Refusal | None:
        self.asked.append(facts)
        hits = [asked for asked in self.asked if asked.stage == self.stage]
        return self.refusal if facts.stage == self.stage and len(hits) == self.nth else None


def player(*rules: Rule, size: int = 2000, recipients: int = 3, connections: int = 0, tls: bool = False) -> Player:
    return Player(
        Session(SessionSettings("mx.test", size, recipients, False, tls, False, lambda: "n", connections, rules))
    )


def talk(under_test: Player, *steps: tuple[bytes, bytes]) -> None:
    for octets, expected in steps:
        under_test.send(octets)
        assert under_test.finish_step() == expected, octets


def test_every_stage_is_asked_in_order() -> None:
    rule = Rule()
    under_test = player(rule, tls=True)
    under_test.session.greet(4)
    assert under_test.finish_step() == GREETING
    with_tls = (EHLO[0], EHLO[1].replace(b"250 HELP", b"250-STARTTLS\r\n250 HELP"))
    talk(under_test, with_tls, (b"STARTTLS\r\n", READY_FOR_TLS), EHLO, AUTH, MAIL, RCPT, DATA, MAIL_AND_REPLY)
    talk(under_test, RSET, QUIT)
    assert [(facts.stage, facts.subject, facts.octets) for facts in rule.asked] == [
        ("connect", "", 0),
        ("banner", "", 0),
        ("ehlo", "client.test", 0),
        ("starttls", "", 0),
        ("ehlo", "client.test", 0),
        ("auth", "PLAIN", 0),
        ("mail", "a@example.org", 0),
        ("rcpt", "b@example.org", 0),
        ("data", "", 0),
        ("body", "", len(TEXT)),
        ("data-end", "", len(TEXT)),
        ("rset", "", 0),
        ("quit", "", 0),
    ]
    assert {facts.stage for facts in rule.asked} == set(STAGES)
    last = rule.asked[-3]
    assert (last.connections, last.helo, last.esmtp, last.tls is not None) == (4, "client.test", True, True)
    assert last.credentials is not None
    assert last.transaction is not None
    assert (last.credentials.username, last.transaction.forward_paths) == ("u", ["b@example.org"])


def test_the_third_recipient_gets_451() -> None:
    under_test = player(Rule("rcpt", 3))
    third = (b"RCPT TO:<d@example.org>\r\n", LATER)
    talk(under_test, EHLO, MAIL, RCPT, SECOND_RCPT, third, DATA, MAIL_AND_REPLY)
    assert under_test.finish().envelope().forward_paths == ("b@example.org", "c@example.org")


# A refused command has had no effect: what follows in the session shows it.
REFUSED: dict[str, tuple[Rule, list[tuple[bytes, bytes]]]] = {
    "ehlo": (
        Rule("ehlo"),
        [(EHLO[0], LATER), (AUTH[0], AUTH[1]), MAIL, RCPT, DATA, MAIL_AND_REPLY],
    ),
    "auth": (Rule("auth"), [EHLO, (AUTH[0], LATER), AUTH, MAIL, RCPT, DATA, MAIL_AND_REPLY]),
    "mail": (Rule("mail"), [EHLO, (MAIL[0], LATER), MAIL, RCPT, DATA, MAIL_AND_REPLY]),
    "rcpt": (
        Rule("rcpt"),
        [EHLO, MAIL, (RCPT[0], LATER), (DATA[0], RCPT_FIRST), RCPT, DATA, MAIL_AND_REPLY],
    ),
    "data": (Rule("data"), [EHLO, MAIL, RCPT, (DATA[0], LATER), DATA, MAIL_AND_REPLY]),
    "body": (
        Rule("body"),
        [EHLO, MAIL, RCPT, DATA, (MAIL_AND_REPLY[0], LATER), MAIL, RCPT, DATA, MAIL_AND_REPLY],
    ),
    "data-end": (
        Rule("data-end"),
        [EHLO, MAIL, RCPT, DATA, (MAIL_AND_REPLY[0], LATER), MAIL, RCPT, DATA, MAIL_AND_REPLY],
    ),
    "first chunk": (
        Rule("data"),
        [EHLO, MAIL, RCPT, (b"BDAT 3 LAST\r\nx\r\n", LATER), MAIL, RCPT, (b"BDAT 3 LAST\r\nx\r\n", ACCEPTED)],
    ),
    "second chunk": (
        Rule("body", 3),
        [
            EHLO, MAIL, RCPT, (b"BDAT 3\r\nx\r\n", b"250 2.0.0 Chunk accepted\r\n"), (b"BDAT 2 LAST\r\n\r\n", LATER),
            MAIL, RCPT, (b"BDAT 3 LAST\r\nx\r\n", ACCEPTED),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_command_has_no_effect(name: str) -> None:
    rule, steps = REFUSED[name]
    under_test = player(rule)
    talk(under_test, *steps)
    mails = under_test.finish().mails
    assert [mail.end for mail in mails if mail.end != "policy"] == ["complete"]
    assert under_test.finish().others == []


def test_starttls_that_is_refused_leaves_the_session_in_the_clear() -> None:
    under_test = player(Rule("starttls"), tls=True)
    with_tls = (EHLO[0], EHLO[1].replace(b"250 HELP", b"250-STARTTLS\r\n250 HELP"))
    talk(under_test, with_tls, (b"STARTTLS\r\n", LATER), with_tls)
    assert under_test.session.peer.tls is None
    assert under_test.finish().others == []


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("connect", "banner", "starttls")])
def test_a_refusal_may_close(stage: str) -> None:
    under_test = player(Rule(stage, reply=b"421 4.3.2 Gone\r\n", close=True))
    output = b""
    for octets, _ in (EHLO, AUTH, MAIL, RCPT, DATA, MAIL_AND_REPLY, RSET, QUIT):
        under_test.send(octets)
        output += under_test.finish_step()
    assert output.endswith(b"421 4.3.2 Gone\r\n")
    assert under_test.session.closing
    assert under_test.finish().others == ["Closed"]
    ends = {"body": ["policy"], "data-end": ["policy"], "rset": ["complete"], "quit": ["complete"]}
    assert [mail.end for mail in under_test.finish().mails] == ends.get(stage, [])


# A chunk may be refused when it is announced, or while it arrives: (rule, last chunk or not).
CHUNKS: dict[str, tuple[Rule, bytes]] = {
    "by DATA": (Rule("data"), b"BDAT 5\r\n"),
    "announced": (Rule("body"), b"BDAT 5\r\n"),
    "announced, last": (Rule("body"), b"BDAT 5 LAST\r\n"),
    "arriving": (Rule("body", 2), b"BDAT 5\r\n"),
    "arriving, last": (Rule("body", 2), b"BDAT 5 LAST\r\n"),
}


@pytest.mark.parametrize("close", [False, True], ids=["reply", "reply and close"])
@pytest.mark.parametrize("name", CHUNKS)
def test_the_refusal_of_a_chunk_is_its_reply(name: str, close: bool) -> None:
    rule, command = CHUNKS[name]
    under_test = player(Rule(rule.stage, 2 if "arriving" in name else 1, close=close))
    talk(under_test, EHLO, MAIL, RCPT, (command + b"hello", LATER))
    assert under_test.session.closing is close
    assert under_test.session.transaction is None
    if not close:
        talk(under_test, (b"BDAT 0 LAST\r\n", MAIL_FIRST), MAIL, RCPT, (b"BDAT 3 LAST\r\nx\r\n", ACCEPTED))


@pytest.mark.parametrize("stage", ["connect", "banner"])
@pytest.mark.parametrize("close", [False, True], ids=["reply", "reply and close"])
def test_a_refused_connection_is_over(close: bool, stage: str) -> None:
    under_test = player(Rule(stage, reply=b"554 5.7.1 Not you\r\n", close=close))
    under_test.session.greet()
    assert under_test.finish_step() == b"554 5.7.1 Not you\r\n"
    assert under_test.session.closing
    assert under_test.finish().others == ["Closed"]


# Limits and strict mode come first, and the policies behind them in their order


def test_a_limit_is_asked_before_a_policy() -> None:
    rule = Rule("rcpt", 2)
    under_test = player(rule, recipients=1)
    talk(under_test, EHLO, MAIL, RCPT, (SECOND_RCPT[0], TOO_MANY_RECIPIENTS))
    assert [facts.subject for facts in rule.asked if facts.stage == "rcpt"] == ["b@example.org"]


def test_too_many_connections() -> None:
    rule = Rule()
    for connections, expected in ((1, GREETING), (2, TOO_MANY_CONNECTIONS), (3, TOO_MANY_CONNECTIONS)):
        under_test = player(rule, connections=2)
        under_test.session.greet(connections)
        assert (under_test.finish_step(), under_test.session.closing) == (expected, expected != GREETING)
    assert [(facts.stage, facts.connections) for facts in rule.asked] == [("connect", 1), ("banner", 1)]


SIZES: dict[str, list[tuple[bytes, bytes]]] = {
    "announced": [(b"MAIL FROM:<a@b> SIZE=6\r\n", TOO_BIG)],
    "sent": [MAIL, RCPT, DATA, (b"123456\r\n.\r\n", TOO_BIG)],
    "a chunk": [MAIL, RCPT, (b"BDAT 6 LAST\r\n123456", TOO_BIG)],
}


@pytest.mark.parametrize("name", SIZES)
def test_too_much_mail_data(name: str) -> None:
    talk(player(size=5), (EHLO[0], EHLO[1].replace(b"SIZE 2000", b"SIZE 5")), *SIZES[name])


def test_the_first_policy_that_refuses_stands() -> None:
    first, second, third = Rule("mail", 2), Rule("mail", reply=b"550 5.7.1 No\r\n"), Rule("mail")
    under_test = player(first, second, third)
    talk(under_test, EHLO, (MAIL[0], b"550 5.7.1 No\r\n"), (MAIL[0], LATER))
    asked = [sum(facts.stage == "mail" for facts in rule.asked) for rule in (first, second, third)]
    assert asked == [2, 1, 0]
