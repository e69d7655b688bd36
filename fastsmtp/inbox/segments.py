"""Append-only files for the octets of mails: the JSON of each payload, and the mail as it came.

A segment is a file of up to 64 MiB; what is appended stays where it is until the whole segment is dropped. A record is

    magic "FSM1" | length of the document, LE32 | length of the raw mail, LE64 | CRC-32 of both, LE32 | document | raw

A raw mail that was received into a file of its own becomes a segment by a link: none of its octets is copied, where
the file system has links, and the record in the segment at hand says 0 for its length. The file stays until the SMTP
process deletes it: what could not be committed can be sent again. Where a record stands is told by its `Place`, which
the rows of the store keep; segments themselves are never searched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from fastsmtp.errors import StoreError
from fastsmtp.inbox.documents import Octets

SEGMENT_BYTES: Final = 64 * 1024 * 1024
_MAGIC: Final = b"FSM1"
_HEADER: Final = Struct("<4sIQI")
HEADER_BYTES: Final = _HEADER.size
_TRIED_BYTES: Final = 1024 * 1024
_OPEN_FILES: Final = 64  # segments kept open for reading
_NOTHING: Final[Octets] = b""
_WHOLE_BYTES: Final = 1024 * 1024  # up to which a record is read as a whole, and checked each time; larger ones once
_MAX_CHECKED: Final = 10_000  # large records that are known to be right
_MAX_VECTORS: Final = 512  # buffers of one writev; IOV_MAX is 1024
_NO_LINKS: Final = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
_NO_FILE: Final = (errno.ENOENT, errno.ELOOP, errno.EISDIR)
_COPIED_BYTES: Final = 16 * 1024 * 1024  # by one call
_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class RecordPlace(NamedTuple):
    """Where a record stands.

    `spool` is the number of the segment that is the raw mail and nothing else, 0 where the record has the raw mail.
    """

    segment: int
    offset: int
    document_length: int
    raw_length: int
    spool: int

    @property
    def end(self) -> int:
        """The offset behind the record."""
        return self.offset + _HEADER.size + self.document_length + (0 if self.spool else self.raw_length)


class Record(NamedTuple):
    """What is to be appended: `raw` is the mail, or the path of a file that has it."""

    document: Octets
    raw: Octets | str


class Segments:
    """The segments of one store. One thread writes and drops; any thread may read."""

    def __init__(self, directory: str, *, sync: bool = False, limit: int = SEGMENT_BYTES) -> None:
        """`directory` exists; "" keeps segments in anonymous files. With `sync` what was appended survives a power cut.

        Raises OSError.
        """
        self._directory = directory
        self._sync = sync
        self._limit = limit
        self._sizes: dict[int, int] = {}  # octets by number, the oldest first
        self._spooled: set[int] = set()  # those that are one raw mail
        self._anonymous: dict[int, int] = {}  # descriptors by number, where there is no directory
        self._readable: OrderedDict[int, int] = OrderedDict()  # descriptors by number, the least used first
        self._checked: set[tuple[int, int]] = set()  # large records, by segment and offset
        self._current = 0
        self._writing = -1  # descriptor of the current segment
        self._lock = threading.Lock()  # so that no descriptor is closed while it is read from
        if directory:
            self._find()

    def _find(self) -> None:
        found = {}
        for entry in os.scandir(self._directory):
            stem, dot, suffix = entry.name.rpartition(".")
            if dot and stem.isdigit() and suffix in ("segment", "eml"):
                found[int(stem)] = entry.stat(follow_symlinks=False).st_size
                if suffix == "eml":
                    self._spooled.add(int(stem))
        self._sizes = dict(sorted(found.items()))

    @property
    def sizes(self) -> dict[int, int]:
        """Octets by number of segment, the oldest first."""
        return dict(self._sizes)

    @property
    def current(self) -> int:
        """The number of the segment that is written to, 0 before the first append."""
        return self._current

    @property
    def total(self) -> int:
        """Octets of all segments."""
        return sum(self._sizes.values())

    def try_room(self) -> None:
        """Raises OSError where a mail of 1 MiB could not be appended: the disk, a quota or a limit of files is full."""
        with tempfile.TemporaryFile(dir=self._directory or None, buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, _TRIED_BYTES)

    def append(self, records: Sequence[Record]) -> list[RecordPlace | None]:
        """Write the records behind each other, all of them or none, and return their places in order.

        A record whose file is not there has None, and is not written.
        Raises OSError: then the segments are as they were before.
        """
        number, before = self._room()
        places: list[RecordPlace | None] = []
        vectors: list[Octets] = []
        adopted: list[int] = []
        offset = before
        try:
            for record in records:
                place = self._plan(record, number, offset, vectors, adopted)
                places.append(place)
                if place is not None:
                    offset = place.end
            _write_all(self._writing, vectors, before)
            if self._sync:
                os.fdatasync(self._writing)
        except OSError:
            self._undo(before, adopted)
            raise
        self._sizes[number] = offset
        return places

    def _plan(
        self, record: Record, number: int, offset: int, vectors: list[Octets], adopted: list[int]
    ) -> RecordPlace | None:
        document, raw = record
        spool = 0
        if isinstance(raw, str):
            try:
                spool = self._adopt(raw)
            except OSError as error:
                if error.errno not in _NO_FILE:
                    raise
                return None
            adopted.append(spool)
            length, inner = self._sizes[spool], _NOTHING
        else:
            length, inner = len(raw), raw
        header = _HEADER.pack(_MAGIC, len(document), len(inner), crc32(inner, crc32(document)))
        vectors += (header, document, inner) if inner else (header, document)
        return RecordPlace(number, offset, len(document), length, spool)

    def _room(self) -> tuple[int, int]:
        """The segment to write to, opened, and its size."""
        size = self._sizes.get(self._current, 0)
        if self._writing < 0 or size >= self._limit:
            with self._lock:
                self._close_writing()
            number = self._next()
            self._writing = self._create(number)
            self._current = number
            self._sizes[number] = size = 0
        return self._current, size

    def _next(self) -> int:
        return max(self._sizes, default=0) + 1

    def _create(self, number: int) -> int:
        if self._directory:
            descriptor = os.open(self._path(number), _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            if self._sync:
                self._sync_directory()
            return descriptor
        with tempfile.TemporaryFile(buffering=0) as file:
            descriptor = os.dup(file.fileno())
        self._anonymous[number] = descriptor
        return descriptor

    def _adopt(self, path: str) -> int:
        """Make the file at `path` a segment. Raises OSError, FileNotFoundError where it is not there, or not a file."""
        number = self._next()
        descriptor = os.open(path, _FLAGS)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                raise FileNotFoundError(errno.ENOENT, "it is no file of ours", path)
            if self._directory:
                if self._sync:
                    os.fsync(descriptor)
                _link(path, descriptor, self._path(number, spooled=True), sync=self._sync)
                if self._sync:
                    self._sync_directory()
            else:
                self._anonymous[number] = os.dup(descriptor)
        finally:
            os.close(descriptor)
        self._spooled.add(number)
        self._sizes[number] = status.st_size
        return number

    def _undo(self, size: int, adopted: list[int]) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._writing, size)
        for number in adopted:
            self.drop(number)

    def read_document(self, place: RecordPlace, start: int = 0, length: int = -1) -> bytes:
        """Octets of the document of a record from `start`, `length` of them or all.

        Raises StoreError where the record is not what was written.
        """
        return self._octets(place, start, _clipped(place.document_length, start, length))

    def read_raw(self, place: RecordPlace, start: int = 0, length: int = -1) -> bytes:
        """Octets of the raw mail from `start`, `length` of them or all. Raises StoreError where the record is damaged.

        A raw mail that is a file of its own has no checksum.
        """
        length = _clipped(place.raw_length, start, length)
        if place.spool:
            return self._read(place.spool, start, length)
        return self._octets(place, place.document_length + start, length)

    def whole(self, place: RecordPlace) -> bool:
        """Whether the record is there as it was written; reads all of it but for a raw mail in a file of its own."""
        if place.spool and self._sizes.get(place.spool) != place.raw_length:
            return False
        try:
            self._check(place)
        except StoreError:
            return False
        return True

    def _octets(self, place: RecordPlace, start: int, length: int) -> bytes:
        """Octets behind the header of a record, all of which has been checked. Raises StoreError."""
        start += _HEADER.size
        if place.end - place.offset <= _WHOLE_BYTES:
            return self._check(place)[start : start + length]
        key = place.segment, place.offset
        if key not in self._checked:
            self._check(place)
            if len(self._checked) >= _MAX_CHECKED:
                self._checked.clear()
            self._checked.add(key)
        return self._read(place.segment, place.offset + start, length)

    def _check(self, place: RecordPlace) -> bytes:
        """Return the record's first octets, up to 1 MiB, where all of it is as it was written. Raises StoreError."""
        first = self._read(place.segment, place.offset, min(_WHOLE_BYTES, place.end - place.offset))
        checksum = crc32(memoryview(first)[_HEADER.size :])
        for offset in range(place.offset + _WHOLE_BYTES, place.end, _WHOLE_BYTES):
            checksum = crc32(self._read(place.segment, offset, min(_WHOLE_BYTES, place.end - offset)), checksum)
        inner = 0 if place.spool else place.raw_length
        if first[: _HEADER.size] != _HEADER.pack(_MAGIC, place.document_length, inner, checksum):
            raise StoreError(f"segment {place.segment} is damaged: the mail at {place.offset} is not what was written")
        return first

    def _read(self, number: int, offset: int, length: int) -> bytes:
        try:
            with self._lock:
                octets = _read_all(self._reader(number), length, offset)
        except OSError as error:
            raise StoreError(f"segment {number} cannot be read: {error.strerror}") from None
        if len(octets) < length:
            raise StoreError(f"segment {number} ends at {offset + len(octets)}, before the mail at {offset} does")
        return octets

    def _reader(self, number: int) -> int:
        if number in self._anonymous:
            return self._anonymous[number]
        if number == self._current and self._writing >= 0:
            return self._writing
        descriptor = self._readable.pop(number, -1)
        if descriptor < 0:
            descriptor = os.open(self._path(number, spooled=number in self._spooled), _FLAGS)
            if len(self._readable) >= _OPEN_FILES:
                os.close(self._readable.popitem(last=False)[1])
        self._readable[number] = descriptor
        return descriptor

    def cut(self, number: int, size: int) -> None:
        """Drop what stands behind `size`: the end of a record whose mail was never answered. Raises OSError."""
        if self._sizes.get(number, 0) > size:
            os.truncate(self._path(number), size)
            self._sizes[number] = size

    def resume(self, number: int) -> None:
        """Go on writing to an existing segment. Raises OSError."""
        if not self._directory or number in self._spooled or self._sizes.get(number, self._limit) >= self._limit:
            return
        self._writing = os.open(self._path(number), _FLAGS)
        self._current = number

    def drop(self, number: int) -> None:
        """Delete a segment; it may be gone already."""
        with self._lock:
            self._drop(number)

    def _drop(self, number: int) -> None:
        self._sizes.pop(number, None)
        self._checked = {key for key in self._checked if key[0] != number}
        if number == self._current:
            self._close_writing()
        descriptor = self._readable.pop(number, -1)
        if descriptor >= 0:
            os.close(descriptor)
        if number in self._anonymous:
            os.close(self._anonymous.pop(number))
        elif self._directory:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(number, spooled=number in self._spooled))
        self._spooled.discard(number)

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            self._close_writing()
            for descriptor in (*self._readable.values(), *self._anonymous.values()):
                os.close(descriptor)
            self._readable.clear()
            self._anonymous.clear()

    def _close_writing(self) -> None:
        if self._writing >= 0 and self._current not in self._anonymous:
            os.close(self._writing)
        self._writing = -1
        self._current = 0

    def _path(self, number: int, *, spooled: bool = False) -> str:
        return os.path.join(self._directory, f"{number:010}.{'eml' if spooled else 'segment'}")

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _clipped(total: int, start: int, length: int) -> int:
    """How many octets there are from `start` on, at most `length`; all of them where that is negative."""
    left = max(0, total - start)
    return left if length < 0 else min(length, left)


