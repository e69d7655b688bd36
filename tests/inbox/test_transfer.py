"""Mails into a namespace without SMTP, and out of it as archives that bring them back."""

from __future__ import annotations

import asyncio
import io
import json
import mailbox
import zipfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from inboxclient import Client, Serve

from fastsmtp.config.settings import SMTPSettings
from fastsmtp.inbox.archives import CONTENT_TYPES, Archived, ArchiveError, MboxWriter, read_archive

ONE = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: one\r\n\r\nhello\r\n"
TWO = (
    b"From: c@example.com\r\nTo: d@example.com\r\nSubject: two\r\n\r\n"
    b"From here\r\n>From there\r\n>>From\r\n\r\nFrom x\r\n"
)


async def exported(call: Client, query: str) -> tuple[dict[str, str], bytes]:
    async with call.session.get(f"{call.url}/api/ns/default/export?{query}") as answer:
        assert answer.status == 200
        return dict(answer.headers), await answer.read()


async def imported(call: Client, namespace: str, octets: bytes, kind: str) -> tuple[int, Any]:
    headers = {"Content-Type": CONTENT_TYPES[kind]}
    async with call.session.post(
        f"{call.url}/api/ns/{namespace}/import", data=io.BytesIO(octets), headers=headers
    ) as answer:
        return answer.status, await answer.json(content_type=None)


async def raws(call: Client, namespace: str) -> list[bytes]:
    found = (await call("GET", f"/api/ns/{namespace}/mails?order=asc&outcome=any"))[1]["mails"]
    octets = []
    for mail in found:
        async with call.session.get(f"{call.url}/api/ns/{namespace}/mails/{mail['uuid']}/raw") as answer:
            octets.append(await answer.read())
    return octets


@pytest.mark.parametrize("kind", ["eml.zip", "mbox", "jsonl"])
def test_what_is_exported_can_be_imported(serving: Serve, kind: str) -> None:
    async def work(call: Client) -> None:
        await call.file_octets(ONE)
        await call.file_octets(TWO)
        headers, archive = await exported(call, f"format={kind}")
        assert headers["Content-Type"] == CONTENT_TYPES[kind]
        assert headers["Content-Disposition"] == f'attachment; filename="default.{kind}"'
        status, done = await imported(call, "copy", archive, kind)
        assert (status, done["imported"], len(done["uuids"])) == (200, 2, 2)
        assert await raws(call, "copy") == [ONE, TWO]
        ledger = (await call("GET", "/api/ns/copy/ledger"))[1]
        assert (ledger["balanced"], ledger["sessions"]["accepted"], ledger["store"]["present"]) == (True, 2, 2)
        mails = (await call("GET", "/api/ns/copy/mails?order=asc"))[1]["mails"]
        # Lines of JSON have the envelope, otherwise it is made of the header.
        recipients = ["r@example.com", "r@example.com"] if kind == "jsonl" else ["b@example.com", "d@example.com"]
        assert [mail["envelope"]["to"] for mail in mails] == [[one] for one in recipients]

    serving(work)


def test_lines_of_json_tell_all_there_is(serving: Serve) -> None:
    async def work(call: Client) -> None:
        await call.file_octets(ONE)
        await call("PATCH", "/api/ns/default/mails", {"where": {}, "tags": ["x"], "read": True})
        before = (await call("GET", "/api/ns/default/mails"))[1]["mails"][0]
        _headers, archive = await exported(call, "format=jsonl")
        line = json.loads(archive)
        assert line == {
            "raw": b64encode(ONE).decode(),
            "uuid": before["uuid"],
            "received_at": before["received_at"],
            "outcome": "accepted",
            "read": True,
            "tags": ["x"],
            "envelope": before["envelope"],
            "remote_addr": before["remote_addr"],
            "subject": "one",
            "connection": "connection-uuid",
        }
        await imported(call, "copy", archive, "jsonl")
        after = (await call("GET", "/api/ns/copy/mails"))[1]["mails"][0]
        for key in ("received_at", "envelope", "remote_addr", "tags", "read", "subject", "snippet", "size"):
            assert after[key] == before[key], key

    serving(work)


