"""The files of emails that no worker has taken yet, written down for the case that we are killed.

The list is in a directory that the next server finds (`runtimedir.py`); `delete_listed` then deletes the files on it.
It begins with the directory of the files, and has slots of one size for names. A free slot is used again, so the list
is as long as it ever had to be; and to take a name off it nothing is needed that a full disk could refuse.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from typing import Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.system.runtimedir import RuntimeDirectory, sweep

_FILE_NAME: Final = "undecided"
_HEAD: Final = 4096  # octets for the directory of the files, as long as a path can be
_SLOT: Final = 96
_LISTED: Final = b"+"
_FREE: Final = b"-"
# As `attachments.py` makes them: whatever else may stand in such a list, no other is deleted.
_NAME: Final = re.compile(rb"smtp-att-[0-9a-f-]{36}-[0-9]+(?:\.[0-9a-z]+)*")
_MAKE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Undecided:
    """The list of this process."""

    def __init__(self, directory: str) -> None:
        """Begin a list of files in `directory`. Raises OSError."""
        self._home = RuntimeDirectory()
        self._slots: dict[str, int] = {}  # offsets of the listed
        self._free: list[int] = []  # offsets, below _end
        self._end = _HEAD
        try:
            self._descriptor = os.open(os.path.join(self._home.path, _FILE_NAME), _MAKE, 0o600)
            os.pwrite(self._descriptor, os.fsencode(directory).ljust(_HEAD, b"\0"), 0)
        except BaseException:
            self._home.remove()
            raise

    def __contains__(self, name: str) -> bool:
        return name in self._slots

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._slots))

    def close(self) -> None:
        """Remove the list."""
        self._slots.clear()
        os.close(self._descriptor)
        self._home.remove()

    def add(self, name: str) -> None:
        """List a file, before it is made. Raises OSError when the disk is full."""
        place = self._free[-1] if self._free else self._end
        record = _LISTED + name.encode().ljust(_SLOT - 2) + b"\n"
        if os.pwrite(self._descriptor, record, place) < _SLOT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._free:
            self._free.pop()
        else:
            self._end += _SLOT
        self._slots[name] = place

    def remove(self, name: str) -> None:
        """Take it off the list: it is deleted, or a worker has it. Nothing, where it is not listed."""
        place = self._slots.pop(name, None)
        if place is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._descriptor, _FREE, place)
            self._free.append(place)


def sweep_leftovers(log: FilteringBoundLogger) -> None:
    """Delete what killed servers of our user have left: private directories, and files that no worker took."""
    deleted = 0

    def before(home: str) -> None:
        nonlocal deleted
        deleted += delete_listed(home)

    directories = sweep(before)
    if directories:
        log.info("removed what a killed server has left", directories=directories, tempfiles=deleted)


def delete_listed(home: str) -> int:
    """Delete the files on the lists of dead processes in `home` and below; return how many."""
    deleted = 0
    for directory, _, names in os.walk(home):
        if _FILE_NAME in names:
            with contextlib.suppress(OSError):  # none of ours
                deleted += sum(map(_delete_file, _read_listed(os.path.join(directory, _FILE_NAME))))
    return deleted


def _read_listed(path: str) -> list[str]:
    """The paths on a list. Raises OSError."""
    descriptor = os.open(path, _READ)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return []
        directory = os.fsdecode(file.read(_HEAD).rstrip(b"\0"))
        listed = []
        while len(record := file.read(_SLOT)) == _SLOT:
            name = record[1:].rstrip()
            if record[:1] == _LISTED and _NAME.fullmatch(name):
                listed.append(os.path.join(directory, name.decode()))
        return listed


def _delete_file(path: str) -> bool:
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        os.unlink(path)
    except OSError:  # a worker has it, after all
        return False
    return True
