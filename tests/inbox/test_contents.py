"""One mail over HTTP: its parts, harmless in a browser, and the JSON that its worker got."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from captures import capture_email
from inboxclient import Client, Serve

from fastsmtp.config.settings import SMTPSettings
from fastsmtp.delivery.payload import encode_payload
from fastsmtp.inbox.links import find_codes, find_links
from fastsmtp.inbox.webview import remote_hosts, rewrite
from fastsmtp.system.timeslices import in_slices

MAIL = (
    b"From: a@example.com\r\nTo: b@example.com\r\nSubject: Hi\r\n"
    b"Content-Type: multipart/mixed; boundary=o\r\n\r\n"
    b"--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
    b"--i\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nYour c\xf3digo is 123456: http://x.test/a.\r\n"
    b"--i\r\nContent-Type: text/html\r\n\r\n"
    b"<meta http-equiv=refresh content=0><a href='https://x.test/go?a=1&amp;b=2'>Go <b>on</b></a>"
    b"<img src=\"cid:p@x\"><img src=cid:q@x><img src='//evil.test/t.gif'>\r\n--i--\r\n"
    b"--o\r\nContent-Type: image/png\r\nContent-ID: <p@x>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n"
    b'--o\r\nContent-Type: image/svg+xml; name="../\xc3\xbc \\"x.svg"\r\n\r\n<svg onload=alert(1)/>\r\n--o--\r\n'
)
SANDBOX = "sandbox; default-src 'none'"


async def fetch(call: Client, path: str) -> tuple[int, dict[str, str], bytes]:
    async with call.session.get(call.url + path) as answer:
        return answer.status, dict(answer.headers), await answer.read()


def test_parts(serving: Serve) -> None:
    async def work(call: Client) -> None:
        uuid = await call.file_octets(MAIL)
        base = f"/api/ns/default/mails/{uuid}/parts"
        status, found = await call("GET", base)
        assert status == 200
        assert [
            (one["number"], one["content_type"], one["filename"], one["size"], one["url"]) for one in found["parts"]
        ] == [
            ("1.1", "text/plain", "", 39, f"{base}/1.1"),
            ("1.2", "text/html", "", 156, f"{base}/1.2"),
            ("2", "image/png", "part-2.png", 4, f"{base}/2"),
            ("3", "image/svg+xml", '../ü "x.svg', 22, f"{base}/3"),
        ]
        status, headers, octets = await fetch(call, f"{base}/2")
        assert (status, octets, headers["Content-Type"], headers["Content-Length"]) == (
            200,
            b"\x89PNG",
            "image/png",
            "4",
        )
        assert headers["Content-Disposition"] == "inline; filename=\"part-2.png\"; filename*=UTF-8''part-2.png"
        assert headers["Content-Security-Policy"] == SANDBOX
        status, headers, octets = await fetch(call, f"{base}/3")
        assert octets == b"<svg onload=alert(1)/>"
        assert headers["Content-Disposition"] == "attachment; filename=\"_ _x.svg\"; filename*=UTF-8''%C3%BC%20%22x.svg"
        assert headers["X-Content-Type-Options"] == "nosniff"
        status, headers, octets = await fetch(call, f"{base}/1.1")
        assert (headers["Content-Type"], octets[:10]) == ("text/plain; charset=iso-8859-1", b"Your c\xf3dig")
        status, headers, octets = await fetch(call, f"{base}/1.2")
        assert headers["Content-Disposition"].startswith("attachment; ")
        assert (await call("GET", f"{base}/9"))[0] == 404
        assert (await fetch(call, "/api/ns/default/mails/latest/parts/2"))[2] == b"\x89PNG"

    serving(work)


def test_html(serving: Serve) -> None:
    async def work(call: Client) -> None:
        uuid = await call.file_octets(MAIL)
        base = f"/api/ns/default/mails/{uuid}/html"
        status, headers, octets = await fetch(call, base)
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert octets.decode() == (
            '<!doctype html><meta charset="utf-8"><base target="_blank"><x-meta http-equiv=refresh content=0>'
            "<a target=_blank rel=noopener&#32;noreferrer  href='https://x.test/go?a=1&amp;b=2'>Go <b>on</b></a>"
            f"<img src=\"/ui/cid/default/{uuid}/p@x\"><img src=cid:q@x><img src='//evil.test/t.gif'>"
        )
        policy = headers["Content-Security-Policy"]
        assert policy == (
            "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline';"
            f" img-src {call.url}/ui/cid/default/{uuid}/ data:; font-src data:; form-action 'none'; base-uri 'none';"
            " frame-ancestors 'self'"
        )
        assert (headers["X-DNS-Prefetch-Control"], headers["Referrer-Policy"]) == ("off", "no-referrer")
        remote = (await fetch(call, f"{base}?remote=1"))[1]["Content-Security-Policy"]
        assert remote == policy.replace(" data:;", " data: https: http:;", 1)
        status, headers, octets = await fetch(call, f"{base}?source=true")
        assert (headers["Content-Type"], octets[:5]) == ("text/plain; charset=utf-8", b"<meta")
        status, headers, octets = await fetch(call, f"/ui/cid/default/{uuid}/p@x")
        assert (status, octets, headers["Cross-Origin-Resource-Policy"]) == (200, b"\x89PNG", "cross-origin")
        assert (await call("GET", f"/ui/cid/default/{uuid}/q@x"))[0] == 404
        await call.file(text="no markup")
        assert (await call("GET", "/api/ns/default/mails/latest/html"))[0] == 404

    serving(work)


def test_links_and_codes(serving: Serve) -> None:
    async def work(call: Client) -> None:
        uuid = await call.file_octets(MAIL)
        base = f"/api/ns/default/mails/{uuid}"
        assert await call("GET", f"{base}/links") == (
            200,
            {
                "links": [
                    {"url": "https://x.test/go?a=1&b=2", "text": "Go on", "kind": "a", "in": "html"},
                    {"url": "cid:p@x", "text": "", "kind": "img", "in": "html"},
                    {"url": "cid:q@x", "text": "", "kind": "img", "in": "html"},
                    {"url": "//evil.test/t.gif", "text": "", "kind": "img", "in": "html"},
                    {"url": "http://x.test/a", "text": "", "kind": "url", "in": "text"},
                ],
                "remote_hosts": ["evil.test"],
            },
        )
        codes = [{"code": "123456", "context": "Your código is 123456: http://x.test/a."}]
        assert await call("GET", f"{base}/codes") == (200, {"codes": codes})

    serving(work)


@pytest.mark.parametrize("include_raw", [False, True])
def test_the_payload(serving: Serve, *, include_raw: bool) -> None:
    async def work(call: Client) -> None:
        uuid = await call.file_octets(MAIL)
        status, headers, octets = await fetch(call, f"/api/ns/default/mails/{uuid}/payload")
        assert (status, headers["Content-Type"]) == (200, "application/json")
        email = capture_email(MAIL, include_raw=True)
        assert email is not None
        expected = b"".join(encode_payload(email, include_raw=include_raw)[0])
        own = orjson.loads(expected)
        received = orjson.loads(octets)["received_at"]
        expected = expected.replace(email.uuid.encode(), uuid.encode())
        assert octets == expected.replace(own["received_at"].encode(), received.encode())

    serving(work, smtp=SMTPSettings(include_raw=include_raw))


def test_what_is_not_kept(serving: Serve) -> None:
    async def work(call: Client) -> None:
        await call("PUT", "/api/ns/brief", {"keep": "summary"})
        await call.file("brief")
        for what in ("raw", "text", "html", "headers", "transcript", "parts", "parts/1", "payload", "links", "codes"):
            status, problem = await call("GET", f"/api/ns/brief/mails/latest/{what}")
            assert (status, problem["detail"]) == (404, "of this mail only the summary is kept")

    serving(work)


CODES = [
    ("Your code is 123456. It expires in 10 minutes (2026).", ["123456", "2026"]),
    ("G-482913 is your Google verification code.", ["G-482913"]),
    ("Use PIN 12 34 56 to log in on 2026-11-27", ["123456"]),
    ("Order 4711 shipped. Code: AB12-CD34", ["AB12-CD34", "4711"]),
    ("Your OTP: 0042", ["0042"]),
    ("Call +49 1701234567, pay 1,299.00 EUR, version 1.2345.6", []),
    ("no numbers", []),
]


@pytest.mark.parametrize(("text", "expected"), CODES)
def test_codes(text: str, expected: list[str]) -> None:
    assert [found["code"] for found in asyncio.run(in_slices(find_codes(text)))] == expected


@pytest.mark.parametrize("text", ["\0", " ", "1 ", "12-34 ", "AB12 ", "A------------ ", "code ", "\u0416"])
def test_codes_are_looked_for_in_stretches(text: str) -> None:
    counts = [sum(1 for _ in find_codes(text * (octets // len(text)))) for octets in (16 * 1024, 32 * 1024, 64 * 1024)]
    assert counts[0] >= 2 * 16 * 1024 // 8192  # two searches, each of 8 KiB at most in one step
    assert counts[2] <= 4 * counts[0] + 4


@pytest.mark.parametrize("at", range(4096 - 12, 4096 + 4))
def test_a_code_is_found_wherever_a_stretch_ends(at: int) -> None:
    text = " " * at + "code AB12-CD34 "
    found = asyncio.run(in_slices(find_codes(text)))
    assert found == [{"code": "AB12-CD34", "context": "code AB12-CD34"}]


def test_links_of_text_end_before_punctuation() -> None:
    text = "see http://x.test/a?b=1). and (https://y.test/q_(z)), mailto:a@b.c!"
    found = [link["url"] for link in find_links(text, None) if link is not None]
    assert found == ["http://x.test/a?b=1", "https://y.test/q_(z)", "mailto:a@b.c"]


MARKUP: list[tuple[str, str]] = [
    ("<LINK rel=preconnect href=//e>", "<x-LINK rel=preconnect href=//e>"),
    ("<link/rel=x>", "<x-link/rel=x>"),
    ("</base>", "</x-base>"),
    ("<svg><style><link x>", "<svg><style><x-link x>"),
    ("<links><basefont>", "<links><basefont>"),
    ("<p style='background:url( cid:p%40x )'>", "<p style='background:url( /cid/p@x )'>"),
    ("cid:p@x", "cid:p@x"),
]


@pytest.mark.parametrize(("markup", "expected"), MARKUP)
@pytest.mark.parametrize("before", [0, 65_000, 65_530, 65_536])
def test_elements_that_act_past_the_policy(markup: str, expected: str, before: int) -> None:
    def picture(content_id: str) -> str | None:
        return "/cid/p@x" if content_id == "p@x" else None

    made = "".join(rewrite("x" * before + markup, picture))
    assert made == '<!doctype html><meta charset="utf-8"><base target="_blank">' + "x" * before + expected


def test_remote_hosts_are_named_once() -> None:
    markup = (
        "<img src='https://a.test/1'><img src=//a.test/2><div style='background:url(http://b.test:80/x)'><img src=/c>"
    )
    assert [host for host in remote_hosts(markup) if host] == ["a.test", "b.test"]


def test_documents_are_json(serving: Serve) -> None:
    async def work(call: Client) -> None:
        uuid = await call.file_octets(MAIL)
        for what in ("parts", "links", "codes", "headers"):
            status, headers, octets = await fetch(call, f"/api/ns/default/mails/{uuid}/{what}")
            document: dict[str, Any] = orjson.loads(octets)
            assert (status, headers["Content-Type"], what in document) == (200, "application/json", True)

    serving(work)
