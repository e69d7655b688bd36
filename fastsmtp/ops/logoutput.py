"""Where the log goes: files, standard streams, pipes. Nothing here waits or raises once it is open."""

from __future__ import annotations

import contextlib
import os
import select
import stat
from collections.abc import Callable, Iterable

from fastsmtp.errors import StartError
from fastsmtp.ops.rotation import Rotation, open_file

_STANDARD_STREAMS = {"stdout": 1, "stderr": 2}
PIPE_LINE = 4096  # octets that a pipe takes at once as soon as it takes any (PIPE_BUF, pipe(7))
_CUT = " ... [cut] ... "


class LogOutput:
    """The open outputs of the log, or of some channels of it."""

    def __init__(
        self,
        outputs: Iterable[str],
        err_outputs: Iterable[str],
        *,
        rotation: Rotation | None = None,
        ending: bytes = b"\n",
    ) -> None:
        """Open every output; `rotation` keeps the file at its path within limits, where it is one of them.

        Each line that is written ends in `ending`. Raises StartError where a file cannot be opened.
        """
        self._rotation = rotation
        self._ending = ending
        self._paths: dict[int, str] = {}  # file descriptor -> path, of the files that we opened
        self._broken: set[int] = set()  # descriptors whose failure was told already
        self._dropped: dict[int, int] = {}  # descriptor -> records lost since it took one
        self._torn: set[int] = set()  # descriptors whose last line has no end
        self._rotation_failed = False
        self.render_dropped: Callable[[int], bytes] = lambda count: b"%d log records dropped\n" % count
        self.shorten: Callable[[bytes], bytes] = _shorten_text  # to what a pipe takes at once
        self._err_fds: list[int] = []
        self._fds: list[int] = []
        self._fds = [self._open(output) for output in dict.fromkeys(outputs)]
        self._err_fds = [self._open(output) for output in dict.fromkeys(err_outputs)]
        if rotation is not None:
            rotation.tidy()

    def write(self, line: bytes) -> None:
        """Append one whole line to every output. Never raises; a failure is told once on `err_output`.

        Never waits for a reader either: what a full pipe does not take is dropped, and counted.
        """
        for fd in self._fds:
            if self._rotation is not None and self._paths.get(fd) == self._rotation.path:
                self._make_room(self._rotation, fd, len(line))
            try:
                if not self._tell_dropped(fd) or not self._append(fd, line):
                    self._dropped[fd] = self._dropped.get(fd, 0) + 1
            except OSError as error:
                if fd not in self._broken:
                    self._broken.add(fd)
                    self._complain(f"cannot write the log to {self._name(fd)}: {error.strerror}")
            else:
                self._broken.discard(fd)

    def _make_room(self, rotation: Rotation, fd: int, octets: int) -> None:
        """Where a full file cannot be replaced, it grows."""
        try:
            rotation.make_room(fd, octets)
        except OSError as error:
            if not self._rotation_failed:
                self._complain(f"cannot rotate the log file {rotation.path}: {error.strerror}")
            self._rotation_failed = True
        else:
            self._rotation_failed = False

    def _tell_dropped(self, fd: int) -> bool:
        """Say how many records are missing here; False while there is still no room for it. Raises OSError."""
        count = self._dropped.get(fd, 0)
        if not count:
            return True
        if not self._append(fd, self.render_dropped(count)):
            return False
        del self._dropped[fd]
        return True

    def _append(self, fd: int, line: bytes) -> bool:
        """Write `line`; False where a pipe, socket or terminal has no room and would stop the server. Raises OSError.

        One write is one line even where several processes share a file; only a full disk or a terminal breaks it up.
        """
        mode = os.fstat(fd).st_mode
        can_stall = not stat.S_ISREG(mode)
        if len(line) > PIPE_LINE and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            line = self.shorten(line)
        left = line = self._ending + line if fd in self._torn else line
        try:
            while left:
                if can_stall and not _takes_more(fd):
                    return False
                try:
                    left = left[os.write(fd, left) :]
                except BlockingIOError:  # another program made it non-blocking
                    return False
        finally:
            if not left:
                self._torn.discard(fd)
            elif len(left) < len(line):
                self._torn.add(fd)
        return True

    def reopen(self) -> None:
        """Open the files again under their names, after a log rotation moved them; the old one stays if that fails."""
        for fd, path in self._paths.items():
            try:
                fresh = open_file(path)
            except OSError as error:
                self._complain(f"cannot reopen the log file {path}: {error.strerror}")
                continue
            os.dup2(fresh, fd, inheritable=False)
            os.close(fresh)
            self._torn.discard(fd)

    def close(self) -> None:
        """Close the files; later records are dropped."""
        for fd in self._fds:
            with contextlib.suppress(OSError):
                self._tell_dropped(fd)
        self._fds = []
        self._err_fds = []
        for fd in self._paths:
            os.close(fd)
        self._paths = {}
        if self._rotation is not None:
            self._rotation.close()

    def is_terminal(self) -> bool:
        """Whether every output is a terminal that may be coloured (https://no-color.org)."""
        return bool(self._fds) and not os.environ.get("NO_COLOR") and all(os.isatty(fd) for fd in self._fds)

    def _open(self, output: str) -> int:
        if output in _STANDARD_STREAMS:
            return _STANDARD_STREAMS[output]
        for fd, path in self._paths.items():
            if path == output:
                return fd
        try:
            fd = open_file(output)
        except OSError as error:
            self.close()
            raise StartError(f"cannot open the log file {output}: {error.strerror}") from error
        self._paths[fd] = output
        return fd

    def _name(self, fd: int) -> str:
        return self._paths.get(fd) or next(name for name, number in _STANDARD_STREAMS.items() if number == fd)

    def _complain(self, text: str) -> None:
        for fd in self._err_fds:
            try:
                self._append(fd, f"fastsmtp: {shorten(text, 1024)}\n".encode(errors="backslashreplace"))
            except OSError:  # there is nowhere left to say it
                continue


def _takes_more(fd: int) -> bool:
    """Whether a write would be done, or fail, at once."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))


def shorten(text: str, most: int) -> str:
    """Without its middle: of a traceback, both ends are what is asked for."""
    half = (most - len(_CUT)) // 2
    return text if len(text) <= most else text[:half] + _CUT + text[-half:]


def _shorten_text(line: bytes) -> bytes:
    half = (PIPE_LINE - len(_CUT)) // 2
    begin, end = (part.decode(errors="ignore") for part in (line[:half], line[-half:]))  # no half characters
    return (begin + _CUT + end).encode()
