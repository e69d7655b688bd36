"""Calls of Goridge RPC as frames, for the calling side: `rpc.py` says what is in them.

Both callers use it, `client.py` and `asyncclient.py`.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from fastsmtp.errors import CallError, FrameError
from fastsmtp.goridge.frame import CODEC_JSON, ERROR, Frame, encode_frame


def encode_call(sequence: int, method: str, argument: object = None) -> bytes:
    """The frame that calls `method`; its answer has the same `sequence`."""
    name = method.encode()
    # Not msgspec: a lone surrogate, as words of a command line may have it, is a fault of the call, not of ours.
    payload = name + json.dumps(argument, default=msgspec.to_builtins).encode()
    return encode_frame(CODEC_JSON, payload, (sequence, len(name)))


def answered_sequence(frame: Frame) -> int:
    """The sequence of the call that is answered. Raises FrameError where the frame is no answer."""
    if len(frame.options) != 2:
        raise FrameError("the frame is no answer to a call")
    return frame.options[0]


def decode_answer(frame: Frame, kind: Any = Any) -> Any:
    """The result of a call, a `kind`. Raises CallError, with the text of the other side where that has sent one."""
    text = frame.payload[frame.options[1] :]
    if frame.flags & ERROR:
        raise CallError(bytes(text).decode("utf-8", "replace"))
    try:
        return msgspec.json.decode(text, type=kind)
    except ValueError as error:
        raise CallError(f"the answer is not what it should be: {error}") from None
