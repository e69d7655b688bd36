"""The parent of children without processes, in a loop whose time stands still: from its start to its end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from pools import Log
from shownstate import Endpoints
from transports import StoppedLoop

from fastsmtp.config.file import load
from fastsmtp.errors import CallError, StartError
from fastsmtp.ops.snapshot import ShownWorker, Snapshot
from fastsmtp.processes import parent as parent_module
from fastsmtp.processes.assignment import END_AT_ONCE, Assignment
from fastsmtp.processes.parent import ABORT_S, LOOK_S, STAND_IN_S, Parent
from fastsmtp.system.backoff import FIRST_S
from fastsmtp.system.sockets import format_address

FIRST_PID = 4_200_000  # beyond the largest there can be
TURNS = 50  # of the loop, for what does not wait for time


class Slot:
    """A slot with a fake child: it starts as `House.fates` says, and is lost when a test says so."""

    def __init__(self, house: House, index: int, assignment: Assignment, mode: int, files: Mapping[str, bytes]) -> None:
        self.index = index
        self.assignment = assignment
        self.mode = mode
        self.files = files
        self.num_workers = assignment.config.smtp.pool.num_workers
        self.pid = self.last_pid = 0
        self.serving = self.stuck = self.crashed = False
        self.since = 0.0
        self.starts = 0
        self.status = "not started"
        self.snapshot: Snapshot | None = None
        self.refuses: dict[str, Exception | bool] = {}  # by method; `False` is an answer
        self.stays = False  # it does not end at a signal
        self.stopping: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()
        self._house = house

    def _note(self, what: str) -> None:
        self._house.did.append(f"{what} {self.index}")

    async def start(self) -> None:
        self._note("start")
        fate = self._house.fates.pop(0) if self._house.fates else None
        if isinstance(fate, asyncio.Event):
            await fate.wait()
        elif fate is not None:
            raise fate
        self._house.starts += 1
        self.pid = self.last_pid = FIRST_PID + self._house.starts
        self.serving, self.crashed = True, False
        self.starts += 1
        self.since = asyncio.get_running_loop().time()
        self.stopping = asyncio.get_running_loop().create_future()
        self._gone.clear()

    def lose(self, status: str = "killed by SIGKILL", *, crashed: bool = True) -> None:
        """The child has ended."""
        self.pid = 0
        self.serving = False
        self.status, self.crashed = status, crashed
        if not self.stopping.done():
            self.stopping.set_exception(ConnectionResetError("the other side is gone"))
            self.stopping.exception()  # told
        self._gone.set()

    async def gone(self) -> None:
        await self._gone.wait()

    async def work(self, method: str, argument: object = None) -> Any:
        return await self.call(method, argument, None)

    async def call(self, method: str, argument: object = None, timeout_s: float | None = 5.0) -> Any:
        if method == "process.Stopping":
            return await asyncio.shield(self.stopping)
        self._note(method if argument is None else f"{method}({argument})")
        answer = self.refuses.get(method, True)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def refresh(self, timeout_s: float = 5.0) -> None:
        self._note("refresh")
        if self.serving:
            self.snapshot = Snapshot(idle=1, execs=1, shown=[ShownWorker(self.pid + 1000, "ready", 0)])

    async def stop(self, patience_s: float) -> None:
        self._note(f"stop within {patience_s:g} s")
        if self.serving:
            self.lose("exit status 0", crashed=False)

    def signal(self, number: int) -> None:
        self._note(signal.Signals(number).name)
        if self.pid and not self.stays:
            self.lose(crashed=False)

    def keep_directory(self) -> None:
        self._note("keep directory of")

    def reopen_logs(self) -> None:
        self._note("reopen logs of")


class Orphans:
    """Writes down whose end is awaited."""

    def __init__(self, house: House) -> None:
        self._house = house

    def reap(self) -> None:
        self._house.did.append("reap")

    def expect(self, workers: Iterable[int]) -> None:
        self._house.did.append(f"expect {sorted(workers)}")

    def end(self) -> None:
        self._house.did.append("end of orphans")


class House:
    """A parent, its slots, and what they were made to do since `take` was called last."""

    def __init__(self, loop: StoppedLoop, directory: Path) -> None:
        self.loop = loop
        self.directory = directory
        self.log = Log()
        self.did: list[str] = []
        self.fates: list[Exception | asyncio.Event] = []  # of the next starts; without any they succeed at once
        self.starts = 0
        self.slots: list[Slot] = []
        self.endpoints = Endpoints(self.did)

    def make_slot(
        self, index: int, assignment: Assignment, mode: int, files: Mapping[str, bytes], _log: object
    ) -> Slot:
        self.slots.append(Slot(self, index, assignment, mode, files))
        return self.slots[-1]

    def make_parent(self, *overrides: str, count: int = 2, save: str = "") -> Parent:
        async def make() -> Parent:
            settings = ("smtp.addr=127.0.0.1:0", "smtp.pool.num_workers=5", *overrides)
            return Parent(load(None, list(settings)), count, save)

        parent: Parent = self.run(make())
        return parent

    def start(self, *overrides: str, count: int = 2, save: str = "") -> Parent:
        """A parent that has started."""
        parent = self.make_parent(*overrides, count=count, save=save)
        self.run(parent.start())
        self.settle()
        return parent

    def started(self, count: int = 2) -> Parent:
        """The same; what it did until then is forgotten."""
        parent = self.start(count=count)
        self.take()
        return parent

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def settle(self) -> None:
        """Let everything happen that waits for no time."""
        for _ in range(TURNS):
            self.loop.turn()

    def advance(self, seconds: float) -> None:
        self.loop.now += seconds
        self.settle()

    def take(self) -> list[str]:
        did = self.did[:]
        self.did.clear()
        return did

    def told(self, level: str) -> list[dict[str, Any]]:
        """The log's records of a level."""
        return [
            {key: value for key, value in record.items() if key not in ("level", "channel")}
            for record in self.log.records
            if record["level"] == level
        ]


