"""Files for the octets of large mails while they arrive: the inbox links them into its store, and copies nothing.

The inbox says in which directory, which is beside its segments. A file is named after the process and the mail, so that
the inbox knows what a killed process has left. The name is ours, made and deleted here and nowhere else; what the inbox
has of the file stays when it goes.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Final

from fastsmtp.capture.tempdirectory import TempDirectory

SPOOL_BYTES: Final = 1024 * 1024  # of a mail, up to which it stays in memory
_WRITE_BYTES: Final = 64 * 1024  # gathered before a write
_NEVER: Final = 1 << 62
_NAME: Final = re.compile(r"([0-9a-f]{32})-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def process_of(name: str) -> str:
    """Return the process that has made a file of this name, "" where none has."""
    found = _NAME.fullmatch(name)
    return "" if found is None else found[1]


class Spool:
    """The files of this process. `octets` are those that are in them, `files` how many there are."""

    def __init__(self, process: str) -> None:
        """`process` is 32 hexadecimal digits."""
        self._process: Final = process
        self._directory: TempDirectory | None = None
        self._names: set[str] = set()
        self.octets = 0

    @property
    def files(self) -> int:
        return len(self._names)

    @property
    def begins_at(self) -> int:
        """Octets of a mail from which on it has a file."""
        return _NEVER if self._directory is None else SPOOL_BYTES

    def use(self, path: str) -> None:
        """Keep files in this directory from now on, "" = nowhere. Those that are written go on where they are."""
        if path != ("" if self._directory is None else self._directory.path):
            self._directory = TempDirectory(path, (-1, -1)) if path else None

    def open(self, uuid: str) -> SpoolFile:
        """Make the file of a mail. Raises OSError."""
        directory = self._directory
        if directory is None:
            raise ConnectionAbortedError(0, "there is no inbox")
        name = f"{self._process}-{uuid}"
        directory.open()
        descriptor = directory.create(name)
        self._names.add(name)
        return SpoolFile(self, directory, name, descriptor)

    def forget(self, name: str, octets: int) -> None:
        """A file is deleted that had so many octets."""
        self._names.discard(name)
        self.octets -= octets

    def close(self) -> None:
        """The process ends: delete what is not decided. May be called twice."""
        directory, self._directory = self._directory, None
        if directory is not None:
            for name in self._names:
                directory.delete(name)
            directory.close()


class SpoolFile:
    """The octets of one mail as it came. `held` counts those that are in memory."""

    def __init__(self, spool: Spool, directory: TempDirectory, name: str, descriptor: int) -> None:
        self.name: Final = name
        self._spool = spool
        self._directory = directory
        self._descriptor = descriptor
        self._octets = 0
        self._pending = bytearray()

    @property
    def held(self) -> int:
        return len(self._pending)

    def feed(self, octets: bytes | bytearray) -> None:
        """Raises OSError when the disk is full."""
        self._pending += octets
        if len(self._pending) >= _WRITE_BYTES:
            self._flush()

    def _flush(self) -> None:
        pending, self._pending = self._pending, bytearray()
        written = 0
        while written < len(pending):  # it stops short at a signal, or when the disk is nearly full
            step = os.write(self._descriptor, pending[written:] if written else pending)
            written += step
            self._octets += step
            self._spool.octets += step

    def close(self) -> None:
        """The mail is complete. Raises OSError where its octets cannot be written, or are not found by the name."""
        self._flush()
        if not self._directory.leads_to(self.name, self._descriptor):
            raise FileNotFoundError(errno.ENOENT, "the file was deleted or moved while it was written")
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

    def delete(self) -> None:
        """The mail is decided, or given up. May be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        self._pending = bytearray()
        try:
            if descriptor >= 0:
                os.close(descriptor)
        except OSError:
            pass  # closed all the same
        self._directory.delete(self.name)
        self._spool.forget(self.name, self._octets)
        self._octets = 0
