"""The description of the API, held against what handlers do."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

from inboxclient import Client, Serve
from openapi import Description, Operation

from fastsmtp.config.settings import InboxSettings, RetentionSettings, SMTPSettings
from fastsmtp.inbox.api.app import make_app
from fastsmtp.inbox.api.comparison import MAX_COMPARED
from fastsmtp.inbox.events import MAX_STREAMS
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.watchers import MAX_WATCHERS, Watcher
from fastsmtp.inbox.where import KEYS

MAIL = (
    b"From: Ann <a@example.com>\r\nTo: b@example.com\r\nSubject: Your code\r\n"
    b"Content-Type: multipart/mixed; boundary=o\r\n\r\n"
    b"--o\r\nContent-Type: text/plain\r\n\r\nYour code is 123456: http://x.test/\r\n"
    b"--o\r\nContent-Type: text/html\r\n\r\n<a href=http://x.test/go>Go</a><img src=cid:p@x><img src=//y.test/p>\r\n"
    b"--o\r\nContent-Type: image/png\r\nContent-ID: <p@x>\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n--o--\r\n"
)
N = "/api/ns/default"
GONE = "0badc0de.1"
BIG = {"ids": ["x" * 1_100_000]}


class Talk:
    """Calls the API and notes which of its answers were seen, and what of them is not as described."""

    def __init__(self, call: Client, description: Description) -> None:
        self.call = call
        self._description = description
        self.seen: dict[str, set[tuple[str, str]]] = {one.name: set() for one in description.operations}
        self.faults: list[str] = []

    async def __call__(
        self, method: str, path: str, document: Any = None, octets: bytes = b"", **headers: str
    ) -> tuple[int, Any]:
        operation = self._description.operation(method, path)
        data = io.BytesIO(octets or (b"" if document is None else json.dumps(document).encode()))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.call.session.request(method, self.call.url + path, data=data, headers=named) as answer:
            kind = answer.content_type
            if kind == "text/event-stream":
                text = (await answer.content.readline()).decode()
            else:
                text = (await answer.read()).decode("latin-1")
            value = json.loads(text) if kind in ("application/json", "application/problem+json") else text
            described = {
                media for status, media in self._description.answers(operation) if status == str(answer.status)
            }
            shown = kind if kind in described else "*/*" if "*/*" in described else kind
            if str(answer.status) in operation.content["responses"]:
                self.seen[operation.name].add((str(answer.status), shown))
            else:
                self.seen[operation.name].add(("default", kind))
            self.faults += self._description.faults(operation, answer.status, kind, value)
            return answer.status, value

    def unseen(self) -> dict[str, set[tuple[str, str]]]:
        """The answers that are described and were not seen, by operation."""
        missed = {
            one.name: self._description.answers(one) - self.seen[one.name] for one in self._description.operations
        }
        return {name: answers for name, answers in missed.items() if answers}


async def described(call: Client) -> Description:
    status, document = await call("GET", "/api/openapi.json")
    assert status == 200
    return Description(document)


def test_every_route_is_described(serving: Serve) -> None:
    async def work(call: Client) -> None:
        app = make_app(call.inbox, InboxSettings(), SMTPSettings(), None)  # type: ignore[arg-type]
        routes = {
            (route.method, route.resource.canonical)
            for route in app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
        ours = {
            (method, path)
            for method, path in routes
            if path.startswith(("/api/ns", "/api/ledger", "/api/live", "/api/openapi", "/ui/cid/"))
        }
        description = await described(call)
        assert {(one.method, one.path) for one in description.operations} == ours
        assert ours < routes
        assert await call("GET", "/openapi.json") == (200, description.document)

    serving(work)


def test_names_are_unique_and_references_lead_somewhere(serving: Serve) -> None:
    async def work(call: Client) -> None:
        description = await described(call)
        names = [one.name for one in description.operations]
        assert sorted(set(names)) == sorted(names)
        references = set(_references(description.document))
        components = {
            f"#/components/{kind}/{name}"
            for kind in ("schemas", "parameters", "responses")
            for name in description.document["components"][kind]
        }
        assert references == components

    serving(work)


def _references(item: Any) -> Iterator[str]:
    if isinstance(item, dict):
        if isinstance(item.get("$ref"), str):
            yield item["$ref"]
        for value in item.values():
            yield from _references(value)
    elif isinstance(item, list):
        for value in item:
            yield from _references(value)


def _path_of(operation: Operation) -> str:
    """The path of an operation, for the namespace "default"."""
    return re.sub(r"\{[a-z_]+\}", "x", operation.path.replace("{ns}", "default"))


def test_every_key_of_a_document_is_described(serving: Serve) -> None:
    """A document with an unknown key is answered with those that there are."""

    async def work(call: Client) -> None:
        description = await described(call)
        for operation in description.operations:
            schema = description.body(operation)
            if schema is not None:
                status, problem = await call(operation.method, _path_of(operation), {"?": 1})
                known = problem["detail"].partition("there are ")[2].split(", ")
                assert (status, problem["pointer"], set(known)) == (422, "/?", set(schema["properties"])), (
                    operation.name
                )

    serving(work)


def test_every_condition_is_described(serving: Serve) -> None:
    """They are the properties of a condition, and, but for those that join others, keys of queries."""

    async def work(call: Client) -> None:
        description = await described(call)
        where = description.document["components"]["schemas"]["Where"]
        assert {*where["properties"], "header.<Name>"} == set(KEYS)
        taking = [one for one in description.operations if "where" in description.parameters(one, "query")]
        assert [one.name for one in taking] == ["listMails", "deleteMails", "waitByQuery", "export"]
        for operation in taking:
            keys = set(description.parameters(operation, "query"))
            wanted = {key for key in KEYS if key not in ("any", "not", "header.<Name>")} | {"header"}
            assert wanted <= keys, operation.name

    serving(work)


def test_only_described_parameters_are_taken_by_lists(serving: Serve) -> None:
    async def work(call: Client) -> None:
        description = await described(call)
        for name in ("listMails", "export"):
            operation = next(one for one in description.operations if one.name == name)
            status, problem = await call("GET", f"{_path_of(operation)}?unknown=1")
            assert (status, problem["pointer"]) == (422, "/unknown")

    serving(work)


def test_every_answer_is_as_described(serving: Serve) -> None:
    """Each answer that is described, of each operation, is got from a server and held against its schema."""

    async def work(call: Client) -> None:
        description = await described(call)
        talk = Talk(call, description)
        await _ask_about_namespaces(talk)
        uuid = await call.file_octets(MAIL)
        await _ask_about_mails(talk, uuid)
        await _ask_about_one_mail(talk, uuid)
        await _wait_and_expect(talk)
        await _transfer(talk)
        await _delete_mails(talk)
        await _name_too_many(talk)
        for operation in description.operations:
            status, _problem = await talk(operation.method, _path_of(operation), Host="evil.test")
            assert status == 421
        assert talk.faults == []
        assert talk.unseen() == {}

    smtp = SMTPSettings(max_message_size=2_000_000, include_transcript=True)
    serving(work, smtp=smtp, retention=RetentionSettings(max_namespaces=20))


async def _name_too_many(talk: Talk) -> None:
    for number in range(20):
        await talk("PUT", f"/api/ns/n{number}")
    assert (await talk("PUT", "/api/ns/n20"))[0] == 429
    assert (await talk("PUT", "/api/ns/n20/faults", {"rules": [{"preset": "down"}]}))[0] == 429
    assert (await talk("POST", "/api/ns/n20/send", {"text": "Hello"}))[0] == 429
    assert (await talk("POST", "/api/ns/n20/import?format=eml", octets=MAIL))[0] == 429


async def _ask_about_namespaces(talk: Talk) -> None:
    await talk("GET", "/api/openapi.json")
    for document in ({"ttl": "1h", "quota": {"mails": 5}, "keep": "full"}, {}):
        await talk("PUT", "/api/ns/run-1/w1", document)
    for octets in (b"{", b'{"ttl": -1}', b"x" * 1_100_000):
        await talk("PUT", "/api/ns/run-1/w1", octets=octets)
    await talk("PUT", "/api/ns/A")
    assert (await talk("PUT", "/api/ns/run-1/w1", {"listen": True}))[0] == 409  # no SMTP process is there
    for path in ("/api/ns?prefix=run", "/api/ledger", "/api/live", "/api/live/events"):
        assert (await talk("GET", path))[0] == 200
    await _ask_about_plans(talk)
    for path in ("", "/cursor", "/ledger"):
        assert (await talk("GET", f"/api/ns/run-1/w1{path}"))[0] == 200
        assert (await talk("GET", f"/api/ns/none{path}"))[0] == 404
    for _ in range(2):
        await talk("DELETE", "/api/ns/run-1/w1")
    await talk("DELETE", "/api/ns")
    await talk("PUT", "/api/ns/run-2")
    await talk("DELETE", "/api/ns?prefix=run-")


async def _ask_about_plans(talk: Talk) -> None:
    path = "/api/ns/run-1/w1/faults"
    for octets, status in (
        (b"rules: [preset: down]", 200), (b"{", 400), (b'{"rules": []}', 422), (b"x" * 1_100_000, 413),
    ):  # fmt: skip
        assert (await talk("PUT", path, octets=octets))[0] == status
    await talk("PUT", "/api/ns/A/faults", octets=b"{}")
    for headers in ({}, {"Accept": "text/plain"}):
        await talk("GET", path, **headers)
        await talk("DELETE", path, **headers)
        assert (await talk("DELETE", path))[0] == 404
        await talk("PUT", path, {"rules": [{"preset": "slow"}]})
    assert (await talk("DELETE", f"{path}?expect=all"))[0] == 409
    assert (await talk("DELETE", f"{path}?expect=x"))[0] == 422
    assert (await talk("GET", path))[0] == 404


async def _ask_about_mails(talk: Talk, uuid: str) -> None:
    await talk("GET", f"{N}/mails?fields=full&header.subject=Your*&size=>1B&to=b@example.com")
    for query in ("where={", "where=[]", f"after={GONE}", "limit=0"):
        await talk("GET", f"{N}/mails?{query}")
        await talk("GET", f"{N}/wait?{query}&timeout=0")
    await talk("GET", "/api/ns/none/mails")
    await talk("PATCH", f"{N}/mails", {"ids": [uuid], "read": True, "tags": ["red"]})
    await talk("PATCH", "/api/ns/none/mails", {})
    for octets in (b"{", b"{}", json.dumps(BIG).encode()):
        await talk("PATCH", f"{N}/mails", octets=octets)
    await talk("GET", f"{N}/mails")


async def _ask_about_one_mail(talk: Talk, uuid: str) -> None:
    base = f"{N}/mails/{uuid}"
    for path in ("", "/raw", "/text", "/html", "/html?source=1", "/headers", "/parts", "/payload", "/links", "/codes"):
        assert (await talk("GET", base + path))[0] == 200
        assert (await talk("GET", f"{N}/mails/none{path}"))[0] == 404
    await talk("GET", f"{base}/html?remote=maybe")
    assert await talk("POST", f"{base}/diff", octets=MAIL) == (200, {"same": True, "lines": []})
    for octets, status in ((MAIL, 404), (b"x" * (MAX_COMPARED + 1), 413)):
        where = f"{N}/mails/none" if status == 404 else base
        assert (await talk("POST", f"{where}/diff", octets=octets))[0] == status
    transcript = [{"ms": 0, "from": "client", "line": "QUIT"}]
    await talk.call.file(session={"transcript": transcript})
    assert await talk("GET", f"{N}/mails/latest/transcript") == (200, {"transcript": transcript})
    await talk("GET", f"{base}/transcript")
    for number, status in (("3", 200), ("9", 404)):
        assert (await talk("GET", f"{base}/parts/{number}"))[0] == status
    for content_id, status in (("p@x", 200), ("q@x", 404)):
        assert (await talk("GET", f"/ui/cid/default/{uuid}/{content_id}"))[0] == status


async def _wait_and_expect(talk: Talk) -> None:
    text = {"Accept": "text/plain"}
    where: dict[str, Any] = {"where": {"any": [{"subject": "Your code"}, {"not": {"size": ">0B"}}]}}
    for fields in ("summary", "full"):
        assert (await talk("POST", f"{N}/wait", {**where, "fields": fields}))[0] == 200
    assert (await talk("GET", f"{N}/wait?subject=Your code&fields=full"))[0] == 200
    assert (await talk("POST", f"{N}/expect", {"settle": 0, "expect": [where]}))[0] == 200
    for headers in ({}, text):
        for document, status in (({"count": 9, "timeout": 0}, 408), ({"exactly": 1}, 409)):
            query = "&".join(f"{key}={value}" for key, value in document.items())
            assert (await talk("GET", f"{N}/wait?{query}", **headers))[0] == status
            assert (await talk("POST", f"{N}/wait", document, **headers))[0] == status
            item = {key: value for key, value in document.items() if key != "timeout"}
            assert (await talk("POST", f"{N}/expect", {"within": 0, "expect": [item]}, **headers))[0] == status
    for path in ("wait", "expect"):
        for octets in (b"{", b'{"after": "%b"}' % GONE.encode(), b'{"x": 1}', b"x" * 1_100_000):
            await talk("POST", f"{N}/{path}", octets=octets)
        await talk("POST", f"/api/ns/none/{path}", {})
    await talk("POST", f"{N}/expect", {"after": GONE, "expect": [{}]})
    await talk("GET", "/api/ns/none/wait")
    assert (await talk("GET", f"{N}/events"))[0] == 200
    for query, status in (("default/events?after=x", 422), (f"default/events?after={GONE}", 410), ("none/events", 404)):
        assert (await talk("GET", f"/api/ns/{query}"))[0] == status
    assert (await talk("GET", "/api/live/events?ns=default"))[0] == 200
    for query, status in (("ns=default&after=x", 422), (f"ns=default&after={GONE}", 410), ("ns=none", 404)):
        assert (await talk("GET", f"/api/live/events?{query}"))[0] == status
    await _fill_waits(talk, talk.call.inbox)


async def _fill_waits(talk: Talk, inbox: Inbox) -> None:
    """As many as there may be: one more of each kind is too many."""
    namespace = inbox.namespace("default")
    assert namespace is not None
    streams = [inbox.events.open(namespace) for _ in range(MAX_STREAMS)]
    assert (await talk("GET", f"{N}/events"))[0] == 429
    assert (await talk("GET", "/api/live/events"))[0] == 429
    for stream in streams:
        inbox.events.close(stream)
    watchers = [Watcher(namespace.id, None, lambda _mail: None, lambda: None) for _ in range(MAX_WATCHERS)]
    for watcher in watchers:
        inbox.watchers.add(watcher)
    assert (await talk("GET", f"{N}/wait?count=99"))[0] == 429
    assert (await talk("POST", f"{N}/wait", {"count": 99}))[0] == 429
    assert (await talk("POST", f"{N}/expect", {"expect": [{"exactly": 99}]}))[0] == 429
    for watcher in watchers:
        inbox.watchers.remove(watcher)


async def _transfer(talk: Talk) -> None:
    assert (await talk("POST", f"{N}/send", {"from": "a@example.com", "to": "b@example.com", "text": "hello"}))[
        0
    ] == 201
    for octets in (b"{", b'{"x": 1}', b'{"text": "%b"}' % (b"x" * 4_100_000)):
        await talk("POST", f"{N}/send", octets=octets)
    await talk("POST", "/api/ns/A/send", {"text": "x"})
    for format_ in ("eml.zip", "mbox", "jsonl"):
        assert (await talk("GET", f"{N}/export?format={format_}"))[0] == 200
    for path, status in (("default/export?format=x", 422), ("default/export?where={", 400), ("none/export", 404)):
        assert (await talk("GET", f"/api/ns/{path}"))[0] == status
    assert (await talk("POST", f"{N}/import?format=eml", octets=MAIL))[0] == 200
    for path, status in (("default/import?format=x", 422), ("default/import", 415), ("A/import?format=eml", 404)):
        assert (await talk("POST", f"/api/ns/{path}", octets=MAIL))[0] == status


async def _delete_mails(talk: Talk) -> None:
    for query, status in (("subject=x", 200), ("where={", 400), ("", 422), ("all=true", 200)):
        assert (await talk("DELETE", f"{N}/mails?{query}"))[0] == status
    for octets, status in ((b"{", 400), (json.dumps(BIG).encode(), 413), (b'{"ids": ["x"]}', 200)):
        assert (await talk("DELETE", f"{N}/mails", octets=octets))[0] == status
    await talk("DELETE", "/api/ns/none/mails")
    await talk("POST", f"{N}/send", {"text": "x"})
    for status in (200, 404):
        assert (await talk("DELETE", f"{N}/mails/latest"))[0] == status
