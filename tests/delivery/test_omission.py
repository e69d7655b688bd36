"""What `smtp.payload_omit` leaves out: the JSON is the whole one without these keys, however it is made."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from captures import ENVELOPE, capture_email
from damage import DAMAGE, multipart
from facts import FILES, read
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from fastsmtp.capture.attachments import MemoryStorage
from fastsmtp.capture.email import Email
from fastsmtp.config.file import load
from fastsmtp.config.settings import PayloadGroup
from fastsmtp.delivery.deferred import Stretch, at_once, blocks_of
from fastsmtp.delivery.large import payload_steps
from fastsmtp.delivery.omission import GROUPS, omission
from fastsmtp.delivery.payload import encode_payload
from fastsmtp.server.parts import left_out
from fastsmtp.smtp.envelope import Credentials, Envelope
from fastsmtp.text import timestamp

DOCUMENT = (Path(__file__).parents[2] / "docs" / "payload.md").read_text()
KEYS = {
    "connection": ["connection_uuid", "sequence", "server"],
    "params": ["envelope.mail_params", "envelope.rcpt_params"],
    "digest": ["authentication.digest", "authentication.challenge"],
    "session": ["session"],
    "headers": ["message.headers"],
    "raw_headers": ["message.raw_headers"],
    "fields": ["message.id", "message.subject", "message.date"],
    "addresses": ["message.from", "message.to", "message.cc", "message.bcc", "message.reply_to"],
    "body": ["message.body"],
    "text": ["message.text", "message.html"],
    "size": ["message.size"],
    "defects": ["message.defects", "attachments.defects"],
    "disposition": ["attachments.disposition", "attachments.content_id"],
}
ALONE = list(KEYS)
KEYS["beyond"] = [key for name, keys in KEYS.items() if name not in ("headers", "body") for key in keys]
CHOICES: list[list[str]] = [[name] for name in KEYS]
CHOICES += [[], ALONE, ["text", "body"], ["text", "body", "defects"], ["headers", "fields", "defects", "addresses"]]
NAMES = (
    "uuid", "origin", "received_at", "envelope", "violations", "transcript", "message", "texts", "size", "raw",
    "attachments", "weight", "verdict", "budget", "faults", "copies",
)  # fmt: skip
EXAMPLE = """\
From: =?utf-8?q?Zo=C3=AB?= <zoe@example.com>
To: bob@example.com
Subject: x
Message-ID: <1@x>
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=c

--c

text\xe9
--c
Content-Type: text/html

<p>text
--c--
--b
Content-Type: image/png; name=a.png

