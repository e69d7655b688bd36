"""What a worker did with an email, as it is told beside the email."""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_TEXT: Final = 1000  # characters of a worker's text that are kept


class Handling(NamedTuple):
    """The worker that had an email, and what it answered.

    `answer` is CONTINUE, CLOSE, ERROR, UNKNOWN for one that means nothing, or LOST: the worker ended without one.
    `text` is that of an error, what was not understood, or how the worker was lost: it may be anything.
    """

    pid: int
    answer: str
    text: str
    waited_ms: int  # for a worker to be free
    took_ms: int  # from the email to the answer
