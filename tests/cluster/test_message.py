"""Mails as messages of NATS."""

from __future__ import annotations

import pytest
from captures import capture_email

from fastsmtp.capture.email import Email
from fastsmtp.cluster.message import (
    CHUNK_BYTES,
    Death,
    MailHeader,
    NATSMessage,
    Outgoing,
    batch,
    fits,
    header_text,
    outgoing,
    read_death,
    read_header,
    whole,
)
from fastsmtp.cluster.subjects import Subjects
from fastsmtp.delivery.payload import encode_outline

SUBJECTS = Subjects("m.0.default", "c.0.default")
MAX_PAYLOAD = 1024 * 1024


def an_email(message: bytes) -> Email:
    email = capture_email(message, include_raw=True)
    assert email is not None
    return email


def published(message: bytes) -> Outgoing:
    email = an_email(message)
    return outgoing(email, [encode_outline(email)], SUBJECTS, "fe-1", ["default", "other"])


def test_a_small_mail_is_one_message() -> None:
    raw = b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n"
    mail = published(raw)
    message = whole(mail)
    header = read_header(message.headers)
    assert (message.subject, message.headers["Nats-Msg-Id"]) == ("m.0.default", header.uuid)
    assert message.body[header.outline :] == raw
    assert message.body[: header.outline] == mail.body[0]
    assert (header.subject, header.size, header.node, header.namespaces, header.chunks) == (
        "Grüße",
        len(raw),
        "fe-1",
        ["default", "other"],
        0,
    )
    assert fits(mail, MAX_PAYLOAD)
    assert read_death(message.headers) is None


@pytest.mark.parametrize("octets", [CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_a_large_mail_is_a_batch(octets: int) -> None:
    raw = b"Subject: large\r\n\r\n".ljust(octets, b"x")
    mail = published(raw)
    messages = list(batch(mail, "id-1", MAX_PAYLOAD))
    *chunks, last = messages
    header = read_header(last.headers)
    assert not fits(mail, MAX_PAYLOAD)
    assert [message.headers["Nats-Batch-Sequence"] for message in messages] == [
        str(number) for number in range(1, len(messages) + 1)
    ]
    assert {message.headers["Nats-Batch-Id"] for message in messages} == {"id-1"}
    assert [message.headers.get("Nats-Batch-Commit") for message in messages] == [None] * len(chunks) + ["1"]
    assert ({message.subject for message in chunks}, last.subject, last.body) == ({"c.0.default"}, "m.0.default", b"")
    assert header.chunks == len(chunks)
    body = b"".join(message.body for message in chunks)
    assert body[header.outline :] == raw
    assert max(len(message.body) for message in chunks) <= CHUNK_BYTES


def test_a_server_that_takes_less_gets_smaller_messages() -> None:
    mail = published(b"Subject: x\r\n\r\n".ljust(200_000, b"x"))
    *chunks, last = batch(mail, "id-1", 100_000)
    assert [len(chunk.body) < 100_000 for chunk in chunks] == [True] * read_header(last.headers).chunks


def test_a_header_is_ascii_without_encoded_words_and_has_a_limit() -> None:
    mail = published(b"Subject: " + "=?x?= \U0001f600".encode() * 20_000 + b"\r\n\r\n")
    text = whole(mail).headers["Fastsmtp-Mail"]
    assert (text.isascii(), "=" in text, len(text) < 10_000) == (True, False, True)
    assert read_header({"Fastsmtp-Mail": text}).subject == ("=?x?= \U0001f600" * 100)[:200]


@pytest.mark.parametrize("headers", [None, {}, {"Fastsmtp-Mail": "{}"}, {"Fastsmtp-Mail": "x"}, {"Fastsmtp-Mail": []}])
def test_what_is_no_mail(headers: dict[str, object] | None) -> None:
    with pytest.raises((ValueError, IndexError)):
        read_header(headers)


def test_headers_read_by_fast_mail_parser_are_lists() -> None:
    assert [header_text({"A": value}, "A") for value in ("x", ["x"], ["x", "y"])] == ["x", "x", "x"]


def test_a_dead_mail_says_why() -> None:
    mail = published(b"Subject: x\r\n\r\n")
    mail.death = Death("worker-failed", 5, "2026-11-27T18:40:00Z", "FASTSMTP-0", 17)
    message: NATSMessage = whole(mail)
    assert read_death(message.headers) == mail.death
    assert isinstance(read_header(message.headers), MailHeader)
