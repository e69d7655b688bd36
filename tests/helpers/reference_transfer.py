"""Slow, plain oracles for `mime/_base64` and `mime/_quoted_printable`: a whole body in, octets and defects out."""

from __future__ import annotations

import base64
import re

_LETTERS = re.compile(rb"[A-Za-z0-9+/]")
_QUAD = rb"(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)"
_QUADS = re.compile(_QUAD + rb"+")
_LONG_LINE = re.compile(_QUAD + rb"{15}")


def decode_base64(body: bytes) -> tuple[bytes, list[str]]:
    """What base64 stands for, read as `_base64.pyi` says, and the defects, sorted."""
    quads: list[bytes] = []
    defects: set[str] = set()
    quad = b""
    i = 0
    while i < len(body):
        character = body[i : i + 1]
        i += 1
        if _LETTERS.match(character):
            quad += character
            if len(quad) == 4:
                quads.append(quad)
                quad = b""
        elif character == b"=" and len(quad) >= 2:
            i, padded = _end_of_padding(body, i, len(quad), defects)
            if padded:
                quads.append(quad)
                quad = b""
                i = _after_padding(body, i, quads, defects)
        elif character not in b"\r\n\t ":
            defects.add("invalid-base64")
    if len(quad) == 1:
        defects.add("invalid-base64")
    elif quad:
        defects.add("missing-base64-padding")
        quads.append(quad)
    return b"".join(_decode_quad(quad, defects) for quad in quads), sorted(defects)


def _end_of_padding(body: bytes, i: int, characters: int, defects: set[str]) -> tuple[int, bool]:
    # Behind the first "=": where padding ends, and whether it was padding.
    if characters == 3:
        return i, True
    while i < len(body) and not _LETTERS.match(body[i : i + 1]):
        i += 1
        if body[i - 1 : i] == b"=":
            return i, True
        if body[i - 1] not in b"\r\n\t ":
            defects.add("invalid-base64")
    if i < len(body):
        defects.add("invalid-base64")
    return i, False


def _after_padding(body: bytes, i: int, quads: list[bytes], defects: set[str]) -> int:
    # Take the lines behind padding that are base64; returns where to go on: inside the next encoding, or at the end.
    while True:
        while i < len(body) and body[i] in b"=\r\n\t ":
            if body[i : i + 1] == b"=":
                defects.add("invalid-base64")
            i += 1
        if i == len(body):
            return i
        defects.add("invalid-base64")
        line = re.split(rb"[\r\n]", body[i:])[0].rstrip(b" \t")
        accepted = _LONG_LINE.match(line) or _QUADS.fullmatch(line)
        if not accepted:
            return len(body)
        text = accepted.group()
        i += len(text)
        quads += [text[at : at + 4].rstrip(b"=") for at in range(0, len(text), 4)]
        if not text.endswith(b"="):
            return i


def _decode_quad(quad: bytes, defects: set[str]) -> bytes:
    padded = quad + b"=" * (4 - len(quad))
    octets = base64.b64decode(padded)
    if base64.b64encode(octets) != padded:
        defects.add("invalid-base64")
    return octets


def decode_quoted_printable(body: bytes) -> tuple[bytes, list[str]]:
    """What quoted-printable stands for (RFC 2045 section 6.7, leniently), and the defects."""
    decoded: list[bytes] = []
    defects: list[str] = []

    def decode_escape(escape: re.Match[bytes]) -> bytes:
        if escape.group(1):
            return bytes.fromhex(escape.group(1).decode())
        defects[:] = ["invalid-quoted-printable"]
        return b"="

    # The end of the part is a line end too; a CR before it belongs to it.
    for line in re.findall(rb"[^\n]*\n|[^\n]+", body):
        line_end = line[len(line.removesuffix(b"\n").removesuffix(b"\r")) :]
        text = line[: len(line) - len(line_end)]
        # The CR of a soft line break may be doubled.
        if re.search(rb"=[ \t]{0,998}\r$", text):
            text = text[:-1]
        stripped = text.rstrip(b" \t")
        if len(text) - len(stripped) <= 998:
            text = stripped
        if text.endswith(b"="):
            text, line_end = text[:-1], b""
        decoded += [re.sub(rb"=([0-9A-Fa-f]{2})?", decode_escape, text), line_end]
    return b"".join(decoded), defects
