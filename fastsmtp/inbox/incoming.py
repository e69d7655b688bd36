"""Files of large mails that SMTP processes receive: see `capture.spool`. What killed ones have left is deleted here."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Final

from fastsmtp.capture.spool import process_of
from fastsmtp.capture.tempdirectory import TempDirectory
from fastsmtp.errors import FrameError


class IncomingFiles:
    """The directory of these files."""

    def __init__(self, path: str) -> None:
        self._directory: Final = TempDirectory(path, (-1, -1))

    @property
    def path(self) -> str:
        return self._directory.path

    def open(self) -> None:
        """Make the directory, where it is missing. Raises OSError where it is not ours alone."""
        self._directory.open()

    def path_of(self, name: str, process: str) -> str:
        """Return the path of a file of this process. Raises FrameError where the name is not that of one."""
        if not process or process_of(name) != process:
            raise FrameError(f"no name of a file for a mail: {name!r}")
        return os.path.join(self._directory.path, name)

    def delete(self, is_gone: Callable[[str], bool]) -> int:
        """Delete the files of processes that are gone, and return how many. May run in a thread of its own."""
        deleted = 0
        with contextlib.suppress(OSError):  # there is no directory, or it is not ours any more
            descriptor = self._directory.reopen()
            try:
                with os.scandir(descriptor) as entries:
                    names = [entry.name for entry in entries]
                for name in names:
                    process = process_of(name)
                    if process and is_gone(process):
                        os.unlink(name, dir_fd=descriptor)
                        deleted += 1
            finally:
                os.close(descriptor)
        return deleted

    def close(self) -> None:
        self._directory.close()
