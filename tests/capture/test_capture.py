"""One email from its first octet to the verdict: damage, random trees, failures on the way, and what is left behind."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import random
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
import structlog
from captures import ENVELOPE, ORIGIN, capture, capture_email, feed
from damage import DAMAGE, multipart
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from fastsmtp.capture.attachments import MemoryStorage, Sink, Storage, TempfileStorage
from fastsmtp.capture.capture import Capture, Services
from fastsmtp.mime import defects
from fastsmtp.mime.entity import Entity
from fastsmtp.smtp.violations import MESSAGE_WITHOUT_HEADER, UNPARSABLE_MESSAGE

EXAMPLES = settings.default.max_examples

TWO_FILES = multipart(
    "--b\nContent-Type: image/png\n\n" + "x" * 2000 + "\n--b\nContent-Type: image/png\n\n" + "y" * 2000 + "\n--b--\n"
)


def settled(context: dict[str, Any] | None) -> dict[str, Any]:
    """A context without what no two emails have in common."""
    return {**context, "uuid": "", "received_at": ""}


def begin(storage: Storage, **envelope: Any) -> Capture:
    return Capture(Services(storage, False, structlog.get_logger()), ORIGIN, dataclasses.replace(ENVELOPE, **envelope))


# Damage


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_and_never_stops_a_capture(name: str) -> None:
    octets, of_message, of_attachments = DAMAGE[name]
    context = capture(octets, include_raw=True)
    assert context["message"]["defects"] == of_message
    assert [item["defects"] for item in context["attachments"]] == of_attachments
    raw = context["message"]["raw"].encode()
    assert (raw if context["message"]["raw_encoding"] == "utf-8" else base64.b64decode(raw)) == octets
    assert context["message"]["size"] == len(octets)
    # In pieces of 997: 1000 and its divisors fall together with too many lengths here.
    assert settled(capture(octets, 997, include_raw=True)) == settled(context)


def test_every_defect_has_an_example() -> None:
    seen = {defect for _, found, others in DAMAGE.values() for defects_of in (found, *others) for defect in defects_of}
    assert sorted(defects.MEANINGS.keys() - seen) == []


def test_the_violations_that_only_the_message_shows(tempfiles: TempfileStorage) -> None:
    seen = {}
    mark = b"\xef\xbb\xbf"
    for octets in (
        b"",
        b"\r\ntext\r\n",
        b"no field\r\n",
        b"Subject: x\r\nno field\r\n",
        mark + b"Subject: x\r\n",
        b"Subject: x\r\n\r\nno field",
    ):
        under_test = begin(tempfiles)
        feed(under_test, bytearray(8) + octets, 8)
        seen[octets] = under_test.close()
    assert list(seen.values()) == [
        (MESSAGE_WITHOUT_HEADER,),
        (MESSAGE_WITHOUT_HEADER,),
        (MESSAGE_WITHOUT_HEADER,),
        (UNPARSABLE_MESSAGE,),
        (UNPARSABLE_MESSAGE,),
        (),
    ]


@given(
    st.lists(
        st.sampled_from(
            [b"--b", b"--b--", b"\r\n", b"\n", b"\r", b": ", b";", b'"', b"=?utf-8?q?=FF?=", b"=?utf-7?q?+2AA-?="]
        )
        | st.sampled_from([b"Content-Type: ", b"multipart/mixed; boundary=b", b"text/html", b"message/rfc822", b"x/y"])
        | st.sampled_from(
            [b"; charset=", b"utf-7", b"utf-16", b"hz", b"x", b"; name*0*=utf-8''%ff", b"+2AA-", b"\xd8\0"]
        )
        | st.sampled_from(
            [b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"uuencode", b"=3", b"begin 644"]
        )
        | st.sampled_from([b"Subject: ", b"From: ", b"To: ", b"Content-Disposition: attachment", b"Content-ID: <"])
        | st.binary(max_size=4),
        max_size=40,
    ).map(b"".join),
    st.integers(1, 50),
)
@settings(max_examples=3 * EXAMPLES)
def test_whatever_the_octets_there_is_a_payload(octets: bytes, piece: int) -> None:
    with capture_logs():
        context = capture(octets, include_raw=True)
        assert settled(capture(octets, piece, include_raw=True)) == settled(context)


# A second opinion: trees built by the standard library


ENCODINGS = ["base64", "quoted-printable", "8bit", "7bit"]


def random_message(seed: int) -> tuple[bytes, list[tuple[str, str, str | None, bytes]], str]:
    """A random tree of parts; name, type, Content-ID and octets of its attachments, and its text, in order."""
    source = random.Random(seed)
    attachments: list[tuple[str, str, str | None, bytes]] = []
    texts: list[str] = []

    def attachment() -> EmailMessage:
        part = EmailMessage(policy=SMTP)
        encoding = source.choice(ENCODINGS)
        length = source.choice([0, 1, 2, 3, 56, 57, 58, 1000, 6000])
        if encoding == "base64":
            octets = source.randbytes(length)
            part.set_content(octets, maintype="application", subtype="x-random", cte="base64")
        else:
            # Lines, for in these encodings the line break before a delimiter is not the part's.
            alphabet = "abc =.-_?é€\t" if encoding != "7bit" else "abc =.-_?\t"
            lines = ["".join(source.choices(alphabet, k=source.randrange(70))) for _ in range(length // 50)]
            text = "\r\n".join([*lines, "x"])
            octets = text.encode()
            part.set_content(text.replace("\r\n", "\n"), subtype="x-random", charset="utf-8", cte=encoding)
            octets += b"\r\n"  # set_content() ends the last line
        name = source.choice(["a.bin", "Übersicht für März.pdf", "a b;c.txt", '"quoted".txt', "x" * 150 + ".txt"])
        part["Content-Disposition"] = "attachment"
        part.set_param("filename", name, header="Content-Disposition", charset="utf-8")
        content_id = source.choice([None, "cid@example.com"])
        if content_id:
            part["Content-ID"] = f"<{content_id}>"
        attachments.append((name, part.get_content_type(), content_id, octets))
        return part

    def text() -> EmailMessage:
        part = EmailMessage(policy=SMTP)
        content = "\n".join(source.choices(["Schöne Grüße", "", "plain", ".", "--", "=41"], k=source.randint(1, 5)))
        part.set_content(content, cte=source.choice(["base64", "quoted-printable", "8bit"]))
        texts.append(content.replace("\n", "\r\n") + "\r\n")
        return part

    def tree(depth: int) -> EmailMessage:
        if depth == 0 or source.random() < 0.3:
            return text() if source.random() < 0.3 else attachment()
        part = EmailMessage(policy=SMTP)
        part.make_mixed()
        for _ in range(source.randint(1, 4)):
            part.attach(tree(depth - 1))
        return part

    message = tree(source.randint(0, 4))
    message["Subject"] = "x"
    return message.as_bytes(), attachments, "".join(texts)


def without_last_line_end(octets: bytes) -> bytes:
    """The line break before a delimiter belongs to the delimiter: whether a part ends in one is a matter of taste."""
    return octets.removesuffix(b"\n").removesuffix(b"\r")


def filled_lines(text: str) -> list[str]:
    return [line for line in text.split("\r\n") if line]


@given(st.integers(0, 10**9), st.integers(1, 3000))
@settings(max_examples=min(60, EXAMPLES))
def test_every_leaf_of_a_random_tree_comes_back(seed: int, piece: int) -> None:
    octets, wanted, text = random_message(seed)
    with capture_logs():
        in_memory = capture(octets, piece, storage=MemoryStorage(checksum=True), include_raw=True)
    assert in_memory is not None
    assert in_memory["message"]["raw"].encode() == octets
    assert in_memory["message"]["defects"] == []
    # Where two texts meet there may be one line break more or less, as with attachments below.
    assert filled_lines(in_memory["message"]["text"] or "") == filled_lines(text)
    for got, (name, media_type, content_id, content) in zip(in_memory["attachments"], wanted, strict=True):
        decoded = base64.b64decode(got["content"], validate=True)
        assert without_last_line_end(decoded) == without_last_line_end(content)
        assert {**got, "content": ""} == {
            "filename": name,
            "content_type": media_type,
            "size": len(decoded),
            "disposition": "attachment",
            "content_id": content_id,
            "defects": [],
            "sha256": hashlib.sha256(decoded).hexdigest(),
            "content": "",
        }


@pytest.mark.parametrize("seed", range(20))
def test_both_storages_agree_on_a_random_tree(tempfiles: TempfileStorage, seed: int) -> None:
    octets, _, _ = random_message(seed)
    in_memory = settled(capture(octets, 1000))
    on_disk = settled(capture(octets, 1000, storage=tempfiles))
    for item in on_disk["attachments"]:
        item["content"] = base64.b64encode(Path(item.pop("path")).read_bytes()).decode()
    assert on_disk == in_memory


# Bodies and attachments


TEXTS: dict[str, tuple[str, str | None, str | None, str]] = {
    "one": ("--b\n\none\n--b--\n", "one", None, "one"),
    "two, each on a line of its own": ("--b\n\none\n--b\n\ntwo\n--b--\n", "one\r\ntwo", None, "one\r\ntwo"),
    "html only": ("--b\nContent-Type: text/html\n\n<p>\n--b--\n", None, "<p>", "<p>"),
    # RFC 8621 4.1.4: outside of multipart/alternative the HTML view has the texts, too.
    "html with a footer in text": (
        '--b\nContent-Type: text/html\n\n<p>\n--b\n\n1 < 2 & "3"\n--b--\n',
        '1 < 2 & "3"',
        '<p>\r\n<pre>1 &lt; 2 &amp; "3"</pre>',
        '<p>\r\n<pre>1 &lt; 2 &amp; "3"</pre>',
    ),
    "text with a footer in html": (
        "--b\n\none\n--b\nContent-Type: text/html\n\n<p>\n--b--\n",
        "one",
        "<pre>one</pre>\r\n<p>",
        "one",
    ),
    "empty text before html": (
        "--b\n\n\n--b\nContent-Type: text/html\n\n<p>\n--b--\n",
        "",
        "<p>",
        "<p>",
    ),
    "alternatives with a footer": (
        "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n"
        "--c\nContent-Type: text/html\n\n<p>\n--c--\n--b\n\n-- \n--b--\n",
        "one\r\n-- ",
        "<p>\r\n<pre>-- </pre>",
        "one\r\n-- ",
    ),
    "both": (
        "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: text/html\n\n<p>\n"
        "--c\n\none\n--c--\n--b--\n",
        "one",
        "<p>",
        "one",
    ),
    "an empty one": ("--b\n\n\n--b\n\ntwo\n--b--\n", "two", None, "two"),
    "none": ("--b\nContent-Type: image/png\n\nx\n--b--\n", None, None, ""),
    "flowed stays as sent": (
        "--b\nContent-Type: text/plain; format=flowed\n\na \nb\n--b--\n",
        "a \r\nb",
        None,
        "a \r\nb",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_bodies(name: str) -> None:
    body, text, html, shown = TEXTS[name]
    context = capture(multipart(body))
    message = context["message"]
    assert (message["text"], message["html"], message["body"]) == (text, html, shown)


def test_a_message_inside_a_message_is_one_attachment_as_it_is() -> None:
    inner = b"Subject: inner\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\none\r\n--c--\r\n"
    octets = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    context = capture(octets + inner + b"\r\n--b--\r\n")
    [attachment] = context["attachments"]
    assert attachment == {
        "filename": "part-1.eml",
        "content_type": "message/rfc822",
        "size": len(inner),
        "disposition": "attachment",
        "content_id": None,
        "defects": [],
        "content": base64.b64encode(inner).decode(),
    }


ROOTS: dict[str, tuple[str, str | None, list[tuple[str, str]]]] = {
    "the first part": ("--b\nContent-ID: <r>\n\none\n--b\n\ntwo\n--b--\n", "one", [("part-2.txt", "two")]),
    "the second part": ("--b\n\none\n--b\nContent-ID: <r>\n\ntwo\n--b--\n", "two", [("part-1.txt", "one")]),
    "between attachments": (
        "--b\nContent-Type: image/gif\n\nG\n--b\n\none\n--b\nContent-Type: image/png\n\nP\n"
        "--b\nContent-ID: <r>\n\ntwo\n--b--\n",
        "two",
        [("part-1.gif", "G"), ("part-2.txt", "one"), ("part-3.png", "P")],
    ),
    "no part": ("--b\n\none\n--b\n\ntwo\n--b--\n", "one", [("part-2.txt", "two")]),
    "a multipart": (
        "--b\nContent-Transfer-Encoding: base64\n\nb25l\n"
        "--b\nContent-ID: <r>\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\ntwo\n--c--\n--b--\n",
        "two",
        [("part-1.txt", "one")],
    ),
    "beside a multipart": (
        "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--c\nContent-Type: image/gif\n\nG\n"
        "--c\n\nthree\n--c--\n--b\nContent-ID: <r>\n\ntwo\n--b--\n",
        "two",
        [("part-1.1.txt", "one"), ("part-1.2.gif", "G"), ("part-1.3.txt", "three")],
    ),
}


@pytest.mark.parametrize("name", ROOTS)
def test_the_root_of_related_is_the_body(tempfiles: TempfileStorage, directory: Path, name: str) -> None:
    body, text, attachments = ROOTS[name]
    octets = multipart(body, 'b; start="<r>"').replace(
        b"multipart/mixed; boundary=b;", b"multipart/related; boundary=b;"
    )
    in_memory = capture(octets)
    assert in_memory["message"]["text"] == text
    got = [(item["filename"], base64.b64decode(item["content"]).decode()) for item in in_memory["attachments"]]
    assert got == attachments
    on_disk = capture(octets, 7, storage=tempfiles)
    assert [(item["filename"], Path(item["path"]).read_text()) for item in on_disk["attachments"]] == attachments
    assert len(list(directory.iterdir())) == len(attachments)


# Storage, verdicts, and what is left behind


def test_files_of_an_email_are_named_in_its_payload(tempfiles: TempfileStorage, directory: Path) -> None:
    context = capture(TWO_FILES, storage=tempfiles)
    paths = [item["path"] for item in context["attachments"]]
    assert paths == [str(directory / f"smtp-att-{context['uuid']}-{place}.png") for place in (1, 2)]
    assert [Path(path).read_bytes() for path in paths] == [b"x" * 2000, b"y" * 2000]


@pytest.mark.parametrize("length", range(0, len(TWO_FILES), 331))
def test_a_broken_off_email_leaves_nothing(tempfiles: TempfileStorage, directory: Path, length: int) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    under_test = begin(tempfiles)
    feed(under_test, bytearray(8) + TWO_FILES[:length], 8)
    under_test.abort()
    assert (list(directory.iterdir()), under_test.held) == ([], 0)
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_an_email_broken_off_at_its_end_leaves_nothing(tempfiles: TempfileStorage, directory: Path) -> None:
    under_test = begin(tempfiles)
    feed(under_test, bytearray(8) + TWO_FILES, 8)
    under_test.close()
    under_test.abort()  # strict mode refused it
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("piece", [0, 100])
def test_an_email_that_cannot_be_stored_leaves_nothing(
    tempfiles: TempfileStorage, directory: Path, full_disk: pytest.MonkeyPatch, piece: int
) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    with capture_logs() as logs:
        assert capture_email(TWO_FILES, piece, storage=tempfiles) is None
    assert [(item["log_level"], item["event"], item["error"]) for item in logs] == [
        ("error", "mail could not be stored", "No space left on device")
    ]
    assert list(directory.iterdir()) == []
    assert sorted(os.listdir("/proc/self/fd")) == before
    full_disk.undo()
    assert capture_email(TWO_FILES, piece, storage=tempfiles) is not None


def test_a_directory_that_cannot_be_made_again_is_a_refusal(tempfiles: TempfileStorage, directory: Path) -> None:
    directory.rmdir()
    directory.touch()
    assert capture_email(TWO_FILES, storage=tempfiles) is None
    directory.unlink()
    assert capture_email(TWO_FILES, storage=tempfiles) is not None


class BrokenStorage(MemoryStorage):
    """A fault of ours."""

    def open(self, uuid: str, place: int, entity: Entity, found: list[str], size_hint: int) -> Sink:
        raise AssertionError("broken")


def test_a_fault_of_ours_is_a_refusal_with_a_traceback() -> None:
    with capture_logs() as logs:
        assert capture_email(TWO_FILES, storage=BrokenStorage()) is None
    assert [(item["log_level"], item["event"], item["exc_info"]) for item in logs] == [
        ("error", "mail could not be taken apart", True)
    ]


def test_what_is_held_is_counted() -> None:
    under_test = begin(MemoryStorage())
    held = []
    for octets in (b"Subject: x\r\n\r\n", b"x" * 1000, b"y" * 500):
        feed(under_test, bytearray(8) + octets, 8)
        held.append(under_test.held)
    assert held[0] in range(400, 800)  # the field, and the entity
    assert held == [held[0], held[0] + 1000, held[0] + 1500]
    under_test.abort()
    assert under_test.held == 0


class HintStorage(MemoryStorage):
    def __init__(self) -> None:
        super().__init__()
        self.hints: list[int] = []

    def open(self, uuid: str, place: int, entity: Entity, found: list[str], size_hint: int) -> Sink:
        self.hints.append(size_hint)
        return super().open(uuid, place, entity, found, size_hint)


SECOND_PART = TWO_FILES.rindex(b"--b\r\nContent-Type")
HINTS: dict[str, tuple[dict[str, str | None], list[int]]] = {
    "nothing announced": ({}, [0, 0]),
    "announced": ({"BODY": "8BITMIME", "size": "10000"}, [10000, 10000 - SECOND_PART]),
    "less announced than sent": ({"SIZE": "2000"}, [2000, 0]),
    "nonsense announced": ({"SIZE": "much"}, [0, 0]),
    "no value": ({"SIZE": None}, [0, 0]),
}


@pytest.mark.parametrize("name", HINTS)
def test_the_size_of_the_mail_is_a_hint(name: str) -> None:
    parameters, hints = HINTS[name]
    storage = HintStorage()
    under_test = begin(storage, mail_parameters=parameters)
    feed(under_test, bytearray(8) + TWO_FILES[:SECOND_PART], 8)
    feed(under_test, bytearray(8) + TWO_FILES[SECOND_PART:], 8)
    under_test.close()
    assert storage.hints == hints


@pytest.mark.parametrize(
    "boundaries", [("b", "b--"), ("b--", "b"), ("b--", "b----"), ("b", "b"), ("b----", "b", "b--")]
)
@pytest.mark.parametrize(
    "around", [b"", b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"], ids=["outer", "inner"]
)
def test_a_boundary_of_several_types_may_be_the_closing_delimiter_of_another_one(
    boundaries: tuple[str, ...], around: bytes
) -> None:
    fields = "".join([f"Content-Type: multipart/mixed; boundary={boundary}\r\n" for boundary in boundaries])
    first = boundaries[0].encode()
    message = b"%b%b\r\n--%b\r\n\r\nx\r\n--%b--\r\n--o--\r\n" % (around, fields.encode(), first, first)
    for piece in (0, 1, 7):
        found = capture(message, piece)["message"]
        assert (found["text"], found["defects"]) == ("x", ["duplicate-content-type"]), piece
