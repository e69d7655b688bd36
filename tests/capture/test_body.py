"""One text body: its octets as they arrive, its text, and the same text in blocks of JSON."""

from __future__ import annotations

import json

import pytest

from fastsmtp.capture.body import Body
from fastsmtp.mime.entity import read_entity


def body(header: str, octets: bytes, step: int = 7) -> tuple[Body, list[str]]:
    """A complete body that came in pieces of `step` octets, and the defects of its transfer encoding."""
    entity, _ = read_entity(f"{header}\r\n\r\n".encode(), "", None)
    found: list[str] = []
    made = Body(entity, found, place=2)
    for at in range(0, len(octets), step):
        piece = bytearray(b"xx" + octets[at : at + step])
        made.feed(piece, 2, len(piece))
    made.close()
    return made, found


def blocks(made: Body) -> tuple[str, list[str]]:
    """The text out of its blocks, and the defects of its charset."""
    found: list[str] = []
    for _ in made.measure(found):
        pass
    octets = b"".join(made.blocks())
    assert len(octets) == made.escaped_size
    return json.loads(b'"' + octets + b'"'), found


BODIES = {
    "utf-8": ("Content-Type: text/plain; charset=utf-8", 'Grüße "an" alle\r\n'.encode(), 'Grüße "an" alle\r\n', []),
    "latin-1": ("Content-Type: text/plain; charset=iso-8859-1", b"Gr\xfc\xdfe", "Grüße", []),
    "quoted": (
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable",
        b"Gr=C3=BC=C3=9Fe=\r\n alle",
        "Grüße alle",
        [],
    ),
    "base64": ("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64", b"aGVs\r\nbG8=", "hello", []),
    "control": ("Content-Type: text/plain", b"a\x01\tb\x7f\\", "a\x01\tb\x7f\\", []),
    "empty": ("Content-Type: text/plain", b"", "", []),
}


@pytest.mark.parametrize(("header", "octets", "text", "defects"), BODIES.values(), ids=BODIES)
def test_text(header: str, octets: bytes, text: str, defects: list[str]) -> None:
    made, transfer_defects = body(header, octets)
    found: list[str] = []
    assert (made.decode(found), found, transfer_defects, made.place) == (text, defects, [], 2)
    assert blocks(made) == (text, defects)
    assert (made.is_empty, made.ends_line) == (text == "", text.endswith("\n"))


LARGE = 4 * 1024 * 1024
GUESSED = {
    "ascii": ("us-ascii", b"\xff" * LARGE, "ÿ", ["wrong-charset"]),
    "ascii-characters": (
        "us-ascii",
        "ü".encode() * (LARGE // 2 - 1) + b"\xff\xff",
        "ü",
        ["wrong-charset", "undecodable-charset"],
    ),
    "unknown": ("nosuch", b"\xff" * LARGE, "ÿ", ["unknown-charset"]),
    "iso-2022-jp": ("iso-2022-jp", b"\xff" * LARGE, "ÿ", ["wrong-charset"]),
    "utf-16": ("utf-16le", b"a" * (LARGE - 1) + b"\xff", "\u6161", []),
}


@pytest.mark.parametrize(("charset", "octets", "first", "defects"), GUESSED.values(), ids=GUESSED)
def test_what_takes_a_guess_is_read_in_steps(charset: str, octets: bytes, first: str, defects: list[str]) -> None:
    made, _ = body(f"Content-Type: text/plain; charset={charset}", octets, step=LARGE)
    found: list[str] = []
    steps = sum(1 for _ in made.measure(found))
    assert steps >= LARGE // (256 * 1024)
    text = json.loads(b'"' + b"".join(made.blocks()) + b'"')
    assert (text[0], found) == (first, defects)
    assert text == made.decode([])


def test_blocks_are_made_again() -> None:
    made, _ = body("Content-Type: text/plain; charset=koi8-r", "привет\n".encode("koi8-r") * 20_000, step=4096)
    first = blocks(made)
    assert (first, made.ends_line) == (("привет\n" * 20_000, []), True)
    assert b"".join(made.blocks()) == b"".join(made.blocks())


def test_quote() -> None:
    """JSON at once where the octets are UTF-8; elsewhere the text has to be decoded first."""
    plain, _ = body("Content-Type: text/plain; charset=utf-8", 'ü"\r\n'.encode())
    quoted = plain.quote()
    assert quoted is not None
    assert json.loads(quoted) == 'ü"\r\n'
    assert body("Content-Type: text/plain; charset=iso-8859-1", b"\xfc")[0].quote() is None


@pytest.mark.parametrize(("octets", "blank"), [(b"", True), (b" \t\r\n\r\n", True), (b" . ", False)])
def test_is_blank(octets: bytes, blank: bool) -> None:
    assert body("Content-Type: text/plain", octets)[0].is_blank is blank


def test_octets_are_held_until_they_are_taken() -> None:
    made, _ = body("Content-Type: text/plain", b"hello")
    assert (made.held, made.take_octets(), made.held) == (5, b"hello", 0)
    made, _ = body("Content-Type: text/plain", b"hello")
    made.discard()
    assert (made.held, made.decode([])) == (0, "")


def test_defect_of_the_transfer_encoding() -> None:
    made, found = body("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64", b"aGVsbG8!")
    assert (made.decode([]), found) == ("hello", ["invalid-base64", "missing-base64-padding"])
