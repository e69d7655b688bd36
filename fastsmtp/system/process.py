"""One launched process: its exit, its output lines, its group, its memory, and the user that it runs as.

The process is started with `subprocess.Popen` (vfork: about a millisecond, whatever our size) and watched with a pidfd,
or by a thread where the kernel has none: that is the same on uvloop and on asyncio and needs no child watcher.

Every process leads its own session. Ctrl-C in our terminal does not reach it, what it forks can be recognised by the
session, and the whole group is killed with it: also when it ends by itself, because a child that inherited the relay
would keep it open for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pwd
import shlex
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import IO

from fastsmtp.errors import StartError

MAX_LINE_BYTES = 2048  # a longer line of output is logged in pieces of this length, which a pipe takes whole
TAIL_LINES = 30  # last lines of output kept for the error text of a worker that does not start
PIPE_BYTES = 1024 * 1024  # wanted capacity of the pipe a worker reads emails from; Linux gives 64 KiB

_launched: set[int] = set()  # pids of all that are not reaped yet
_told: list[int] = []  # descriptor to which the pid of each is written

_READ_BYTES = 65536
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def own_command(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs `main` of a module of ours, on this Python and with its `sys.path`.

    `python -m` would put the working directory in front, where any file may have the name of a module.
    """
    return (
        sys.executable,
        "-c",
        f"import sys; sys.path[:] = {sys.path!r}; from {module} import main; main()",
        *arguments,
    )


def launched() -> Collection[int]:
    """Return the pids of the processes that this one has launched and not reaped yet."""
    return _launched


def tell_launches(descriptor: int) -> None:
    """Write the pids of what is `launched`, now and from now on, to `descriptor`, a line each; -1 = nowhere."""
    _told[:] = [descriptor] if descriptor >= 0 else []
    for pid in _launched:
        _tell(pid)


def _tell(pid: int) -> None:
    for told in _told:
        with contextlib.suppress(OSError):  # full, or without a reader
            os.write(told, b"%d\n" % pid)


def told_launches() -> int:
    """Return where pids are written, -1 = nowhere."""
    return _told[0] if _told else -1


class Identity:
    """The user and groups a worker runs as; all None: ours."""

    def __init__(self, user: str = "", group: str = "") -> None:
        """Look the names up. Raises StartError when one is unknown."""
        self.uid: int | None = None
        self.gid: int | None = None
        self.extra_groups: list[int] | None = None
        if user:
            try:
                entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
            except KeyError:
                raise StartError(f"no such user: {user}") from None
            self.uid, self.gid = entry.pw_uid, entry.pw_gid
            if os.geteuid() == 0:
                self.extra_groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
        if group:
            self.gid = _gid(group)


def _gid(group: str) -> int:
    import grp

    try:
        return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise StartError(f"no such group: {group}") from None


