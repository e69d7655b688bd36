"""What a rule does."""

from __future__ import annotations

from typing import Any

import pytest

from fastsmtp.faults.actions import Action, possible_stages, read_actions
from fastsmtp.faults.conditions import STAGES
from fastsmtp.faults.question import PlanError


@pytest.mark.parametrize(
    ("at", "spec", "action", "words"),
    [
        ("rcpt", {"reply": "451 4.7.1 Later"}, Action(reply=["451 4.7.1 Later"]), "reply 451"),
        ("rcpt", {"reply": ["550 No", "550-really"]}, Action(reply=["550-No", "550 really"]), "reply 550"),
        ("mail", {"reply": "421"}, Action(reply=["421 "]), "reply 421"),
        ("rcpt", {"delay": "2s"}, Action(delay=(2.0, 2.0)), "delay"),
        ("rcpt", {"delay": "300ms..900ms"}, Action(delay=(0.3, 0.9)), "delay"),
        ("rcpt", {"stall": True}, Action(stall=3600.0), "stall"),
        ("rcpt", {"stall": "5s"}, Action(stall=5.0), "stall"),
        ("rcpt", {"stall": {"for": "30s"}}, Action(stall=30.0), "stall"),
        ("rcpt", {"stall": True, "for": "30s"}, Action(stall=30.0), "stall"),
        ("ehlo", {"rate": "10B/s"}, Action(rate=10), "rate"),
        ("body", {"read_rate": "1KB/s", "after": "64KB"}, Action(read_rate=1000, after=64_000), "read rate"),
        ("rcpt", {"truncate": 5}, Action(truncate=5), "truncate"),
        ("rcpt", {"split": [3, 1]}, Action(split=[3, 1]), "split"),
        ("rcpt", {"garbage": "\x00?"}, Action(garbage="\x00?"), "garbage"),
        ("rcpt", {"close": True}, Action(close="fin"), "close fin"),
        ("rcpt", {"close": "rst"}, Action(close="rst"), "close rst"),
        ("connect", {"reply": "421 No", "close": True}, Action(reply=["421 No"], close="fin"), "reply 421, close fin"),
        ("data-end", {"drop": True}, Action(drop=True), "drop"),
        ("data-end", {"store": True, "close": "rst"}, Action(store=True, close="rst"), "close rst"),
        ("data-end", {"store": True, "reply": "451 x"}, Action(store=True, reply=["451 x"]), "reply 451"),
        ("data-end", {"duplicate": 2}, Action(duplicate=2), "duplicate 2"),
        (
            "ehlo",
            {"ehlo": {"remove": ["size"], "add": ["X-FOO bar"]}},
            Action(ehlo_remove=["SIZE"], ehlo_add=["X-FOO bar"]),
            "ehlo",
        ),
        ("tls", {"tls": {"cert": "wrong-name"}}, Action(certificate="wrong-name"), "certificate wrong-name"),
    ],
)
def test_actions(at: str, spec: dict[str, Any], action: Action, words: str) -> None:
    assert read_actions(spec, "/do", frozenset({at})) == [action]
    assert action.words == words


def test_a_list_is_one_action_after_the_other() -> None:
    spec = [{"reply": "451 Later"}, "pass", {"pass": True}, {"close": "fin"}]
    found = read_actions(spec, "/do", frozenset({"data"}))
    assert found == [Action(reply=["451 Later"]), None, None, Action(close="fin")]


@pytest.mark.parametrize(
    ("at", "spec", "pointer"),
    [
        ("rcpt", [], "/do"),
        ("rcpt", {}, "/do"),
        ("rcpt", "reply", "/do"),
        ("rcpt", [{"reply": "451 x"}, {}], "/do/1"),
        ("rcpt", {"replay": "451 x"}, "/do/replay"),
        ("rcpt", {"reply": []}, "/do/reply"),
        ("rcpt", {"reply": "x"}, "/do/reply"),
        ("rcpt", {"reply": "451x"}, "/do/reply"),
        ("rcpt", {"reply": "451 x\r\n250 y"}, "/do/reply"),
        ("rcpt", {"reply": ["451 x", "250 y"]}, "/do/reply/1"),
        ("rcpt", {"reply": ["451 x"] * 101}, "/do/reply"),
        ("rcpt", {"delay": 3}, "/do/delay"),
        ("rcpt", {"delay": "2s..1s"}, "/do/delay"),
        ("rcpt", {"delay": "2h"}, "/do/delay"),
        ("rcpt", {"stall": False}, "/do/stall"),
        ("rcpt", {"for": "2s", "delay": "1s"}, "/do/for"),
        ("rcpt", {"rate": 10}, "/do/rate"),
        ("rcpt", {"rate": "0B/s"}, "/do/rate"),
        ("rcpt", {"truncate": 0}, "/do/truncate"),
        ("rcpt", {"split": [1, 0]}, "/do/split/1"),
        ("rcpt", {"split": []}, "/do/split"),
        ("rcpt", {"garbage": ""}, "/do/garbage"),
        ("rcpt", {"close": "gently"}, "/do/close"),
        ("rcpt", {"drop": True}, "/do/drop"),
        ("data-end", {"drop": 1}, "/do/drop"),
        ("data-end", {"reply": "250 x", "drop": True}, "/do/drop"),
        ("data-end", {"duplicate": 1}, "/do/duplicate"),
        ("data", {"duplicate": 2}, "/do/duplicate"),
        ("rcpt", {"read_rate": "1KB/s"}, "/do/read_rate"),
        ("rcpt", {"after": 1}, "/do/after"),
        ("rcpt", {"ehlo": {"add": ["X"]}}, "/do/ehlo"),
        ("ehlo", {"ehlo": {}}, "/do/ehlo"),
        ("ehlo", {"ehlo": {"drop": []}}, "/do/ehlo/drop"),
        ("ehlo", {"ehlo": {"add": ["X\r\nY"]}}, "/do/ehlo/add/0"),
        ("rcpt", {"tls": {"cert": "expired"}}, "/do/tls"),
        ("tls", {"tls": {"cert": "good"}}, "/do/tls/cert"),
        ("tls", {"tls": "expired"}, "/do/tls"),
        ("rcpt", {1: "x"}, "/do/1"),
        ("rcpt", {"rate": f"{2**64}B/s"}, "/do/rate"),
        ("body", {"after": 2**64, "close": "rst"}, "/do/after"),
        ("rcpt", {"split": [1] * 101}, "/do/split"),
        ("ehlo", {"ehlo": {"add": []}}, "/do/ehlo"),
        ("body", {"reply": "250 Fine"}, "/do/reply"),
    ],
)
def test_what_is_no_action(at: str, spec: object, pointer: str) -> None:
    with pytest.raises(PlanError) as raised:
        read_actions(spec, "/do", frozenset({at}))
    assert raised.value.pointer == pointer


def test_any_leaves_out_where_a_good_reply_is_none() -> None:
    assert possible_stages({"reply": "250 x"}, frozenset({"rcpt", "body", "tls"})) == {"rcpt"}
    assert possible_stages({"reply": "451 x"}, frozenset({"rcpt", "body", "tls"})) == {"rcpt", "body"}


def test_what_has_an_effect_at_one_stage_is_refused_for_any() -> None:
    with pytest.raises(PlanError) as raised:
        read_actions({"drop": True}, "/do", frozenset(STAGES))
    assert str(raised.value) == "/do/drop: it can be done at data-end only"
