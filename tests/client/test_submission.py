"""A message handed in for sending: its envelope, and what it lacks."""

from __future__ import annotations

import re

import pytest

from fastsmtp.client.submission import (
    FROM,
    RETURN_PATH,
    SENDER,
    Added,
    Submission,
    forward_paths,
    named,
    reverse_path,
    up_to_dot,
)

NOTHING = Added(date=False)
BAD = "is no address"


@pytest.mark.parametrize(
    ("header", "recipients"),
    [
        ("To: a@b.c\n", ["a@b.c"]),
        ("Bcc: x@y.z\nCC: C <c@d.e>\nTo: a@b.c,\n\tB <b@b.c>\nCc: a@b.c\n", ["a@b.c", "b@b.c", "c@d.e", "x@y.z"]),
        ("To: friends: a@b.c, =?utf-8?q?J=C3=BC?= <j@b.c>;\n", ["a@b.c", "j@b.c"]),
        ("To: undisclosed-recipients:;\n", []),
        ("To: root, postmaster\n", ["root", "postmaster"]),
        ("To: a@b.c\nResent-To: x@y.z\nResent-Bcc: q@r.s\nBcc: b@b.c\n", ["x@y.z", "q@r.s"]),
        ("To: a\x01@b.c, jü@b.c\n", ["jü@b.c"]),
        ("Subject: none\n", []),
        ("", []),
    ],
    ids=["one", "all", "group", "undisclosed", "local", "resent", "unprintable", "none", "no header"],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_recipients(header: str, recipients: list[str], ending: str) -> None:
    octets = f"{header}\nTo: body@b.c\n".replace("\n", ending).encode()
    assert Submission(octets).recipients() == recipients


@pytest.mark.parametrize(
    ("header", "sender"),
    [
        ("Return-Path: <bounce@b.c>\nSender: s@b.c\nFrom: a@b.c\n", "bounce@b.c"),
        ("Return-Path: < >\nFrom: a@b.c\n", ""),
        ("From: A <a@b.c>, b@b.c\nSender: S <s@b.c>\n", "s@b.c"),
        ("From: A <a@b.c>, b@b.c\n", "a@b.c"),
        ("Sender:\nFrom: a@b.c\n", "a@b.c"),
        ("Subject: none\n", None),
    ],
    ids=["return path", "null", "sender", "from", "empty", "none"],
)
def test_sender(header: str, sender: str | None) -> None:
    assert Submission(f"{header}\nx\n".encode()).sender((RETURN_PATH, SENDER, FROM)) == sender


def test_the_sender_is_that_of_from_unless_other_fields_are_asked_for() -> None:
    assert Submission(b"Return-Path: <x@y.z>\nFrom: a@b.c\n\n").sender() == "a@b.c"


@pytest.mark.parametrize(
    ("octets", "sent"),
    [
        (b"To: a@b.c\n\nbody\n", b"To: a@b.c\n\nbody\n"),
        (b"To: a@b.c\r\n\r\nbody\r\n\r\n", b"To: a@b.c\r\n\nbody\r\n\r\n"),
        (b"To: a@b.c\nBcc: x@y.z,\n q@r.s\nbCC : y@z\nX: 1\n\nBcc: body\n", b"To: a@b.c\nX: 1\n\nBcc: body\n"),
        (b"Resent-Bcc: x@y.z\nTo: a@b.c\n\n", b"To: a@b.c\n\n"),
        (b"Bcc: x@y.z\n\nbody", b"\nbody"),
        (b"From me@host Mon Jan  5 10:30:45 2026\nTo: a@b.c\n\nbody\n", b"To: a@b.c\n\nbody\n"),
        (b"To: a@b.c", b"To: a@b.c\n\n"),
        (b"To: a@b.c\nno field\nX: 1\n\nbody\n", b"To: a@b.c\nno field\nX: 1\n\nbody\n"),
        (b"To: a@b.c\nno field\nand text\n", b"To: a@b.c\n\nno field\nand text\n"),
        (b"just text\nand more\n", b"\njust text\nand more\n"),
        (b"\nbody\n", b"\nbody\n"),
        (b"", b"\n"),
    ],
    ids=[
        "as it is", "CRLF", "Bcc", "Resent-Bcc", "Bcc alone", "mbox", "header alone", "stray line", "broken off",
        "no header", "empty header", "nothing",
    ],
)  # fmt: skip
def test_what_is_sent(octets: bytes, sent: bytes) -> None:
    assert Submission(octets).completed(NOTHING) == sent


def test_bcc_may_stay() -> None:
    octets = b"Bcc: x@y.z\n\nbody\n"
    assert Submission(octets).completed(NOTHING._replace(blind=True)) == octets


def test_fields_that_are_missing_are_added() -> None:
    sent = Submission(b"just text\n").completed(Added("Me <me@host>", date=True, message_id="host"))
    date = rb"\w{3}, [ \d]\d \w{3} \d{4} [\d:]{8} [+-]\d{4}"
    assert re.fullmatch(rb"From: Me <me@host>\nDate: " + date + rb"\nMessage-ID: <[^>@]+@host>\n\njust text\n", sent)


def test_fields_that_are_there_are_not() -> None:
    octets = b"FROM: a@b.c\nDate: x\nmessage-id: y\n\n"
    assert Submission(octets).completed(Added("Me <me@host>", date=True, message_id="host")) == octets


@pytest.mark.parametrize(
    ("octets", "left"),
    [
        (b"a\n.\nb\n", b"a\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n"),
        (b".\na\n", b""),
        (b"a\n..\n.b\n . \n", b"a\n..\n.b\n . \n"),
        (b"a\n.", b"a\n"),
    ],
    ids=["LF", "CRLF", "first", "none", "last"],
)
def test_a_dot_may_be_the_end(octets: bytes, left: bytes) -> None:
    assert up_to_dot(octets) == left


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("a@b.c", ["a@b.c"]),
        ("<a@b.c>", ["a@b.c"]),
        ("Ada <a@b.c>", ["a@b.c"]),
        ("root", ["root@host"]),
        (" a@b.c, root ,", ["a@b.c", "root@host"]),
        ('"Doe, J." <j@b.c>, "a b"@x', ["j@b.c", '"a b"@x']),
        ("jürgen@b.c", ["jürgen@b.c"]),
    ],
)
def test_addresses_of_arguments(text: str, paths: list[str]) -> None:
    assert forward_paths(text, "host") == paths


@pytest.mark.parametrize("text", ["", "<>", ",", "a b", "a@b.c d@e.f", "a@b.c\r\nDATA", "a\x00@b.c", "x:;"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=BAD):
        forward_paths(text, "host")


@pytest.mark.parametrize(("text", "path"), [("", ""), ("<>", ""), ("a@b.c", "a@b.c"), ("root", "root@host")])
def test_who_it_is_from(text: str, path: str) -> None:
    assert reverse_path(text, "host") == path


@pytest.mark.parametrize("text", ["a@b.c, d@e.f", "a b"])
def test_who_it_cannot_be_from(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        reverse_path(text, "host")


@pytest.mark.parametrize(
    ("address", "name", "text"),
    [
        ("root@host", "", "root@host"),
        ("root@host", "CronDaemon", "CronDaemon <root@host>"),
        ("a@b", "Doe, J.", '"Doe, J." <a@b>'),
        ("a@b", "Jürgen", "=?utf-8?q?J=C3=BCrgen?= <a@b>"),
        ("a@b", "x\ny", "<a@b>"),
    ],
)
def test_from(address: str, name: str, text: str) -> None:
    assert named(address, name) == text