async def end_tasks() -> None:
    """Those of a parent that was aborted, as at the end of a run."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    loop = StoppedLoop()
    house = House(loop, tmp_path)
    monkeypatch.setattr(parent_module, "Slot", house.make_slot)
    monkeypatch.setattr(parent_module, "Orphans", lambda _own, _log: Orphans(house))
    monkeypatch.setattr(parent_module, "Endpoints", lambda _config, _log: house.endpoints)
    monkeypatch.setattr(parent_module, "adopt_orphans", lambda: house.did.append("adopt"))
    monkeypatch.setattr(structlog, "get_logger", lambda **context: house.log.logger.bind(**context))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield house
    loop.run_until_complete(end_tasks())
    loop.close()


def stop(house: House, parent: Parent) -> None:
    house.run(parent.stop())
    assert list(house.directory.glob("fsmtp-*")) == []


# The start


def test_children_share_what_there_is_once(house: House) -> None:
    parent = house.start("metrics.address=127.0.0.1:0", save="/mails")
    assert house.take() == [
        *("bind endpoints", "adopt", "start 0", "start 1"),
        *("refresh 0", "refresh 1", "start endpoints"),
    ]
    (directory,) = house.directory.iterdir()
    assert directory.stat().st_mode & 0o777 == 0o700
    first, second = (slot.assignment for slot in house.slots)
    assert [slot.num_workers for slot in house.slots] == [3, 2]
    assert [slot.mode for slot in house.slots] == [0o700, 0o700]
    assert [assignment.directory for assignment in (first, second)] == [f"{directory}/0", f"{directory}/1"]
    assert [(item.save, item.counting, item.rpc) for item in (first, second)] == [("/mails", True, "")] * 2
    # Each has its own socket of the port, and that of the other to stand in for it.
    assert first.listeners["default"] != second.listeners["default"]
    assert (first.spares, second.spares) == ([{}, second.listeners], [first.listeners, {}])
    ((name, [address]),) = parent.addresses.items()
    assert name == "default"
    for assignment in (first, second):
        with socket.socket(fileno=os.dup(assignment.listeners["default"])) as listener:
            assert format_address(listener) == address
            assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    stop(house, parent)
    assert house.take() == [
        "stop within 30 s 0",
        "stop within 30 s 1",
        "stop endpoints",
        "end of orphans",
        "abort endpoints",
    ]


def test_a_unix_socket_is_one_for_all_and_is_deleted_at_the_end(house: House) -> None:
    path, rpc = house.directory / "smtp.sock", house.directory / "rpc.sock"
    parent = house.start(f"smtp.addr=unix:{path}", f"rpc.listen=unix://{rpc}", "server.user=root")
    first, second = (slot.assignment for slot in house.slots)
    assert (first.listeners, first.spares) == (second.listeners, [{}, {}])
    assert first.rpc == second.rpc == f"unix://{rpc}"
    assert [file.path for file in first.own_files] == [str(path), str(rpc)]
    assert [slot.mode for slot in house.slots] == [0o711, 0o711]  # a worker of another user has to get through
    assert parent.addresses == {"default": [f"unix:{path}"]}
    assert path.is_socket()
    stop(house, parent)
    assert list(house.directory.iterdir()) == []


def test_a_certificate_that_is_made_is_the_same_in_all(house: House) -> None:
    parent = house.start("smtp.tls={cert: auto}")
    contents = []
    for slot in house.slots:
        ((path, content),) = slot.files.items()
        assert path == f"{slot.assignment.directory}/0.pem"
        assert slot.assignment.config.smtp.listeners()["default"].tls.cert == path  # type: ignore[union-attr]
        contents.append(content)
    assert contents[0] == contents[1]
    assert contents[0].startswith(b"-----BEGIN ")
    stop(house, parent)


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("smtp.servers={b: {addr: '127.0.0.1:@'}}", "cannot listen on 127.0.0.1:@: Address already in use"),
        ("smtp.tls={cert: /nowhere/cert.pem}", "smtp.tls: no such file: /nowhere/cert.pem"),
        ("rpc.listen=tcp://127.0.0.1:@", "127.0.0.1:@: Address already in use"),
        ("server.on_init={command: 'false', exit_on_error: true}", 'on_init "false" failed: exit status 1'),
    ],
    ids=["port", "certificate", "rpc", "on_init"],
)
def test_what_can_be_wrong_is_tried_before_a_child_is_started(house: House, override: str, fault: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        parent = house.make_parent(override.replace("@", port))
        with pytest.raises(StartError, match=re.escape(fault.replace("@", port))):
            house.run(parent.start())
    assert "start 0" not in house.did
    assert (parent.addresses, list(house.directory.iterdir())) == ({}, [])


def test_a_child_that_does_not_start_ends_the_others(house: House) -> None:
    house.fates = [StartError("no such file: worker.php"), asyncio.Event()]
    parent = house.make_parent()
    with pytest.raises(StartError, match=r"^no such file: worker.php$"):
        house.run(parent.start())
    assert house.take() == [
        *("bind endpoints", "adopt", "start 0", "start 1"),
        *("stop within 30 s 0", "stop within 30 s 1", "end of orphans", "abort endpoints"),
    ]
    assert list(house.directory.iterdir()) == []


def test_a_start_that_is_broken_off_leaves_the_rest_to_abort(house: House) -> None:
    house.fates = [asyncio.Event(), asyncio.Event()]
    parent = house.make_parent()
    starting = house.loop.create_task(parent.start())
    house.settle()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        house.run(starting)
    assert len(list(house.directory.iterdir())) == 1
    house.take()
    parent.abort()
    assert house.take() == ["SIGUSR2 0", "SIGUSR2 1", "end of orphans", "abort endpoints"]
    assert list(house.directory.iterdir()) == []


# A child that is lost


def test_a_child_that_is_lost_is_started_again(house: House) -> None:
    parent = house.started()
    slot = house.slots[0]
    lost, worker = slot.pid, slot.pid + 1000
    slot.lose()
    house.settle()
    # Its workers are given time to leave, and its counters still count.
    assert house.take() == [f"expect [{worker}]"]
    (told,) = house.told("error")
    assert told == {
        "event": "process lost, it is started again",
        "pid": lost,
        "status": "killed by SIGKILL",
        "delay": f"{FIRST_S:g}s",
    }
    assert slot.snapshot is None
    house.advance(FIRST_S)
    assert house.take() == ["start 0", "refresh 0", "process.StandBack(0) 0", "process.StandBack(0) 1"]
    assert house.told("info") == [{"event": "process started again", "pid": slot.pid}]
    slot.lose()
    house.settle()
    house.advance(FIRST_S)
    assert [told["delay"] for told in house.told("error")] == [f"{FIRST_S:g}s", f"{2 * FIRST_S:g}s"]
    assert "start 0" not in house.take()
    house.advance(FIRST_S)
    assert house.take()[0] == "start 0"
    assert slot.starts == 3
    stop(house, parent)


def test_another_child_stands_in_for_one_that_takes_its_time_to_start(house: House) -> None:
    parent = house.started()
    slot = house.slots[1]
    goes_on = asyncio.Event()
    house.fates = [goes_on]
    slot.lose()
    house.settle()
    house.advance(FIRST_S)
    assert house.take()[-1] == "start 1"
    house.advance(STAND_IN_S)
    assert house.take() == ["process.StandIn(1) 0"]
    goes_on.set()
    house.settle()
    assert house.take() == ["refresh 1", "process.StandBack(1) 0", "process.StandBack(1) 1"]
    stop(house, parent)


def test_another_child_stands_in_for_one_that_does_not_start(house: House) -> None:
    parent = house.started()
    house.fates = [StartError("no worker command"), ValueError("our own fault")]
    house.slots[0].lose()
    house.settle()
    house.take()
    house.advance(FIRST_S)
    assert house.take() == ["start 0", "process.StandIn(0) 1", "expect []"]
    assert house.told("error")[-1] == {"event": "a process could not be started again", "reason": "no worker command"}
    house.advance(2 * FIRST_S)
    assert house.take() == ["start 0", "process.StandIn(0) 1"]
    (told,) = [told for told in house.told("error") if "exc_info" in told]
    assert told == {"event": "a process could not be started again", "exc_info": True}
    house.advance(4 * FIRST_S)
    assert house.take() == ["start 0", "refresh 0", "process.StandBack(0) 0", "process.StandBack(0) 1"]
    stop(house, parent)


@pytest.mark.parametrize("refusal", [False, CallError("it stops, too"), ConnectionResetError("it is gone")])
def test_the_next_stands_in_where_one_refuses(house: House, refusal: Exception | bool) -> None:
    parent = house.started(3)
    house.slots[0].refuses["process.StandIn"] = refusal
    house.slots[2].stopping.set_result(True)
    house.settle()
    assert house.take() == ["process.StandIn(2) 0", "process.StandIn(2) 1"]
    house.slots[2].lose("exit status 0", crashed=False)
    house.settle()
    stop(house, parent)


def test_another_child_stands_in_for_one_that_stops(house: House) -> None:
    parent = house.started()
    slot = house.slots[0]
    slot.stopping.set_result(True)
    house.settle()
    assert house.take() == ["process.StandIn(0) 1"]
    assert house.told("error") == []
    slot.lose("exit status 0", crashed=False)
    house.advance(FIRST_S)
    house.advance(FIRST_S)
    assert slot.starts == 2
    stop(house, parent)


# While it runs


def test_it_looks_now_and_then(house: House) -> None:
    parent = house.started()
    for _ in range(2):
        house.advance(LOOK_S)
        assert house.take() == ["reap", "keep directory of 0", "keep directory of 1", "refresh 0", "refresh 1"]
    stop(house, parent)


def test_workers_are_replaced_in_all(house: House) -> None:
    parent = house.started()
    house.run(_soon(parent.reset))
    house.settle()
    assert house.take() == ["refresh 0", "refresh 1", "process.Renew 0", "process.Renew 1"]
    assert house.told("info")[-1] == {"event": "workers replaced"}
    house.slots[0].refuses["process.Renew"] = CallError("it ended")
    house.run(_soon(parent.reset))
    house.settle()
    assert house.take() == ["refresh 0", "refresh 1", "process.Renew 0"]
    assert house.told("error") == [{"event": "workers could not be replaced", "error": "it ended"}]
    stop(house, parent)
    house.take()
    parent.reset()
    assert house.take() == []


async def _soon(call: Any) -> None:
    call()


def test_logs_are_reopened_in_all(house: House) -> None:
    parent = house.started()
    parent.reopen_logs()
    assert house.take() == ["reopen logs of 0", "reopen logs of 1"]
    stop(house, parent)


def test_what_is_shown_is_that_of_all(house: House) -> None:
    parent = house.started()
    watched = house.endpoints.watched
    assert watched is not None
    assert (watched.snapshot().execs, watched.stopping()) == (2, False)
    assert list(watched.pids()) == [os.getpid(), *(slot.pid for slot in house.slots)]
    assert house.endpoints.complaints() == ("", "")
    stop(house, parent)
    assert watched.stopping()


# The end


def test_a_child_that_is_being_started_is_not_waited_for_at_the_end(house: House) -> None:
    parent = house.started()
    house.fates = [asyncio.Event()]
    house.slots[0].lose()
    house.settle()
    house.advance(FIRST_S)
    assert house.take()[-1] == "start 0"
    stop(house, parent)
    assert house.take()[:2] == ["stop within 30 s 0", "stop within 30 s 1"]


def test_workers_of_a_child_that_crashes_at_the_end_are_awaited(house: House) -> None:
    parent = house.started()
    house.slots[0].stop = _crash(house.slots[0])  # type: ignore[method-assign]
    worker = house.slots[0].pid + 1000
    stop(house, parent)
    assert house.take() == [
        *("stop within 30 s 1", f"expect [{worker}]"),
        *("stop endpoints", "end of orphans", "abort endpoints"),
    ]


def _crash(slot: Slot) -> Any:
    async def crash(_patience_s: float) -> None:
        slot.lose()

    return crash


def test_an_abort_ends_all_at_once(house: House) -> None:
    parent = house.started()
    parent.abort()
    assert house.take() == ["SIGUSR2 0", "SIGUSR2 1", "end of orphans", "abort endpoints"]
    assert END_AT_ONCE is signal.SIGUSR2
    assert list(house.directory.iterdir()) == []


def test_an_abort_kills_a_child_that_stays(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ABORT_S > 0
    monkeypatch.setattr(parent_module, "ABORT_S", 0.01)
    parent = house.started()
    slot = house.slots[1]
    slot.stays = True
    # A process of ours that has not ended, as the child would be.
    slot.pid = os.posix_spawnp("sleep", ["sleep", "1000"], os.environ)
    parent.abort()
    assert house.take() == [
        *("SIGUSR2 0", "SIGUSR2 1", "SIGKILL 1", f"expect [{slot.last_pid + 1000}]"),
        *("end of orphans", "abort endpoints"),
    ]
    os.kill(slot.pid, signal.SIGKILL)
    assert os.waitpid(slot.pid, 0)[0] == slot.pid