def test_export_takes_conditions(serving: Serve) -> None:
    async def work(call: Client) -> None:
        for number in range(3):
            await call.file(subject=f"mail {number}", raw=b"Subject: %d\r\n\r\n" % number)
        await call.file(subject="lost", outcome="no-worker")
        _headers, archive = await exported(call, "format=eml.zip&subject=mail+*&subject=lost&outcome=any")
        with zipfile.ZipFile(io.BytesIO(archive)) as found:
            assert [info.filename[:7] for info in found.infolist()] == ["000001-", "000002-", "000003-", "000004-"]
        _headers, archive = await exported(call, "subject=mail+2")
        with zipfile.ZipFile(io.BytesIO(archive)) as found:
            assert [found.read(info) for info in found.infolist()] == [b"Subject: 2\r\n\r\n"]
        status, problem = await call("GET", "/api/ns/default/export?format=pst")
        assert (status, problem["pointer"]) == (422, "/format")

    serving(work)


def test_a_mailbox_is_one_for_others_too(tmp_path: Path) -> None:
    writer = MboxWriter()
    mails = [Archived(raw, received_at="2026-11-27T08:00:00.000Z", envelope={"from": "a b@x"}) for raw in (ONE, TWO)]
    path = tmp_path / "box"
    path.write_bytes(b"".join(map(writer.add, mails)) + writer.close())
    box = mailbox.mbox(path)
    assert [mail["subject"] for mail in box] == ["one", "two"]
    assert path.read_bytes().startswith(b"From a-b@x Fri Nov 27 08:00:00 2026\nFrom: a@example.com\n")
    box.close()


def test_send(serving: Serve) -> None:
    async def work(call: Client) -> None:
        status, sent = await call(
            "POST",
            "/api/ns/run-1/send",
            {
                "from": "Zo\u00eb <zoe@example.com>",
                "to": ["b@example.com", {"name": "C, D", "address": "c@example.com"}],
                "bcc": "hidden@example.com",
                "subject": "Gr\u00fc\u00dfe",
                "text": "hello\n",
                "html": "<p>hello</p>",
                "headers": {"X-Batch": ["7", "8"]},
                "attachments": [
                    {"filename": "\u00fc.txt", "content": "QUJD", "content_type": "text/csv"},
                    {"content": "iVBORw==", "content_type": "image/png", "content_id": "p@x"},
                ],
            },
        )
        assert status == 201
        mail = (await call("GET", f"/api/ns/run-1/mails/{sent['uuid']}"))[1]
        message = mail["payload"]["message"]
        assert (mail["cursor"], mail["server"], mail["subject"]) == (sent["cursor"], "api", "Gr\u00fc\u00dfe")
        assert mail["envelope"] == {
            "from": "zoe@example.com",
            "to": ["b@example.com", "c@example.com", "hidden@example.com"],
            "helo": "",
        }
        assert message["to"] == [
            {"name": "", "address": "b@example.com"},
            {"name": "C, D", "address": "c@example.com"},
        ]
        assert (message["text"], message["html"], message["defects"]) == ("hello\r\n", "<p>hello</p>\r\n", [])
        assert [value for name, value in message["raw_headers"] if name == "X-Batch"] == ["7", "8"]
        assert [
            (one["filename"], one["content_type"], one["size"], one["content_id"])
            for one in mail["payload"]["attachments"]
        ] == [("\u00fc.txt", "text/csv", 3, None), ("part-1", "image/png", 4, "p@x")]

    serving(work)


