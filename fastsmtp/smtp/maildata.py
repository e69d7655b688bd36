"""Mail data on the wire: by DATA up to CRLF.CRLF, or by BDAT in chunks of a known size. What is octet, what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fastsmtp._parse import BodyLines
from fastsmtp.smtp import violations


class Decoder(Protocol):
    """Undoes dot-stuffing and finds the end of mail data, as `_parse.DataDecoder` says."""

    def feed(self, buf: bytearray, start: int, end: int) -> tuple[int, int, int, bool]: ...


class MailData:
    """Where the mail data of a session begins and ends in what is read.

    After `start_data` or `start_chunk` each `read_...` tells in `begin` and `end` which octets of the buffer are
    content, and in `done` whether the mail data, or the chunk, has ended with them.
    """

    __slots__ = ("_decoder", "_left", "_make_decoder", "begin", "close", "done", "end", "last", "refusal")

    def __init__(self, make_decoder: Callable[[], Decoder]) -> None:
        self._make_decoder = make_decoder
        self._decoder: Decoder | None = None  # of DATA
        self._left = 0  # octets of the chunk that have not come
        self.last = False  # the chunk is the last one of its mail
        self.refusal = b""  # what to reply after a chunk that is swallowed
        self.close = False  # this reply is the last one of the session
        self.begin = 0
        self.end = 0
        self.done = False

    def start_data(self) -> None:
        """The next octets are mail data after DATA."""
        self._decoder = self._make_decoder()

    def start_chunk(self, size: int, last: bool, refusal: bytes, close: bool) -> None:
        """The next octets are a chunk after BDAT; with a `refusal` they are swallowed; `close`: it ends the session."""
        self._left = size
        self.last = last
        self.refusal = refusal
        self.close = close

    def stop(self) -> None:
        """The mail was broken off."""
        self._decoder = None

    def read_data(self, buf: bytearray, start: int, end: int) -> int:
        """Look at `buf[start:end]`, and return where what follows begins."""
        assert self._decoder is not None
        self.begin, self.end, next_start, self.done = self._decoder.feed(buf, start, end)
        if self.done:
            self._decoder = None
        return next_start

    def read_chunk(self, start: int, end: int) -> int:
        """Look at as much of a buffer from `start` to `end` as the chunk has, and return where what follows begins."""
        stop = min(end, start + self._left)
        self._left -= stop - start
        self.begin, self.end, self.done = start, stop, self._left == 0
        return stop


def line_faults(lines: BodyLines) -> list[str]:
    """The codes of what was wrong with the lines of a mail, now that no more octets come."""
    lines.finish()
    return [
        code
        for code, seen in (
            (violations.BARE_CR_IN_BODY, lines.bare_cr),
            (violations.BARE_LF_IN_BODY, lines.bare_lf),
            (violations.LONG_BODY_LINE, lines.too_long),
        )
        if seen
    ]
