"""The JSON of an email: every key, odd values, and that docs/payload.md tells all of it."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from captures import ENVELOPE, capture
from damage import crlf, multipart

from fastsmtp.capture.attachments import MemoryStorage, TempfileStorage
from fastsmtp.capture.email import Attachment, Attachments, Email, Origin
from fastsmtp.capture.texts import Texts
from fastsmtp.delivery.payload import encode_context, encode_payload
from fastsmtp.mime.defects import MEANINGS
from fastsmtp.mime.entity import read_entity
from fastsmtp.smtp.envelope import Credentials, TLSInfo
from fastsmtp.smtp.proxied import Proxied
from fastsmtp.smtp.proxyheader import ProxyHeader

DOCUMENT = (Path(__file__).parents[2] / "docs" / "payload.md").read_text()


def message_of(header: str) -> dict[str, Any]:
    context = capture(crlf(header + "\n\n"))
    assert context is not None
    message: dict[str, Any] = context["message"]
    return message


def email_of(attachments: Sequence[Attachment] = (), **changes: Any) -> Email:
    fields: dict[str, Any] = {
        "uuid": "u",
        "origin": Origin("c", "[::1]:1", "default", 1),
        "received_at": 1762165845,
        "envelope": ENVELOPE,
        "violations": (),
        "transcript": None,
        "message": read_entity(b"\r\n", "", None)[0],
        "texts": Texts([], []),
        "size": 2,
        "raw": None,
        "attachments": Attachments(list(attachments), MemoryStorage()),
    }
    return Email(**{**fields, **changes})


def encoded(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(b"".join(encode_context(email_of(**changes))))
    return document


def test_an_empty_message_has_every_key() -> None:
    assert encoded() == {
        "event": "EMAIL_RECEIVED",
        "uuid": "u",
        "connection_uuid": "c",
        "sequence": 1,
        "remote_addr": "[::1]:1",
        "received_at": "2025-11-03T10:30:45Z",
        "server": "default",
        "envelope": {
            "from": "s@example.com",
            "to": ["r@example.com"],
            "helo": "client.example.com",
            "mail_params": {},
            "rcpt_params": [{}],
        },
        "authentication": {"attempted": False, "mechanism": None, "username": None, "password": None},
        "session": {"esmtp": True, "tls": None, "violations": []},
        "message": {
            "headers": {},
            "raw_headers": [],
            "id": None,
            "subject": None,
            "date": None,
            "from": [],
            "to": [],
            "cc": [],
            "bcc": [],
            "reply_to": [],
            "body": "",
            "text": None,
            "html": None,
            "size": 2,
            "defects": [],
        },
        "attachments": [],
    }


def test_all_of_it_is_context() -> None:
    assert encode_payload(email_of()) == (encode_context(email_of()), [])


AUTHENTICATION_WITH_CHALLENGE = {
    "attempted": True,
    "mechanism": "CRAM-MD5",
    "username": "u",
    "password": None,
    "digest": "d",
    "challenge": "<1@x>",
}
AUTHENTICATION: dict[str, tuple[Credentials | None, dict[str, Any]]] = {
    "failed": (None, {"attempted": True, "mechanism": None, "username": None, "password": None}),
    "password": (
        Credentials("PLAIN", "u", "p"),
        {"attempted": True, "mechanism": "PLAIN", "username": "u", "password": "p"},
    ),
    "token alone": (
        Credentials("XOAUTH2", None, "t"),
        {"attempted": True, "mechanism": "XOAUTH2", "username": None, "password": "t"},
    ),
    "challenge": (Credentials("CRAM-MD5", "u", None, "<1@x>", "d"), AUTHENTICATION_WITH_CHALLENGE),
}


@pytest.mark.parametrize("name", AUTHENTICATION)
def test_authentication(name: str) -> None:
    credentials, expected = AUTHENTICATION[name]
    envelope = dataclasses.replace(ENVELOPE, auth_attempted=True, credentials=credentials)
    assert encoded(envelope=envelope)["authentication"] == expected


def test_session() -> None:
    envelope = dataclasses.replace(ENVELOPE, esmtp=False, tls=TLSInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
    assert encoded(envelope=envelope, violations=[("bare-lf", "x", 3)])["session"] == {
        "esmtp": False,
        "tls": {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"},
        "violations": [{"code": "bare-lf", "detail": "x", "count": 3}],
    }


HEADER = ProxyHeader(2, "203.0.113.7:4711", None, {"authority": "mx.test"})
PROXY = {
    "remote_addr": "[::1]:2",
    "believed": True,
    "header": {"version": 2, "source": "203.0.113.7:4711", "destination": None, "fields": {"authority": "mx.test"}},
    "xclient": {"NAME": "ü"},
    "xforward": None,
}


def test_session_behind_a_proxy() -> None:
    envelope = dataclasses.replace(ENVELOPE, proxied=Proxied("[::1]:2", True, HEADER, {"NAME": "ü"}))
    assert encoded(envelope=envelope)["session"] == {"esmtp": True, "tls": None, "violations": [], "proxy": PROXY}
    forwarded = dataclasses.replace(ENVELOPE, proxied=Proxied("[::1]:2", False, xforward={"IDENT": "Q"}))
    assert encoded(envelope=forwarded)["session"]["proxy"] == {
        "remote_addr": "[::1]:2",
        "believed": False,
        "header": None,
        "xclient": None,
        "xforward": {"IDENT": "Q"},
    }


def test_parameters_without_value_are_null() -> None:
    envelope = dataclasses.replace(ENVELOPE, mail_parameters={"SMTPUTF8": None}, rcpt_parameters=({"X": "1"},))
    assert encoded(envelope=envelope)["envelope"] == {
        "from": "s@example.com",
        "to": ["r@example.com"],
        "helo": "client.example.com",
        "mail_params": {"SMTPUTF8": None},
        "rcpt_params": [{"X": "1"}],
    }


def test_the_first_field_of_each_name_counts_and_none_is_lost() -> None:
    message = message_of("received: a\nSUBJECT: one\nReceived: b\nsubject: two\nx-my-field: =?utf-8?q?=C3=BC?=")
    assert message["headers"] == {"Received": "a", "Subject": "one", "X-My-Field": "ü"}
    assert message["raw_headers"] == [
        ["received", "a"],
        ["SUBJECT", "one"],
        ["Received", "b"],
        ["subject", "two"],
        ["x-my-field", "=?utf-8?q?=C3=BC?="],
    ]
    assert message["subject"] == "one"


def test_addresses_of_all_fields_of_a_name_are_one_list() -> None:
    message = message_of("To: a@x\nTo: Group: b@x, C <c@x>;\nReply-To: d@x\nBcc: e@x\nCc:\nFrom: root")
    assert {key: message[key] for key in ("from", "to", "cc", "bcc", "reply_to")} == {
        "from": [{"name": "", "address": "root"}],
        "to": [{"name": "", "address": "a@x"}, {"name": "", "address": "b@x"}, {"name": "C", "address": "c@x"}],
        "cc": [],
        "bcc": [{"name": "", "address": "e@x"}],
        "reply_to": [{"name": "", "address": "d@x"}],
    }


@pytest.mark.parametrize(("sent", "read"), [("<a@b>", "a@b"), ("a@b", "a@b"), ("", None), (" <a b> ", "a b")])
def test_message_id(sent: str, read: str | None) -> None:
    assert message_of(f"Message-ID: {sent}")["id"] == read


def test_the_date_stays_as_sent() -> None:
    message = message_of("Date: =?utf-8?q?x?=")
    assert (message["date"], message["headers"]["Date"]) == ("=?utf-8?q?x?=", "x")


RAW: dict[str, tuple[bytes, str, str]] = {
    "ASCII": (b"a\r\n", "a\r\n", "utf-8"),
    "UTF-8": ("ü\r\n".encode(), "ü\r\n", "utf-8"),
    "NUL and controls": (b"\0\x1b\x7f\r", "\0\x1b\x7f\r", "utf-8"),
    "byte order mark": (b"\xef\xbb\xbfa", "\ufeffa", "utf-8"),
    "Latin-1": (b"\xfc", "/A==", "base64"),
    "surrogate": (b"\xed\xa0\x80", "7aCA", "base64"),
    "empty": (b"", "", "utf-8"),
}


@pytest.mark.parametrize("name", RAW)
def test_raw(name: str) -> None:
    octets, raw, encoding = RAW[name]
    message = encoded(raw=bytearray(octets))["message"]
    assert (message["raw"], message["raw_encoding"]) == (raw, encoding)


DISPOSITIONS = {
    "none": ("", "attachment"),
    "none but a Content-ID": ("Content-ID: <x>\n", "inline"),
    "inline": ("Content-Disposition: INLINE\n", "inline"),
    "attachment with Content-ID": ("Content-ID: <x>\nContent-Disposition: attachment\n", "attachment"),
    "unknown": ("Content-Disposition: x-token\n", "x-token"),
    "empty": ("Content-Disposition:\n", ""),
}


@pytest.mark.parametrize("name", DISPOSITIONS)
def test_disposition(name: str) -> None:
    header, disposition = DISPOSITIONS[name]
    context = capture(crlf(f"Content-Type: image/png\n{header}\nx\n"))
    assert context is not None
    assert context["attachments"][0]["disposition"] == disposition


@pytest.mark.parametrize("sizes", [[0], [1, 2], [32 * 1024], [32 * 1024 + 1], [10, 100_000, 10], [100_000, 100_000]])
def test_large_contents_are_segments_of_their_own(sizes: list[int]) -> None:
    entity = read_entity(b"Content-Type: image/png\r\n\r\n", "1", None)[0]
    contents = [b'"' + b"A" * (size - 2) + b'"' if size >= 2 else b'""' for size in sizes]
    attachments = [Attachment(entity, 0, content, None, None, []) for content in contents]
    segments = encode_context(email_of(attachments=attachments))
    document = json.loads(b"".join(segments))
    assert [item["content"] for item in document["attachments"]] == [content[1:-1].decode() for content in contents]
    large = [content for content in contents if len(content) > 32 * 1024]
    assert [segment for segment in segments if any(segment is content for content in large)] == large


@pytest.mark.parametrize("mode", ["memory", "tempfile"])
@pytest.mark.parametrize("checksum", [False, True], ids=["plain", "checksum"])
def test_keys_of_an_attachment(tmp_path: Path, mode: str, checksum: bool) -> None:
    in_memory = mode == "memory"
    tempfiles = TempfileStorage(str(tmp_path), 0, checksum=checksum)
    storage = MemoryStorage(checksum=checksum) if in_memory else tempfiles
    context = capture(multipart("--b\nContent-Type: image/png\n\nx\n--b--\n"), storage=storage)
    tempfiles.close()
    assert context is not None
    [attachment] = context["attachments"]
    assert list(attachment) == [
        *("filename", "content_type", "size", "disposition", "content_id", "defects"),
        *([] if in_memory else ["path"]),
        *(["sha256"] if checksum else []),
        *(["content"] if in_memory else []),
    ]


# docs/payload.md


def names(context: dict[str, Any]) -> set[str]:
    """Dotted names of the keys of a context and of the sections in it."""
    sections: dict[str, Any] = {key: value for key, value in context.items() if isinstance(value, dict)}
    [sections["attachments[]"]] = context["attachments"]
    return {
        *(context.keys() - {"attachments"}),
        *sections,
        *(f"{section}.{key}" for section, value in sections.items() for key in value),
    }


def test_every_key_is_documented(tmp_path: Path) -> None:
    octets = multipart("--b\nContent-Type: image/png\n\nx\n--b--\n")
    keys = {f"session.{key}" for key in encoded(transcript=[(0, "S", "220 x", "")])["session"]}
    keys |= {"session.proxy", *(f"session.proxy.{key}" for key in PROXY)}
    keys |= {f"authentication.{key}" for key in AUTHENTICATION_WITH_CHALLENGE}
    tempfiles = TempfileStorage(str(tmp_path), 0)
    for storage in (MemoryStorage(checksum=True), tempfiles):
        context = capture(octets, storage=storage, include_raw=True)
        assert context is not None
        keys |= names(context)
    tempfiles.close()
    told = set()
    fields = DOCUMENT.partition("## Fields")[2].partition("\n## ")[0]
    for names_of_row in re.findall(r"^\| (\W*`.*?) \| ", fields, re.MULTILINE):
        first, *more = re.findall(r"`([^`]+)`", names_of_row)
        told |= {first, *(first.rpartition(".")[0] + name for name in more)}
    assert told == keys


def test_every_defect_is_documented() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", DOCUMENT.partition("## Defects")[2], re.MULTILINE)
    assert dict(rows) == MEANINGS
    assert [name for name, _ in rows] == sorted(MEANINGS)


def test_the_content_of_the_example_is_what_its_size_says() -> None:
    in_memory, on_disk = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL))
    sizes = [item["size"] for item in in_memory["attachments"]]
    assert [len(base64.b64decode(item["content"], validate=True)) for item in in_memory["attachments"]] == sizes
    assert [item["size"] for item in on_disk["attachments"]] == sizes
