"""A real `fastsmtp serve` in a process of its own, and what its workers got."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waits import wait_until

TESTS = Path(__file__).parents[1]
WORKERS = TESTS / "php"
END_PATIENCE_S = 60.0  # for a server to end, its workers with it


class Server:
    """`fastsmtp serve`, ready for mail. `lines` is what it wrote to stderr so far."""

    def __init__(self, command: list[str], directory: Path, ready_file: Path, *, banner: bool = True) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.lines: list[str] = []
        self.printed: list[str] = []
        self.killed = False
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.printed), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.lines), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        try:
            if banner:  # it comes last, after the ready file
                self.wait_for(lambda: any(line.startswith("  config ") for line in self.lines))
            else:
                wait_until(lambda: ready_file.exists() or self.process.poll() is not None)
        except BaseException:
            self.process.kill()
            self.stop()
            raise
        ready = json.loads(ready_file.read_text())
        self.listeners: dict[str, list[str]] = ready["listeners"]
        self.inbox: str = ready.get("inbox", "")  # its URL
        host, _, port = self.listeners.get("default", [":0"])[0].rpartition(":")  # a relay listens nowhere
        self.host, self.port = host, int(port)
        self.exit_code = 0  # what the end of the test expects

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()
        stream.close()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition`, looked at whenever the server writes a line, holds. Fails when it ends before."""
        with self._changed:
            while not condition():
                if not any(reader.is_alive() for reader in self._readers):
                    pytest.fail("the server ended:\n" + "\n".join(self.lines))
                self._changed.wait(0.5)

    def wait_for_end(self) -> int:
        """Wait for an end that was asked for in any way, and return the exit code."""
        return self.process.wait(END_PATIENCE_S)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.wait_for_end()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail("the server did not end:\n" + "\n".join(self.lines))
        for reader in self._readers:
            reader.join(END_PATIENCE_S)  # a worker that outlives the server has its outputs, too
        return code

    def kill(self) -> None:
        """SIGKILL: the server ends without a word to its clients and workers."""
        self.killed = True
        self.stop(signal.SIGKILL)

    def records(self) -> list[dict[str, Any]]:
        """The contexts that `record.php` workers got, in the order of their uuids: by time."""
        files = self.directory.glob("records-*")
        # What stands behind the last end of a line is being written.
        lines = [line for path in files for line in path.read_bytes().split(b"\n")[:-1]]
        found: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return sorted(found, key=lambda context: str(context["uuid"]))


Serve = Callable[..., Server]
