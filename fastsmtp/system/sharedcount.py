"""A number of each of several processes, in memory that all of them have mapped: each of them knows the sum.

Each process writes its own number only. Who compares the sum with a limit before raising its number holds the lock
meanwhile, so that two processes cannot both take the last place.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator
from typing import Final

_NUMBER_BYTES: Final = 8
_MOST_TRIES: Final = 1000  # to have the lock, which others have for microseconds


class SharedCount:
    """The numbers, seen by the process whose own one has the position `index`."""

    def __init__(self, descriptor: int, index: int = 0) -> None:
        """Map the file open at `descriptor`, which `shared_file` has made; it stays open, and is not closed here."""
        self._descriptor = descriptor
        self._index = index
        size = os.fstat(descriptor).st_size
        # Aligned numbers of 8 octets are read and written in one piece.
        self._numbers = memoryview(mmap.mmap(descriptor, size)).cast("q")

    def total(self) -> int:
        """The sum over all processes."""
        return sum(self._numbers)

    def set(self, number: int) -> None:
        """Let the number of this process be `number`."""
        self._numbers[self._index] = number

    def clear(self, index: int) -> None:
        """Let the number of the process at `index`, which has ended, be 0."""
        self._numbers[index] = 0

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other process be in such a block at the same time.

        A process that was stopped in the middle of one is not waited for: then the sum may be wrong by one.
        """
        for _ in range(_MOST_TRIES):
            try:
                # Not flock: the descriptor is inherited, and its locks would be those of all processes.
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                os.sched_yield()
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def shared_file(processes: int) -> int:
    """Return the descriptor of a file without a name, for the numbers of so many processes. Raises OSError."""
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), processes * _NUMBER_BYTES)
        return os.dup(file.fileno())