def test_send_a_message_that_is_there(serving: Serve) -> None:
    async def work(call: Client) -> None:
        headers = {"Content-Type": "message/rfc822"}
        url = f"{call.url}/api/ns/default/send"
        async with call.session.post(url, data=TWO, headers=headers) as answer:
            assert answer.status == 201
        assert await raws(call, "default") == [TWO]
        async with call.session.post(url, data=b"x" * 2001, headers=headers) as answer:
            assert answer.status == 413
        async with call.session.post(url, data=b"", headers=headers) as answer:
            assert answer.status == 400

    serving(work, smtp=SMTPSettings(max_message_size=2000))


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/api/ns/default/send", {"from": {"name": 'J\u00f6rg "J"', "address": "j\u00f6rg@b\u00fccher.test"}}),
        ("/api/v1/send", {"From": {"Name": 'J\u00f6rg "J"', "Email": "j\u00f6rg@b\u00fccher.test"}}),
    ],
)
def test_addresses_may_be_in_any_script(serving: Serve, path: str, document: dict[str, Any]) -> None:
    async def work(call: Client) -> None:
        to = [{"address": "x@example.com"}] if "from" in document else [{"Email": "x@example.com"}]
        status, _sent = await call("POST", path, {**document, "to" if "from" in document else "To": to})
        assert status in (200, 201)
        _status, mail = await call("GET", "/api/ns/default/mails/latest")
        assert mail["from"] == {"name": 'J\u00f6rg "J"', "address": "j\u00f6rg@b\u00fccher.test"}
        assert mail["envelope"]["to"] == ["x@example.com"]

    serving(work)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"form": "a@b"}, "/form"),
    ({"from": 5}, "/from/0"),
    ({"to": [{"name": "x"}]}, "/to/0"),
    ({"to": [{"address": "a@b", "adress": "c@d"}]}, "/to/0"),
    ({"cc": [{"address": "\u00fc\r\nX: y"}]}, "/cc"),
    ({"to": ["a@b"] * 1001}, "/to"),
    ({"subject": []}, "/subject"),
    ({"subject": "a\nb"}, "/subject"),
    ({"headers": {"Subject": "x"}}, "/headers/Subject"),
    ({"headers": {"X Y": "x"}}, "/headers/X Y"),
    ({"headers": {"X-Y": 5}}, "/headers/X-Y"),
    ({"attachments": {}}, "/attachments"),
    ({"attachments": [{"filename": "x"}]}, "/attachments/0"),
    ({"attachments": [{"content": "\u00fc"}]}, "/attachments/0/content"),
    ({"attachments": [{"content": "QUJD", "content_type": "pdf"}]}, "/attachments/0/content_type"),
    ({"attachments": [{"content": "QUJD", "path": "/etc/passwd"}]}, "/attachments/0/path"),
    ({"envelope": {"from": "a@b", "to": "c@d"}}, "/envelope"),
    ({"envelope": {"from": "a@b", "to": ["c@d"], "helo": "x"}}, "/envelope"),
]


def test_what_cannot_be_sent(serving: Serve) -> None:
    async def work(call: Client) -> None:
        told = []
        for document, _pointer in BAD:
            status, problem = await call("POST", "/api/ns/default/send", document)
            assert status == 422
            told.append((document, problem["pointer"]))
        assert told == BAD
        assert (await call("GET", "/api/ns/default"))[1]["mails"] == 0

    serving(work)


BROKEN: list[tuple[str, bytes, str]] = [
    ("eml", b"  ", "there is no mail in it"),
    ("mbox", b"Subject: x\n\n", 'it is no mailbox file: its first line does not begin with "From "'),
    ("mbox", b"\n\n", "there is no mail in it"),
    ("eml.zip", b"PK\x03\x04", "it is no ZIP file that can be read: File is not a zip file"),
    ("jsonl", b"{}\n", "line 1: Object missing required field `raw`"),
    ("jsonl", b'\n{"raw":"*"}\n', "line 2: Invalid base64 encoded string - at `$.raw`"),
    ("mbox", b"From x\n" + b"y" * 3000, "a mail in it has more than 2000 octets"),
    ("eml", b"y" * 3000, "a mail in it has more than 2000 octets"),
]


