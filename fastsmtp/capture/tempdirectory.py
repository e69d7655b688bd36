"""The directory of tempfiles: ours when it is opened, and seen to be the same one whenever it is used.

Workers get the path of a file, so the path must not lead to a directory of another user: a cleaner may have removed
ours, and another user may have made one of the same name. The directory that was found good is kept open, files are
made and deleted in that one, and the path is compared with it each time. Where they differ, what is there now has to be
found good before it is used.
"""

from __future__ import annotations

import os
import stat
from typing import Final

_OPEN_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS: Final = 40  # as in the kernel

Known = tuple[int, int, int, int]  # device, inode, owner, mode


class TempDirectory:
    """A directory that is made with mode 0700 if it is missing."""

    def __init__(self, path: str, owner: tuple[int, int]) -> None:
        """`owner` is the user and group that files and a new directory are given to; -1 keeps ours."""
        self.path = os.path.abspath(path)  # a worker may have another working directory
        self._owner = owner
        self.descriptor = -1
        self._known: Known | None = None

    def open(self) -> None:
        """See to it that the directory at the path is the open one. Raises OSError where there is none for us."""
        try:
            if self._known is not None and _known(os.stat(self.path)) == self._known:
                return
        except FileNotFoundError:  # another program cleaned up /tmp while we run
            pass
        descriptor = self._open_good()
        self.close()
        self.descriptor = descriptor
        self._known = _known(os.fstat(descriptor))

    def reopen(self) -> int:
        """Return another descriptor of the open directory, the caller's own. May be called in another thread.

        Raises OSError where the path does not lead there.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if _known(os.fstat(descriptor)) == self._known:
            return descriptor
        os.close(descriptor)
        raise FileNotFoundError(0, "another directory has its name")

    def close(self) -> None:
        """Give the descriptor back. May be called twice."""
        descriptor, self.descriptor, self._known = self.descriptor, -1, None
        if descriptor >= 0:
            os.close(descriptor)

    def create(self, name: str) -> int:
        """Make a file of mode 0600 in the open directory, and return its descriptor. Raises OSError."""
        descriptor = os.open(name, _OPEN_FLAGS, 0o600, dir_fd=self.descriptor)
        if self._owner != (-1, -1):
            os.fchown(descriptor, *self._owner)
        return descriptor

    def leads_to(self, name: str, descriptor: int) -> bool:
        """Whether the path of `name` still leads to the file that is open as `descriptor`."""
        try:
            found = os.stat(os.path.join(self.path, name), follow_symlinks=False)
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(descriptor))

    def delete(self, name: str) -> bool:
        """Delete a file in the open directory; False where that is not possible: it may be gone."""
        if self.descriptor < 0:
            return False
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except OSError:
            return False
        return True

    def _open_good(self) -> int:
        """The directory at the path, made if it is missing. Raises OSError when it is not ours, or not ours alone."""
        made = not os.path.isdir(self.path)
        if made:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
        _refuse_links_of_others(self.path, self._ours())
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._judge(os.fstat(descriptor))
            if made:
                os.fchown(descriptor, *self._owner)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _judge(self, status: os.stat_result) -> None:
        # The owner of the directory could put other files under our names.
        if status.st_uid not in self._ours():
            raise PermissionError(0, "the directory belongs to another user")
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            raise PermissionError(0, "everybody may write to the directory")

    def _ours(self) -> tuple[int, int, int]:
        return os.geteuid(), 0, self._owner[0]


def _known(status: os.stat_result) -> Known:
    return status.st_dev, status.st_ino, status.st_uid, status.st_mode


def _refuse_links_of_others(path: str, ours: tuple[int, ...]) -> None:
    """Raise PermissionError for a link on the way to `path` that another user can change, and for a directory that
    another user has put where everybody may: in /tmp, for example."""
    links = 0
    seen, left = "/", [part for part in path.split("/") if part]
    while left:
        above, seen = seen, os.path.join(seen, left.pop(0))
        status = os.lstat(seen)
        public = os.stat(above).st_mode & stat.S_IWOTH
        if status.st_uid not in ours and (public or stat.S_ISLNK(status.st_mode)):
            raise PermissionError(0, f"{seen} belongs to another user")
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MAX_LINKS:
                raise PermissionError(0, f"too many links at {seen}")
            target = os.readlink(seen)
            left = [part for part in target.split("/") if part] + left
            seen = "/" if target.startswith("/") else above
