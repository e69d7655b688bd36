"""A disk that is filled and freed while a server keeps its mails there.

Where it may be mounted, it is a small file system, in a mount namespace of the server's own. Elsewhere the files of the
inbox process get a limit that lets nothing be written: the kernel refuses what it refuses on a full disk.
"""

from __future__ import annotations

import contextlib
import resource
import subprocess
from pathlib import Path
from typing import Final, Protocol

from procs import inbox_of
from servers import Server

_SIZE: Final = "size=8m"


class Disk(Protocol):
    """One disk, of one server."""

    wrapper: list[str]  # what the server is started with
    reason: str  # what the kernel says when it is full

    def fill(self, server: Server) -> None:
        """Leave no octet."""

    def free(self, server: Server) -> None:
        """Let it have room again."""


def small_disk(directory: Path) -> Disk:
    """Return a disk at `directory`, which is empty."""
    tried = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", _SIZE, "tmpfs", str(directory)]
    mounted = subprocess.run(tried, capture_output=True, check=False).returncode == 0
    return MountedDisk(directory) if mounted else LimitedFiles(directory)


class MountedDisk:
    """A file system of its own."""

    reason = "No space left on device"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        script = f'mount -t tmpfs -o {_SIZE} tmpfs "$0" && exec "$@"'
        self.wrapper = ["unshare", "-m", "sh", "-c", script, str(directory)]

    def fill(self, server: Server) -> None:
        with open(self._filler(server), "wb", buffering=0) as file:
            for octets in (65536, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(octets))

    def free(self, server: Server) -> None:
        self._filler(server).unlink()

    def _filler(self, server: Server) -> Path:
        return Path(f"/proc/{server.process.pid}/root{self._directory}/filler")


class LimitedFiles:
    """Files of the inbox process that may not grow."""

    reason = "File too large"

    def __init__(self, _directory: Path) -> None:
        self.wrapper: list[str] = []

    def fill(self, server: Server) -> None:
        self._limit(server, 0)

    def free(self, server: Server) -> None:
        self._limit(server, resource.RLIM_INFINITY)

    def _limit(self, server: Server, octets: int) -> None:
        pid = inbox_of(server.process.pid)
        _soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if octets == resource.RLIM_INFINITY else octets, hard))
