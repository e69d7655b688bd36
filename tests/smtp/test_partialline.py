"""A line that comes in pieces: joined while it is short enough, dropped with what follows when it is not."""

from __future__ import annotations

import pytest

from fastsmtp.smtp import replies
from fastsmtp.smtp.partialline import MAX_AUTH_LINE, MAX_COMMAND_LINE, PartialLine, refuse_length


def fed(line: PartialLine, octets: bytes, step: int) -> bytearray:
    """The line after all of its octets, its LF last, have come in pieces of `step`."""
    assert octets.endswith(b"\n")
    pieces = [bytearray(octets[at : at + step]) for at in range(0, len(octets), step)]
    for piece in pieces[:-1]:
        line.keep(piece, 0, len(piece))
    last = pieces[-1]
    return line.join(last, 0, len(last) - 1)


@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_is_joined(step: int) -> None:
    line = PartialLine(auth=False)
    assert (fed(line, b"MAIL FROM:<a@b>\r\n", step), line.refusal) == (b"MAIL FROM:<a@b>\r", b"")


def test_takes_a_part_of_the_buffer() -> None:
    line = PartialLine(auth=False)
    line.keep(bytearray(b"xxNOyy"), 2, 4)
    assert line.join(bytearray(b"zzOP\n"), 2, 4) == b"NOOP"


@pytest.mark.parametrize(
    ("begin", "auth", "most", "refusal"),
    [
        (b"NOOP ", False, MAX_COMMAND_LINE, replies.LINE_TOO_LONG),
        (b"auth PLAIN ", False, MAX_AUTH_LINE, replies.AUTH_LINE_TOO_LONG),
        (b"AAAA", True, MAX_AUTH_LINE, replies.AUTH_LINE_TOO_LONG),
    ],
    ids=["command", "auth-command", "auth-response"],
)
def test_limit(begin: bytes, auth: bool, most: int, refusal: bytes) -> None:
    """CRLF counts; the first octet too many drops the line, of which the beginning is kept."""
    longest = begin + b"x" * (most - len(begin) - 2) + b"\r\n"
    line = PartialLine(auth=auth)
    assert (fed(line, longest, 4096), line.refusal, line.beginning) == (longest[:-1], b"", "")
    line = PartialLine(auth=auth)
    assert fed(line, begin + b"x" * (most - len(begin) - 1) + b"\r\n", 4096) == b""
    assert (line.refusal, line.beginning) == (refusal, (begin + 64 * b"x")[:64].decode())


def test_what_follows_is_dropped() -> None:
    line = PartialLine(auth=False)
    endless = bytearray(b"x" * MAX_COMMAND_LINE)
    for _ in range(3):
        line.keep(endless, 0, len(endless))
    assert (line.join(endless, 0, 5), line.refusal) == (b"", replies.LINE_TOO_LONG)


def test_refuse_length() -> None:
    assert refuse_length(bytearray(b"AUTH"), MAX_COMMAND_LINE + 1, auth=False) == b""
    assert refuse_length(bytearray(b"AUT"), MAX_COMMAND_LINE + 1, auth=False) == replies.LINE_TOO_LONG
