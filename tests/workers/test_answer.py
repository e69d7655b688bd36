"""Answers, read without a worker."""

from __future__ import annotations

import pytest

from fastsmtp.errors import WorkerError
from fastsmtp.goridge.frame import ERROR, STREAM, Frame
from fastsmtp.smtp.events import Verdict
from fastsmtp.workers.answer import Answer, describe_answer, read_answer

CONTINUE = Answer(Verdict.ACCEPT)


DEEP = b'{"stop":' * 200_000


def answer(context: bytes, body: bytes = b"") -> Frame:
    return Frame(0, 0, (len(context),), context + body)


def read_number(body: bytes) -> str | None:
    """A body that is the number of an error; 0 means no error."""
    return f"error {int(body)}" if int(body) else None


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (answer(b"CONTINUE"), CONTINUE),
        (answer(b" CONTINUE\n", b"with a body"), CONTINUE),
        (answer(b""), CONTINUE),
        (answer(b"", b"7"), CONTINUE),
        (answer(b"CLOSE"), Answer(Verdict.ACCEPT_AND_CLOSE)),
        (answer(b'{"stop":true}'), Answer(None)),
        (answer(b'{"stop":false}'), Answer(Verdict.ACCEPT, unknown=b'{"stop":false}')),
        (answer(b"{CLOSE"), Answer(Verdict.ACCEPT, unknown=b"{CLOSE")),
        (answer(DEEP), Answer(Verdict.ACCEPT, unknown=DEEP)),
        (answer(b"close"), Answer(Verdict.ACCEPT, unknown=b"close")),
        (Frame(ERROR, 0, (), b"no \xff"), Answer(Verdict.ACCEPT, error="no \N{REPLACEMENT CHARACTER}")),
    ],
    ids=lambda value: repr(value.payload[:32]) if isinstance(value, Frame) else None,
)
def test_answer(frame: Frame, expected: Answer) -> None:
    assert read_answer(frame) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (CONTINUE, ("CONTINUE", "")),
        (Answer(Verdict.ACCEPT_AND_CLOSE), ("CLOSE", "")),
        (Answer(Verdict.ACCEPT, error="gone"), ("ERROR", "gone")),
        (Answer(Verdict.ACCEPT, error="\u20ac" * 5000), ("ERROR", "\u20ac" * 1000)),
        (Answer(Verdict.ACCEPT, unknown=b"close"), ("UNKNOWN", "close")),
        (Answer(Verdict.ACCEPT, unknown=b"a\xff"), ("UNKNOWN", "a\ufffd")),
        (Answer(Verdict.ACCEPT, unknown="\u20ac".encode() * 5000), ("UNKNOWN", "\u20ac" * 1000)),
    ],
    ids=["continue", "close", "error", "long-error", "unknown", "unknown-octets", "unknown-long"],
)
def test_word_and_text_that_are_kept(said: Answer, expected: tuple[str, str]) -> None:
    assert describe_answer(said) == expected


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (answer(b"", b"0"), CONTINUE),
        (answer(b"", b"7"), Answer(Verdict.ACCEPT, error="error 7")),
        (answer(b"", b"seven"), Answer(Verdict.ACCEPT, unknown=b"seven")),
        (answer(b"CLOSE", b"7"), Answer(Verdict.ACCEPT_AND_CLOSE)),
    ],
    ids=lambda value: repr(value.payload) if isinstance(value, Frame) else None,
)
def test_answer_in_the_body(frame: Frame, expected: Answer) -> None:
    assert read_answer(frame, read_number) == expected


@pytest.mark.parametrize(
    "frame",
    [
        Frame(0, 0, (), b"CLOSE"),
        Frame(0, 0, (5, 5), b"CLOSE"),
        Frame(0, 0, (6,), b"CLOSE"),
        Frame(0, STREAM, (5,), b"CLOSE"),
    ],
    ids=["no-option", "two-options", "short", "stream"],
)
def test_no_answer(frame: Frame) -> None:
    with pytest.raises(WorkerError, match="sent a frame that is not an answer: b'CLOSE'"):
        read_answer(frame)
