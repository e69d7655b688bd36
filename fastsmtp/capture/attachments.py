"""Where the octets of attachments go: memory or tempfiles.

A sink takes the body of one part in its transfer encoding, as it arrives. Names from the wire never reach the file
system: a tempfile is named after the email's uuid, the attachment's place and an extension from a fixed table.
`tempdirectory.py` makes and deletes files, `undecided.py` deletes what a dead process has left; nothing else does.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from typing import NamedTuple, Protocol

from fastsmtp.capture.tempdirectory import TempDirectory
from fastsmtp.capture.undecided import Undecided
from fastsmtp.errors import StartError
from fastsmtp.mime._base64 import Base64Decoder, Base64Encoder, Base64Text
from fastsmtp.mime.entity import Entity
from fastsmtp.mime.transfer import TransferDecoder, is_base64, note_misspelled, transfer_decoder

_PREFIX = "smtp-att-"
_UNDECODED_BYTES = 64 * 1024  # that a decoder of base64 holds at most
_WRITE_BYTES = 64 * 1024  # decoded octets gathered before a write
_LARGE_BYTES = 16 * 1024  # a block of this size is written at once: copying it costs more than the system call
_SPARE_BYTES = 64 * 1024  # of text for which the room that is kept for more counts; behind more it is not touched
_MAX_HINT = 32 * 1024 * 1024  # a client may announce what it never sends; beyond, text grows by half each time


class Stored(NamedTuple):
    """A stored attachment: `size` in decoded octets, and either `content` (base64 as a JSON string) or `path`."""

    size: int
    content: bytes | bytearray | None
    path: str | None
    sha256: str | None


class Sink(Protocol):
    """Takes the body of one part. `held` counts the octets of it that are in memory."""

    held: int

    def feed(self, buf: bytearray, start: int, end: int) -> None:
        """Take `buf[start:end]`, in the part's transfer encoding. Raises OSError when it cannot be stored."""

    def close(self) -> Stored:
        """The part is complete. Raises OSError when it cannot be stored."""

    def discard(self) -> None:
        """Forget the part, and delete its file if it has one. May be called at any time, and twice."""


class Storage(Protocol):
    """Opens a sink for each attachment of an email, and knows what to do with its file in the end."""

    def open(self, uuid: str, place: int, entity: Entity, found: list[str], size_hint: int) -> Sink:
        """A sink for the body of `entity`, the attachment number `place` of the email; raises OSError.

        Defects of its encoding go to `found`. `size_hint` is how many octets may still come, 0 where that is unknown.
        """

    def hand_over(self, path: str) -> None:
        """A worker has taken the email: the file at `path` is left to it, and to `cleanup_after`."""

    def delete(self, path: str) -> None:
        """The email was not accepted: delete the file at `path`."""


class MemoryStorage:
    """Attachments as base64 text in memory."""

    def __init__(self, *, checksum: bool = False) -> None:
        self._checksum = checksum

    def open(self, uuid: str, place: int, entity: Entity, found: list[str], size_hint: int) -> Sink:
        """See `Storage.open`. Never raises OSError."""
        if is_base64(entity.transfer_encoding):
            note_misspelled(entity.transfer_encoding, found)
            return _Base64Sink(found, min(size_hint, _MAX_HINT), checksum=self._checksum)
        return _EncodingSink(transfer_decoder(entity.transfer_encoding, found), checksum=self._checksum)

    def hand_over(self, path: str) -> None:
        """See `Storage.hand_over`: there are no files."""

    def delete(self, path: str) -> None:
        """See `Storage.delete`: there are no files."""


def _with_room(octets: int) -> int:
    """Octets of memory for so many octets of text, which grows by half."""
    return octets + min(octets, _SPARE_BYTES) // 2


