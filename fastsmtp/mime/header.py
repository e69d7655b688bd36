"""A header block -> its fields (RFC 5322 section 2.2), and the spelling of field names.

A block whose lines all end alike and all are fields is split in C (`_fields`); any other is walked line by line. The
values of structured fields are taken apart by `words`, `parameters` and `address`, which can be had from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from fastsmtp.mime._fields import split_fields
from fastsmtp.mime.address import Address, parse_addresses
from fastsmtp.mime.charset import decode_charset
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
_REGISTERED: Final = {name: name for name in _NAMES.split()}  # to one object each, whose hash is known
_SPELLINGS: Final = {name.lower(): name for name in _REGISTERED}
MAX_FIELDS: Final = 10_000  # of one header; design limit, mail has some dozens
_CACHED_LENGTH: Final = 64  # characters of the longest name whose spelling is cached


class HeaderBlock(NamedTuple):
    """A header taken apart.

    `fields`: each field's name as sent and its value as sent, unfolded, without blanks around it. `body_start`: where
    in the block the body begins, the block's length unless its last lines belong to no field.
    """

    fields: list[tuple[str, str]]
    body_start: int
    defects: list[str]


def parse_fields(block: bytes | bytearray) -> HeaderBlock:
    """The fields of a header block: bytes up to and including the empty line, or up to the end of the entity.

    Lines end in CRLF or LF, with any number of CR before it. Octets are UTF-8 (RFC 6532), or windows-1252 in a field
    that is not. Fields behind the first `MAX_FIELDS` are left out. Never raises.
    """
    fields = split_fields(bytes(block), MAX_FIELDS)
    return _irregular_fields(block) if fields is None else HeaderBlock(fields, len(block), [])


def canonical_name(name: str) -> str:
    """The registered spelling of a field name in any case; others get capitals at the beginning of their words.

    Capitals elsewhere stay as sent, so names that differ in case only may still differ: compare in lower case.
    """
    registered = _REGISTERED.get(name)
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
_FIELD: Final = re.compile(r"([^ \t\r:]*)[ \t]*:(?!//)")

# QUIRK: mbox files fed to an SMTP client; some programs escape the line.
_MBOX_STARTS: Final = ("From ", ">From ")

# QUIRK: Office 365 and Windows tools put a byte order mark before the first field, at times encoded twice; templates
# leave blanks and controls there.
_JUNK: Final = re.compile(
    r"(?:\xef\xbb\xbf|\xc3\xaf\xc2\xbb\xc2\xbf|\xff\xfe|\xfe\xff|[\0-\x20\x7f]){1,64}(?=[!-9;-~]+[ \t]*:|>?From )"
)
# Whatever else is not ASCII is junk before a name that is registered; otherwise it is part of the name.
_JUNK_BEFORE_NAME: Final = re.compile(r"[\0-\x20\x7f-\xff]{1,64}(?=([!-9;-~]+)[ \t]*:)")
_NOWHERE: Final = -1


def _irregular_fields(block: bytes | bytearray) -> HeaderBlock:
    """The fields of any block, line by line. Read as Latin-1, so that offsets are those of the octets."""
    text = block.decode("latin-1")
    reader = _LineReader()
    if "\0" in text:
        note(reader.defects, HEADER_NUL)
    body_start = 0
    for line, following in _lines(text):
        if line:
            reader.read(line, body_start)
        body_start = following
        if not line:
            break
    fields = reader.fields()
    return HeaderBlock(fields, body_start if reader.text_start == _NOWHERE else reader.text_start, reader.defects)


class _LineReader:
    """Reads the lines of a header one by one, and finds out which belong to which field, and which to none.

    Lines of none are left out while fields follow: of the ways in RFC 7103 section 7.2 the one that loses least.
    Where no field follows any more, the body begins in their place, at `text_start`.
    """

    __slots__ = ("_begin", "_found", "_is_continued", "_is_header", "defects", "text_start")

    def __init__(self) -> None:
        self.defects: list[str] = []
        self.text_start = _NOWHERE
        self._found: list[tuple[str, list[str]]] = []  # names, and the lines of their values
        self._begin = _NOWHERE  # of the first line but mbox lines
        self._is_continued = False  # a line that begins with a blank belongs to the last field
        self._is_header = False  # there is a field whose name is ASCII

    def read(self, line: str, position: int) -> None:
        """Take the next line, which is not empty and begins at `position`."""
        if self._begin == _NOWHERE:
            line = self._without_junk(line)
            if line.startswith(_MBOX_STARTS):
                note(self.defects, MBOX_FROM_LINE)
                return
            self._begin = position
        if line[0] in " \t":
            # A line of nothing but blanks continues the field too (RFC 5322 section 4.2, obs-FWS).
            if self._is_continued:
                self._found[-1][1].append(line)
            elif not self._found:  # QUIRK: scripts that indent the first line
                self._read_text(position)
        elif (match := _FIELD.match(line)) is not None:
            self._read_field(match[1], line[match.end() :])
        else:
            self._read_text(position)

    def _without_junk(self, line: str) -> str:
        """The first line without what stands before its field."""
        match = _JUNK.match(line)
        if match is None:
            match = _JUNK_BEFORE_NAME.match(line)
            if match is None or match[1].lower() not in _SPELLINGS:
                return line
        note(self.defects, JUNK_BEFORE_HEADER)
        return line[match.end() :]

    def _read_field(self, name: str, value: str) -> None:
        self.text_start = _NOWHERE
        self._is_continued = len(self._found) < MAX_FIELDS
        if not self._is_continued:
            note(self.defects, FIELD_LIMIT)
            return
        self._found.append((name, [value]))
        self._is_header = self._is_header or name.isascii()
        if not _NAME.fullmatch(name):
            note(self.defects, INVALID_HEADER_LINE)

    def _read_text(self, position: int) -> None:
        note(self.defects, INVALID_HEADER_LINE)
        self._is_continued = False
        if self.text_start == _NOWHERE:
            self.text_start = position

    def fields(self) -> list[tuple[str, str]]:
        """The fields, when all lines are read. Names that are not ASCII alone make no header: they are text."""
        if self._found and not self._is_header:
            self.text_start = self._begin
            return []
        return [(_text(name, self.defects), _value("".join(lines), self.defects)) for name, lines in self._found]


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Each line without its end, and where the next one begins."""
    position = 0
    while position < len(text):
        end = text.find("\n", position)
        following = end + 1 if end != -1 else len(text)
        # QUIRK: pipes in text mode on Windows double the CR.
        yield text[position:following].removesuffix("\n").rstrip("\r"), following
        position = following


def _value(text: str, defects: list[str]) -> str:
    """A field's value from the Latin-1 reading of its octets."""
    return _text(text.strip(" \t\r"), defects)


def _text(text: str, defects: list[str]) -> str:
    """The text of octets that were read as Latin-1."""
    if text.isascii():
        return text
    octets = text.encode("latin-1")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        # QUIRK: PHP mail() puts text into headers as it is, in the charset of the script: mostly windows-1252. Others
        # cut UTF-8 between octets.
        note(defects, HEADER_8BIT)
        return decode_charset(octets, "utf-8", [])
