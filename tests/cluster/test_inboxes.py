"""Nodes with the role inbox, with three real NATS servers: the same mails under the same cursors on each of them."""

from __future__ import annotations

import contextlib
import smtplib
import urllib.error
import urllib.request
from typing import Any

import pytest
from clusterapi import API, inbox_of, send
from clustermails import multipart
from natsservers import Settings
from servers import Serve, Server
from waits import wait_until

pytestmark = pytest.mark.one_python


@pytest.fixture
def nodes(serve: Serve, node: Settings) -> tuple[Server, API, API]:
    """A front, and two inboxes."""
    front = serve(node("front"), worker=None)
    first, second = (API(inbox_of(serve, node)) for _ in range(2))
    return front, first, second


def test_each_inbox_shows_what_got_its_250(nodes: tuple[Server, API, API]) -> None:
    front, *inboxes = nodes
    for number in range(20):
        send(front, f"mail {number}")
        for api in inboxes:  # at once, and of either
            told = api("GET", "/api/ns/x/mails?limit=1")
            assert told["mails"][0]["subject"] == f"mail {number}"
    lists = [api("GET", "/api/ns/x/mails?limit=100") for api in inboxes]
    assert lists[0] == lists[1]  # the cursors, too
    assert lists[0]["cursor"] == inboxes[1]("GET", "/api/ns/x/cursor")["cursor"]
    waited = inboxes[0]("POST", "/api/ns/x/wait", {"after": lists[1]["mails"][5]["cursor"], "count": 5})
    assert (waited["matched"], [api("GET", "/api/v1/messages")["total"] for api in inboxes]) == (5, [20, 20])


def test_what_a_client_changes_is_changed_on_all(nodes: tuple[Server, API, API]) -> None:
    front, one, other = nodes
    one("PUT", "/api/ns/x", {"quota": {"mails": 100}, "ttl": "1h"}, status=201)
    assert other("GET", "/api/ns/x")["settings"]["quota"] == {"mails": 100, "bytes": 0}
    send(front, "1", "2", "3", "4")
    before = one("GET", "/api/ns/x/cursor")["cursor"]
    other("DELETE", "/api/ns/x/mails?subject=2")
    one("PATCH", "/api/ns/x/mails", {"where": {"subject": "3"}, "read": True, "tags": ["t"]})
    shown = other("GET", "/api/ns/x/mails?order=asc")["mails"]
    assert [(mail["subject"], mail["read"], mail["tags"]) for mail in shown] == [
        ("1", False, []),
        ("3", True, ["t"]),
        ("4", False, []),
    ]
    sent = one(
        "POST", "/api/ns/x/send", {"from": "a@example.com", "to": ["b@example.com"], "subject": "by API"}, status=201
    )
    assert other("GET", f"/api/ns/x/mails/{sent['uuid']}")["subject"] == "by API"
    other("DELETE", "/api/ns/x")
    one("GET", "/api/ns/x", status=404)
    send(front, "5")
    assert [api.subjects("x") for api in (one, other)] == [["5"], ["5"]]
    for api in (one, other):
        api("GET", f"/api/ns/x/mails?after={before}", status=410)
    one("DELETE", "/api/ns/x/mails?all=true")
    assert other.subjects("x") == []


def test_a_mail_of_two_namespaces_is_in_both(nodes: tuple[Server, API, API]) -> None:
    front, *inboxes = nodes  # x and y are in the two partitions
    send(front, "both", to="b@x.ns.test b@y.ns.test b@z.ns.test")
    for api in inboxes:
        assert [api.subjects(name) for name in ("x", "y", "z")] == [["both"]] * 3
        assert [mail["Subject"] for mail in api("GET", "/api/v1/messages")["messages"]] == ["both"]
    cursors = [[api("GET", f"/api/ns/{name}/cursor")["cursor"] for name in "xyz"] for api in inboxes]
    assert cursors[0] == cursors[1]


def test_an_inbox_that_starts_again_catches_up(serve: Serve, node: Settings, tmp_path: Any) -> None:
    front = serve(node("front"), worker=None)
    kept = inbox_of(serve, node, path=str(tmp_path / "kept"))
    send(front, *map(str, range(5)))
    assert API(kept).subjects("x") == list("01234")
    cursor = API(kept)("GET", "/api/ns/x/cursor")["cursor"]
    kept.kill()
    API_of_new = API(inbox_of(serve, node))
    with smtplib.SMTP(front.host, front.port, timeout=30) as smtp:
        smtp.sendmail("a@example.com", ["b@x.ns.test"], multipart(2_000_000))
    again = API(inbox_of(serve, node, path=str(tmp_path / "kept")))
    for api in (again, API_of_new):
        assert api.subjects("x") == [*"01234", "large"]
        assert [mail["subject"] for mail in api("GET", f"/api/ns/x/mails?after={cursor}")["mails"]] == ["large"]


def test_an_inbox_is_not_ready_before_it_has_all(serve: Serve, node: Settings) -> None:
    front = serve(node("front"), worker=None)
    send(front, *map(str, range(300)))
    api = API(inbox_of(serve, node))
    answers = []

    def is_ready() -> bool:
        with (
            contextlib.suppress(urllib.error.HTTPError),
            urllib.request.urlopen(f"{api.url}/readyz", timeout=30) as told,
        ):
            answers.append((told.status, len(api.subjects("x"))))
        return bool(answers)

    wait_until(is_ready)
    assert answers == [(200, 300)]