class _Base64Sink:
    """base64 that stays base64: canonical text is passed on without encoding, and decoded for a checksum only."""

    __slots__ = ("_decoder", "_fed", "_found", "_sha256", "_text", "held")

    def __init__(self, found: list[str], size_hint: int, *, checksum: bool) -> None:
        self._text = Base64Text(quoted=True, size_hint=size_hint)
        self._found = found
        self._sha256 = hashlib.sha256()
        self._decoder = Base64Decoder([]) if checksum else None  # its defects are those that the text has
        self._fed = 0
        self.held = 0

    def feed(self, buf: bytearray, start: int, end: int) -> None:
        self._text.feed(buf, start, end)
        self._fed += end - start
        self.held = _with_room(self._fed)
        if self._decoder is not None:
            self._sha256.update(self._decoder.feed(buf, start, end))

    def close(self) -> Stored:
        content, size, found = self._text.finish()
        self.held = len(content)
        self._found += found
        if self._decoder is None:
            return Stored(size, content, None, None)
        self._sha256.update(self._decoder.close())
        return Stored(size, content, None, self._sha256.hexdigest())

    def discard(self) -> None:
        self._text = Base64Text()
        self.held = 0


class _EncodingSink:
    """Any other transfer encoding: undone, then encoded in base64."""

    __slots__ = ("_decoder", "_encoded", "_encoder", "_sha256", "held")

    def __init__(self, decoder: TransferDecoder, *, checksum: bool) -> None:
        self._decoder = decoder
        self._encoder = Base64Encoder(quoted=True)
        self._sha256 = hashlib.sha256() if checksum else None
        self._encoded = 0
        self.held = 0

    def feed(self, buf: bytearray, start: int, end: int) -> None:
        decoded = self._decoder.feed(buf, start, end)
        self._store(decoded)
        self._encoded += (len(decoded) + 2) // 3 * 4
        self.held = _with_room(self._encoded)

    def _store(self, octets: bytes) -> None:
        self._encoder.feed(octets, 0, len(octets))
        if self._sha256 is not None:
            self._sha256.update(octets)

    def close(self) -> Stored:
        self._store(self._decoder.close())
        content, size = self._encoder.finish()
        self.held = len(content)
        return Stored(size, content, None, None if self._sha256 is None else self._sha256.hexdigest())

    def discard(self) -> None:
        self._encoder = Base64Encoder()
        self.held = 0


class TempfileStorage:
    """Attachments as files of mode 0600 in `directory`, which the worker may move or delete.

    `cleanup_after_s` is the age in seconds at which `clean` deletes a file; 0 keeps all. `owner` is the user and group
    that files and a new directory are given to, for workers that run as another user; -1 keeps ours.
    """

    def __init__(
        self, directory: str, cleanup_after_s: float, *, checksum: bool = False, owner: tuple[int, int] = (-1, -1)
    ) -> None:
        self._directory = TempDirectory(directory, owner)
        self._cleanup_after_s = cleanup_after_s
        self._checksum = checksum
        self._undecided: Undecided | None = None  # the files whose email no worker has taken yet
        self._closed = False

    def prepare(self) -> None:
        """Make the directory, mode 0700, and try a file in it. Raises StartError."""
        try:
            self._open_directory()
            name = f"{_PREFIX}probe-{os.getpid()}-{time.monotonic_ns()}"
            os.close(self._directory.create(name))
            self._directory.delete(name)
        except OSError as error:
            self.close()
            reason = error.strerror or str(error)
            raise StartError(
                f"smtp.attachment_storage.temp_dir: cannot keep files in {self._directory.path}: {reason}"
            ) from None

    def close(self) -> None:
        """The server ends: delete the files whose email no worker has taken. May be called twice."""
        self._closed = True
        undecided, self._undecided = self._undecided, None
        if undecided is not None:
            for name in undecided:
                self._directory.delete(name)
            undecided.close()
        self._directory.close()

    def _open_directory(self) -> Undecided:
        """See to it that files can be made, and return the list of them. Raises OSError."""
        if self._closed:
            raise ConnectionAbortedError(0, "the server ends")
        if self._undecided is None:
            self._undecided = Undecided(self._directory.path)
        self._directory.open()
        return self._undecided

    def open(self, uuid: str, place: int, entity: Entity, found: list[str], size_hint: int) -> Sink:
        """See `Storage.open`."""
        undecided = self._open_directory()
        name = f"{_PREFIX}{uuid}-{place}{entity.extension()}"
        undecided.add(name)
        try:
            descriptor = self._directory.create(name)
        except OSError:
            undecided.remove(name)
            raise
        decoder = transfer_decoder(entity.transfer_encoding, found)
        undecoded = _UNDECODED_BYTES if is_base64(entity.transfer_encoding) else 0
        return _TempfileSink(self, descriptor, name, decoder, undecoded, checksum=self._checksum)

    def path_of(self, name: str, descriptor: int) -> str:
        """Where a worker finds the file. Raises OSError where its path leads to another one, or to nothing."""
        if not self._directory.leads_to(name, descriptor):
            raise FileNotFoundError(errno.ENOENT, "the file was deleted or moved while it was written")
        return os.path.join(self._directory.path, name)

    def hand_over(self, path: str) -> None:
        """See `Storage.hand_over`."""
        self._decided(os.path.basename(path))

    def delete(self, path: str) -> None:
        """See `Storage.delete`. A worker may have moved or deleted the file before."""
        name = os.path.basename(path)
        self._directory.delete(name)
        self._decided(name)

    def _decided(self, name: str) -> None:
        if self._undecided is not None:
            self._undecided.remove(name)

    def clean(self, now: float) -> int:
        """Delete our files last written `cleanup_after_s` before `now` (Unix time); how many were deleted.

        Files of emails that no worker has taken yet stay, however old. May run in a thread of its own.
        """
        if not self._cleanup_after_s:
            return 0
        try:
            descriptor = self._directory.reopen()
        except OSError:  # there is no directory, or it is not ours any more
            return 0
        try:
            with os.scandir(descriptor) as entries:
                names = [entry.name for entry in entries if entry.name.startswith(_PREFIX)]
            undecided = self._undecided or ()
            wanted = (name for name in names if name not in undecided)
            return sum(self._delete_if_old(descriptor, name, now) for name in wanted)
        finally:
            os.close(descriptor)

    def _delete_if_old(self, directory: int, name: str, now: float) -> bool:
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode) or status.st_mtime >= now - self._cleanup_after_s:
                return False
            os.unlink(name, dir_fd=directory)
        except OSError:
            return False  # gone already, or not ours to delete
        return True


