"""Which decoder undoes a Content-Transfer-Encoding (RFC 2045 section 6), and the one that needs no speed: uuencode."""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from typing import Final, Protocol

from fastsmtp.mime._base64 import Base64Decoder
from fastsmtp.mime._quoted_printable import IdentityDecoder, QuotedPrintableDecoder
from fastsmtp.mime.defects import INVALID_TRANSFER_ENCODING, INVALID_UUENCODE, UNKNOWN_TRANSFER_ENCODING, note

_COMMENT: Final = re.compile(r"\([^()]*\)")
_SEPARATOR: Final = re.compile(r"[\s\"'<>_-]+")

_MAX_NAME: Final = 100  # characters of an encoding's name that are looked at: the cache holds no more than that
_BASE64: Final = "base64"
_QUOTED_PRINTABLE: Final = "quotedprintable"
_IDENTITY: Final = frozenset({"", "7bit", "8bit", "binary", "7bits", "8bits"})
_UUENCODE: Final = frozenset({"xuuencode", "uuencode", "xuue", "uue"})
# By RFC 2045 section 6.1: those of the standard, and tokens that begin with `x-`.
_MECHANISMS: Final = frozenset({"", "7bit", "8bit", "binary", _BASE64, "quoted-printable", "x-uuencode", "x-uue"})
_KNOWN: Final = _IDENTITY | _UUENCODE | {_BASE64, _QUOTED_PRINTABLE}


class TransferDecoder(Protocol):
    """Undoes a transfer encoding while a part arrives. Nothing is raised for octets from the wire."""

    @property
    def defects(self) -> list[str]:
        """The list given to `transfer_decoder`."""

    def feed(self, buf: bytearray | bytes, start: int, end: int) -> bytes:
        """Take `buf[start:end]`, which is valid only during the call; return what is decoded, perhaps nothing."""

    def close(self) -> bytes:
        """End of the part: the rest. Defects are in the list now."""


def transfer_decoder(encoding: str, defects: list[str]) -> TransferDecoder:
    """A decoder for the value of a Content-Transfer-Encoding field, which may be empty; defects go to `defects`.

    An unknown encoding is `unknown-transfer-encoding` and the octets stay as they are (RFC 2045 section 6.4). A known
    one with something behind it, or in another spelling, is `invalid-transfer-encoding`.
    """
    encoding = encoding[:_MAX_NAME]
    name = _plain_name(encoding)
    note_misspelled(encoding, defects)
    if name == _BASE64:
        return Base64Decoder(defects)
    if name == _QUOTED_PRINTABLE:
        return QuotedPrintableDecoder(defects)
    if name in _UUENCODE:
        return UUDecoder(defects)
    if name not in _IDENTITY:
        note(defects, UNKNOWN_TRANSFER_ENCODING)
    return IdentityDecoder(defects)


def note_misspelled(encoding: str, defects: list[str]) -> None:
    """Note `invalid-transfer-encoding` for a field value that has a known encoding, but not as RFC 2045 writes it."""
    if encoding not in _MECHANISMS and not _is_regular(encoding[:_MAX_NAME]):
        note(defects, INVALID_TRANSFER_ENCODING)


@lru_cache(maxsize=64)
def _is_regular(encoding: str) -> bool:
    return _COMMENT.sub(" ", encoding).strip().lower() in _MECHANISMS or _plain_name(encoding) not in _KNOWN


def is_base64(encoding: str) -> bool:
    """Whether `transfer_decoder` would take the field value `encoding` for base64."""
    return _plain_name(encoding[:_MAX_NAME]) == _BASE64


def is_uuencoded(encoding: str) -> bool:
    """Whether `transfer_decoder` would take the field value `encoding` for uuencode, whose decoder is slow."""
    return _plain_name(encoding[:_MAX_NAME]) in _UUENCODE


@lru_cache(maxsize=64)
def _plain_name(encoding: str) -> str:
    # QUIRK: "base64 (comment)", "Base64;", "8 bit", "quoted_printable", '"7bit"': clients send all of them.
    name = encoding.lower()
    if name in (_BASE64, "7bit"):
        return name
    name = _COMMENT.sub(" ", name).replace(",", ";").strip("; \t\r\n").partition(";")[0]
    plain = _SEPARATOR.sub("", name)
    # QUIRK: scripts forget the line end behind it: `base64 MIME-Version: 1.0`.
    return plain if plain in _KNOWN else _SEPARATOR.sub("", name.split(maxsplit=1)[0])


# Octets of a line that are looked at; a line stands for 45 octets at most, in 1 + 60 characters, at times one more.
_MAX_UU_LINE: Final = 128
# What a character means is its low six bits; each octet becomes the character that stands for them.
_UU_CHARACTERS: Final = bytes([(((octet - 32) & 63) or 64) + 32 for octet in range(256)])
_UU_BEGIN: Final = re.compile(rb"begin +[0-7]{3,4}( |$)")


class UUDecoder:
    """uuencode (POSIX.1): the lines between `begin` and `end`.

    Content without `begin` is taken from the first line that can be one of it. That, characters a line cannot have
    and a missing `end` are the defect `invalid-uuencode`.
    """

    __slots__ = ("_begun", "_ended", "_line", "defects")

    def __init__(self, defects: list[str]) -> None:
        self.defects = defects
        self._begun = False
        self._ended = False
        self._line = b""  # start of a line whose LF is not there yet; at most _MAX_UU_LINE octets

    def feed(self, buf: bytearray | bytes, start: int, end: int) -> bytes:
        """See `TransferDecoder`."""
        if self._ended:
            return b""
        lines = bytes(memoryview(buf)[start:end]).split(b"\n")
        lines[0] = self._line + lines[0]
        self._line = lines.pop()[:_MAX_UU_LINE]
        return b"".join([self._decode_line(line) for line in lines if line and line != b"\r"])

    def close(self) -> bytes:
        """See `TransferDecoder`."""
        octets = self._decode_line(self._line)
        self._line = b""
        if not (self._begun and self._ended):
            note(self.defects, INVALID_UUENCODE)
        return octets

    def _decode_line(self, line: bytes) -> bytes:
        line = line[:_MAX_UU_LINE].rstrip(b"\r")
        if self._ended or not line:
            return b""
        if not self._begun:
            if _UU_BEGIN.match(line):
                self._begun = True
                return b""
            if not _may_be_uuencoded(line):
                return b""
            self._begun = True
            note(self.defects, INVALID_UUENCODE)
        elif line.rstrip() == b"end":
            self._ended = True
            return b""
        return self._decode_text(line)

    def _decode_text(self, line: bytes) -> bytes:
        characters = 1 + _text_length(line)
        text = line[:characters]
        plain = text.translate(_UU_CHARACTERS)
        if plain != text.replace(b" ", b"`") or len(line) > characters + 2:
            note(self.defects, INVALID_UUENCODE)
        # Cut where the last octet ends, for a2b_uu() refuses surplus bits.
        # QUIRK: blanks at the end of a line are zeroes and get lost on the way; a2b_uu() completes short lines.
        return binascii.a2b_uu(plain[: 1 + (_octets_in(line) * 4 + 2) // 3])


def _octets_in(line: bytes) -> int:
    return (line[0] - 32) & 63


def _text_length(line: bytes) -> int:
    """Characters behind the first, which says how many octets they stand for."""
    return (_octets_in(line) + 2) // 3 * 4


def _may_be_uuencoded(line: bytes) -> bool:
    length = _text_length(line)
    return length > 0 and len(line) - 1 in (length, length + 1) and all(32 <= octet <= 96 for octet in line)
