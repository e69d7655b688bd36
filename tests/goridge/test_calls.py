"""Calls as frames, and what comes back."""

from __future__ import annotations

import msgspec
import pytest

from fastsmtp.errors import CallError, FrameError
from fastsmtp.goridge.calls import answered_sequence, decode_answer, encode_call
from fastsmtp.goridge.frame import CODEC_JSON, ERROR, Frame, FrameDecoder, encode_frame


class Point(msgspec.Struct):
    x: int


def frame(payload: bytes, options: tuple[int, ...] = (7, 3), flags: int = CODEC_JSON) -> Frame:
    [decoded] = FrameDecoder(1 << 20).feed(encode_frame(flags, payload, options))
    return decoded


@pytest.mark.parametrize(
    ("argument", "text"),
    [(None, b"null"), ("x", b'"x"'), (Point(1), b'{"x": 1}'), ("\udcff", b'"\\udcff"')],
    ids=["none", "text", "struct", "surrogate"],
)
def test_encode_call(argument: object, text: bytes) -> None:
    [call] = FrameDecoder(1 << 20).feed(encode_call(7, "a.B", argument))
    assert (call.flags, tuple(call.options), bytes(call.payload)) == (CODEC_JSON, (7, 3), b"a.B" + text)


def test_a_result() -> None:
    assert answered_sequence(frame(b"a.B[1]")) == 7
    assert decode_answer(frame(b"a.B[1]")) == [1]
    assert decode_answer(frame(b'a.B{"x":1}'), Point) == Point(1)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (frame(b"a.Bno: \xe2\x82\xac\xff", flags=CODEC_JSON | ERROR), "no: \u20ac\ufffd"),
        (frame(b"a.B{"), "the answer is not what it should be: Input data was truncated"),
    ],
    ids=["error", "no JSON"],
)
def test_what_is_no_result(answer: Frame, text: str) -> None:
    with pytest.raises(CallError) as raised:
        decode_answer(answer)
    assert str(raised.value) == text


@pytest.mark.parametrize("options", [(), (7,), (7, 3, 1)])
def test_what_is_no_answer(options: tuple[int, ...]) -> None:
    with pytest.raises(FrameError):
        answered_sequence(frame(b"a.B1", options))