class _TempfileSink:
    """One file, written in blocks."""

    __slots__ = (
        "_decoder",
        "_descriptor",
        "_fed",
        "_name",
        "_pending",
        "_sha256",
        "_size",
        "_storage",
        "_undecoded",
        "held",
    )

    def __init__(
        self,
        storage: TempfileStorage,
        descriptor: int,
        name: str,
        decoder: TransferDecoder,
        undecoded: int,
        *,
        checksum: bool,
    ) -> None:
        """`undecoded` octets may be in the decoder."""
        self._storage = storage
        self._descriptor = descriptor
        self._name = name
        self._decoder = decoder
        self._sha256 = hashlib.sha256() if checksum else None
        self._size = 0
        self._pending = bytearray()  # decoded, not written yet
        self._fed = 0  # octets, encoded
        self._undecoded = undecoded
        self.held = 0

    def feed(self, buf: bytearray, start: int, end: int) -> None:
        octets = self._decoder.feed(buf, start, end)
        self._fed += end - start
        if not self._pending and len(octets) >= _LARGE_BYTES:
            self._write(octets)
        else:
            self._pending += octets
            if len(self._pending) >= _WRITE_BYTES:
                self._flush()
        self.held = len(self._pending) + min(self._fed, self._undecoded)

    def _flush(self) -> None:
        self._write(self._pending)
        self._pending = bytearray()

    def _write(self, octets: bytes | bytearray) -> None:
        self._size += len(octets)
        if self._sha256 is not None:
            self._sha256.update(octets)
        written = os.write(self._descriptor, octets)
        while written < len(octets):  # it stops short at a signal, or when the disk is nearly full
            written += os.write(self._descriptor, bytes(octets[written:]))

    def close(self) -> Stored:
        self._pending += self._decoder.close()
        if self._pending:
            self._flush()
        self.held = 0
        path = self._storage.path_of(self._name, self._descriptor)
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)
        return Stored(self._size, None, path, None if self._sha256 is None else self._sha256.hexdigest())

    def discard(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        self._pending = bytearray()
        self.held = 0
        try:
            if descriptor >= 0:
                os.close(descriptor)
        except OSError:
            pass  # closed all the same; what could not be written is deleted anyway
        self._storage.delete(self._name)