@pytest.mark.parametrize(("kind", "octets", "reason"), BROKEN)
def test_what_is_no_archive(kind: str, octets: bytes, reason: str) -> None:
    with pytest.raises(ArchiveError) as raised:
        list(read_archive(io.BytesIO(octets), kind, 2000))
    assert str(raised.value) == reason


def test_an_import_tells_how_far_it_came(serving: Serve) -> None:
    async def work(call: Client) -> None:
        good = json.dumps({"raw": b64encode(ONE).decode()}).encode()
        status, problem = await imported(call, "copy", good + b"\n{\n", "jsonl")
        assert (status, problem["imported"], len(problem["uuids"])) == (422, 1, 1)
        assert problem["detail"].startswith("line 2: ")
        status, problem = await call("POST", "/api/ns/copy/import", {"x": 1})
        assert status == 415

    serving(work)


def test_mails_of_an_archive_are_committed_together_and_in_order(serving: Serve) -> None:
    count = 1500

    async def work(call: Client) -> None:
        lines = [
            json.dumps({"raw": b64encode(b"Subject: %d\r\n\r\n" % number).decode(), "read": number % 2 == 0})
            for number in range(count)
        ]
        before = call.inbox.commits
        status, told = await imported(call, "copy", "\n".join(lines).encode(), "jsonl")
        assert (status, told["imported"], len(told["uuids"])) == (200, count, 1000)
        assert call.inbox.commits - before < count // 4
        space = call.inbox.namespace("copy")
        assert space is not None
        rows = (await call.inbox.find(space, limit=count, newest_first=False)).rows
        assert [row.uuid for row in rows][:1000] == told["uuids"]
        assert [json.loads(row.summary)["subject"] for row in rows] == [str(number) for number in range(count)]
        assert [row.read for row in rows] == [number % 2 == 0 for number in range(count)]
        assert told["cursor"].endswith(f".{count}")

    serving(work)


def test_an_import_ends_at_the_first_mail_that_is_refused(serving: Serve) -> None:
    """A mail behind it would have room, and is not taken."""

    async def work(call: Client) -> None:
        await call("PUT", "/api/ns/copy", {"quota": {"bytes": 1000}, "on_quota": "refuse"})
        mails = (b"Subject: one\r\n\r\n", b"Subject: two\r\n\r\n" + b"x" * 1000, b"Subject: three\r\n\r\n")
        lines = [json.dumps({"raw": b64encode(mail).decode()}) for mail in mails]
        status, problem = await imported(call, "copy", "\n".join(lines).encode(), "jsonl")
        assert (status, problem["detail"]) == (507, "namespace copy is full")
        assert await raws(call, "copy") == [mails[0]]

    serving(work)


def test_what_stands_before_a_broken_place_is_committed(serving: Serve) -> None:
    async def work(call: Client) -> None:
        lines = [json.dumps({"raw": b64encode(b"Subject: %d\r\n\r\n" % n).decode(), "tags": ["a"]}) for n in range(700)]
        status, problem = await imported(call, "copy", "\n".join([*lines, "{", *lines]).encode(), "jsonl")
        assert (status, problem["imported"], len(problem["uuids"])) == (422, 700, 700)
        assert (await call("GET", "/api/ns/copy/mails?tag=a&limit=1000"))[1]["mails"][0]["subject"] == "699"

    serving(work)


def test_a_large_archive_comes_and_goes_in_pieces(serving: Serve) -> None:
    async def work(call: Client) -> None:
        large = b"Subject: large\r\n\r\n" + b"x" * 76 * 20_000
        assert (await imported(call, "default", large, "eml"))[0] == 200
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.ensure_future(tick())
        _headers, archive = await exported(call, "format=jsonl")
        ticking.cancel()
        assert json.loads(archive)["raw"] == b64encode(large).decode()
        assert ticks > 2

    serving(work)
