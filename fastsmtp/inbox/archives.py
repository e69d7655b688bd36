"""Many mails as one file: a mailbox (RFC 4155), a ZIP file of messages, or lines of JSON that tell all there is.

Made in pieces while mails are read, and read in pieces from a file: an archive may be larger than memory.
"""

from __future__ import annotations

import io
import re
import time
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, Final, Protocol

import msgspec

from fastsmtp.errors import FastSMTPError
from fastsmtp.inbox.documents import LARGE, load_now
from fastsmtp.inbox.rows import Row

EML: Final = "eml"
ZIP: Final = "eml.zip"
MBOX: Final = "mbox"
JSONL: Final = "jsonl"
CONTENT_TYPES: Final = {
    EML: "message/rfc822",
    ZIP: "application/zip",
    MBOX: "application/mbox",
    JSONL: "application/x-ndjson",
}

# A line that a reader of mailboxes could take for the beginning of a mail, and those that were made of one (mboxrd).
_FROM_LINE: Final = re.compile(rb">*From ")
_LINES: Final = re.compile(rb"^(?=>*From )", re.MULTILINE)
_PIECE: Final = 64 * 1024  # octets that are looked at in one step, which holds the interpreter
_ANY_SIZE: Final = 1024 * 1024 * 1024  # of a mail where there is no limit: a small archive may unpack to anything
_LINE_BYTES: Final = 1024 * 1024  # read of a line at a time
_UNSAFE: Final = re.compile(r"[^\w.@+-]+")


class ArchiveError(FastSMTPError):
    """A file is no archive of mails."""


class Archived(msgspec.Struct, omit_defaults=True):
    """A mail of an archive. `raw` are its octets; what a format cannot tell is empty."""

    raw: bytes
    uuid: str = ""
    received_at: str = ""  # RFC 3339
    outcome: str = ""
    read: bool = False
    tags: list[str] = []
    envelope: dict[str, Any] = {}
    remote_addr: str = ""
    subject: str | None = None
    connection: str = ""  # the uuid of the connection over which it came
    authentication: dict[str, Any] = {}  # how the client logged in: mechanism, username, password
    tls: bool = False


class _Origin(msgspec.Struct):
    """What of a payload is told of how a mail came."""

    connection_uuid: str = ""
    envelope: dict[str, Any] = {}
    authentication: dict[str, Any] = {}


_ORIGINS: Final = msgspec.json.Decoder(_Origin)


def _origin_of(payload: bytes) -> _Origin:
    if len(payload) <= LARGE:
        return _ORIGINS.decode(payload)
    return msgspec.convert(load_now(payload), _Origin)


def archived(row: Row, octets: bytes, payload: bytes = b"") -> Archived:
    """Return a mail of the store as archives have it; with its payload, where that is kept, how it came."""
    summary = load_now(row.summary)
    origin = _origin_of(payload) if payload else _Origin()
    login = origin.authentication
    return Archived(
        octets,
        uuid=row.uuid,
        received_at=summary["received_at"],
        outcome=row.outcome,
        read=row.read,
        tags=list(row.tags),
        envelope={**summary["envelope"], **_parameters(origin.envelope)},
        remote_addr=summary["remote_addr"],
        subject=summary["subject"],
        connection=origin.connection_uuid,
        authentication={key: login[key] for key in _LOGIN} if login.get("username") is not None else {},
        tls=summary["tls"],
    )


_LOGIN: Final = ("mechanism", "username", "password")


