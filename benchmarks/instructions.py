"""Usual mails, for callgrind: what `ci/instructions` counts. On its own it prints nothing.

Of each mail some warm up what is cached; then come `MAILS` of them. A call of getloadavg(3) stands before and behind
those: nothing else calls it, and callgrind can be told to write down its count at each call of a function.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import corpus
from inprocess import Connection, chunks_of

from fastsmtp.capture.attachments import MemoryStorage

USUAL: dict[str, Callable[[], bytes]] = {
    "1 KB": corpus.plain,
    "1 KB encoded": corpus.encoded,
    "10 KB attached": lambda: corpus.with_attachment("base64", corpus.base64_lines(7500)),
    "100 KB of text": lambda: corpus.plain(100_000),
    "100 KB of parts": corpus.of_100_kb,
}
MAILS = 50
_WARM_UP = 10


def main() -> None:
    """Send them all."""
    connection = Connection(MemoryStorage())
    for make in USUAL.values():
        chunks = chunks_of(make())
        for _ in range(_WARM_UP):
            connection.send(chunks)
        os.getloadavg()
        for _ in range(MAILS):
            connection.send(chunks)
        os.getloadavg()
    connection.close()


if __name__ == "__main__":
    main()
