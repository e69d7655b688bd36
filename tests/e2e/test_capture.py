"""The whole way of a mail: sent by smtplib, taken by a PHP worker, every field compared."""

from __future__ import annotations

import base64
import re
import smtplib
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from servers import Serve

PDF = bytes(range(256)) * 40
CSV = "a;b\r\nß;ü\r\n".encode()


def build_message() -> bytes:
    message = EmailMessage(policy=SMTP.clone(max_line_length=200))
    message["Received"] = "from a by b; Mon, 03 Nov 2025 10:30:44 +0000"
    message["Received"] = "from c by d; Mon, 03 Nov 2025 10:30:43 +0000"
    message["From"] = "Zoë Müller <zoe@example.com>"
    message["To"] = 'Bob <bob@example.com>, "Carol, C." <carol@example.com>'
    message["Cc"] = "dave@example.com"
    message["Reply-To"] = "replies@example.com"
    message["Subject"] = "Grüße aus Köln"
    message["Date"] = "Mon, 03 Nov 2025 10:30:45 +0000"
    message["Message-ID"] = "<abc@example.com>"
    message.set_content("Schöne Grüße,\nZoë\n", cte="quoted-printable")
    message.add_alternative("<p>Schöne Grüße</p>\n", subtype="html", cte="8bit")
    message.add_attachment(PDF, maintype="application", subtype="pdf", filename="Übersicht für März.pdf", cid="<x@y>")
    message.add_attachment(CSV, maintype="text", subtype="csv", filename="data.csv", cte="quoted-printable")
    return message.as_bytes().replace(b"===============", b"boundary-")


EXPECTED: dict[str, Any] = {
    "event": "EMAIL_RECEIVED",
    "sequence": 1,
    "server": "default",
    "envelope": {
        "from": "bounce@example.com",
        "to": ["bob@example.com", "carol@example.com", "hidden@example.com"],
        "helo": "client.example.com",
        "mail_params": {"BODY": "8BITMIME", "RET": "FULL", "ENVID": "e1"},
        "rcpt_params": [{"NOTIFY": "NEVER"}, {}, {}],
    },
    "authentication": {"attempted": True, "mechanism": "PLAIN", "username": "user", "password": "secret"},
    "session": {
        "esmtp": True,
        "tls": None,
        "violations": [{"code": "lower-case-verb", "detail": "ehlo", "count": 6}],  # smtplib
    },
}
MESSAGE: dict[str, Any] = {
    "id": "abc@example.com",
    "subject": "Grüße aus Köln",
    "date": "Mon, 03 Nov 2025 10:30:45 +0000",
    "from": [{"name": "Zoë Müller", "address": "zoe@example.com"}],
    "to": [{"name": "Bob", "address": "bob@example.com"}, {"name": "Carol, C.", "address": "carol@example.com"}],
    "cc": [{"name": "", "address": "dave@example.com"}],
    "bcc": [],
    "reply_to": [{"name": "", "address": "replies@example.com"}],
    "body": "Schöne Grüße,\r\nZoë\r\n",
    "text": "Schöne Grüße,\r\nZoë\r\n",
    "html": "<p>Schöne Grüße</p>\r\n",
    "defects": [],
}
ATTACHMENTS: list[dict[str, Any]] = [
    {
        "filename": "Übersicht für März.pdf",
        "content_type": "application/pdf",
        "size": len(PDF),
        "disposition": "attachment",
        "content_id": "x@y",
        "defects": [],
    },
    {
        "filename": "data.csv",
        "content_type": "text/csv",
        "size": len(CSV),
        "disposition": "attachment",
        "content_id": None,
        "defects": [],
    },
]


def send(host: str, port: int, octets: bytes) -> None:
    with smtplib.SMTP(host, port, "client.example.com") as client:
        client.ehlo()
        client.user, client.password = "user", "secret"
        client.auth("PLAIN", client.auth_plain)
        client.mail("bounce@example.com", ["BODY=8BITMIME", "RET=FULL", "ENVID=e1"])
        client.rcpt("bob@example.com", ["NOTIFY=NEVER"])
        client.rcpt("carol@example.com")
        client.rcpt("hidden@example.com")
        assert client.data(octets) == (250, b"2.0.0 Message accepted")


@pytest.mark.parametrize("mode", ["memory", "tempfile"])
@pytest.mark.parametrize("relay", ["unix", "pipes"])
def test_every_field_of_the_payload_is_right(serve: Serve, tmp_path: Path, mode: str, relay: str) -> None:
    server = serve(
        {
            "server": {"relay": relay},
            "smtp": {
                "include_raw": True,
                "attachment_storage": {"mode": mode, "temp_dir": str(tmp_path / "attachments")},
            },
        }
    )
    octets = build_message()
    send(server.host, server.port, octets)
    [context] = server.records()

    attachments = context.pop("attachments")
    contents = [
        base64.b64decode(item.pop("content"), validate=True)
        if mode == "memory"
        else Path(item.pop("path")).read_bytes()
        for item in attachments
    ]
    assert contents == [PDF, CSV]
    assert attachments == ATTACHMENTS

    message = context.pop("message")
    fields = [line.split(": ", 1) for line in octets.partition(b"\r\n\r\n")[0].decode().split("\r\n")]
    assert message.pop("raw_headers") == fields
    headers = message.pop("headers")
    first_of_each = dict(reversed(fields))
    decoded = {"From": "Zoë Müller <zoe@example.com>", "Subject": "Grüße aus Köln"}
    assert headers == {**first_of_each, **decoded}
    assert list(headers) == list(dict.fromkeys(name for name, _ in fields))
    assert message.pop("raw").encode() == octets
    assert message.pop("raw_encoding") == "utf-8"
    assert message.pop("size") == len(octets)
    assert message == MESSAGE

    uuids = [context.pop("uuid"), context.pop("connection_uuid")]
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", u) for u in uuids)
    assert uuids[0] != uuids[1]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", context.pop("remote_addr"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", context.pop("received_at"))
    assert context == EXPECTED


def test_one_connection_carries_many_emails(serve: Serve) -> None:
    server = serve()
    with smtplib.SMTP(server.host, server.port) as client:
        for number in range(3):
            client.sendmail(f"s{number}@example.com", "r@example.com", f"Subject: {number}\r\n\r\nx\r\n")
    records = server.records()
    assert [(item["sequence"], item["envelope"]["from"], item["message"]["subject"]) for item in records] == [
        (1, "s0@example.com", "0"),
        (2, "s1@example.com", "1"),
        (3, "s2@example.com", "2"),
    ]
    assert len({item["connection_uuid"] for item in records}) == 1
    assert len({item["uuid"] for item in records}) == 3


def test_what_is_not_utf8_comes_raw_in_base64(serve: Serve) -> None:
    server = serve({"smtp": {"include_raw": True}})
    octets = b"Subject: x\r\n\r\n\xff\xfe\0\r\n"
    with smtplib.SMTP(server.host, server.port) as client:
        client.sendmail("s@example.com", "r@example.com", octets)
    [context] = server.records()
    assert context["message"]["raw_encoding"] == "base64"
    assert base64.b64decode(context["message"]["raw"]) == octets
