"""What the answer of a worker means for its email."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, NamedTuple

from fastsmtp.capture.handling import MAX_TEXT
from fastsmtp.errors import WorkerError
from fastsmtp.goridge.frame import ERROR, STREAM, Frame
from fastsmtp.smtp.events import Verdict

# Reads an answer in a body: the text of an error, None when all is well. Raises ValueError when it is no answer.
ReadBody = Callable[[bytes], "str | None"]


class Answer(NamedTuple):
    """What a worker said."""

    verdict: Verdict | None  # None: it asks for its restart
    error: str | None = None  # an error of its own, told to the log only
    unknown: bytes | None = None  # an answer of unknown meaning


# Made once: nearly every answer is the first of them.
_CONTINUE: Final = Answer(Verdict.ACCEPT)
_CLOSE: Final = Answer(Verdict.ACCEPT_AND_CLOSE)
_RESTART: Final = Answer(None)


def read_answer(frame: Frame, read_body: ReadBody | None = None) -> Answer:
    """Read a frame; with `read_body` an answer without a context is in the body. Raises WorkerError for others."""
    if frame.flags & ERROR:
        return Answer(Verdict.ACCEPT, error=frame.payload.decode("utf-8", "replace"))
    if len(frame.options) != 1 or frame.options[0] > len(frame.payload) or frame.stream & STREAM:
        raise WorkerError(f"sent a frame that is not an answer: {frame.payload[:256]!r}")
    context = frame.payload[: frame.options[0]].strip()
    if read_body is not None and not context:
        return _read_body_answer(read_body, frame.payload[frame.options[0] :])
    if context == b"CONTINUE" or not context:
        return _CONTINUE
    if context == b"CLOSE":
        return _CLOSE
    if context.startswith(b"{") and _asks_for_restart(context):
        return _RESTART
    return Answer(Verdict.ACCEPT, unknown=context)


def describe_answer(answer: Answer) -> tuple[str, str]:
    """Return the word and the text of a `Handling`."""
    if answer.error is not None:
        return "ERROR", answer.error[:MAX_TEXT]
    if answer.unknown is not None:
        return "UNKNOWN", answer.unknown[: 4 * MAX_TEXT].decode("utf-8", "replace")[:MAX_TEXT]
    return ("CLOSE" if answer.verdict is Verdict.ACCEPT_AND_CLOSE else "CONTINUE"), ""


def _read_body_answer(read_body: ReadBody, body: bytes) -> Answer:
    try:
        error = read_body(body)
    except (ValueError, RecursionError):
        return Answer(Verdict.ACCEPT, unknown=body)
    return _CONTINUE if error is None else Answer(Verdict.ACCEPT, error=error)


def _asks_for_restart(context: bytes) -> bool:
    try:
        answer = json.loads(context)
    except (ValueError, RecursionError):  # the latter: nested too deeply
        return False
    return isinstance(answer, dict) and bool(answer.get("stop"))