x
--b--
"""


def email_of(octets: bytes, **changes: Any) -> Email:
    """A new one for each encoding: what is wrong with texts is noted when they are first looked at."""
    with capture_logs():
        email = capture_email(octets, storage=MemoryStorage(checksum=True), include_raw=True)
    assert email is not None
    changes = {"uuid": "u", "received_at": 1762165845, **changes}
    return Email(**{name: getattr(email, name) for name in NAMES if name not in changes}, **changes)


def without(document: dict[str, Any], groups: Iterable[str]) -> dict[str, Any]:
    for key in (key for name in groups for key in KEYS[name]):
        place, _, inner = key.rpartition(".")
        section = document[place] if place else document
        for one in section if isinstance(section, list) else [section]:
            one.pop(inner, None)
    return document


def check(octets: bytes, *choices: Sequence[str], in_steps: bool = True, **changes: Any) -> None:
    make = functools.partial(email_of, octets, **changes)
    whole = joined(encode_payload(make())[0])
    for groups in choices:
        expected = orjson.dumps(without(orjson.loads(whole), groups))
        assert joined(encode_payload(make(), omit=omission(groups))[0]) == expected
        if in_steps:
            assert joined(at_once(payload_steps(make(), omit=omission(groups)))[0]) == expected


def joined(stretches: Sequence[Stretch]) -> bytes:
    return b"".join(blocks_of(stretches))


def test_the_names_are_those_of_the_setting() -> None:
    assert list(GROUPS) == list(KEYS) == list(get_args(PayloadGroup))
    assert omission(ALONE) == omission([*ALONE, "beyond", "text"]) == 2 ** len(ALONE) - 1


def test_the_groups_are_documented() -> None:
    section = DOCUMENT.partition("## What a worker does not need")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE))
    assert list(rows) == list(KEYS)
    assert {name: re.findall(r"`([\w.]+)`", rows[name]) for name in ALONE} == {name: KEYS[name] for name in ALONE}


@pytest.mark.parametrize("groups", CHOICES, ids="+".join)
def test_each_group(groups: list[str]) -> None:
    octets = EXAMPLE.replace("\n", "\r\n").encode("latin-1")
    values = {field.name: getattr(ENVELOPE, field.name) for field in dataclasses.fields(ENVELOPE)}
    credentials = Credentials("CRAM-MD5", "j", None, "<1@x>", "00")
    check(octets, groups)
    check(octets, groups, raw=None)
    check(octets, groups, violations=[("bare-lf", "x", 3)], transcript=[(0, "client", "x", "")])
    check(octets, groups, envelope=Envelope(**values | {"auth_attempted": True, "credentials": credentials}))


@pytest.mark.parametrize("name", FILES)
def test_corpus(name: str) -> None:
    check(read(name), *CHOICES)


BROKEN = [name for name, (octets, _, _) in DAMAGE.items() if len(octets) < 200_000]


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken(name: str) -> None:
    check(DAMAGE[name][0], ["beyond"], ["text"], ["addresses", "defects"], ALONE)


WORDS = [
    "",
    "a@b.c",
    "=?utf-8?q?x?= <a@b>, ",
    '"=\\?utf-8?q?x?=" <a@b>, ',
    "(=?utf-8?q?c?=) ",
    "=?utf-8?q?" + "a" * 200 + "?= ",
]


@given(
    st.lists(st.tuples(st.sampled_from(["To", "From", "Subject", "X"]), st.sampled_from(WORDS)), max_size=6),
    st.integers(0, 8),
    st.sets(st.sampled_from(list(KEYS))),
)
def test_where_words_are_left_for_some_fields_only(fields: list[tuple[str, str]], left: int, groups: set[str]) -> None:
    octets = "".join(f"{name}: {value}\r\n" for name, value in fields).encode() + b"\r\nx"
    budget = email_of(octets).budget
    budget.words = left
    check(octets, sorted(groups), in_steps=False, budget=budget)


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"--b", b"", b"Content-Type: text/html"]), max_size=30),
       st.sets(st.sampled_from(list(KEYS))))  # fmt: skip
def test_any_octets(pieces: list[bytes], groups: set[str]) -> None:
    check(b"Content-Type: multipart/mixed; boundary=b\r\n" + b"\r\n".join(pieces), sorted(groups))


@pytest.mark.parametrize("groups", [["beyond"], ["text", "raw_headers", "session"], ALONE], ids="+".join)
def test_a_large_mail(groups: list[str]) -> None:
    part = "--b\nContent-Type: text/html\n\n" + "<p>\xe9</p>\n" * 40_000 + "--b\nContent-Type: a/b\n\n" + "x" * 100_000
    fields = "".join(f"X-{number}: {number}\n" for number in range(3000))
    check(multipart(part + "\n--b--\n"), groups)
    check(fields.replace("\n", "\r\n").encode() + b"To: " + b"A <a@b>, " * 5000 + b"c@d\r\n\r\nx", groups)


def test_the_first_specification_is_what_beyond_leaves() -> None:
    octets = EXAMPLE.replace("\n", "\r\n").encode("latin-1")
    context = encode_payload(email_of(octets), include_raw=False, omit=omission(["beyond"]))[0]
    document = orjson.loads(joined(context))
    del document["attachments"][0]["sha256"]  # of attachment_storage.checksum
    assert document == {
        "event": "EMAIL_RECEIVED",
        "uuid": "u",
        "remote_addr": "192.0.2.1:4321",
        "received_at": timestamp(1762165845),
        "envelope": {"from": "s@example.com", "to": ["r@example.com"], "helo": "client.example.com"},
        "authentication": {"attempted": False, "mechanism": None, "username": None, "password": None},
        "message": {
            "headers": {
                "From": "Zoë <zoe@example.com>",
                "To": "bob@example.com",
                "Subject": "x",
                "Message-ID": "<1@x>",
                "Content-Type": "multipart/mixed; boundary=b",
            },
            "body": "texté",
        },
        "attachments": [{"filename": "a.png", "content_type": "image/png", "size": 1, "content": "eA=="}],
    }


def test_the_printer_gets_all() -> None:
    assert left_out(load(None, ["smtp.payload_omit=[text]"])) == 0
    assert left_out(load(None, ["smtp.payload_omit=[text]", "server.command=php x.php"])) == GROUPS["text"]
