"""Goridge v1 frames: encode, incremental decode, CRC.

     byte 0          1       2..5             6..9               10           11   12..
    +-----------+-------+----------------+------------------+-------------+----+-----------+-----------+
    | version<<4| flags | payload length | CRC32 of bytes   | stream bits | 0  | options,  | frame     |
    | | words   |       | LE32           | 0..5, LE32       |             |    | LE32 each | payload   |
    +-----------+-------+----------------+------------------+-------------+----+-----------+-----------+

`words` counts the 32-bit words of header and options: 3 without options, 15 at most. An email, and the answer to it, is
context + body in one frame payload with one option, the length of the context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final
from zlib import crc32

from fastsmtp.errors import FrameError

VERSION: Final = 1

# Flags, byte 1. The codec bits say how the frame payload is written.
CONTROL: Final = 0x01
CODEC_RAW: Final = 0x04
CODEC_JSON: Final = 0x08
CODEC_MSGPACK: Final = 0x10
CODEC_GOB: Final = 0x20
ERROR: Final = 0x40
CODEC_PROTO: Final = 0x80

# Stream bits, byte 10.
STREAM: Final = 0x01
STOP: Final = 0x02
PING: Final = 0x04
PONG: Final = 0x08

MAX_FRAME_PAYLOAD_BYTES: Final = 16 * 1024 * 1024
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024  # to an RPC call: a list of a hundred thousand connections

_HEADER_WORDS: Final = 3
_HEADER_BYTES: Final = 12
_MAX_OPTIONS: Final = 12  # the word count has four bits: 15 - 3
_SHOWN_BYTES: Final = 256  # of what is not a frame, in the text of the error

_CHECKED: Final = Struct("<BBI")  # what the CRC covers
_CHECKED_BYTES: Final = 6
_TAILS: Final = [Struct(f"<IBB{count}I") for count in range(_MAX_OPTIONS + 1)]  # CRC, stream bits, 0, options


@dataclass(init=False, slots=True)
class Frame:
    """One decoded frame."""

    flags: int
    stream: int
    options: tuple[int, ...]
    payload: bytes

    def __init__(self, flags: int, stream: int, options: tuple[int, ...], payload: bytes) -> None:
        self.flags = flags
        self.stream = stream
        self.options = options
        self.payload = payload


def frame_header(flags: int, options: Sequence[int], payload_length: int, stream: int = 0) -> bytes:
    """Return header and options of a frame whose payload, of `payload_length` bytes, the caller writes behind it."""
    count = len(options)
    checked = _CHECKED.pack(VERSION << 4 | _HEADER_WORDS + count, flags, payload_length)
    return checked + _TAILS[count].pack(crc32(checked), stream, 0, *options)


def encode_frame(flags: int, payload: bytes, options: Sequence[int] = (), stream: int = 0) -> bytes:
    """Return a whole frame. Copies the payload: for control frames and RPC, not for an email."""
    return frame_header(flags, options, len(payload), stream) + payload


class FrameDecoder:
    """Cuts a stream of bytes into frames.

    A frame that arrives in one piece is cut from the caller's bytes; one that straddles chunks is collected in
    `_pending`, which is not looked at again before `_need` bytes are there: a large frame costs linear time.
    """

    __slots__ = ("_max_payload", "_need", "_pending")

    def __init__(self, max_payload_bytes: int = MAX_FRAME_PAYLOAD_BYTES) -> None:
        self._max_payload = max_payload_bytes
        self._pending = bytearray()
        self._need = _HEADER_BYTES

    @property
    def incomplete(self) -> bool:
        """Whether bytes of an unfinished frame are held."""
        return bool(self._pending)

    @property
    def missing(self) -> int:
        """How many octets of the unfinished frame are not there yet, as far as its header tells."""
        return self._need - len(self._pending) if self._pending else 0

    def take_unfinished(self) -> bytearray:
        """Return what is there of the unfinished frame; its owner collects the rest, and feeds what comes behind it."""
        unfinished, self._pending = self._pending, bytearray()
        self._need = _HEADER_BYTES
        return unfinished

    def feed(self, chunk: bytes | bytearray) -> list[Frame]:
        """Take the next bytes and return the frames they complete, often none.

        Raises FrameError when the bytes cannot be a frame or its payload is too large; the text carries the first of
        them, and the decoder is of no further use.
        """
        frames: list[Frame] = []
        source = chunk
        if self._pending:
            self._pending += chunk
            if len(self._pending) < self._need:
                return frames
            source = self._pending
        start, end = 0, len(source)
        while start < end:
            need = self._measure(source, start, end)
            if end - start < need:
                self._need = need
                break
            frames.append(_cut(source, start, start + need))
            start += need
        if source is self._pending:
            del self._pending[:start]
        elif start < end:
            self._pending += memoryview(chunk)[start:]
        return frames

    def _measure(self, source: bytes | bytearray, start: int, end: int) -> int:
        """Return the length of the frame that begins at `start`, or of its header while that is not whole."""
        header = bytes(source[start : start + _HEADER_BYTES])
        first = header[0]
        if first >> 4 != VERSION or first & 0x0F < _HEADER_WORDS:
            raise _not_a_frame(source, start)
        if end - start < _HEADER_BYTES:
            return _HEADER_BYTES
        if crc32(header[:_CHECKED_BYTES]) != _word(header, 6):
            raise _not_a_frame(source, start, "bad CRC")
        length = _word(header, 2)
        if length > self._max_payload:
            raise FrameError(f"frame payload of {length} bytes is above the limit of {self._max_payload}")
        return (first & 0x0F) * 4 + length


def _cut(source: bytes | bytearray, start: int, end: int) -> Frame:
    """Return the frame at `source[start:end]`, which `_measure` found good and whole."""
    payload = start + (source[start] & 0x0F) * 4
    header = bytes(source[start:payload])
    options = tuple([_word(header, at) for at in range(_HEADER_BYTES, payload - start, 4)])
    # A slice of bytes is copied once, one of a bytearray would be twice.
    octets = source[payload:end] if isinstance(source, bytes) else bytes(memoryview(source)[payload:end])
    return Frame(header[1], header[10], options, octets)


def _word(octets: bytes, at: int) -> int:
    """The LE32 at `at`. Compiled, this is a fraction of what `struct` costs."""
    return octets[at] | octets[at + 1] << 8 | octets[at + 2] << 16 | octets[at + 3] << 24


def _not_a_frame(source: bytes | bytearray, start: int, why: str = "") -> FrameError:
    shown = bytes(source[start : start + _SHOWN_BYTES])
    return FrameError(f"not a Goridge frame{f' ({why})' if why else ''}: {shown!r}")
