"""The calling side of Goridge RPC in an event loop: any number of calls at a time over one connection.

See `rpc.py` for the frames; answers come in the order in which calls are done, and are told by their sequence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from fastsmtp.errors import CallError, FrameError
from fastsmtp.goridge.calls import answered_sequence, decode_answer, encode_call
from fastsmtp.goridge.frame import MAX_ANSWER_BYTES, Frame, FrameDecoder

_SEQUENCES = 1 << 32  # an option of a frame has 32 bits


class _Call(NamedTuple):
    answer: asyncio.Future[Any]
    kind: Any  # the type of the result


class AsyncRPCClient(asyncio.Protocol):
    """A connection to a listener of Goridge RPC, or to one who answers the same."""

    def __init__(self, on_lost: Callable[[], None] = lambda: None) -> None:
        """`on_lost` is called when the connection has ended, after all calls under way have failed."""
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._decoder = FrameDecoder(MAX_ANSWER_BYTES)
        self._calls: dict[int, _Call] = {}
        self._sequence = 0

    def call(self, method: str, argument: object = None, kind: Any = Any) -> asyncio.Future[Any]:
        """Return the result of `method`, a `kind`, some time.

        The future raises CallError with the text of the other side, and ConnectionError when that is gone.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            _fail(answer, ConnectionResetError("the connection is closed"))
            return answer
        self._sequence = (self._sequence + 1) % _SEQUENCES
        self._calls[self._sequence] = _Call(answer, kind)
        self._transport.write(encode_call(self._sequence, method, argument))
        return answer

    def abort(self) -> None:
        """Close at once. May be called twice."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                self._take(frame)
        except (FrameError, LookupError):  # no answers: there is no use in going on
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        calls, self._calls = self._calls, {}
        for call in calls.values():
            _fail(call.answer, ConnectionResetError("the other side is gone"))
        self._on_lost()

    def _take(self, frame: Frame) -> None:
        """Raises LookupError and FrameError for what is not an answer to a call."""
        call = self._calls.pop(answered_sequence(frame))
        if call.answer.done():  # its waiter was cancelled
            return
        try:
            call.answer.set_result(decode_answer(frame, call.kind))
        except CallError as error:
            _fail(call.answer, error)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    """It is no fault that asyncio should tell if the waiter is cancelled before it sees this."""
    if not answer.done():
        answer.set_exception(error)
        answer.exception()
