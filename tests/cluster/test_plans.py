"""Fault plans over several fronts and inboxes, with three real NATS servers."""

from __future__ import annotations

import smtplib
from typing import Any

import pytest
from clusterapi import API, inbox_of, send
from natsservers import Settings
from servers import Serve, Server

pytestmark = pytest.mark.one_python

THREE = {"rules": [{"id": "three", "when": {"at": "rcpt"}, "do": {"reply": "451 4.3.0 later"}, "times": 3}]}


def answers(front: Server, *paths: str) -> list[int]:
    """What a front replies to RCPT with these paths, in sessions of their own."""
    found = []
    for path in paths:
        with smtplib.SMTP(front.host, front.port, timeout=30) as smtp:
            smtp.ehlo()
            smtp.mail("a@example.com")
            found.append(smtp.rcpt(path)[0])
    return found


def test_a_plan_is_one_for_all_fronts(serve: Serve, node: Settings) -> None:
    fronts = [serve(node("front"), worker=None) for _ in range(2)]
    first, second = (API(inbox_of(serve, node)) for _ in range(2))
    path = "b@x.ns.test"
    first("PUT", "/api/ns/x/faults", THREE)
    replies = [answers(front, path)[0] for _ in range(4) for front in fronts]  # the first of both, then the second
    assert replies == [451, 451, 451, 250, 250, 250, 250, 250]
    reports = [api("GET", "/api/ns/x/faults") for api in (first, second)]
    assert reports[0] == reports[1]
    assert [(rule["id"], rule["acted"]) for rule in reports[0]["report"]] == [("three", 3)]
    second("PUT", "/api/ns/x/faults", THREE)  # from the beginning
    assert answers(fronts[0], path, "b@y.ns.test", path) == [451, 250, 451]
    late = serve(node("front"), worker=None)  # it knows the plan, and what became of it
    assert answers(late, path, path) == [451, 250]
    first("PUT", "/api/ns/x/faults", THREE)
    assert second("DELETE", "/api/ns/x/faults")["report"][0]["acted"] == 0
    assert [answers(front, path) for front in (*fronts, late)] == [[250]] * 3
    first("GET", "/api/ns/x/faults", status=404)


def test_plans_that_keep_mails_and_magic_addresses(serve: Serve, node: Settings) -> None:
    front, relay = serve(node("front"), worker=None), serve(node("relay"))
    inbox = API(inbox_of(serve, node))
    rules: list[dict[str, Any]] = [
        {"when": {"at": "data-end", "subject": "twice"}, "do": {"duplicate": 2}},
        {"when": {"at": "data-end", "subject": "dropped"}, "do": {"drop": True}},
    ]
    inbox("PUT", "/api/ns/x", {"magic": True, "faults": {"rules": rules}}, status=201)
    send(front, "twice", "dropped", "plain")
    assert inbox.subjects("x") == ["twice", "twice", "plain"]
    ledger = inbox("GET", "/api/ns/x/ledger")
    assert (ledger["store"]["accepted"], ledger["balanced"]) == (4, True)
    assert relay.listeners == {}
    inbox("DELETE", "/api/ns/x")
    send(front, "twice")
    assert inbox.subjects("x") == ["twice"]
