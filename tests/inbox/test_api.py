"""The HTTP API, in front of an inbox without an SMTP process."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

from inboxclient import Client, Serve
from pools import on_both_loops
from waits import until

from fastsmtp.config.settings import InboxAuthSettings


def test_a_namespace(serving: Serve) -> None:
    async def work(call: Client) -> None:
        status, made = await call("PUT", "/api/ns/run-1", {"ttl": "1h", "quota": {"mails": 5}})
        assert (status, made["name"], made["mails"], made["settings"]) == (
            201,
            "run-1",
            0,
            {
                "ttl": 3600.0,
                "quota": {"mails": 5, "bytes": 0},
                "on_quota": "evict",
                "keep": "full",
                "listen": "",
                "magic": False,
            },
        )
        assert (made["address"], made["smtp"]) == ("inbox+ns.run-1@example.com", None)  # no SMTP process is there
        assert made["urls"] == {
            "page": f"{call.url}/ui/ns/run-1",
            "api": f"{call.url}/api/ns/run-1",
            "mailpit": f"{call.url}/ns/run-1",
        }
        again = await call("PUT", "/api/ns/run-1")
        assert (again[0], again[1]["settings"], again[1]["cursor"]) == (200, made["settings"], made["cursor"])
        assert (await call("GET", "/api/ns/run-1"))[1]["cursor"] == made["cursor"]
        assert (await call("GET", "/api/ns/run-1/cursor"))[1] == {"cursor": made["cursor"]}
        await call("PUT", "/api/ns/run-1/w1")
        listed = (await call("GET", "/api/ns?prefix=run-"))[1]["namespaces"]
        assert [space["name"] for space in listed] == ["run-1", "run-1/w1"]
        assert await call("DELETE", "/api/ns?prefix=run-1/") == (200, {"deleted": ["run-1/w1"]})
        assert await call("DELETE", "/api/ns/run-1") == (200, {"deleted": ["run-1"]})
        assert (await call("DELETE", "/api/ns/run-1"))[0] == 404

    serving(work)


def test_lists(serving: Serve) -> None:
    async def work(call: Client) -> None:
        for number in range(5):
            await call.file(subject=f"mail {number}", to=f"u{number % 2}@example.com", raw=b"raw %d" % number)
        await call.file(subject="lost", outcome="worker-failed")

        async def subjects(query: str) -> list[str]:
            status, found = await call("GET", f"/api/ns/default/mails?{query}")
            assert status == 200
            return [mail["subject"] for mail in found["mails"]]

        assert await subjects("") == ["mail 4", "mail 3", "mail 2", "mail 1", "mail 0"]
        assert await subjects("order=asc&limit=2") == ["mail 0", "mail 1"]
        assert await subjects("to=u1@example.com") == ["mail 3", "mail 1"]
        assert await subjects("subject=*1&subject=*2") == ["mail 2", "mail 1"]
        assert await subjects('where={"not":{"subject":"*[3]"},"to":"U1@example.com"}') == ["mail 3", "mail 1"]
        assert await subjects("has_attachment=true") == []
        assert await subjects("outcome=any&limit=1") == ["lost"]
        assert await subjects("outcome=worker-failed") == ["lost"]
        _status, first = await call("GET", "/api/ns/default/mails?limit=3")
        assert [mail["seq"] for mail in first["mails"]] == [5, 4, 3]
        _status, second = await call("GET", f"/api/ns/default/mails?limit=3&before={first['next']}")
        assert ([mail["seq"] for mail in second["mails"]], second["next"]) == ([2, 1], None)
        assert (first["total"], first["unread"], first["evicted"]) == (5, 5, 0)
        _status, full = await call("GET", "/api/ns/default/mails?fields=full&limit=1")
        assert full["mails"][0]["payload"]["message"]["subject"] == "mail 4"

    serving(work)


def test_a_query_may_be_long(serving: Serve) -> None:
    async def work(call: Client) -> None:
        await call.file(subject="wanted")
        others = "&".join(f"subject={'x' * 950}{number}" for number in range(60))
        status, found = await call("GET", f"/api/ns/default/mails?{others}&subject=wanted")
        assert (status, [mail["subject"] for mail in found["mails"]]) == (200, ["wanted"])

    serving(work)


def test_one_mail(serving: Serve) -> None:
    async def work(call: Client) -> None:
        assert (await call("GET", "/api/ns/default/mails/latest"))[0] == 404
        await call.file(uuid="a", subject="one", raw=b"Subject: one\r\n\r\nhello", text="hello")
        at = "/api/ns/default/mails/a"
        for path in (at, "/api/ns/default/mails/latest"):
            status, mail = await call("GET", path)
            assert (status, mail["uuid"], mail["subject"], mail["payload"]["uuid"]) == (200, "a", "one", "a")
        assert await call("GET", f"{at}/raw") == (200, "Subject: one\r\n\r\nhello")
        assert await call("GET", f"{at}/text") == (200, "hello")
        status, headers = await call("GET", f"{at}/headers")
        assert (status, headers["headers"]["Subject"]) == (200, "one")
        assert (await call("GET", f"{at}/transcript"))[0] == 404
        assert (await call("DELETE", at))[1]["deleted"] == 1
        assert (await call("GET", at))[0] == 404

    serving(work)


def test_marks_and_deletion(serving: Serve) -> None:
    async def work(call: Client) -> None:
        for number in range(4):
            await call.file(uuid=str(number), subject=f"mail {number}")
        at = "/api/ns/default/mails"
        assert await call("PATCH", at, {"ids": ["0", "x"], "read": True}) == (200, {"matched": 1, "changed": 1})
        marks = {"where": {"subject": "mail [1-2]"}, "tags": ["red"]}
        assert await call("PATCH", at, marks) == (200, {"matched": 0, "changed": 0})
        assert await call("PATCH", at, {"where": {}, "tags": ["red", "red"]}) == (200, {"matched": 4, "changed": 4})
        status, space = await call("GET", "/api/ns/default")
        assert (status, space["unread"], space["tags"]) == (200, 3, {"red": 4})
        assert [mail["uuid"] for mail in (await call("GET", f"{at}?unread=false"))[1]["mails"]] == ["0"]
        assert (await call("DELETE", f"{at}?subject=mail 2"))[1]["deleted"] == 1
        assert (await call("DELETE", at))[0] == 422
        assert (await call("DELETE", f"{at}?all=true"))[1]["deleted"] == 3
        _status, ledger = await call("GET", "/api/ns/default/ledger")
        assert (ledger["store"]["stored"], ledger["store"]["deleted"], ledger["balanced"]) == (4, 4, True)
        assert (await call("GET", "/api/ledger"))[1]["store"] == ledger["store"]

    serving(work)


def test_bulk_calls_reach_every_mail(serving: Serve) -> None:
    async def work(call: Client) -> None:
        await asyncio.gather(*(call.file(subject=f"mail {number % 2}") for number in range(1300)))
        at = "/api/ns/default/mails"
        marks = {"where": {"subject": "mail 1"}, "read": True}
        assert await call("PATCH", at, marks) == (200, {"matched": 650, "changed": 650})
        assert (await call("DELETE", f"{at}?subject=mail 0"))[1]["deleted"] == 650
        status, space = await call("GET", "/api/ns/default")
        assert (status, space["mails"], space["unread"]) == (200, 650, 0)

    serving(work)


def test_an_answer_carries_no_more_payloads_than_so_many(serving: Serve) -> None:
    async def work(call: Client) -> None:
        for number in range(4):
            await call.file(subject=f"mail {number}", text="x" * 3_000_000)
        at = "/api/ns/default/mails?fields=full"
        _status, first = await call("GET", at)
        assert [mail["subject"] for mail in first["mails"]] == ["mail 3", "mail 2"]
        _status, second = await call("GET", f"{at}&before={first['next']}")
        assert ([mail["subject"] for mail in second["mails"]], second["next"]) == (["mail 1", "mail 0"], None)

    serving(work)


def test_waits(serving: Serve) -> None:
    async def work(call: Client) -> None:
        at = "/api/ns/default"
        await call.file(subject="before")
        cursor = (await call("GET", f"{at}/cursor"))[1]["cursor"]
        waits = [
            asyncio.ensure_future(call("POST", f"{at}/wait", {"after": cursor, "where": {"subject": "after"}})),
            asyncio.ensure_future(call("GET", f"{at}/wait?after={cursor}&subject=after&timeout=10s&limit=0")),
        ]
        await until(lambda: len(call.inbox.watchers) == 2)
        await call.file(subject="other")
        await call.file(subject="after")
        (status, found), (status_by_query, found_by_query) = await asyncio.gather(*waits)
        assert (status, found["matched"], [mail["seq"] for mail in found["mails"]], found["more"]) == (200, 1, [3], 0)
        assert (status_by_query, found_by_query["mails"], found_by_query["more"]) == (200, [], 1)
        assert found["cursor"] == found_by_query["cursor"] == f"{cursor.partition('.')[0]}.3"
        status, problem = await call("POST", f"{at}/wait", {"count": 9, "timeout": 0})
        assert (status, problem["report"]["mails"], problem["report"]["held"]) == (408, 3, False)
        assert (await call("POST", f"{at}/wait", {"exactly": 2}))[0] == 409

    serving(work)


@on_both_loops
def test_a_wait_ends_with_its_client(serving: Serve) -> None:
    async def work(call: Client) -> None:
        wait = asyncio.ensure_future(call("GET", "/api/ns/default/wait?timeout=10m"))
        await until(lambda: len(call.inbox.watchers))
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)
        await until(lambda: len(call.inbox.watchers) == 0)
        assert (await call("GET", "/api/ns/default/wait?timeout=0"))[0] == 408

    serving(work)


def test_expectations(serving: Serve) -> None:
    async def work(call: Client) -> None:
        await call.file(subject="Welcome")
        at = "/api/ns/default/expect"
        spec = {"rest": "forbid", "settle": 0, "expect": [{"name": "w", "where": {"subject": "Welcome"}, "exactly": 1}]}
        status, report = await call("POST", at, spec)
        assert (status, report["held"], report["items"][0]["got"]) == (200, True, 1)
        await call.file(subject="Other")
        status, text = await call("POST", at, spec, headers={"Accept": "text/plain"})
        assert status == 409
        assert text.splitlines()[1:] == [
            'ok w: exactly 1 subject "Welcome": got 1',
            *[line for line in text.splitlines() if line.startswith("    #1 ")],
            'unclaimed: #2 "Other" to x@example.com',
            "server: 2 accepted, 0 refused, 0 aborted, 0 dropped, 0 in flight",
        ]

    serving(work)


@on_both_loops
def test_events_are_resumed(serving: Serve) -> None:
    async def work(call: Client) -> None:
        for number in range(120):
            await call.file(subject=str(number))
        _status, first = await call("GET", "/api/ns/default/mails?limit=1&order=asc")
        headers = {"Last-Event-ID": first["mails"][0]["cursor"]}
        async with call.session.get(f"{call.url}/api/ns/default/events", headers=headers) as answer:
            assert answer.content_type == "text/event-stream"
            seqs: list[int] = []
            async for line in answer.content:
                if line.startswith(b"data: "):
                    seqs += [mail["seq"] for mail in json.loads(line[6:])["mails"]]
                    if len(seqs) == 119:
                        await call.file(subject="new")
                if len(seqs) == 120:
                    break
        assert seqs == list(range(2, 122))
        await until(lambda: not len(call.inbox.events))

    serving(work)


UNANSWERED: list[tuple[str, str, Any, int, str | None]] = [
    ("GET", "/api/ns/none/mails", None, 404, None),
    ("GET", "/api/ns/A/mails", None, 404, None),
    ("GET", "/api/unknown", None, 404, None),
    ("POST", "/api/ns", {}, 405, None),
    ("PUT", "/api/ns/a", {"tll": 1}, 422, "/tll"),
    ("PUT", "/api/ns/a", {"ttl": "soon"}, 422, "/ttl"),
    ("PUT", "/api/ns/a", {"keep": "nothing"}, 422, "/keep"),
    ("PUT", "/api/ns/a", {"quota": {"mails": -1}}, 422, "/quota/mails"),
    ("PUT", "/api/ns/a", {"quota": {"bytes": "1GB"}}, 422, "/quota/bytes"),
    ("PUT", "/api/ns/a", {"quota": {"mail": 1}}, 422, "/quota"),
    ("PUT", "/api/ns/a", [], 422, None),
    ("DELETE", "/api/ns", None, 422, "/prefix"),
    ("GET", "/api/ns/default/mails?limit=0", None, 422, "/limit"),
    ("GET", "/api/ns/default/mails?limit=1001", None, 422, "/limit"),
    ("GET", "/api/ns/default/mails?order=up", None, 422, "/order"),
    ("GET", "/api/ns/default/mails?fields=some", None, 422, "/fields"),
    ("GET", "/api/ns/default/mails?outcome=bad", None, 422, "/outcome"),
    ("GET", "/api/ns/default/mails?after=x", None, 422, "/after"),
    ("GET", "/api/ns/default/mails?after=0badc0de.1", None, 410, None),
    ("GET", "/api/ns/default/mails?subjekt=x", None, 422, "/subjekt"),
    ("GET", "/api/ns/default/mails?where={", None, 400, None),
    ("GET", "/api/ns/default/mails?tls=maybe", None, 422, "/tls"),
    ("PATCH", "/api/ns/default/mails", {"ids": ["a"]}, 422, None),
    ("PATCH", "/api/ns/default/mails", {"read": True}, 422, None),
    ("PATCH", "/api/ns/default/mails", {"read": 1, "ids": []}, 422, "/read"),
    ("PATCH", "/api/ns/default/mails", {"tags": ["a\nb"], "ids": []}, 422, "/tags"),
    ("PATCH", "/api/ns/default/mails", {"read": True, "ids": "a"}, 422, "/ids"),
    ("POST", "/api/ns/default/wait", {"timeout": "1h"}, 422, "/timeout"),
    ("POST", "/api/ns/default/wait", {"where": {"to": 1}}, 422, "/where/to"),
    ("POST", "/api/ns/default/wait", {"count": 1, "exactly": 1}, 422, "/exactly"),
    ("POST", "/api/ns/default/expect", {"expect": [{"where": {"x": 1}}]}, 422, "/expect/0/where/x"),
    ("POST", "/api/ns/default/wait", {"count": "2"}, 422, "/count"),
    ("POST", "/api/ns/default/wait", {"count": -1}, 422, "/count"),
    ("POST", "/api/ns/default/expect", {"expect": [{}, {"at_most": []}]}, 422, "/expect/1/at_most"),
    ("POST", "/api/ns/default/expect", {"within": -1, "expect": [{}]}, 422, "/within"),
]


def test_what_cannot_be_answered(serving: Serve) -> None:
    async def work(call: Client) -> None:
        told = []
        for method, path, document, _status, _pointer in UNANSWERED:
            status, problem = await call(method, path, document)
            assert (problem["status"], problem["type"], bool(problem["detail"])) == (status, "about:blank", True)
            told.append((method, path, document, status, problem.get("pointer")))
        assert told == UNANSWERED

    serving(work)


BODIES = [(b"{", 400), (b"\xff", 400), (b"[" * 100_000, 400), (b"x" * 1_100_000, 413)]


def test_bodies_that_are_no_documents(serving: Serve) -> None:
    async def work(call: Client) -> None:
        told = []
        for octets, _status in BODIES:
            async with call.session.put(f"{call.url}/api/ns/a", data=io.BytesIO(octets)) as answer:
                assert answer.content_type == "application/problem+json"
                told.append((octets, answer.status))
        assert told == BODIES

    serving(work)


# --- who may call


HOSTS = [
    ("127.0.0.1", 200),
    ("127.9.9.9:80", 200),
    ("localhost:8025", 200),
    ("mail.localhost", 200),
    ("[::1]:8025", 200),
    ("mails.test", 200),
    ("MAILS.test:8025", 200),
    ("evil.test", 421),
    ("127.0.0.1.evil.test", 421),
    ("10.0.0.1", 421),
    ("", 421),
    ("[", 421),
    ("localhost.evil.test", 421),
]


def test_names_of_the_host(serving: Serve) -> None:
    async def work(call: Client) -> None:
        told = [(host, (await call("GET", "/api/ns", headers={"Host": host}))[0]) for host, _status in HOSTS]
        assert told == HOSTS

    serving(work, hosts=["mails.test"])


PAGES = [
    ("GET", "/api/ns", "http://evil.test", 200),  # a browser keeps the answer from that page
    ("PUT", "/api/ns/a", "http://evil.test", 403),
    ("DELETE", "/api/ns?prefix=a", "null", 403),
    ("GET", "/api/ns/default/events", "http://evil.test", 403),
    ("PUT", "/api/ns/a", "http://localhost:1", 403),
    ("PUT", "/api/ns/a", "http://localhost", 201),
    ("PUT", "/api/ns/a", "http://[", 403),
]


def test_pages_of_others(serving: Serve) -> None:
    async def work(call: Client) -> None:
        told = []
        for method, path, origin, _status in PAGES:
            headers = {"Host": "localhost", "Origin": origin}
            told.append((method, path, origin, (await call(method, path, headers=headers))[0]))
        assert told == PAGES

    serving(work)


AUTHORIZATIONS: list[tuple[str | None, int]] = [
    (None, 401),
    ("Basic bWU6c2VjcmV0", 200),  # me:secret
    ("basic bWU6c2VjcmV0", 200),
    ("Basic bWU6d3Jvbmc=", 401),  # me:wrong
    ("Basic YW55b25lOnRva2VuLTE=", 200),  # anyone:token-1
    ("Basic OnRva2VuLTE=", 200),  # :token-1
    ("Basic dG9rZW4tMQ==", 401),  # token-1
    ("Basic YW55b25lOg==", 401),  # anyone:
    ("Basic !", 401),
    ("Basic", 401),
    ("Bearer token-1", 200),
    ("Bearer  token-1 ", 200),
    ("Bearer token-2", 401),
    ("Bearer", 401),
    ("Digest x", 401),
]


def test_passwords_and_tokens(serving: Serve) -> None:
    async def work(call: Client) -> None:
        told = []
        for authorization, _status in AUTHORIZATIONS:
            headers = {} if authorization is None else {"Authorization": authorization}
            async with call.session.get(f"{call.url}/api/ns", headers=headers) as answer:
                challenge = 'Basic realm="Login", charset="UTF-8"' if answer.status == 401 else None
                assert answer.headers.get("WWW-Authenticate") == challenge
                told.append((authorization, answer.status))
        assert told == AUTHORIZATIONS

    serving(work, auth=InboxAuthSettings(username="me", password="secret", token="token-1"))


def test_a_password_alone_is_no_token(serving: Serve) -> None:
    """What is not set is not what an empty text equals."""

    async def work(call: Client) -> None:
        empty = ("Bearer ", "Basic Og==", "Basic bWU6", "Basic ")
        told = [(await call("GET", "/api/ns", headers={"Authorization": value}))[0] for value in empty]
        assert told == [401] * 4

    serving(work, auth=InboxAuthSettings(username="me", password="secret"))
