"""Workers written in Python.

    from fastsmtp.worker import Worker

    for email in Worker():
        print(email["envelope"]["from"], email["message"]["subject"])

Start it with `server.command: "python worker.py"`. An email that was not answered when the loop asks for the next one
is answered with CONTINUE. When the loop body raises, the worker ends and the client gets 451: let errors that another
try may mend raise. Before a `break`, give the answer: `email.accept()` or one of the others.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from typing import IO, Any, cast, final

from fastsmtp.errors import WorkerError
from fastsmtp.goridge.frame import CODEC_JSON, CONTROL, ERROR, Frame, FrameDecoder, encode_frame

_READ_BYTES = 1024 * 1024
_NO_LIMIT = 0xFFFF_FFFF  # the server bounds what it sends; `max_message_size` may be 0


class ReceivedEmail:
    """One email, `email["envelope"]["to"]` as in the JSON, and the answers to it, of which the first counts."""

    def __init__(self, worker: Worker, context: bytes, body: bytes) -> None:
        self._worker: Worker | None = worker
        self.context: dict[str, Any] = json.loads(context)
        self.body = body  # empty but in the jobs shape

    def __getitem__(self, key: str) -> Any:
        return self.context[key]

    @property
    def answered(self) -> bool:
        """Whether an answer was given."""
        return self._worker is None

    def accept(self) -> None:
        """Answer CONTINUE: the client gets 250."""
        self._answer(b"CONTINUE")

    def close(self) -> None:
        """Answer CLOSE: the client gets 250, then its session ends."""
        self._answer(b"CLOSE")

    def error(self, text: str) -> None:
        """Answer with an error: it is logged by the server, the client gets 250."""
        self._send(encode_frame(ERROR, text.encode("utf-8", "replace")))

    def restart(self) -> None:
        """Hand this email to another worker and ask to be replaced; the loop over the emails ends soon."""
        self._answer(b'{"stop":true}')

    def _answer(self, context: bytes) -> None:
        self._send(encode_frame(CODEC_JSON, context, (len(context),)))

    def _send(self, frame: bytes) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker._send(frame)


@final
class Worker:
    """Iterates over the emails the server sends, until it asks this worker to stop or is gone."""

    def __init__(self, relay: str | None = None) -> None:
        """Connect to `relay`, by default as the server says in RR_RELAY.

        Over pipes stdout belongs to the frames: from now on, what is printed goes to stderr, hence to the server's log.
        Raises OSError when it cannot connect, WorkerError for a relay of no known kind.
        """
        self._decoder = FrameDecoder(_NO_LIMIT)
        self._frames: list[Frame] = []
        self._source, self._sink = _connect(relay or os.environ.get("RR_RELAY", "pipes"))

    def __iter__(self) -> Iterator[ReceivedEmail]:
        while (frame := self._receive()) is not None:
            if frame.flags & CONTROL:
                if "pid" not in json.loads(frame.payload):
                    return
                answer = {"pid": os.getpid(), "token": os.environ.get("FASTSMTP_RELAY_TOKEN", "")}
                self._send(encode_frame(CONTROL | CODEC_JSON, json.dumps(answer).encode()))
                continue
            email = ReceivedEmail(self, frame.payload[: frame.options[0]], frame.payload[frame.options[0] :])
            yield email
            email.accept()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._source.close()
        self._sink.close()

    def _receive(self) -> Frame | None:
        while not self._frames:
            chunk = self._source.read(_READ_BYTES)
            if not chunk:
                return None
            self._frames = self._decoder.feed(chunk)
        return self._frames.pop(0)

    def _send(self, frame: bytes) -> None:
        rest = memoryview(frame)
        while rest:
            rest = rest[self._sink.write(rest) :]


def _connect(relay: str) -> tuple[IO[bytes], IO[bytes]]:
    """Return what to read from and what to write to, both unbuffered."""
    if relay == "pipes":
        sink = os.fdopen(os.dup(1), "wb", buffering=0)
        sys.stdout.flush()
        os.dup2(2, 1)
        return os.fdopen(os.dup(0), "rb", buffering=0), sink
    if relay.startswith("unix://"):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(relay.removeprefix("unix://"))
    elif relay.startswith("tcp://"):
        host, _, port = relay.removeprefix("tcp://").rpartition(":")
        connection = socket.create_connection((host.strip("[]"), int(port)))
    else:
        raise WorkerError(f'unknown relay "{relay}"')
    with connection:  # the two files keep it open
        return (
            cast("IO[bytes]", connection.makefile("rb", buffering=0)),
            cast("IO[bytes]", connection.makefile("wb", buffering=0)),
        )
