"""A log file that is replaced when it is full, as RoadRunner's file logger does it: renamed, and a new one begins.

`server.log` becomes `server-2026-01-05T10-30-45.112.log`, in UTC. Old files beyond the limits are deleted, and packed
if that is wanted, by a thread. Several processes may write to one file: the one that finds it full renames it, and the
others find the new one with their next line.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import os
import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final, NamedTuple

_STAMP: Final = re.compile(r"-(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3})")
_PACKED: Final = ".gz"
_UNFINISHED: Final = ".gz.part"
_SETTLE_S: Final = 1.0  # before an old file is packed: another process may be about to write its last line there
_GOODBYE_S: Final = 1.0  # for the thread, when the log is closed


class RotationLimits(NamedTuple):
    """How large one log file may get, and which old files are kept; 0 = no limit, but for the size."""

    max_bytes: int
    max_age_days: int = 0
    max_backups: int = 0
    compress: bool = False


class OldFile(NamedTuple):
    """A file that was full."""

    stamp: str
    name: str


class Rotation:
    """Keeps the log file at `path` within limits."""

    def __init__(self, path: str, limits: RotationLimits) -> None:
        self.path = path
        self._limits = limits
        directory, name = os.path.split(os.path.abspath(path))
        self._directory = directory
        self._stem, self._suffix = os.path.splitext(name)
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()  # of the next two
        self._wanted = False  # there is something to tidy up
        self._busy = False  # the thread is about to look what
        self._closing = threading.Event()

    def make_room(self, fd: int, octets: int) -> None:
        """Have a file at `fd`, which is open for appending, that has room for so many octets. Raises OSError."""
        status = os.fstat(fd)
        if self._replaced(status):
            _reopen(self.path, fd)
        elif status.st_size and status.st_size + octets > self._limits.max_bytes:
            self._rotate(fd)

    def tidy(self) -> None:
        """Delete and pack old files in a thread, where there is anything to do."""
        with contextlib.suppress(OSError):
            if self._surplus() or (self._limits.compress and self._unpacked()):
                self._call_thread()

    def close(self) -> None:
        """Let the thread end, but do not wait for long: the next server takes up what is left."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_GOODBYE_S)

    def _call_thread(self) -> None:
        with self._guard:
            self._wanted = True
            if self._busy:
                return
            self._busy = True
        self._thread = threading.Thread(target=self._run, name="log rotation", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self._closing.wait(_SETTLE_S)
            with self._guard:
                self._wanted = False
            # What fails now is tried again after the next rotation.
            with contextlib.suppress(OSError), self._alone():
                self._tidy()
            with self._guard:
                if not self._wanted:
                    self._busy = False
                    return

    def _replaced(self, status: os.stat_result) -> bool:
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            return True
        return (named.st_dev, named.st_ino) != (status.st_dev, status.st_ino)

    def _rotate(self, fd: int) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another process does it now; this line still goes to the old file
        if not self._replaced(os.fstat(fd)):
            os.rename(self.path, self._free_name())
        _reopen(self.path, fd)  # which gives up the lock: it is one of the file that was at `fd`
        self.tidy()

    def _free_name(self) -> str:
        moment = datetime.now(timezone.utc)
        while True:
            stamp = moment.strftime("%Y-%m-%dT%H-%M-%S.") + f"{moment.microsecond // 1000:03}"
            name = os.path.join(self._directory, f"{self._stem}-{stamp}{self._suffix}")
            if not os.path.lexists(name) and not os.path.lexists(name + _PACKED):
                return name
            moment += timedelta(milliseconds=1)

    # old files

    def _old_files(self) -> list[OldFile]:
        """The newest first."""
        found = []
        for name in os.listdir(self._directory):
            plain = name.removesuffix(_PACKED)
            stamp = _STAMP.fullmatch(plain.removeprefix(self._stem).removesuffix(self._suffix))
            if plain.startswith(self._stem) and plain.endswith(self._suffix) and stamp:
                found.append(OldFile(stamp[1], name))
        return sorted(found, reverse=True)

    def _surplus(self) -> Sequence[OldFile]:
        """Those to be deleted."""
        limits = self._limits
        oldest = ""
        if limits.max_age_days:
            begin = datetime.now(timezone.utc) - timedelta(days=limits.max_age_days)
            oldest = begin.strftime("%Y-%m-%dT%H-%M-%S.000")
        files = self._old_files()
        kept = sorted({file.stamp for file in files}, reverse=True)[: limits.max_backups or None]
        return [file for file in files if file.stamp not in kept or file.stamp < oldest]

    def _unpacked(self) -> Sequence[OldFile]:
        return [file for file in self._old_files() if not file.name.endswith(_PACKED)]

    def _tidy(self) -> None:
        for file in self._surplus():
            os.unlink(os.path.join(self._directory, file.name))
        if self._limits.compress:
            for file in self._unpacked():
                self._pack(os.path.join(self._directory, file.name))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other process tidies up in this directory."""
        directory = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)

    def _pack(self, path: str) -> None:
        unfinished = path + _UNFINISHED
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)  # of a server that was killed
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, os.stat(path).st_mode & 0o777)
        with open(fd, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw) as packed, open(path, "rb") as plain:
            shutil.copyfileobj(plain, packed)
        os.rename(unfinished, path + _PACKED)
        os.unlink(path)


def open_file(path: str) -> int:
    """Open a log file for appending. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _reopen(path: str, fd: int) -> None:
    fresh = open_file(path)
    os.dup2(fresh, fd, inheritable=False)
    os.close(fresh)
