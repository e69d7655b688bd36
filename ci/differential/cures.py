"""Messages without what one reason for a difference names: where that was all, other parsers agree with us on them."""

from __future__ import annotations

import re

from fastsmtp.mime.parameters import parse_disposition, parse_media_type
from fastsmtp.mime.words import decode_words

_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_BOUNDARY = re.compile(rb"boundary[ \t]*=[ \t]*\"?([^\"\r\n;]+)", re.IGNORECASE)
_TYPE = re.compile(rb"^content-type[ \t]*:(?:[^\n]|\n(?=[ \t\r\n]*boundary))*", re.IGNORECASE | re.MULTILINE)
_SCAN = re.compile(rb"(?m)^(content-(?:type|disposition)[ \t]*:)((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE)


def only_fields(octets: bytes) -> bytes:
    """The message without lines in headers that are not fields; an empty line stands where the body begins."""
    lines, kept, in_header = octets.split(b"\n"), list[bytes](), True
    boundaries = [boundary for field in _TYPE.findall(octets) for boundary in _BOUNDARY.findall(field)]
    delimiters = tuple(b"--" + boundary.strip() for boundary in boundaries)
    for at, line in enumerate(lines):
        bare = line.strip(b"\r")
        if line.startswith(delimiters):
            in_header = True
        elif in_header and not bare:
            in_header = False
        elif in_header and not (_FIELD.match(line) or (line[:1] in b" \t" and kept and _FIELD.match(kept[-1]))):
            if any(map(_FIELD.match, lines[at : _end_of_header(lines, at, delimiters)])):
                continue
            kept.append(b"\r")
            in_header = False
        kept.append(line)
    return b"\n".join(kept)


def _end_of_header(lines: list[bytes], at: int, delimiters: tuple[bytes, ...]) -> int:
    while at < len(lines) and lines[at].strip(b"\r") and not lines[at].startswith(delimiters):
        at += 1
    return at


def regular_fields(octets: bytes) -> bytes:
    """The message with what we read of types and dispositions written as RFC 2045 has it."""

    def regular(match: re.Match[bytes]) -> bytes:
        text = re.sub(rb"[\r\n]+", b"", match[2]).decode("utf-8", "replace").strip()
        is_type = b"type" in match[1].lower()
        value, parameters = parse_media_type(text, []) if is_type else parse_disposition(text, [])
        if value.startswith("multipart/") and not parameters.get("boundary", "").strip():
            value, parameters = "text/plain", {}
        quoted = [f'; {name}="{_escaped(text)}"' for name, text in parameters.items()]
        return match[1] + b" " + (value or "x").encode() + "".join(quoted).encode()

    return _SCAN.sub(regular, octets)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def decoded_fields(octets: bytes) -> bytes:
    """The message with the encoded words of its Content- fields decoded."""
    field = re.compile(rb"(?m)^(content-[a-z-]+[ \t]*:)((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE)
    return field.sub(lambda m: m[1] + b" " + decode_words(m[2].decode("utf-8", "replace"), []).encode(), octets)


def commas(octets: bytes) -> bytes:
    """The message with commas for the semicolons of address fields."""
    field = re.compile(rb"^((?:from|to)[ \t]*:)((?:[^\r\n:]|\r?\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
    return field.sub(lambda match: match[1] + match[2].replace(b";", b","), octets)


def whole_parts(octets: bytes) -> bytes:
    """The message with an empty line wherever a delimiter follows a header, or nothing follows a delimiter."""
    octets = re.sub(rb"(\n[^\n:]+:[^\n]*\r?\n)(?=--)", rb"\1\r\n", octets)
    octets = re.sub(rb"((?:\A|\n)--[^\n]*)\Z", rb"\1\r\n", octets)
    return re.sub(rb"((?:\A|\n)--[^\n]*\n)(?=--|\s*\Z)", rb"\1\r\n\r\n", octets)


def one_type(octets: bytes) -> bytes:
    """The message with the first Content-Type that has a boundary in place of several."""
    several = re.compile(
        rb"(?:^content-type[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)){2,}", re.IGNORECASE | re.MULTILINE
    )
    one = re.compile(rb"^content-type[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)", re.IGNORECASE | re.MULTILINE)

    def chosen(match: re.Match[bytes]) -> bytes:
        fields = one.findall(match[0])
        filled = [item for item in fields if item.partition(b":")[2].strip()] or fields
        return next((item for item in filled if b"boundary" in item.lower()), filled[0])

    return several.sub(chosen, octets)


def longer_boundaries(octets: bytes) -> bytes:
    """The message with boundaries that end in `--` ending in something else."""
    for boundary in re.findall(rb"boundary=\"?([^\"\r\n;]+)--", octets):
        octets = octets.replace(boundary + b"--\r\nContent", boundary + b"-q\r\nContent")
        octets = re.sub(rb"(boundary=\"?" + re.escape(boundary) + rb")--", rb"\1-q", octets)
    return octets
