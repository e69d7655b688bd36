"""Workers that hold a mail until they are told to go on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO


class Opened:
    """A worker has the mail; it answers when let go."""

    def __init__(self, fifo: TextIO) -> None:
        self._fifo = fifo

    def let_go(self) -> None:
        self._fifo.write("\n")
        self._fifo.flush()


class Gate:
    """The fifo that `slow.php` reads a line from before it answers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)

    def settings(self) -> dict[str, Any]:
        return {"server": {"env": {"GATE": str(self.path)}}}

    @contextlib.contextmanager
    def wait_for_worker(self) -> Iterator[Opened]:
        """Wait until a worker has a mail, then hold it."""
        with self.path.open("w") as fifo:
            yield Opened(fifo)
