"""A mail as lines that can be compared with those of another one: decoded, and without what differs each time.

Fields that a server adds on the way are left out. Dates, ids, boundaries and tokens have a placeholder, like <time>.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from fastsmtp.mime.charset import decode_charset
from fastsmtp.mime.entity import Entity, Role
from fastsmtp.mime.header import canonical_name
from fastsmtp.mime.splitter import Splitter
from fastsmtp.mime.transfer import TransferDecoder, transfer_decoder
from fastsmtp.mime.words import decode_words

_ADDED: Final = frozenset(
    {"received", "return-path", "delivered-to", "x-received", "received-spf", "authentication-results"}
    | {"dkim-signature", "arc-seal", "arc-message-signature", "arc-authentication-results", "x-original-to"}
)
_TIMES: Final = frozenset({"date", "resent-date", "expires", "expiry-date", "x-originalarrivaltime"})
_STRUCTURE: Final = "content-type"  # its boundary differs, and parts are shown
_ENCODING: Final = "content-transfer-encoding"

# Each alternative is bounded, so that a search is linear.
Mask = tuple[re.Pattern[str], str]
MASKS: Final[Sequence[Mask]] = (
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.I), "<uuid>"),
    (re.compile(r"\beyJ[\w-]{10,4000}\.[\w-]{10,4000}\.[\w-]{10,4000}"), "<token>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (
        re.compile(
            r"([?&;](?:[\w-]{0,30}(?:token|code|signature|hash|expires|nonce|otp)|key|sig|hmac|t|ts)=)[^&#\s\"'<>]{1,2000}",
            re.I,
        ),
        r"\1<token>",
    ),
    (re.compile(r"(?<![\w-])(?=[\w-]{0,40}\d)(?=[\w-]{0,40}[A-Za-z])[\w-]{32,2000}(?![\w-])"), "<token>"),
    (re.compile(r"\b[0-9a-f]{16,128}\b", re.I), "<hex>"),
)
_IDS: Final = frozenset({"message-id", "resent-message-id", "references", "in-reply-to", "content-id"})
_ID: Final = re.compile(r"<[^<>\s]{1,900}>")


def comparable(octets: bytes, masks: Sequence[Mask] = ()) -> list[str]:
    """Return the lines of a mail. `masks` are patterns with what stands in their place, beside those known here."""
    collector = _Collector()
    splitter = Splitter(collector)
    buf, at = bytearray(octets), 0
    while at < len(buf):
        at = splitter.feed(buf, at, len(buf))
    splitter.close()
    message = splitter.message
    every = (*masks, *MASKS)
    lines = [] if message is None else _header_lines(message, every)
    for entity, content in collector.parts:
        lines += ["", _title(entity), *_content_lines(entity, content, every)]
    return lines


class _Collector:
    """A `PartHandler` that keeps each part, decoded."""

    def __init__(self) -> None:
        self.parts: list[tuple[Entity, bytes]] = []
        self._entity: Entity | None = None
        self._decoder: TransferDecoder | None = None
        self._pieces: list[bytes] = []

    def on_part_begin(self, entity: Entity) -> None:
        self._entity, self._pieces = entity, []
        self._decoder = transfer_decoder(entity.transfer_encoding, entity.defects)

    def on_part_bytes(self, buf: bytearray, start: int, end: int) -> None:
        assert self._decoder is not None
        self._pieces.append(bytes(self._decoder.feed(buf, start, end)))

    def on_part_end(self) -> None:
        assert self._decoder is not None
        assert self._entity is not None
        self.parts.append((self._entity, b"".join([*self._pieces, self._decoder.close()])))

    def on_part_drop(self) -> None:
        """A preamble is no part of what is compared."""


def _header_lines(message: Entity, masks: Sequence[Mask]) -> list[str]:
    lines = []
    for name, value in message.fields:
        key = name.lower()
        if key in _ADDED or key == _ENCODING:
            continue
        if key in _TIMES:
            shown = "<time>"
        elif key in _IDS:
            shown = _ID.sub("<id>", value)
        elif key == _STRUCTURE:
            shown = message.media_type.value
        else:
            shown = masked(decode_words(value, []), masks)
        lines.append(f"{canonical_name(name)}: {shown}")
    return lines


def _title(entity: Entity) -> str:
    disposition = f"; {entity.disposition.value}" if entity.disposition is not None else ""
    filename = f'; filename="{entity.filename}"' if entity.filename else ""
    return f"[part {entity.number or '1'}: {entity.media_type.value}{disposition}{filename}]"


def _content_lines(entity: Entity, content: bytes, masks: Sequence[Mask]) -> list[str]:
    """Text line by line, without the blanks at their ends; of everything else how long it is, and its digest."""
    if entity.role is Role.ATTACHMENT and not entity.media_type.value.startswith("text/"):
        return [f"{len(content)} octets, SHA-256 {hashlib.sha256(content).hexdigest()}"]
    label = entity.media_type.parameters.get("charset")
    text = decode_charset(content, label, [], is_html=entity.role is Role.HTML)
    return [masked(line.rstrip(), masks) for line in text.rstrip().split("\n")]


def masked(line: str, masks: Sequence[Mask] = MASKS) -> str:
    """Return a line with placeholders for what differs each time."""
    for pattern, placeholder in masks:
        line = pattern.sub(placeholder, line)
    return line
