"""HELO, EHLO and STARTTLS on a gate alone: what they give, and the replies that refuse them."""

from __future__ import annotations

import pytest

from fastsmtp.smtp import policy, violations
from fastsmtp.smtp.envelope import TLSInfo
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.openingcommands import ehlo_reply, may_start_tls, take_name
from fastsmtp.smtp.outbox import Outbox
from fastsmtp.smtp.peer import Peer
from fastsmtp.smtp.policy import Facts, Refusal
from fastsmtp.smtp.sessionsettings import SessionSettings

LATER = b"451 4.7.1 Later\r\n"
TLS = TLSInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")


class Rule:
    """Refuses one stage."""

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def refuse(self, facts: Facts) -> Refusal | None:
        return Refusal(LATER) if facts.stage == self._stage else None


def make(
    *, stage: str = "", strict: bool = False, tls: TLSInfo | None = None, esmtp: bool = True, offered: bool = True
) -> tuple[Gate, SessionSettings]:
    settings = SessionSettings(
        "mx.test", strict=strict, tls_available=offered, policies=(Rule(stage),) if stage else ()
    )
    peer = Peer(tls, "", False)
    peer.introduce("client.test", esmtp)
    return Gate(settings.policies, Outbox(False), peer), settings


@pytest.mark.parametrize(
    ("argument", "name", "noted"),
    [
        ("client.test", "client.test", []),
        (" [192.0.2.1]\t", "[192.0.2.1]", []),
        ("", "", [violations.INVALID_HELO]),
        ("my pc", "my pc", [violations.INVALID_HELO]),
    ],
)
def test_name(argument: str, name: str, noted: list[str]) -> None:
    gate, _ = make()
    assert take_name(gate, argument) == name
    assert list(gate.out.violations) == noted
    assert gate.out.take_output() == b""


def test_a_name_that_is_refused() -> None:
    gate, _ = make(strict=True)
    assert take_name(gate, "my pc") is None
    assert gate.out.take_output() == violations.CLAUSES[violations.INVALID_HELO].refusal
    gate, _ = make(stage=policy.EHLO)
    assert take_name(gate, "client.test") is None
    assert gate.out.take_output() == LATER


@pytest.mark.parametrize(
    ("tls", "offered", "line"),
    [(None, True, [b"250-STARTTLS"]), (None, False, []), (TLS, True, [])],
    ids=["offered", "without a certificate", "under way"],
)
def test_ehlo_offers_tls_once(tls: TLSInfo | None, offered: bool, line: list[bytes]) -> None:
    gate, settings = make(tls=tls, offered=offered)
    lines = ehlo_reply(settings, gate.peer).splitlines()
    assert lines[0] == b"250-mx.test"
    assert lines[-1] == b"250 HELP"
    assert [one for one in lines if b"TLS" in one] == line


STARTTLS = {
    "begins": ({}, "", False, True, b""),
    "argument": ({"strict": True}, "now", False, False, b"501 5.5.4 Bad or missing argument\r\n"),
    "twice": ({"tls": TLS}, "", False, False, b"503 5.5.1 TLS already active\r\n"),
    "no certificate": ({"offered": False}, "", False, False, b"502 5.5.1 Command not implemented\r\n"),
    "transaction": ({}, "", True, False, b"503 5.5.1 Not allowed inside a transaction\r\n"),
    "policy": ({"stage": policy.STARTTLS}, "", False, False, LATER),
    "without EHLO": ({"esmtp": False}, "", False, True, b""),
}


@pytest.mark.parametrize(("changes", "argument", "in_transaction", "may", "reply"), STARTTLS.values(), ids=STARTTLS)
def test_starttls(changes: dict[str, object], argument: str, in_transaction: bool, may: bool, reply: bytes) -> None:
    gate, settings = make(**changes)  # type: ignore[arg-type]
    assert may_start_tls(gate, settings, argument, in_transaction=in_transaction) is may
    assert gate.out.take_output() == reply
