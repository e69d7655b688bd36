"""A place for one child process: its share, its listening sockets, and the process that has the place now."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.undecided import delete_listed
from fastsmtp.errors import CallError, NoAnswerError, StartError
from fastsmtp.goridge.asyncclient import AsyncRPCClient
from fastsmtp.ops.snapshot import Snapshot
from fastsmtp.processes.assignment import END_AT_ONCE, Assignment
from fastsmtp.system.patience import wait_for
from fastsmtp.system.process import Identity, Process, own_command

ANSWER_TIMEOUT_S = 5.0  # for what a child answers at once; one that does not is stuck
_STUCK_TIMEOUT_S = 0.5  # for one that was stuck when it was asked before
FAILED_END_S = 10.0  # for a child that did not start to end by itself


class Slot:
    """Starts a child, calls it, stops it. The sockets stay ours too: what waits there is served by its successor."""

    def __init__(
        self, index: int, assignment: Assignment, mode: int, files: Mapping[str, bytes], log: FilteringBoundLogger
    ) -> None:
        """The directory of the assignment is made with `mode` for each child, and `files` in it."""
        self.index = index
        self._files = files
        self._assignment = assignment
        self._mode = mode
        self._log = log
        self._process: Process | None = None
        self._control: socket.socket | None = None  # our end, until the caller has it
        self._caller: AsyncRPCClient | None = None
        self._exited = asyncio.Event()
        self._exited.set()
        self.num_workers = assignment.config.smtp.pool.num_workers  # a successor starts with as many
        self.serving = False  # it has started, and has not ended
        self.stuck = False  # it did not answer when it was asked for its snapshot
        self.since = 0.0  # loop time of the last start
        self.starts = 0
        self.status = "not started"  # how the last child ended, in words
        self.snapshot: Snapshot | None = None  # the last it told

    @property
    def pid(self) -> int:
        """Of the child there is, 0 without."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    @property
    def last_pid(self) -> int:
        """Of the last child there was."""
        return self._process.pid if self._process is not None else 0

    @property
    def crashed(self) -> bool:
        """Whether the last child ended in another way than the one in which it ends its workers, too."""
        return self._process is not None and self._process.returncode not in (None, 0)

    async def start(self) -> None:
        """Start a child and wait until it serves. Raises StartError, with no child left."""
        self._launch()
        try:
            await self._assign()
        except StartError:
            await self._dismiss()
            raise
        except OSError as error:
            await self._dismiss()
            raise StartError(f"cannot speak with a process: {error}") from None
        except BaseException:  # we are given up; what it has started so far, it ends
            self.signal(END_AT_ONCE)
            raise
        self.serving = bool(self.pid)  # it may have ended by now
        self.starts += 1

    def _launch(self) -> None:
        self._remove_directory()
        try:
            self._make_directory()
            for path, content in self._files.items():
                with open(path, "xb", opener=_open_private) as file:
                    file.write(content)
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise StartError(f"cannot prepare a process: {error}") from None
        with theirs:
            sockets = [self._assignment.listeners, *self._assignment.spares]
            fds = {theirs.fileno(), *(fd for snapshot in sockets for fd in snapshot.values())}
            fds |= {self._assignment.count_fd, self._assignment.guard_fd} - {-1}
            try:
                self._process = Process(
                    own_command("fastsmtp.processes.child", str(theirs.fileno())),
                    Identity(),
                    os.environ,
                    pipes=False,
                    on_line=lambda line: None,
                    on_change=self._on_change,
                    inherit_output=True,
                    pass_fds=tuple(fds),
                )
            except StartError:
                ours.close()
                raise
        self._exited.clear()
        self.stuck = False
        self._control = ours
        self.since = asyncio.get_running_loop().time()

    def _remove_directory(self) -> None:
        """With what a child that was killed has left, here and among the tempfiles."""
        delete_listed(self._assignment.directory)
        shutil.rmtree(self._assignment.directory, ignore_errors=True)

    def _make_directory(self) -> None:
        """Raises OSError."""
        # Cleaners of /tmp may have taken the parent's, too.
        for directory in (os.path.dirname(self._assignment.directory), self._assignment.directory):
            if not os.path.isdir(directory):
                os.mkdir(directory, 0o700)
                os.chmod(directory, self._mode)

    def keep_directory(self) -> None:
        """Called now and then: a child makes a new socket for its workers where the old one was removed."""
        if self.serving:
            with contextlib.suppress(OSError):
                self._make_directory()

    async def _assign(self) -> None:
        config = self._assignment.config
        pool = replace(config.smtp.pool, num_workers=self.num_workers)
        assignment = replace(self._assignment, config=replace(config, smtp=replace(config.smtp, pool=pool)))
        caller = self._caller = AsyncRPCClient()
        loop = asyncio.get_running_loop()
        ours, self._control = self._control, None
        await loop.create_unix_connection(lambda: caller, sock=ours)
        try:
            await caller.call("process.Start", assignment)
        except CallError as error:
            raise StartError(str(error)) from None
        except UnicodeEncodeError:
            raise StartError("with several processes, settings can be in UTF-8 only") from None
        except ConnectionError:
            await self._exited.wait()
            raise StartError(f"a process ended while it started: {self.status}") from None

    async def _dismiss(self) -> None:
        """See to it that a child of no use ends."""
        self.ask_to_stop()
        try:
            await wait_for(self._exited.wait(), FAILED_END_S)
        except asyncio.TimeoutError:
            self.signal(signal.SIGKILL)
            await self._exited.wait()

    def _on_change(self) -> None:
        process = self._process
        if process is None or process.returncode is None:
            return
        self.status = process.status
        self.serving = False
        if self._caller is not None:
            self._caller.abort()
            self._caller = None
        self._remove_directory()
        self._exited.set()

    async def gone(self) -> None:
        """Wait until there is no child."""
        await self._exited.wait()

    async def stop(self, patience_s: float) -> None:
        """Ask the child to stop, and wait until it has; one that is stuck for longer than `patience_s` is killed."""
        self.ask_to_stop()
        while not self._exited.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await wait_for(self._exited.wait(), max(patience_s, _STUCK_TIMEOUT_S))
            await self.refresh()
            if self.stuck or not self.serving:
                self.signal(signal.SIGKILL)

    def ask_to_stop(self) -> None:
        """Gracefully; `gone` tells when it is done."""
        if self._caller is not None:
            _forget(self._caller.call("process.Stop"))

    def reopen_logs(self) -> None:
        """After the parent's were."""
        if self._caller is not None:
            _forget(self._caller.call("process.Reopen"))

    def tell_launches(self) -> None:
        """There is a new guard, which has to be told what there is."""
        if self._caller is not None:
            _forget(self._caller.call("process.TellLaunches"))

    def signal(self, number: int) -> None:
        """Send a signal to the child, if there is one."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    # calls

    async def call(
        self, method: str, argument: object = None, kind: Any = Any, timeout_s: float | None = ANSWER_TIMEOUT_S
    ) -> Any:
        """The answer of a child that serves; one that was stuck when it was asked last has less time for it.

        Raises CallError with its text, NoAnswerError because it is stuck, and ConnectionError when there is no child.
        """
        caller, process = self._caller, self._process
        if caller is None or not self.serving:
            raise ConnectionResetError("there is no process")
        if self.stuck and timeout_s is not None:
            timeout_s = min(timeout_s, _STUCK_TIMEOUT_S)
        pid = self.pid
        try:
            answer = await wait_for(caller.call(method, argument, kind), timeout_s)
        except asyncio.TimeoutError:
            if not self.stuck and process is self._process:
                self.stuck = True
                self._log.error("a process is stuck", pid=pid)
            raise NoAnswerError(f"the process {pid} gives no answer") from None
        if process is self._process:
            self.stuck = False
        return answer

    async def work(self, method: str, argument: object = None) -> Any:
        """The same for what takes long: its answer is waited for as long as the child answers other calls."""
        working = asyncio.ensure_future(self.call(method, argument, timeout_s=None))
        _forget(working)  # if we are cancelled, its fault is no one's
        try:
            while not (await asyncio.wait({working}, timeout=ANSWER_TIMEOUT_S))[0]:
                with contextlib.suppress(ConnectionError):  # `working` says so, too
                    await self.call("process.Snapshot", kind=Snapshot)
            return working.result()
        finally:
            working.cancel()

    async def refresh(self, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Ask for a snapshot; the last one stays where there is no answer in time."""
        process = self._process
        with contextlib.suppress(CallError, ConnectionError):
            snapshot = await self.call("process.Snapshot", kind=Snapshot, timeout_s=timeout_s)
            if process is self._process and self.serving:
                self.snapshot = snapshot


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _forget(answer: asyncio.Future[Any]) -> None:
    """The answer may never be waited for, and the call may fail."""
    answer.add_done_callback(lambda done: done.cancelled() or done.exception())
