"""Private directories of a process for as long as it lives: sockets and lists, nothing worth keeping.

A process that is killed cannot remove its own, so the next one does. It has to be certain that the directory is one of
these, of our user, and that its process is dead: the first is told by a file that is in each, the last by a lock that
the kernel gives back whatever happens (flock(2)). What is in doubt stays.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from typing import Final

_PREFIXES: Final = ("fastsmtp-", "fsmtp-")
_TRIES: Final = 100
_MARK: Final = "fastsmtp"
_MARK_TEXT: Final = b"A private directory of a fastsmtp that runs, or was killed; then the next one removes it.\n"
_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class RuntimeDirectory:
    """One directory in that for temporary files, with a name that begins with `prefix`."""

    def __init__(self, prefix: str = _PREFIXES[0], mode: int = 0o700) -> None:
        """Make it. Raises OSError."""
        for _ in range(_TRIES):
            try:
                self._make(prefix, mode)
            except BlockingIOError:  # another process looks at it at this moment, and will leave it alone
                continue
            return
        raise BlockingIOError(errno.EAGAIN, "other processes lock every directory", tempfile.gettempdir())

    def _make(self, prefix: str, mode: int) -> None:
        self.path = tempfile.mkdtemp(prefix=prefix)
        self._lock = -1
        try:
            self._lock = lock(self.path)
            os.chmod(self.path, mode)
            # Last: from now on it can be told to be dead.
            mark = os.open(_MARK, _MAKE, 0o600, dir_fd=self._lock)
            os.write(mark, _MARK_TEXT)
            os.close(mark)
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            unlock(self._lock)
            raise

    def remove(self) -> None:
        """Remove it with all that is in it. May be called twice."""
        if self._lock >= 0 and _leads_to(self.path, self._lock):
            shutil.rmtree(self.path, ignore_errors=True)
        unlock(self._lock)
        self._lock = -1


def lock(path: str) -> int:
    """Share the lock on a directory: it is not removed by another process before `unlock` of what is returned.

    Raises OSError.
    """
    descriptor = os.open(path, _OPEN)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def unlock(descriptor: int) -> None:
    """Give the lock back; nothing for -1."""
    if descriptor >= 0:
        os.close(descriptor)


def leave(path: str, descriptor: int) -> None:
    """Give the lock on a directory back, and remove that, where no other process shares the lock; nothing for -1."""
    with contextlib.suppress(OSError):
        if descriptor >= 0:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _leads_to(path, descriptor):
                shutil.rmtree(path, ignore_errors=True)
    unlock(descriptor)


def _leads_to(path: str, descriptor: int) -> bool:
    """Whether it is still the directory that is open; a cleaner may have removed it, and another user made one."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return False


def sweep(before: Callable[[str], object]) -> list[str]:
    """Remove what dead processes of our user have left; return the paths. `before` is called with each before that."""
    found = []
    with contextlib.suppress(OSError):
        found = [entry.path for entry in os.scandir(tempfile.gettempdir()) if entry.name.startswith(_PREFIXES)]
    return [path for path in found if _remove_if_dead(path, before)]


def _remove_if_dead(path: str, before: Callable[[str], object]) -> bool:
    with contextlib.suppress(OSError), _locked_alone(path) as directory:
        if _is_ours(directory):
            before(path)
            shutil.rmtree(path, ignore_errors=True)
            return True
    return False


@contextlib.contextmanager
def _locked_alone(path: str) -> Iterator[int]:
    """The directory, open and locked. Raises OSError where a process lives that shares the lock."""
    descriptor = os.open(path, _OPEN)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def _is_ours(directory: int) -> bool:
    """Whether a process of our user has made it. Raises OSError, also where it has no mark."""
    if os.fstat(directory).st_uid != os.geteuid():
        return False
    mark = os.open(_MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    try:
        status = os.fstat(mark)
        regular = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
        return regular and os.read(mark, len(_MARK_TEXT) + 1) == _MARK_TEXT
    finally:
        os.close(mark)
