"""What a server leaves in the file system: nothing, however it ends, or the next one removes it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gates import Gate
from procs import children_of, wait_until_gone
from servers import Serve, Server
from startserver import merge
from waits import wait_until
from wire import Wire, logged, wait_for_log

ACCEPTED = b"250 2.0.0 Message accepted\r\n"
ATTACHMENT = b"Content-Type: application/x\r\n\r\n" + b"x" * 300_000
MODES: dict[str, dict[str, Any]] = {
    "memory": {},
    "tempfile": {"smtp": {"attachment_storage": {"mode": "tempfile"}}},
    "pipes": {"server": {"relay": "pipes"}, "smtp": {"attachment_storage": {"mode": "tempfile"}}},
    "path": {"server": {"relay": "unix://relay.sock"}, "smtp": {"servers": {"u": {"addr": "unix:smtp.sock"}}}},
    "rpc": {"rpc": {"listen": "unix://rpc.sock"}},
    "processes": {"smtp": {"processes": 2, "attachment_storage": {"mode": "tempfile"}}},
}
modes = pytest.mark.parametrize("mode", MODES)


def leaves(directory: Path) -> Iterator[Path]:
    """Files and empty directories below; os.walk() takes what a server removes just then as gone."""
    for name, directories, files in os.walk(directory):
        yield from (Path(name, file) for file in files)
        if not directories and not files and Path(name) != directory:
            yield Path(name)


class House:
    """Servers, one after the other, with a place for everything that they make."""

    def __init__(self, serve: Serve, gate: Gate, tmp_path: Path, scratch: Path) -> None:
        self._serve = serve
        self._gate = gate
        self._temporary = scratch
        self._attachments = tmp_path / "attachments"
        self._sockets = [tmp_path / name for name in ("relay.sock", "smtp.sock", "rpc.sock")]

    def start(self, mode: str, **storage: Any) -> Server:
        """Its workers hold a mail until the gate opens."""
        storage = {"temp_dir": str(self._attachments), "cleanup_after": "0s", **storage}
        settings = merge(MODES[mode], {"smtp": {"attachment_storage": storage}, "endure": {"grace_period": "60s"}})
        settings = merge(settings, self._gate.settings())
        return self._serve(settings, worker="slow.php")

    def left(self) -> list[str]:
        """All that is there."""
        found = [*leaves(self._temporary), *leaves(self._attachments)]
        return sorted(path.name for path in (*found, *self._sockets) if path.exists())

    def attachments(self) -> list[str]:
        """The files of attachments."""
        return [name for name in self.left() if name.startswith("smtp-att-")]


@pytest.fixture
def house(serve: Serve, gate: Gate, tmp_path: Path, scratch: Path) -> House:
    return House(serve, gate, tmp_path, scratch)


@contextlib.contextmanager
def two_mails(server: Server) -> Iterator[None]:
    """One that is arriving, and one that a worker has."""
    with Wire(server) as arriving, Wire(server) as held:
        for wire in (arriving, held):
            wire.begin()
            wire.send(ATTACHMENT)
        held.send(b"\r\n.\r\n")
        yield


def processes_of(server: Server) -> list[int]:
    """The children of the server: its workers, or the processes of several."""
    return children_of(server.process.pid)


@modes
def test_a_second_signal(house: House, gate: Gate, mode: str) -> None:
    server = house.start(mode)
    server.exit_code = 128 + signal.SIGTERM
    with two_mails(server), gate.wait_for_worker():
        server.process.terminate()
        wait_for_log(server, "stopping")
        server.process.terminate()
        assert server.process.wait(30) == server.exit_code
    assert house.left() == []


@modes
def test_a_kill_and_the_next_start(house: House, gate: Gate, mode: str) -> None:
    """Of several processes, all are killed."""
    first = house.start(mode)
    with two_mails(first), gate.wait_for_worker() as opened:
        children = processes_of(first)
        first.process.send_signal(signal.SIGSTOP)  # it shall not start others
        for pid in children if mode == "processes" else []:
            os.kill(pid, signal.SIGKILL)
        first.process.kill()
        opened.let_go()
    wait_until_gone(*children)
    first.kill()
    second = house.start(mode)
    assert house.attachments() == []
    assert bool(logged(second, "removed what a killed server has left")) == (mode != "path")
    assert second.stop() == 0
    assert house.left() == []


def test_the_processes_of_a_killed_parent_clear_up(house: House, gate: Gate) -> None:
    server = house.start("processes")
    with two_mails(server), gate.wait_for_worker() as opened:
        children = processes_of(server)
        server.process.kill()
        opened.let_go()
    wait_until_gone(*children)
    server.kill()
    (accepted,) = house.left()
    assert accepted.startswith("smtp-att-")


def test_a_killed_process_of_several(house: House, gate: Gate) -> None:
    """Its undecided files are deleted at once: a mail that is sent again gets new ones."""
    server = house.start("processes")
    with two_mails(server), gate.wait_for_worker():
        assert house.attachments() != []
        for pid in processes_of(server):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: house.attachments() == [])
    wait_for_log(server, "process started again", 2)


def test_files_that_a_worker_has_stay(house: House, gate: Gate) -> None:
    """With `cleanup_after: 0s` for ever, whatever happens to the server."""
    server = house.start("tempfile")
    with Wire(server) as wire:
        wire.begin()
        wire.send(ATTACHMENT + b"\r\n.\r\n")
        with gate.wait_for_worker() as opened:
            opened.let_go()
        assert wire.reply() == ACCEPTED
    server.kill()
    second = house.start("tempfile")
    assert second.stop() == 0
    (name,) = house.left()
    assert name.startswith("smtp-att-")
