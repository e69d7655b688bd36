"""Mailpit's and MailHog's APIs where published clients do not go: search, quirks, scopes, websockets."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp
import pytest
from inboxclient import Client, Serve

from fastsmtp.faults.question import Question
from fastsmtp.inbox.mailpit.search import MailpitQuery
from fastsmtp.inbox.summary import summarize
from fastsmtp.inbox.where import Candidate

HTML = (
    b"From: Zo\xc3\xab <zoe@example.com>\r\nTo: Bob <bob@example.com>\r\nSubject: Order 5\r\nX-Run: 77\r\n"
    b"Message-ID: <m1@example.com>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b'--b\r\nContent-Type: text/html\r\n\r\n<p>Hello <b>there</b></p><a href="https://shop.test/u/7">x</a>\r\n'
    b"--b\r\nContent-Type: text/csv; name=report.csv\r\nContent-Disposition: attachment\r\n\r\na;b\r\n--b--\r\n"
)
PLAIN = b"From: ann@example.com\r\nTo: carol@example.com\r\nCc: dan@example.com\r\nSubject: Hi\r\n\r\nplain words\r\n"

SEARCHES: list[tuple[str, int]] = [
    ("order", 1),
    ('"order 5"', 1),
    ("ORDER hello", 1),
    ("shop.test/u/7", 1),
    ("report.csv", 1),
    ("77", 0),  # other header fields are not looked at
    ("words", 1),
    ("-words", 1),
    ("!order", 1),
    ("nothing", 0),
    ("to:bob", 1),
    ("to:address", 0),
    ("from:zo\u00eb", 1),
    ("from:ZOE@", 1),
    ("cc:dan", 1),
    ("addressed:example.com", 2),
    ("subject:hi", 1),
    ('subject:"order 5"', 1),
    ("message-id:m1@", 1),
    ("has:attachment", 1),
    ("-has:attachments", 1),
    ("is:unread", 2),
    ("is:read", 0),
    ("is:tagged", 1),
    ("tag:RED", 1),
    ("tag:re", 0),
    ("larger:150", 1),
    ("smaller:1k", 2),
    ("larger:10mb", 0),
    ("after:2027-01-01", 2),
    ("before:2027-01-01", 0),
    ('before:"2027-01-15 08:00:01"', 2),
    ("after:nonsense", 2),
    ("to:", 2),
    ("a%b", 0),
]


def test_search(serving: Serve) -> None:
    async def work(call: Client) -> None:
        await call.file_octets(HTML)
        await call.file_octets(PLAIN)
        await call("PATCH", "/api/ns/default/mails", {"where": {"subject": "Hi"}, "tags": ["Red"]})
        told = []
        for query, _matches in SEARCHES:
            async with call.session.get(f"{call.url}/api/v1/search", params={"query": query}) as answer:
                found = await answer.json()
            assert (answer.status, len(found["messages"])) == (200, found["messages_count"])
            told.append((query, found["messages_count"]))
        assert told == SEARCHES

    serving(work)


def test_blind_recipients_are_those_that_no_field_names() -> None:
    payload: dict[str, Any] = {
        "uuid": "u",
        "envelope": {"from": "a@x", "to": ["B@x", "hidden@x"], "helo": ""},
        "message": {
            "from": [], "to": [{"name": "", "address": "b@x"}], "cc": [], "bcc": [], "reply_to": [], "subject": None,
            "id": None, "size": 1, "text": "", "html": None, "defects": [],
        },
        "session": {"tls": None, "violations": []},
        "authentication": {"username": None},
        "attachments": [], "remote_addr": "", "server": "",
    }  # fmt: skip
    mail = Candidate(summarize(payload, 0, "accepted"), lambda: payload)
    assert [MailpitQuery(query)(mail) for query in ("bcc:hidden", "bcc:b@x", "to:hidden")] == [True, False, False]


def test_lists_and_pages(serving: Serve) -> None:
    async def work(call: Client) -> None:
        for number in range(5):
            await call.file(f"run-{number % 2}", subject=f"mail {number}")
        await call.file("run-0", subject="lost", outcome="worker-failed")

        async def subjects(path: str) -> tuple[int, list[str]]:
            _status, found = await call("GET", path)
            return found["total"], [message["Subject"] for message in found["messages"]]

        assert await subjects("/api/v1/messages") == (5, ["mail 4", "mail 3", "mail 2", "mail 1", "mail 0"])
        assert await subjects("/api/v1/messages?start=1&limit=2") == (5, ["mail 3", "mail 2"])
        assert await subjects("/api/v1/messages?limit=0") == (5, [f"mail {number}" for number in (4, 3, 2, 1, 0)])
        assert await subjects("/api/v1/messages?limit=x&start=-1") == (
            5,
            [f"mail {number}" for number in (4, 3, 2, 1, 0)],
        )
        assert await subjects("/ns/run-1/api/v1/messages") == (2, ["mail 3", "mail 1"])
        assert await subjects("/ns/run-0/api/v1/search?query=mail&limit=1") == (3, ["mail 4"])
        assert await subjects("/ns/run-0/api/v1/search?query=mail&limit=0") == (3, [])
        status, text = await call("GET", "/api/v1/search?query=")
        assert (status, text) == (400, "Error: no search query\n")

    serving(work)


async def total(call: Client, path: str = "/api/v1/messages", **headers: str) -> int:
    async with call.session.get(call.url + path, headers=headers) as answer:
        count: int = (await answer.json())["total"]
        return count


def test_scopes(serving: Serve) -> None:
    async def work(call: Client) -> None:
        await call.file("run-1")
        await call.file("run-1")
        await call.file("run-1/w2")
        login = base64.b64encode(b"Run-1:any").decode()
        assert await total(call) == 3
        assert await total(call, "/ns/run-1/api/v1/messages") == 2
        assert await total(call, "/ns/run-1/w2/api/v1/messages") == 1
        assert await total(call, Authorization=f"Basic {login}") == 2
        assert await total(call, **{"X-Namespace": "run-1/w2"}) == 1
        assert await total(call, "/ns/run-9/api/v1/messages") == 0
        async with call.session.delete(f"{call.url}/api/v1/messages", headers={"X-Namespace": "run-1"}) as answer:
            assert (answer.status, await answer.text()) == (200, "")
        assert (await total(call), await total(call, "/ns/run-1/api/v1/messages")) == (1, 0)

    serving(work)


def test_a_mail_of_two_namespaces(serving: Serve) -> None:
    async def work(call: Client) -> None:
        await call.file_octets(PLAIN, "one", "two")
        _status, found = await call("GET", "/api/v1/messages")
        [message] = found["messages"]
        await call("PUT", "/api/v1/messages", {"IDs": [message["ID"]], "Read": True})
        for name in ("one", "two"):
            assert (await call("GET", f"/api/ns/{name}"))[1]["unread"] == 0
        await call("DELETE", "/ns/one/api/v1/messages", {"IDs": [message["ID"]]})
        assert [(await call("GET", f"/api/ns/{name}"))[1]["mails"] for name in ("one", "two")] == [0, 1]

    serving(work)


def test_quirks(serving: Serve) -> None:
    async def work(call: Client) -> None:
        await call.file(subject="x")
        assert await call("PUT", "/api/v1/messages") == (400, "EOF\n")
        status, _text = await call("PUT", "/api/v1/messages", {"IDs": ["a"], "Search": "b"})
        assert status == 400
        assert await call("PUT", "/api/v1/messages", {"Read": True}) == (200, "ok")
        assert (await call("GET", "/api/v1/messages"))[1]["unread"] == 0
        assert await call("DELETE", "/api/v1/messages", {"IDs": ["nosuch"]}) == (200, "ok")
        assert await total(call) == 1
        assert await call("GET", "/api/v1/message/nosuch") == (404, "404 page not found\n")
        assert await call("POST", "/api/v1/send", {"From": {"Email": "bad"}}) == (
            400,
            {"Error": "invalid From address: bad"},
        )
        status, problem = await call("POST", "/api/v1/send", {"From": {"Email": "a@b"}})
        assert (status, problem["Error"]) == (400, "error building message: no recipients (to, cc, bcc) set")
        assert await call("GET", "/api/v1/chaos") == (200, QUIET)
        assert await call("DELETE", "/api/v1/messages", {"IDs": []}) == (200, "ok")
        assert await total(call) == 0
        assert await call("GET", "/api/v1/message/latest") == (404, "Message not found\n")
        for path in ("/livez", "/readyz", "/ns/run-1/livez"):
            assert await call("GET", path) == (200, "")

    serving(work)


def test_the_websocket(serving: Serve) -> None:
    async def work(call: Client) -> None:
        async with call.session.ws_connect(f"{call.url}/ns/run-1/api/events") as socket:
            assert json.loads((await socket.receive(timeout=30)).data)["Data"]["Total"] == 0
            await call.file("run-2", subject="of another")
            await call.file("run-1", subject="new")
            told = [json.loads((await socket.receive(timeout=30)).data) for _number in range(2)]
            assert [frame["Type"] for frame in told] == ["new", "stats"]
            assert (told[0]["Data"]["Subject"], told[1]["Data"]["Total"]) == ("new", 1)
            await call("PUT", "/ns/run-1/api/v1/messages", {"Read": True})
            update = json.loads((await socket.receive(timeout=30)).data)
            assert update == {"Type": "update", "Data": {"ID": told[0]["Data"]["ID"], "Read": True, "Tags": []}}
            await socket.receive(timeout=30)
            await call("DELETE", "/ns/run-1/api/v1/messages", {})
            assert json.loads((await socket.receive(timeout=30)).data) == {"Type": "truncate", "Data": None}
            await socket.receive(timeout=30)
            await call("DELETE", "/api/ns/run-1")
            last = await socket.receive(timeout=30)
            while last.type is aiohttp.WSMsgType.TEXT:
                last = await socket.receive(timeout=30)
            assert last.type is aiohttp.WSMsgType.CLOSE
        assert len(call.inbox.events) == 0

    serving(work)


def test_mailhog(serving: Serve) -> None:
    async def work(call: Client) -> None:
        uuid = await call.file_octets(HTML)
        _status, found = await call("GET", "/api/v2/messages?limit=500")
        assert (found["total"], found["count"], found["start"]) == (1, 1, 0)
        [message] = found["items"]
        assert message["ID"] == f"{uuid.replace('-', '')}@fastsmtp"
        assert message["From"] == {"Relays": None, "Mailbox": "s", "Domain": "example.com", "Params": ""}
        assert message["Content"]["Headers"]["X-Run"] == ["77"]
        assert [part["Headers"]["Content-Type"] for part in message["MIME"]["Parts"]] == [
            ["text/html"],
            ["text/csv; name=report.csv"],
        ]
        assert message["MIME"]["Parts"][1]["Body"] == "a;b"
        assert message["Raw"]["Data"] == HTML.decode()
        for kind, text, count in (("from", "S@EX", 1), ("to", "noreply@", 0), ("containing", "there", 1)):
            _status, found = await call("GET", f"/api/v2/search?kind={kind}&query={text}")
            assert (kind, found["total"]) == (kind, count)
        assert (await call("GET", "/api/v2/search?kind=subject&query=x"))[0] == 400
        assert (await call("GET", "/api/v2/jim"))[0] == 404
        assert (await call("GET", "/mailhog/api/v1/messages"))[1][0]["ID"] == message["ID"]
        path = f"/api/v1/messages/{message['ID']}"
        async with call.session.get(f"{call.url}{path}/download") as answer:
            assert await answer.read() == HTML
        async with call.session.get(f"{call.url}{path}/mime/part/1/download") as answer:
            assert await answer.read() == b"a;b"
        assert (await call("POST", f"{path}/release", {"Host": "127.0.0.1", "Port": "22"}))[0] == 400
        assert (await call("DELETE", path))[0] == 200
        assert (await call("GET", path))[0] == 404

    serving(work)


HOSTILE = [
    b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(600)),
    b"Content-Type: message/rfc822\r\n\r\n" * 600,
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=nosuch\r\n\r\n\xff\r\n--b--",
    b"Subject: \xff\xfe\r\n\r\n\xff",
]


@pytest.mark.parametrize("octets", HOSTILE, ids=["multiparts", "messages", "charset", "octets"])
def test_mailhog_shows_any_mail(serving: Serve, octets: bytes) -> None:
    async def work(call: Client) -> None:
        await call.file_octets(octets)
        status, found = await call("GET", "/api/v2/messages")
        assert (status, found["items"][0]["Raw"]["Data"]) == (200, octets.decode("utf-8", "replace"))
        status, latest = await call("GET", "/api/v1/message/latest")
        assert (status, latest["Size"]) == (200, len(octets))
        async with call.session.get(f"{call.url}/view/latest", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, f"/view/{latest['ID']}.html")

    serving(work)


# --- what fails on purpose


CODES = {"Authentication": 535, "Recipient": 451, "Sender": 451}
QUIET = {name: {"ErrorCode": code, "Probability": 0} for name, code in CODES.items()}


def test_chaos_is_rules_of_a_plan(serving: Serve) -> None:
    async def work(call: Client) -> None:
        await call(
            "PUT", "/api/ns/n/faults", {"seed": 5, "rules": [{"id": "mine", "when": {"at": "quit"}, "do": "pass"}]}
        )
        trigger = {"ErrorCode": 550, "Probability": 25}
        shown = {**QUIET, "Recipient": trigger}
        assert await call("PUT", "/ns/n/api/v1/chaos", {"Recipient": trigger}) == (200, shown)
        assert await call("GET", "/ns/n/api/v1/chaos") == (200, shown)
        assert await call("GET", "/api/v1/chaos") == (200, QUIET)
        _status, plan = await call("GET", "/api/ns/n/faults")
        do = {"reply": "550 Chaos recipient error"}
        rule = {"id": "chaos-recipient", "when": {"at": "rcpt"}, "do": do, "probability": 0.25}
        assert (plan["seed"], [one["id"] for one in plan["rules"]], plan["rules"][1]) == (5, ["mine", rule["id"]], rule)
        for bad in ({"ErrorCode": 250, "Probability": 1}, {"ErrorCode": 451, "Probability": 101}, []):
            assert (await call("PUT", "/ns/n/api/v1/chaos", {"Sender": bad}))[0] == (400 if bad else 200)
        assert [rule["id"] for rule in (await call("GET", "/api/ns/n/faults"))[1]["rules"]] == ["mine"]

    serving(work)


def test_jim_is_rules_of_a_plan(serving: Serve) -> None:
    async def work(call: Client) -> None:
        for method in ("GET", "PUT", "DELETE"):
            assert (await call(method, "/api/v2/jim"))[0] == 404
        assert (await call("POST", "/api/v2/jim", {"RejectSenderChance": 2}))[0] == 400
        assert (await call("POST", "/api/v2/jim"))[0] == 201
        assert (await call("POST", "/api/v2/jim"))[0] == 400
        chances = (await call("GET", "/api/v2/jim"))[1]
        assert (chances["AcceptChance"], chances["RejectAuthChance"], chances["LinkSpeedMin"]) == (0.99, 0.05, 5632.0)
        changed = {**dict.fromkeys(chances, 0.0), "AcceptChance": 1.0, "LinkSpeedMin": 9, "LinkSpeedMax": 9}
        assert (await call("PUT", "/api/v2/jim", {**changed, "RejectRecipientChance": 1.0}))[0] == 200
        question = Question(at="rcpt", connection="c", rcpt="b@example.com")
        decided = call.inbox.plans.decide(["default"], question)
        assert decided is not None
        assert (decided.rule, decided.action.reply) == ("jim-recipient", ["550 Invalid recipient"])
        assert (await call("GET", "/mailhog/api/v2/jim"))[1]["RejectRecipientChance"] == 1.0
        assert (await call("DELETE", "/api/v2/jim"))[0] == 200
        assert (await call("GET", "/api/ns/default/faults"))[0] == 404

    serving(work)


# --- tags


@pytest.mark.parametrize(
    ("field", "tags"),
    [
        (b"X-Tags: signup, x/y ,,Signup\r\n", ["signup", "x y"]),
        (b"x-tAGS: one\r\nx-tAGS: two\r\n", ["one"]),
        (b"X-Tags: \r\n", []),
        (b"X-Tags: " + b"t," * 50_000 + b"last\r\n", ["t"]),
        (b"X-Tag: one\r\n", []),
    ],
)
def test_tags_of_a_header_field(serving: Serve, field: bytes, tags: list[str]) -> None:
    async def work(call: Client) -> None:
        await call.file_octets(field + PLAIN)
        summary = (await call("GET", "/api/v1/messages"))[1]
        assert (summary["tags"], summary["messages"][0]["Tags"]) == (tags, tags)
        for tag in tags:
            assert (await call("GET", f"/api/v1/search?query=tag:%22{tag}%22"))[1]["messages_count"] == 1
            assert (await call("GET", f"/api/ns/default/wait?tag={tag}&timeout=1ms"))[0] == 200
        await call("DELETE", "/api/v1/messages")
        assert (await call("GET", "/api/v1/tags"))[1] == []

    serving(work)


@pytest.mark.parametrize("name", ["X-Tags", "x-tags", "To", "date"])
def test_fields_that_a_sent_mail_has_of_its_own(serving: Serve, name: str) -> None:
    async def work(call: Client) -> None:
        mail = {"From": {"Email": "a@b.test"}, "To": [{"Email": "c@d.test"}], "Tags": ["t"], "Headers": {name: "x"}}
        assert await call("POST", "/api/v1/send", mail) == (400, {"Error": f'cannot overwrite header: "{name}"'})

    serving(work)


def test_what_is_not_there(serving: Serve) -> None:
    async def work(call: Client) -> None:
        for path in ("/api/v1/nothing", "/api/v1/", "/ns/run-1/api/v1/message/a/b/c"):
            assert await call("GET", path) == (404, "404 page not found\n")
        for path in ("/api/v1/messages", "/ns/run-1/api/v1/messages"):
            assert (await call("POST", path))[0] == 405
            assert await call("OPTIONS", path) == (200, "")

    serving(work)


def test_a_path_with_two_slashes_leads_to_that_with_one(serving: Serve) -> None:
    async def work(call: Client) -> None:
        await call.file_octets(PLAIN)
        assert await call("GET", "//view//latest.txt") == (200, "plain words\r\n")
        async with call.session.get(f"{call.url}//api//v1/search?query=hi", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (301, "/api/v1/search?query=hi")
        assert (await call("GET", "//nothing"))[0] == 404
        assert (await call("POST", "//api/v1/send", {}))[0] == 404

    serving(work)
