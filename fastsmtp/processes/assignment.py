"""What the parent tells a child process at its start, and the signal that is sent beside the calls."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Final

import msgspec

from fastsmtp.config.settings import Config

END_AT_ONCE: Final = signal.SIGUSR2  # SIGTERM twice will not do: who stops a whole group of processes sends it, too


class OwnFile(msgspec.Struct, frozen=True):
    """A file or socket that the parent made. It is deleted by a child that outlives the parent."""

    path: str
    device: int
    inode: int

    @classmethod
    def at(cls, path: str) -> OwnFile:
        """The one that is at `path` now. Raises OSError."""
        status = os.lstat(path)
        return cls(os.path.abspath(path), status.st_dev, status.st_ino)

    def delete(self) -> None:
        """Delete it, unless it is gone, or another has its name by now: that of the next server."""
        with contextlib.suppress(OSError):
            status = os.lstat(self.path)
            if (status.st_dev, status.st_ino) == (self.device, self.inode):
                os.unlink(self.path)


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """The argument of the call `process.Start`."""

    config: Config
    listeners: dict[str, int]  # descriptors of bound sockets, by the name of the listener
    spares: list[dict[str, int]]  # the same of each process, to stand in for it; none at Unix paths, which all share
    directory: str  # its own, deleted by the parent
    save: str = ""  # where the embedded default keeps mails
    rpc: str = ""  # the parent's RPC, for workers
    counting: bool = False  # metrics are served
    own_files: list[OwnFile] = []
    index: int = 0  # which of the processes it is
    count_fd: int = -1  # descriptor of the `SharedCount` of connections; -1: there is no limit
    inbox: str = ""  # path of the inbox's socket
    guard_fd: int = -1  # where pids of processes are told (`system/guard.py`); -1: nowhere
