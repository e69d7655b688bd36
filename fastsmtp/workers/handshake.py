"""The handshake with a worker: we send CONTROL `{"pid": ours}`, the worker answers CONTROL `{"pid": its}`.

Over pipes that only shows it is alive; on the shared socket it helps to tell which of the launched processes has
connected, as does the token of its environment, which it may add: `{"pid": its, "token": "..."}`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol

from fastsmtp.errors import StartError, WorkerError
from fastsmtp.goridge.frame import CODEC_JSON, CONTROL, Frame
from fastsmtp.goridge.relay import Relay
from fastsmtp.system.patience import wait_for


class Answered(NamedTuple):
    """What a worker says about itself."""

    pid: int
    token: str = ""


class Handshake:
    """Owns a new relay until the worker on it has told its pid."""

    __slots__ = ("_closed", "_done", "_failed")

    def __init__(
        self,
        done: Callable[[Answered, Relay], None],
        failed: Callable[[Relay, str], None],
        closed: Callable[[Relay], None] = lambda relay: None,
    ) -> None:
        """`done` must give the relay another owner, or abort it; `failed` gets the reason, the relay is closing."""
        self._done = done
        self._failed = failed
        self._closed = closed

    def on_connected(self, relay: Relay) -> None:
        relay.send(CONTROL | CODEC_JSON, json.dumps({"pid": os.getpid()}).encode())

    def on_frames(self, relay: Relay, frames: list[Frame]) -> None:
        answered = _read_answer(frames[0])
        if answered is None or len(frames) > 1 or relay.incomplete:
            relay.abort()
            self._failed(relay, f"did not answer the handshake with its pid, but with {frames[0].payload[:256]!r}")
        else:
            self._done(answered, relay)

    def on_broken(self, relay: Relay, reason: str) -> None:
        self._failed(relay, reason)

    def on_closed(self, relay: Relay) -> None:
        self._closed(relay)


def _read_answer(frame: Frame) -> Answered | None:
    if not frame.flags & CONTROL:
        return None
    try:
        answer = json.loads(frame.payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    pid, token = answer.get("pid"), answer.get("token")
    if not isinstance(pid, int) or pid <= 0:
        return None
    return Answered(pid, token if isinstance(token, str) else "")


class Starting(Protocol):
    """A worker that was launched and has not told its pid yet; `WorkerProcess` says what its methods do."""

    def open_relay(self) -> Coroutine[Any, Any, None] | None: ...
    def stop_expecting(self) -> None: ...
    def give_up(self) -> None: ...
    def kill(self) -> None: ...
    def gone(self) -> Coroutine[Any, Any, object]: ...
    def start_error(self, reason: str) -> StartError: ...


async def await_handshake(worker: Starting, started: asyncio.Future[None], timeout_s: float) -> None:
    """Wait until `started` is done, at most `timeout_s` (0: for ever). Raises StartError when the worker is gone.

    Cancelled it kills the worker.
    """
    try:
        connecting = worker.open_relay()
        if connecting is not None:
            # Shielded: a relay with one side open could not be closed. It takes one turn of the loop.
            await asyncio.shield(connecting)
        await wait_for(started, timeout_s or None)
    except asyncio.TimeoutError:
        worker.give_up()
        worker.kill()
        await worker.gone()
        raise worker.start_error(f"no handshake within {timeout_s:g} s") from None
    except WorkerError as error:
        worker.give_up()
        await worker.gone()
        raise worker.start_error(str(error)) from None
    except BaseException:
        worker.kill()
        raise
    finally:
        worker.stop_expecting()
