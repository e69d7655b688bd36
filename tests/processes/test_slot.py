"""A slot whose child is an RPC server in this process: starts, calls, stops, and every way to lose it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pools import Log

from fastsmtp.config.file import load
from fastsmtp.errors import CallError, StartError
from fastsmtp.goridge.rpc import Method, RPCConnection, RPCServer
from fastsmtp.ops.snapshot import Snapshot
from fastsmtp.processes import slot as slot_module
from fastsmtp.processes.assignment import Assignment
from fastsmtp.processes.slot import Slot

FIRST_PID = 4_200_000  # beyond the largest there can be


class Child:
    """Stands in the place of a process; it does what the tests tell `children` to do."""

    def __init__(
        self,
        children: Children,
        command: Sequence[str],
        on_change: Callable[[], None],
        pass_fds: Sequence[int],
    ) -> None:
        self.pid = FIRST_PID + len(children.all)
        self.returncode: int | None = None
        self.inherited = set(pass_fds)
        self.started: list[Assignment] = []
        self._children = children
        self._on_change = on_change
        self.rpc = RPCServer(children.log.logger)
        self.rpc.methods = {
            "process.Start": Method(self._start, Assignment),
            "process.Stop": Method(self._stop),
            "process.Snapshot": Method(lambda _: Snapshot(execs=7)),
        }
        control = socket.socket(fileno=os.dup(int(command[-1])))
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(
            loop.create_unix_connection(lambda: RPCConnection(self.rpc), sock=control)  # type: ignore[arg-type]
        )
        children.all.append(self)

    @property
    def status(self) -> str:
        return f"exit status {self.returncode}"

    def end(self, returncode: int) -> None:
        """It is reaped, and its end of the connection is closed."""
        if self.returncode is None:
            self.returncode = returncode
            self.rpc.close()
            self._on_change()

    def _start(self, assignment: Assignment) -> bool:
        self.started.append(assignment)
        fault = self._children.fault
        if isinstance(fault, CallError):
            raise fault
        if fault == "ends":
            self.end(3)
        return True

    def _stop(self, _: object) -> bool:
        if self._children.stops:
            asyncio.get_running_loop().call_soon(self.end, 0)
        return True


class Children:
    """All that were launched. `fault`: how the next one fails; `stops`: whether they do as they are asked."""

    def __init__(self) -> None:
        self.log = Log()
        self.all: list[Child] = []
        self.fault: Exception | str = ""
        self.stops = True
        self.signals: list[tuple[int, int]] = []

    def launch(self, command: Sequence[str], *_: Any, on_change: Callable[[], None], pass_fds: Any, **__: Any) -> Child:
        if isinstance(self.fault, StartError):
            raise self.fault
        return Child(self, command, on_change, pass_fds)

    def kill(self, pid: int, number: int) -> None:
        self.signals.append((pid - FIRST_PID, number))
        self.all[pid - FIRST_PID].end(-number)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Iterator[Children]:
    children = Children()
    with monkeypatch.context() as patched:
        patched.setattr(slot_module, "Process", children.launch)
        patched.setattr(os, "kill", children.kill)
        yield children


def make_slot(tmp_path: Path, log: Log, files: Mapping[str, bytes] | None = None) -> Slot:
    assignment = Assignment(
        config=load(None, ["smtp.pool.num_workers=3"]),
        listeners={"default": 50},
        spares=[{}, {"default": 51}],
        directory=str(tmp_path / "run" / "0"),
    )
    return Slot(0, assignment, 0o711, files or {}, log.logger)


def test_a_child_is_told_its_assignment_and_stops_when_asked(tmp_path: Path, children: Children) -> None:
    async def main() -> None:
        key = tmp_path / "run" / "0" / "0.pem"
        slot = make_slot(tmp_path, children.log, {str(key): b"secret"})
        assert (slot.pid, slot.serving, slot.crashed, slot.status) == (0, False, False, "not started")
        slot.num_workers = 2
        await slot.start()
        (child,) = children.all
        assert (slot.pid, slot.serving, slot.starts) == (child.pid, True, 1)
        assert [assignment.config.smtp.pool.num_workers for assignment in child.started] == [2]
        assert {50, 51} < child.inherited
        assert key.read_bytes() == b"secret"
        assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o711)
        await slot.stop(60.0)
        assert (slot.pid, slot.last_pid, slot.serving, slot.crashed) == (0, child.pid, False, False)
        assert (slot.status, children.signals, key.parent.exists()) == ("exit status 0", [], False)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (StartError('cannot start "x": no'), 'cannot start "x": no'),
        (CallError("no such file: x.pem"), "no such file: x.pem"),
        ("ends", "a process ended while it started: exit status 3"),
    ],
    ids=["no process", "refuses", "ends"],
)
def test_a_start_that_fails_leaves_no_child(
    tmp_path: Path, children: Children, fault: Exception | str, reason: str
) -> None:
    async def main() -> None:
        children.fault = fault
        slot = make_slot(tmp_path, children.log)
        with pytest.raises(StartError, match=f"^{re.escape(reason)}$"):
            await slot.start()
        await slot.gone()
        assert (slot.pid, slot.serving, slot.starts) == (0, False, 0)
        children.fault = ""
        await slot.start()
        assert (slot.serving, slot.starts) == (True, 1)
        await slot.stop(60.0)

    asyncio.run(main())


def test_a_child_that_is_killed_is_missed_at_once(tmp_path: Path, children: Children) -> None:
    async def main() -> None:
        slot = make_slot(tmp_path, children.log)
        await slot.start()
        await slot.refresh()
        slot.signal(signal.SIGKILL)
        await slot.gone()
        slot.signal(signal.SIGKILL)
        assert (slot.serving, slot.crashed, children.signals) == (False, True, [(0, signal.SIGKILL)])
        assert slot.snapshot is not None
        assert slot.snapshot.execs == 7  # the last it told
        with pytest.raises(ConnectionError):
            await slot.call("process.Snapshot")
        await slot.refresh()

    asyncio.run(main())


def test_a_call_that_fails_says_why(tmp_path: Path, children: Children) -> None:
    async def main() -> None:
        slot = make_slot(tmp_path, children.log)
        await slot.start()
        with pytest.raises(CallError, match=r"^rpc: can't find method process.Dance$"):
            await slot.call("process.Dance")
        await slot.stop(60.0)

    asyncio.run(main())


def test_a_child_that_gives_no_answer_is_stuck_until_it_does(tmp_path: Path, children: Children) -> None:
    async def main() -> None:
        slot = make_slot(tmp_path, children.log)
        await slot.start()
        (child,) = children.all
        answers = asyncio.Event()

        async def snapshot(_: object) -> Snapshot:
            await answers.wait()
            return Snapshot(execs=8)

        child.rpc.methods = {**child.rpc.methods, "process.Snapshot": Method(snapshot)}
        with pytest.raises(CallError, match=rf"^the process {child.pid} gives no answer$"):
            await slot.call("process.Snapshot", timeout_s=0.001)
        for _ in range(2):
            await slot.refresh(0.5)
        assert slot.stuck
        assert children.log.records == [{"level": "error", "event": "a process is stuck", "pid": child.pid}]
        answers.set()
        await slot.refresh()
        assert (slot.stuck, slot.snapshot) == (False, Snapshot(execs=8))
        await slot.stop(60.0)

    asyncio.run(main())


def test_a_directory_that_was_removed_is_made_again(tmp_path: Path, children: Children) -> None:
    async def main() -> None:
        slot = make_slot(tmp_path, children.log)
        directory = tmp_path / "run" / "0"
        slot.keep_directory()
        assert not directory.exists()  # there is no child yet
        await slot.start()
        directory.rmdir()
        slot.keep_directory()
        slot.keep_directory()
        assert directory.stat().st_mode & 0o777 == 0o711
        await slot.stop(60.0)

    asyncio.run(main())