class Process:
    """One launched process.

    `on_line(line)` is called for each line of its output, `on_change()` when it was reaped (`returncode` is set, as in
    `subprocess`) and when an output has ended; both only from the event loop.
    """

    __slots__ = ("_exit_fd", "_loop", "_on_change", "_on_line", "_outputs", "_popen", "pid", "returncode", "tail")

    def __init__(
        self,
        command: Sequence[str],
        identity: Identity,
        env: Mapping[str, str],
        *,
        pipes: bool,
        on_line: Callable[[str], None],
        on_change: Callable[[], None],
        inherit_output: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start it; with `pipes` its stdin and stdout are ours to take, and only stderr is output.

        Of our descriptors it has its standard ones and `pass_fds`, under the numbers they have here.

        Raises StartError when that is not possible, and then leaves nothing behind.
        """
        self._loop = asyncio.get_running_loop()
        self._on_line = on_line
        self._on_change = on_change
        self._popen = _popen(command, identity, env, pipes, inherit_output, pass_fds)
        self.pid = self._popen.pid
        _launched.add(self.pid)
        _tell(self.pid)
        self.returncode: int | None = None
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        outputs = [self._popen.stderr] if pipes else [self._popen.stdout, self._popen.stderr]
        self._outputs = [LineReader(self._loop, file, self._take, self._ended) for file in outputs if file is not None]
        self._exit_fd = -1
        self._watch()

    def take_pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """Return what it writes and what it reads (pipes mode), once; the caller owns them."""
        source, sink = self._popen.stdout, self._popen.stdin
        assert source is not None
        assert sink is not None
        self._popen.stdout = self._popen.stdin = None
        with contextlib.suppress(AttributeError, OSError):  # not Linux, or the user's pipe quota is used up
            fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return source, sink

    def kill(self) -> None:
        """Kill the process and its group; nothing once it is reaped, for then the pid may be another's."""
        if self.returncode is None:
            _kill_group(self.pid)

    def end(self) -> None:
        """Kill the process and its group and wait for its end, which is at once: for the end of the loop."""
        if self.returncode is None:
            _kill_group(self.pid)
            self._reap()

    @property
    def status(self) -> str:
        """How it ended, in words."""
        if self.returncode is None:
            return "still running"
        if self.returncode < 0:
            return f"killed by {signal.Signals(-self.returncode).name}"
        return f"exit status {self.returncode}"

    @property
    def quiet(self) -> bool:
        """Whether it is reaped and its output was read to the end."""
        return self.returncode is not None and not self._outputs

    def cut_off(self) -> None:
        """Stop reading output that a process outside the group keeps open."""
        for output in list(self._outputs):
            output.close()

    def _take(self, line: str) -> None:
        self.tail.append(line)
        self._on_line(line)

    def _ended(self, output: LineReader) -> None:
        self._outputs.remove(output)
        self._on_change()

    # the exit

    def _watch(self) -> None:
        try:
            self._exit_fd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            threading.Thread(target=self._wait, name=f"wait-{self.pid}", daemon=True).start()
        else:
            self._loop.add_reader(self._exit_fd, self._reap)

    def _wait(self) -> None:
        # In a thread. The process stays a zombie, hence the pid ours, until the loop reaps it.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the exit status is not needed any more
            self._loop.call_soon_threadsafe(self._reap)

    def _reap(self) -> None:
        if self.returncode is not None:  # reaped by `end`, while the thread waited
            return
        if self._exit_fd >= 0:
            self._loop.remove_reader(self._exit_fd)
            os.close(self._exit_fd)
        _kill_group(self.pid)
        self.returncode = self._popen.wait()
        _launched.discard(self.pid)
        self._on_change()

    # what the kernel knows about it

    @staticmethod
    def memory_bytes(pid: int) -> int:
        """Return the resident memory of a process, 0 where the system does not tell."""
        try:
            with open(f"/proc/{pid}/statm", "rb") as statm:
                return int(statm.read().split()[1]) * _PAGE_BYTES
        except (OSError, IndexError):
            return 0

    @staticmethod
    def cpu_seconds(pid: int) -> float:
        """Return the CPU time a process has used, 0.0 where the system does not tell."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()
            return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS
        except (OSError, IndexError):
            return 0.0


class LineReader:
    """Reads lines from a pipe: `on_line` for each, without its line end; `on_end` once, with the pipe closed."""

    __slots__ = ("_file", "_loop", "_on_end", "_on_line", "_rest")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        file: IO[bytes],
        on_line: Callable[[str], None],
        on_end: Callable[[LineReader], None],
    ) -> None:
        self._loop = loop
        self._file = file
        self._on_line = on_line
        self._on_end = on_end
        self._rest = b""
        os.set_blocking(file.fileno(), False)
        loop.add_reader(file.fileno(), self._read)

    def close(self) -> None:
        """Read no further. May be called twice."""
        if self._file.closed:
            return
        self._loop.remove_reader(self._file.fileno())
        self._file.close()
        if self._rest:
            self._emit(self._rest)
        self._on_end(self)

    def _read(self) -> None:
        try:
            chunk = os.read(self._file.fileno(), _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.close()
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._emit(line)
        while len(self._rest) >= MAX_LINE_BYTES:
            self._emit(self._rest[:MAX_LINE_BYTES])
            self._rest = self._rest[MAX_LINE_BYTES:]

    def _emit(self, line: bytes) -> None:
        for start in range(0, len(line) or 1, MAX_LINE_BYTES):
            text = line[start : start + MAX_LINE_BYTES].decode("utf-8", "replace").rstrip()
            if text:
                self._on_line(text)


def _popen(
    command: Sequence[str],
    identity: Identity,
    env: Mapping[str, str],
    pipes: bool,
    inherit_output: bool,
    pass_fds: Sequence[int],
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=None if inherit_output and not pipes else subprocess.PIPE,
            stderr=None if inherit_output else subprocess.PIPE,
            bufsize=0,
            env=env,
            start_new_session=True,
            pass_fds=pass_fds,
            user=identity.uid,
            group=identity.gid,
            extra_groups=identity.extra_groups,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StartError(f'cannot start "{shlex.join(command)}": {reason}') from None


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # the group may be gone, or not made yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
