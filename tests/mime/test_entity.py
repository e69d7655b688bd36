"""What the header of an entity says about its body: type, encoding, name, body or attachment."""

from __future__ import annotations

import pytest

from fastsmtp.mime import defects
from fastsmtp.mime.entity import Entity, Role, read_entity

ROOT, _ = read_entity(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", "", None)


def read(header: str, parent: Entity | None = None, number: str = "1") -> Entity:
    return read_entity(header.replace("\n", "\r\n").encode() + b"\r\n", number, parent)[0]


def test_every_field_that_describes_the_body_is_read() -> None:
    entity = read(
        "content-type: IMAGE/PNG; name=a.png\n"
        "Content-Disposition: Attachment; filename*=utf-8''%C3%BC.png\n"
        "Content-Transfer-Encoding: BASE64\n"
        "Content-ID: <x@y>\n"
    )
    assert entity.media_type.value == "image/png"
    assert entity.disposition is not None
    assert entity.disposition.value == "attachment"
    assert (entity.filename, entity.transfer_encoding, entity.content_id) == ("ü.png", "BASE64", "x@y")
    assert (entity.role, entity.defects) == (Role.ATTACHMENT, [])


def test_only_the_message_keeps_its_fields() -> None:
    assert read("Subject: x\nX-A: b\n").fields == [("Subject", "x"), ("X-A", "b")]
    assert read("Subject: x\nX-A: b\n", ROOT).fields == []


def test_a_header_that_ends_early_tells_where_the_body_begins() -> None:
    block = b"Subject: x\r\nno field\r\n\r\n"
    entity, body_start = read_entity(block, "", None)
    assert block[body_start:] == b"no field\r\n\r\n"
    assert entity.defects == [defects.INVALID_HEADER_LINE]


DEFAULTS = {
    "message": (None, "text/plain"),
    "part of a mixed": ("multipart/mixed", "text/plain"),
    "part of a digest": ("multipart/digest", "message/rfc822"),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_type_without_content_type(name: str) -> None:
    parent, media_type = DEFAULTS[name]
    assert read("", read(f"Content-Type: {parent}; boundary=b\n") if parent else None).media_type.value == media_type


BOUNDARIES: dict[str, tuple[str, bytes | None]] = {
    "plain": ("b", b"b"),
    "ends in blanks": ('"b  "', b"b"),
    "not ASCII": ('"ü"', "ü".encode()),
    "as long as a line": ("b" * 998, b"b" * 998),
    "longer than a line": ("b" * 999, None),
    "empty": ('""', None),
}


@pytest.mark.parametrize("name", BOUNDARIES)
def test_boundary(name: str) -> None:
    sent, boundary = BOUNDARIES[name]
    entity = read(f"Content-Type: multipart/mixed; boundary={sent}\n")
    assert entity.boundary == boundary
    assert entity.role is (Role.MULTIPART if boundary else Role.TEXT)
    assert entity.defects == ([] if boundary else [defects.MISSING_BOUNDARY])


TWICE = {
    "first counts": ("text/html", "text/plain", "text/html", None, []),
    "first has the boundary": ("multipart/mixed; boundary=a", "text/plain", "multipart/mixed", b"a", []),
    "second has the boundary": ("text/plain", "multipart/mixed; boundary=b", "multipart/mixed", b"b", []),
    "no type": ("text", "text/html", "text/plain", None, [defects.INVALID_CONTENT_TYPE]),
    "no boundary": ("multipart/mixed", "multipart/mixed; boundary=b", "multipart/mixed", b"b", []),
    "boundary of no multipart": ("text/html", "text/plain; boundary=b", "text/html", None, []),
}


@pytest.mark.parametrize("name", TWICE)
def test_two_content_types(name: str) -> None:
    first, second, media_type, boundary, found = TWICE[name]
    entity = read(f"Content-Type: {first}\ncontent-type: {second}\n")
    assert (entity.media_type.value, entity.boundary, entity.other_boundaries) == (media_type, boundary, [])
    assert entity.defects == [*found, defects.DUPLICATE_CONTENT_TYPE]


def test_several_boundaries() -> None:
    entity = read("".join(f"Content-Type: multipart/mixed; boundary=b{n}\n" for n in range(1000)))
    assert entity.boundary == b"b0"
    assert entity.other_boundaries == [b"b1", b"b2", b"b3", b"b4"]


def test_an_empty_field_is_none() -> None:
    entity = read(
        "Content-Type:\nContent-Disposition:\nContent-Transfer-Encoding:\nContent-ID:\n"
        "Content-Type: text/html\nContent-Disposition: inline\nContent-Transfer-Encoding: base64\nContent-ID: <a@b>\n"
    )
    assert entity.media_type.value == "text/html"
    assert entity.disposition is not None
    assert entity.disposition.value == "inline"
    assert (entity.transfer_encoding, entity.content_id, entity.defects) == ("base64", "a@b", [])


def test_fields_that_are_encoded_words() -> None:
    entity = read(
        "Content-Type: =?utf-8?Q?text/html;_charset=3Dutf-8?=\nContent-Transfer-Encoding: =?utf-8?B?YmFzZTY0?=\n"
        "Content-Disposition: =?utf-8?Q?attachment;_filename=3D=22a_b.htm=22?=\nContent-ID: =?utf-8?Q?=3Ca=40b=3E?=\n"
    )
    assert (entity.media_type.value, entity.media_type.parameters) == ("text/html", {"charset": "utf-8"})
    assert (entity.role, entity.filename) == (Role.ATTACHMENT, "a b.htm")
    assert (entity.transfer_encoding, entity.content_id) == ("base64", "a@b")
    assert entity.defects == [defects.INVALID_ENCODED_WORD]


NAMES = {
    "given": ("text/csv; name=data.csv", "2", "data.csv"),
    "blank": ('text/csv; name=" "', "2", "part-2.csv"),
    "known type": ("image/jpeg", "1.2", "part-1.2.jpg"),
    "message": ("message/rfc822", "3", "part-3.eml"),
    "unknown type": ("application/x-none", "1", "part-1.bin"),
    "the message itself": ("application/pdf", "", "part-1.pdf"),
    "a path": ("x/y; name=../../etc/passwd", "1", "../../etc/passwd"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_given_or_invented(name: str) -> None:
    media_type, number, expected = NAMES[name]
    assert read(f"Content-Type: {media_type}\n", None, number).name_or_invented() == expected


@pytest.mark.parametrize("media_type", ["x/../../y", "application/" + "x" * 5000, "x/\0", "a/b.exe", "text/x-sh\u202e"])
def test_an_extension_is_never_from_the_wire(media_type: str) -> None:
    assert read(f"Content-Type: {media_type}\n").extension() in (".bin", ".txt")


ROLES = {
    "text": ("", Role.TEXT),
    "html": ("Content-Type: text/html\n", Role.HTML),
    "attached text": ("Content-Disposition: attachment\n", Role.ATTACHMENT),
    "inline text": ("Content-Disposition: inline\n", Role.TEXT),
    "unknown disposition": ("Content-Disposition: x-token\n", Role.TEXT),
    "other text": ("Content-Type: text/calendar\n", Role.ATTACHMENT),
    "image": ("Content-Type: image/png\nContent-Disposition: inline\n", Role.ATTACHMENT),
    "message": ("Content-Type: message/rfc822\n", Role.ATTACHMENT),
    "tnef": ("Content-Type: application/ms-tnef; name=winmail.dat\n", Role.ATTACHMENT),
}


@pytest.mark.parametrize("name", ROLES)
def test_role_of_a_message_of_one_part(name: str) -> None:
    header, role = ROLES[name]
    assert read(header).role is role
