"""Goridge frames: exact bytes, every split, garbage, limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.errors import FrameError
from fastsmtp.goridge.frame import (
    CODEC_JSON,
    CONTROL,
    ERROR,
    MAX_FRAME_PAYLOAD_BYTES,
    PING,
    STREAM,
    Frame,
    FrameDecoder,
    encode_frame,
    frame_header,
)

HEADER_BYTES = 12

# As packed by Spiral\Goridge\Frame::packFrame of spiral/goridge 4.
PACKED_BY_PHP = {
    "answer": (Frame(0, 0, (8,), b"CONTINUE"), "140008000000c1c931ec000008000000434f4e54494e5545"),
    "control": (Frame(CONTROL, 0, (), b'{"pid":7}'), "130109000000acb7e87400007b22706964223a377d"),
    "error": (Frame(ERROR, 0, (), b"gone"), "134004000000881e11e30000676f6e65"),
    "empty": (Frame(0, 0, (0,), b""), "1400000000002ee18529000000000000"),
    "stream": (Frame(CODEC_JSON, STREAM | PING, (1, 2), b"abc"), "150803000000a4d61cc005000100000002000000616263"),
}


@pytest.mark.parametrize("name", PACKED_BY_PHP)
def test_encodes_as_php(name: str) -> None:
    frame, packed = PACKED_BY_PHP[name]
    assert encode_frame(frame.flags, frame.payload, frame.options, frame.stream).hex() == packed


@pytest.mark.parametrize("name", PACKED_BY_PHP)
def test_decodes_php_at_every_split(name: str) -> None:
    frame, packed = PACKED_BY_PHP[name]
    encoded = bytes.fromhex(packed)
    for split in range(len(encoded) + 1):
        decoder = FrameDecoder()
        assert [*decoder.feed(encoded[:split]), *decoder.feed(encoded[split:])] == [frame]
        assert not decoder.incomplete


def test_header_alone() -> None:
    assert frame_header(CODEC_JSON, (5,), 7) + b"aaaaabb" == encode_frame(CODEC_JSON, b"aaaaabb", (5,))


frames = st.builds(
    Frame,
    flags=st.integers(0, 255),
    stream=st.integers(0, 255),
    options=st.lists(st.integers(0, 0xFFFFFFFF), max_size=12).map(tuple),
    payload=st.binary(max_size=300),
)


@given(st.lists(frames, max_size=5), st.lists(st.integers(1, 400), max_size=40))
def test_any_frames_in_any_pieces(sent: list[Frame], sizes: list[int]) -> None:
    encoded = b"".join(encode_frame(frame.flags, frame.payload, frame.options, frame.stream) for frame in sent)
    decoder, received, start = FrameDecoder(), [], 0
    for size in sizes:
        received += decoder.feed(bytearray(encoded[start : start + size]))
        start += size
    received += decoder.feed(encoded[start:])
    assert received == sent
    assert not decoder.incomplete


def decoded(chunks: list[bytes]) -> tuple[list[Frame], str, bool]:
    """The frames, the complaint that ended them, and whether something was left over."""
    decoder, found = FrameDecoder(), []
    try:
        for chunk in chunks:
            found += decoder.feed(chunk)
    except FrameError as error:
        return found, str(error).partition(":")[0], False
    return found, "", decoder.incomplete


# Garbage that the first check does not see: a good header, or most of one.
almost_frames = st.builds(
    lambda head, rest: head + rest, st.sampled_from([b"", b"\x13", b"\x14"]), st.binary(max_size=100)
)


@given(almost_frames.filter(bool), st.integers(1, 100))
def test_garbage_is_the_same_garbage_at_every_split(garbage: bytes, split: int) -> None:
    """A checksum over any bytes is right once in 2**32 times: there is a complaint, or a header is not whole."""
    found = decoded([garbage])
    assert found == decoded([garbage[:split], garbage[split:]])
    assert found[0] == []
    assert (found[1] == "") is found[2]
    if len(garbage) >= HEADER_BYTES:
        assert found[1] in ("not a Goridge frame", "not a Goridge frame (bad CRC)")


@pytest.mark.parametrize(
    ("garbage", "message"),
    [
        (b"P", "not a Goridge frame: b'P'"),
        (b"PHP Warning:  foo", "not a Goridge frame: b'PHP Warning:  foo'"),
        (b"\x12", "not a Goridge frame: b'\\x12'"),  # two words cannot hold a header
        (b"\x23\x00", "not a Goridge frame: b'#\\x00'"),  # version 2
        (b"\x13" + bytes(11), f"not a Goridge frame (bad CRC): {bytes([0x13]) + bytes(11)!r}"),
        (b"x" * 1000, f"not a Goridge frame: {b'x' * 256!r}"),
    ],
    ids=["letter", "warning", "words", "version", "crc", "long"],
)
def test_garbage(garbage: bytes, message: str) -> None:
    with pytest.raises(FrameError) as caught:
        FrameDecoder().feed(garbage)
    assert str(caught.value) == message


def test_garbage_behind_a_frame() -> None:
    with pytest.raises(FrameError, match=r"^not a Goridge frame: b'oops'$"):
        FrameDecoder().feed(encode_frame(0, b"CONTINUE", (8,)) + b"oops")


def test_too_large_is_refused_before_it_arrives() -> None:
    header = frame_header(0, (0,), MAX_FRAME_PAYLOAD_BYTES + 1)
    decoder = FrameDecoder()
    assert decoder.feed(header[:11]) == []
    with pytest.raises(FrameError, match=r"^frame payload of 16777217 bytes is above the limit of 16777216$"):
        decoder.feed(header[11:])


def test_largest() -> None:
    payload = bytes(MAX_FRAME_PAYLOAD_BYTES)
    assert FrameDecoder().feed(encode_frame(0, payload)) == [Frame(0, 0, (), payload)]