def _read_all(descriptor: int, length: int, offset: int) -> bytes:
    """Return as many octets as there are. Raises OSError."""
    octets = os.pread(descriptor, length, offset)
    while len(octets) < length:  # one call reads 2 GiB at most
        more = os.pread(descriptor, length - len(octets), offset + len(octets))
        if not more:
            break
        octets += more
    return octets


def _write_all(descriptor: int, vectors: list[Octets], offset: int) -> None:
    """Write all buffers from `offset` on. Raises OSError."""
    start = 0
    while start < len(vectors):
        group = vectors[start : start + _MAX_VECTORS]
        start += len(group)
        wanted = sum(map(len, group))
        written = os.pwritev(descriptor, group, offset)
        offset += written
        if written < wanted:  # it stops short at 2 GiB, and when the disk is nearly full
            offset = _write_rest(descriptor, memoryview(b"".join(group))[written:], offset)


def _write_rest(descriptor: int, rest: memoryview, offset: int) -> int:
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest = rest[written:]
        offset += written
    return offset


def _link(path: str, descriptor: int, target: str, *, sync: bool) -> None:
    """Let the file have another name, too; where the file system has no links, copy it. Raises OSError."""
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        if os.path.samestat(os.lstat(target), os.fstat(descriptor)):
            return
        os.unlink(target)
        raise FileNotFoundError(errno.ENOENT, "it is another file", path)
    copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        offset = 0
        while copied := os.sendfile(copy, descriptor, offset, _COPIED_BYTES):
            offset += copied
        if sync:
            os.fsync(copy)
    except BaseException:
        os.unlink(target)
        raise
    finally:
        os.close(copy)