def _parameters(envelope: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of MAIL and RCPT, where there are any."""
    given = {key: envelope.get(key) for key in ("mail_params", "rcpt_params")}
    return {key: value for key, value in given.items() if value and any(value)}


class Writer(Protocol):
    """Makes an archive."""

    def add(self, mail: Archived) -> bytes:
        """Return the octets to be written for a mail."""

    def close(self) -> bytes:
        """Return the rest."""


class MboxWriter:
    """A mailbox in the mboxrd variant: line ends are LF, `From ` lines of mails are quoted so that it can be undone."""

    def add(self, mail: Archived) -> bytes:
        """See `Writer`."""
        sender = _UNSAFE.sub("-", str(mail.envelope.get("from", ""))) or "MAILER-DAEMON"
        date = time.strftime("%a %b %d %H:%M:%S %Y", time.strptime(mail.received_at[:19], "%Y-%m-%dT%H:%M:%S"))
        body = b"".join(_quoted(mail.raw))
        return b"From %b %b\n%b%b\n" % (sender.encode(), date.encode(), body, b"" if body.endswith(b"\n") else b"\n")

    def close(self) -> bytes:
        """See `Writer`."""
        return b""


def _quoted(raw: bytes) -> Iterator[bytes]:
    """Yield a mail as it stands in a mailbox, some lines at a time."""
    start = 0
    while start < len(raw):
        end = raw.rfind(b"\n", start, start + _PIECE) + 1
        if end:
            yield _LINES.sub(b">", raw[start:end].replace(b"\r\n", b"\n"))
        else:  # a line that is longer
            end = raw.find(b"\n", start) + 1 or len(raw)
            if _FROM_LINE.match(raw, start, end):
                yield b">"
            yield raw[start:end].replace(b"\r\n", b"\n")
        start = end


class JSONLWriter:
    """A line of JSON for each mail, with its octets in base64."""

    def add(self, mail: Archived) -> bytes:
        """See `Writer`."""
        return msgspec.json.encode(mail) + b"\n"

    def close(self) -> bytes:
        """See `Writer`."""
        return b""


class _Output(io.RawIOBase):
    """What a ZIP file is written to while it is sent."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, octets: Any) -> int:
        self._pieces.append(bytes(octets))
        return len(octets)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class ZIPWriter:
    """A file for each mail, `000001-UUID.eml`, in the order in which they are added."""

    def __init__(self) -> None:
        self._output = _Output()
        self._zip = zipfile.ZipFile(self._output, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._count = 0

    def add(self, mail: Archived) -> bytes:
        """See `Writer`."""
        self._count += 1
        info = zipfile.ZipInfo(f"{self._count:06}-{mail.uuid}.eml", _zip_time(mail.received_at))
        info.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(info, mail.raw)
        return self._output.take()

    def close(self) -> bytes:
        """See `Writer`."""
        self._zip.close()
        return self._output.take()


def _zip_time(timestamp: str) -> tuple[int, int, int, int, int, int]:
    moment = time.strptime(timestamp[:19], "%Y-%m-%dT%H:%M:%S")
    return (max(1980, moment.tm_year), *moment[1:6])


WRITERS: Final[dict[str, type[Writer]]] = {ZIP: ZIPWriter, MBOX: MboxWriter, JSONL: JSONLWriter}


def read_archive(file: IO[bytes], name: str, max_size: int) -> Iterator[Archived]:
    """Yield the mails of an archive of this format. Raises ArchiveError; `max_size` is the most octets of one, 0 = any.

    Blocks while it reads.
    """
    yield from _READERS[name](file, max_size or _ANY_SIZE)


def _read_eml(file: IO[bytes], max_size: int) -> Iterator[Archived]:
    octets = file.read(max_size + 1)
    if not octets.strip():
        raise ArchiveError("there is no mail in it")
    yield Archived(_checked(octets, max_size))


def _checked(octets: bytes, max_size: int) -> bytes:
    if len(octets) > max_size:
        raise ArchiveError(f"a mail in it has more than {max_size} octets")
    return octets


def _read_mbox(file: IO[bytes], max_size: int) -> Iterator[Archived]:
    lines: list[bytes] | None = None
    size = 0
    after_empty = True
    while line := file.readline(max_size + 1):
        if after_empty and line.startswith(b"From "):
            if lines is not None:
                yield _mail_of_mbox(lines)
            lines, size = [], 0
        elif lines is None:
            if line.strip():
                raise ArchiveError('it is no mailbox file: its first line does not begin with "From "')
        else:
            size += len(line)
            if size > max_size:
                raise ArchiveError(f"a mail in it has more than {max_size} octets")
            lines.append(_unquoted(line))
        after_empty = not line.rstrip(b"\r\n")
    if lines is None:
        raise ArchiveError("there is no mail in it")
    yield _mail_of_mbox(lines)


def _unquoted(line: bytes) -> bytes:
    """Return a line of a mailbox as it stands in the mail, with CRLF."""
    if line.startswith(b">") and _FROM_LINE.match(line):
        line = line[1:]
    return line if line.endswith(b"\r\n") or not line.endswith(b"\n") else line[:-1] + b"\r\n"


def _mail_of_mbox(lines: list[bytes]) -> Archived:
    if lines and not lines[-1].strip():
        lines.pop()  # the empty line between mails
    return Archived(b"".join(lines))


def _read_zip(file: IO[bytes], max_size: int) -> Iterator[Archived]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = [
                info for info in archive.infolist() if info.filename.lower().endswith(".eml") and not info.is_dir()
            ]
            if not names:
                raise ArchiveError("there is no .eml file in it")
            for info in names:
                with archive.open(info) as member:
                    yield Archived(_checked(member.read(max_size + 1), max_size))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, ValueError) as error:
        raise ArchiveError(f"it is no ZIP file that can be read: {error}") from None


def _read_jsonl(file: IO[bytes], max_size: int) -> Iterator[Archived]:
    limit = 2 * max_size + _LINE_BYTES
    number = 0
    while line := file.readline(limit + 1):
        number += 1
        if not line.strip():
            continue
        if len(line) > limit:
            raise ArchiveError(f"line {number} is longer than a mail can be")
        try:
            mail = msgspec.json.decode(line, type=Archived)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ArchiveError(f"line {number}: {error}") from None
        yield msgspec.structs.replace(mail, raw=_checked(mail.raw, max_size))


_READERS: Final = {EML: _read_eml, ZIP: _read_zip, MBOX: _read_mbox, JSONL: _read_jsonl}
