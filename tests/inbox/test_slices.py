"""Whatever a mail is, an answer about it is made in slices: what is counted is slices, and not time."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from inboxclient import Client, Serve

from fastsmtp.config.settings import SMTPSettings
from fastsmtp.system import timeslices

NAMESPACE = "/api/ns/default"
MAIL = f"{NAMESPACE}/mails/latest"
TEXT = b"Subject: %b\r\nContent-Type: text/%b; charset=utf-8\r\n\r\n%b\r\n"
SIZE = 400_000  # octets; what is smaller is left to those who do it at once


class Form(NamedTuple):
    """A mail that is large in one way, and the least slices of each answer that shows what is large."""

    octets: bytes
    slices: dict[str, int]


def multipart(count: int) -> bytes:
    part = b"--b\r\nContent-Type: a/b; name=x\r\n\r\nx\r\n"
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * count + b"--b--\r\n"


# A text is cut into pieces of 64 Ki characters, in JSON into those of 32 Ki. It is there twice, `text` and `body`.
TEXTS = {"text": 6, "wait full": 24, "Mailpit": 12, "Mailpit text": 6}
FORMS = {
    "ASCII": Form(TEXT % (b"a", b"plain", b"hello\r\n" * (SIZE // 7)), TEXTS),
    "NULs": Form(TEXT % (b"a", b"plain", b"\0" * SIZE), {**TEXTS, "MailHog": 24, "jobs": 24}),
    "umlauts": Form(TEXT % (b"a", b"plain", "ü".encode() * SIZE), TEXTS),
    "HTML": Form(
        TEXT % (b"a", b"html", b"<p>%b" % (b"x" * 9997) * (SIZE // 10_000)), {"source": 6, "html": 6, "links": 80}
    ),
    "parts": Form(multipart(200), {"parts": 200, "Mailpit": 200, "payload": 200, "jobs": 200}),
    "fields": Form(b"".join(b"a%d:\r\n" % number for number in range(500)) + b"\r\nx", {"Mailpit headers": 500}),
    "addresses": Form(b"To: %b\r\n" % (b"a@b.test, " * 6000) * 3 + b"\r\nx\r\n", {"Mailpit list": 9, "jobs": 9}),
}
PATHS = {
    "text": ("GET", f"{MAIL}/text"),
    "payload": ("GET", f"{MAIL}/payload"),
    "jobs": ("GET", f"{MAIL}/payload"),
    "source": ("GET", f"{MAIL}/html?source=1"),
    "html": ("GET", f"{MAIL}/html"),
    "links": ("GET", f"{MAIL}/links"),
    "parts": ("GET", f"{MAIL}/parts"),
    "wait full": ("GET", f"{NAMESPACE}/wait?timeout=0&fields=full"),
    "Mailpit": ("GET", "/api/v1/message/latest"),
    "Mailpit text": ("GET", "/view/latest.txt"),
    "Mailpit headers": ("GET", "/api/v1/message/latest/headers"),
    "Mailpit list": ("GET", "/api/v1/messages"),
    "MailHog": ("GET", "/api/v2/messages"),
}


@pytest.mark.parametrize(("form", "way"), [(form, way) for form in FORMS for way in FORMS[form].slices])
def test_an_answer_is_made_in_slices(serving: Serve, monkeypatch: pytest.MonkeyPatch, form: str, way: str) -> None:
    monkeypatch.setattr(timeslices, "SLICE_S", 0.0)  # each step takes longer than that, and is a slice
    monkeypatch.setattr(timeslices, "FIRST_S", 0.0)
    slices = 0
    next_slice = timeslices.next_slice

    async def counted() -> float:
        nonlocal slices
        slices += 1
        return await next_slice()

    monkeypatch.setattr(timeslices, "next_slice", counted)

    async def work(call: Client) -> None:
        nonlocal slices
        await call.file_octets(FORMS[form].octets)
        status, _answer = await call(*PATHS[way])
        assert status == 200
        assert slices >= FORMS[form].slices[way]

    serving(work, SMTPSettings(payload="jobs" if way == "jobs" else "smtp"))
