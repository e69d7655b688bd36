"""The charset that an HTML document declares itself, in `meta` or an XML declaration (WHATWG HTML 13.2.3.2)."""

from __future__ import annotations

import re
from typing import Final

from fastsmtp.mime.labels import codec_of

_WINDOW: Final = 1024  # octets that are looked at
_TAG: Final = re.compile(rb"<(?:!--|(meta)(?=[\t\n\f\r /])|/?[a-z]|[!/?])", re.IGNORECASE)
_NAME: Final = re.compile(rb"[^\t\n\f\r >]*")
_ATTRIBUTE: Final = re.compile(
    rb"[\t\n\f\r /]*([^\t\n\f\r />][^\t\n\f\r />=]*)"
    rb"""(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^\t\n\f\r >"'][^\t\n\f\r >]*)))?"""
)
_IN_CONTENT: Final = re.compile(
    rb"""charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^\t\n\f\r ;"'][^\t\n\f\r ;]*))""", re.IGNORECASE
)
_IN_XML: Final = re.compile(rb"""<\?xml[^>]*?encoding[\0-\x20]*=[\0-\x20]*(?:"([^"\0-\x20>]+)"|'([^'\0-\x20>]+)')""")


def declared_charset(octets: bytes | bytearray) -> str | None:
    """The label in the document, whose charset is known; None where there is none. Never raises."""
    head = bytes(octets[:_WINDOW])
    position = 0
    while (tag := _TAG.search(head, position)) is not None:
        position = tag.end()
        if tag[0] == b"<!--":
            position = _behind(head, b"-->", position - 2)
        elif tag[0][1:2] in (b"!", b"?") or tag[0] == b"</":
            position = _behind(head, b">", tag.start())
        else:
            attributes, position = _attributes(head, position if tag[1] else _name_end(head, position))
            label = _usable(_in_meta(attributes)) if tag[1] else None
            if label is not None:
                return label
    declaration = _IN_XML.match(head)
    return _usable(declaration[1] or declaration[2]) if declaration else None


def _behind(head: bytes, sign: bytes, position: int) -> int:
    found = head.find(sign, position)
    return len(head) if found == -1 else found + len(sign)


def _name_end(head: bytes, position: int) -> int:
    match = _NAME.match(head, position)
    return position if match is None else match.end()


def _attributes(head: bytes, position: int) -> tuple[dict[bytes, bytes], int]:
    """The attributes of a tag, the first of each name, and where the tag ends."""
    attributes: dict[bytes, bytes] = {}
    while (match := _ATTRIBUTE.match(head, position)) is not None:
        name, double, single, bare = match.groups()
        attributes.setdefault(name.lower(), double or single or bare or b"")
        position = match.end()
    return attributes, position


def _in_meta(attributes: dict[bytes, bytes]) -> bytes | None:
    """The label in the attributes of a `meta` element. Only the pragma has one in `content`."""
    if b"charset" in attributes:
        return attributes[b"charset"]
    if attributes.get(b"http-equiv", b"").lower() != b"content-type":
        return None
    match = _IN_CONTENT.search(attributes.get(b"content", b""))
    return match[1] or match[2] or match[3] if match else None


def _usable(octets: bytes | None) -> str | None:
    """The label, if its charset is known. One that could be read in ASCII is not UTF-16: it means UTF-8."""
    label = (octets or b"").decode("latin-1")
    codec = codec_of(label)
    return "utf-8" if codec is not None and codec.startswith("utf-16") else label if codec is not None else None
