"""A header block -> its fields (RFC 5322 section 2.2), and the spelling of field names.

A block whose lines all end alike and all are fields is split in C (`_fields`); any other is walked line by line. The
values of structured fields are taken apart by `words`, `parameters` and `address`, which can be had from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fastsmtp.mime._fields import skip_fields, skip_text, split_fields
from fastsmtp.mime.address import Address
from fastsmtp.mime.addresslist import parse_addresses
from fastsmtp.mime.budget import MAX_DAMAGED, MAX_GUESSES
from fastsmtp.mime.charset import decode_unencoded
from fastsmtp.mime.defects import (
    FIELD_LIMIT,
    HEADER_8BIT,
    HEADER_NUL,
    INVALID_HEADER_LINE,
    JUNK_BEFORE_HEADER,
    MBOX_FROM_LINE,
    note,
)
from fastsmtp.mime.parameters import Disposition, MediaType, filename_of, parse_disposition, parse_media_type
from fastsmtp.mime.words import decode_words

__all__ = [
    "Address",
    "Disposition",
    "HeaderBlock",
    "MediaType",
    "canonical_name",
    "decode_words",
    "filename_of",
    "parse_addresses",
    "parse_disposition",
    "parse_fields",
    "parse_media_type",
]

# Registered names (IANA, "Message Headers") as they are registered, the usual ones of mail without a registration too.
_NAMES: Final = """
Accept-Language Alternate-Recipient ARC-Authentication-Results ARC-Message-Signature ARC-Seal Archived-At
Authentication-Results Auto-Submitted Autoforwarded Autosubmitted Bcc BIMI-Indicator BIMI-Location BIMI-Selector Cc
Comments Content-Alternative Content-Base Content-Description Content-Disposition Content-Duration Content-ID
Content-Language Content-Location Content-MD5 Content-Transfer-Encoding Content-Translation-Type Content-Type
Conversion Date Deferred-Delivery Delivered-To Delivery-Date Discarded-X400-IPMS-Extensions
Discarded-X400-MTS-Extensions Disclose-Recipients Disposition-Notification-Options Disposition-Notification-To
DKIM-Signature DL-Expansion-History DomainKey-Signature EDIINT-Features Encoding Encrypted Envelope-To Errors-To
Expires Expiry-Date Feedback-ID From Generate-Delivery-Report Importance In-Reply-To Incomplete-Copy Jabber-ID
Keywords Language Latest-Delivery-Time List-Archive List-Help List-ID List-Owner List-Post List-Subscribe
List-Unsubscribe List-Unsubscribe-Post Mail-Followup-To Mail-Reply-To Message-Context Message-ID Message-Type
MIME-Version MMHS-Message-Type MT-Priority NNTP-Posting-Date NNTP-Posting-Host Organization
Original-Encoded-Information-Types Original-From Original-Message-ID Original-Recipient Original-Subject
Originator-Return-Address PICS-Label Precedence Prevent-NonDelivery-Report Priority Received Received-SPF References
Reply-By Reply-To Require-Recipient-Valid-Since Resent-Bcc Resent-Cc Resent-Date Resent-From Resent-Message-ID
Resent-Reply-To Resent-Sender Resent-To Return-Path Sender Sensitivity SIO-Label SIO-Label-History Solicitation
Subject Supersedes Thread-Index Thread-Topic TLS-Report-Domain TLS-Report-Submitter TLS-Required To User-Agent
VBR-Info X-MimeOLE X-MS-Exchange-Organization-SCL X-MSMail-Priority X400-Content-Identifier X400-Content-Return
X400-Content-Type X400-MTS-Identifier X400-Originator X400-Received X400-Recipients X400-Trace
"""
REGISTERED: Final = {name: name for name in _NAMES.split()}  # to one object each, whose hash is known
_SPELLINGS: Final = {name.lower(): name for name in REGISTERED}
MAX_FIELDS: Final = 10_000  # of one header; design limit, mail has some dozens
_CACHED_LENGTH: Final = 64  # characters of the longest name whose spelling is cached


@dataclass(init=False, slots=True)
class HeaderBlock:
    """A header taken apart.

    `fields`: each field's name as sent and its value as sent, unfolded, without blanks around it. `body_start`: where
    in the block the body begins, the block's length unless its last lines belong to no field.
    """

    fields: list[tuple[str, str]]
    body_start: int
    defects: list[str]

    def __init__(self, fields: list[tuple[str, str]], body_start: int, defects: list[str]) -> None:
        self.fields = fields
        self.body_start = body_start
        self.defects = defects


def parse_fields(block: bytes | bytearray) -> HeaderBlock:
    """The fields of a header block: bytes up to and including the empty line, or up to the end of the entity.

    Lines end in CRLF or LF, with any number of CR before it. Octets are UTF-8 (RFC 6532), or windows-1252 in a field
    that is not. Fields behind the first `MAX_FIELDS` are left out. Never raises.
    """
    fields = split_fields(bytes(block), MAX_FIELDS + 1)
    if fields is None:
        return _irregular_fields(block)
    if len(fields) <= MAX_FIELDS:
        return HeaderBlock(fields, len(block), [])
    return HeaderBlock(fields[:MAX_FIELDS], len(block), [FIELD_LIMIT])


def canonical_name(name: str) -> str:
    """The registered spelling of a field name in any case; others get capitals at the beginning of their words.

    Capitals elsewhere stay as sent, so names that differ in case only may still differ: compare in lower case.
    """
    registered = REGISTERED.get(name)
    if registered is not None:
        return registered
    return _cached_spelling(name) if len(name) <= _CACHED_LENGTH else _spelling(name)


def _spelling(name: str) -> str:
    registered = _SPELLINGS.get(name.lower())
    return registered or "-".join([word[:1].upper() + word[1:] for word in name.split("-")])


_cached_spelling: Final = lru_cache(maxsize=1024)(_spelling)

_NAME: Final = re.compile(r"[!-9;-~]+")  # ftext (RFC 5322 section 3.6.8)

# QUIRK: blanks before the colon (RFC 5322 section 4.5, old Exchange); control characters in a name and no name at all
# (scripts that print an unset variable); names that are not ASCII: still a field. Blanks inside are what text looks
# like, and `http://` too.
# The lookahead takes what it finds as a whole: in a line of 1 MiB, shorter names would be tried one after the other.
_FIELD: Final = re.compile(r"(?=([^ \t\r\n:]*))\1[ \t]*:(?!//)")
# QUIRK: scripts that put a field together lose the blank before its second line: `Content-Type: text/plain;`, and then
# `charset=utf-8`.
_PARAMETER: Final = re.compile(r"[A-Za-z][A-Za-z0-9*-]*=")
_EMPTY: Final = re.compile(r"\r*(?:\n|\Z)")  # QUIRK: pipes in text mode on Windows double the CR
_FIELD_END: Final = re.compile(r"\n(?![ \t])")  # before a line that does not continue the field

# QUIRK: mbox files fed to an SMTP client; some programs escape the line.
_MBOX_STARTS: Final = ("From ", ">From ")
_MAX_MBOX_LINES: Final = 16  # that are left out

# QUIRK: Office 365 and Windows tools put a byte order mark before the first field, at times encoded twice; templates
# leave blanks and controls there.
_JUNK: Final = re.compile(
    r"(?:\xef\xbb\xbf|\xc3\xaf\xc2\xbb\xc2\xbf|\xff\xfe|\xfe\xff|[\0-\t\x0b-\x20\x7f]){1,64}"
    r"(?=[!-9;-~]+[ \t]*:|>?From )"
)
# Whatever else is not ASCII is junk before a name that is registered; otherwise it is part of the name.
_JUNK_BEFORE_NAME: Final = re.compile(r"[\0-\t\x0b-\x20\x7f-\xff]{1,64}(?=([!-9;-~]+)[ \t]*:)")
_NOWHERE: Final = -1
_MAX_OPEN: Final = 8 * 1024  # characters of a field that goes on in lines without a blank; each copies it
_BLANKS: Final = " \t\r"


def _irregular_fields(block: bytes | bytearray) -> HeaderBlock:
    """The fields of any block. Read as Latin-1, so that offsets are those of the octets."""
    return _BlockReader(bytes(block)).read()


class _BlockReader:
    """Reads a header field by field, and finds out which lines belong to which field, and which to none.

    Lines of none are left out while fields follow: of the ways in RFC 7103 section 7.2 the one that loses least.
    Where no field follows any more, the body begins in their place. Runs of such lines, and all fields above the limit,
    are skipped at once.
    """

    __slots__ = ("_defects", "_found", "_guesses", "_octets", "_text", "_text_start")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._text = octets.decode("latin-1")
        self._defects: list[str] = [HEADER_NUL] if "\0" in self._text else []
        self._found: list[tuple[str, str]] = []  # names, and values unfolded
        self._guesses = 0
        self._text_start = _NOWHERE  # of lines behind the last field that belong to none

    def read(self) -> HeaderBlock:
        """Return the fields, and where the body begins."""
        begin, position = self._find_first()
        position = self._read_fields(begin, position)
        if self._found and not any(name.isascii() for name, _ in self._found):
            # Names that are not ASCII alone make no header: they are text.
            self._found = []
            self._text_start = begin
        label = None if self._text.isascii() else self._charset()
        fields = [(self._decode(name, None), self._decode(value.strip(_BLANKS), label)) for name, value in self._found]
        return HeaderBlock(fields, position if self._text_start == _NOWHERE else self._text_start, self._defects)

    def _charset(self) -> str | None:
        """The charset that the header names for its body."""
        for name, value in self._found:
            if name.lower() == "content-type":
                return parse_media_type(value.strip(_BLANKS), []).parameters.get("charset")
        return None

    def _find_first(self) -> tuple[int, int]:
        """Behind the lines of an mbox: where the first line begins, and its text behind what is junk."""
        text, line = self._text, 0
        for _ in range(_MAX_MBOX_LINES):
            position = self._skip_junk(line)
            if not text.startswith(_MBOX_STARTS, position):
                return line, position
            note(self._defects, MBOX_FROM_LINE)
            line = text.find("\n", position) + 1 or len(text)
        return line, line

    def _skip_junk(self, line: int) -> int:
        """Behind what stands before the field that is the first line."""
        match = _JUNK.match(self._text, line)
        if match is None:
            match = _JUNK_BEFORE_NAME.match(self._text, line)
            if match is None or match[1].lower() not in _SPELLINGS:
                return line
        note(self._defects, JUNK_BEFORE_HEADER)
        return match.end()

    def _read_fields(self, line: int, position: int) -> int:
        """Read on at `position` in the line that begins at `line`; returns where the header ends."""
        text = self._text
        while position < len(text):
            match = None if text[position] in " \t" else _FIELD.match(text, position)
            if self._found and (parameter := _PARAMETER.match(text, position)) is not None and self._is_open():
                position = self._go_on(parameter.start())
            elif match is not None:
                position = self._read_field(match, position)
            elif (empty := _EMPTY.match(text, position)) is not None:
                return empty.end()
            else:  # QUIRK: or scripts that indent the first line
                note(self._defects, INVALID_HEADER_LINE)
                self._text_start = line
                position = skip_text(self._octets, position)
            line = position
        return position

    def _decode(self, text: str, label: str | None) -> str:
        """The text of octets that were read as Latin-1; `label` is the charset of the body."""
        if text.isascii() or self._guesses >= MAX_DAMAGED:
            return text
        octets = text.encode("latin-1")
        try:
            return octets.decode()
        except UnicodeDecodeError:
            # QUIRK: PHP mail() puts text into headers as it is, in the charset of the script: mostly that of the body.
            # Others cut UTF-8 between octets.
            note(self._defects, HEADER_8BIT)
            self._guesses += 1
            return decode_unencoded(octets, label) if self._guesses <= MAX_GUESSES else text

    def _is_open(self) -> bool:
        """Whether the last field is to go on with a parameter."""
        name, value = self._found[-1]
        if len(value) > _MAX_OPEN or name.lower() not in ("content-type", "content-disposition"):
            return False
        return value.rstrip().endswith(";")

    def _go_on(self, position: int) -> int:
        """Add what begins at `position` to the last field; returns where it ends."""
        note(self._defects, INVALID_HEADER_LINE)
        name, value = self._found[-1]
        more, end = _unfold(self._text, position)
        self._found[-1] = (name, f"{value.rstrip()} {more}")
        return end

    def _read_field(self, match: re.Match[str], position: int) -> int:
        if len(self._found) == MAX_FIELDS:
            note(self._defects, FIELD_LIMIT)
            end, self._text_start, has_text = skip_fields(self._octets, position)
            if has_text:
                note(self._defects, INVALID_HEADER_LINE)
            return end
        self._text_start = _NOWHERE
        value, end = _unfold(self._text, match.end())
        self._found.append((match[1], value))
        if not _NAME.fullmatch(match[1]):
            note(self._defects, INVALID_HEADER_LINE)
        return end


def _unfold(text: str, start: int) -> tuple[str, int]:
    """The value that begins at `start`, without its line ends, and where the next line begins that is not of it."""
    end = text.find("\n", start) + 1
    if not end:
        return text[start:], len(text)
    # A line of nothing but blanks continues the field too (RFC 5322 section 4.2, obs-FWS).
    if text[end : end + 1] not in (" ", "\t"):
        return text[start : end - 1], end
    match = _FIELD_END.search(text, end)
    end = len(text) if match is None else match.end()
    return "".join([line.rstrip("\r") for line in text[start:end].split("\n")]), end
