"""A command line of which only the start has come. Bounded, and linear for a client that sends octet by octet."""

from __future__ import annotations

from typing import Final

from fastsmtp.smtp import replies

MAX_COMMAND_LINE: Final = 64 * 1024  # octets with CRLF; RFC 5321 section 4.5.3.1.4 asks for 512
MAX_AUTH_LINE: Final = 128 * 1024  # a token of 64 KiB in base64 with its envelope; RFC 4954 section 4 asks for 12288
_BEGINNING: Final = 64  # octets that are kept of a line that is too long


class PartialLine:
    """Octets of one line as they come. Once it is too long it is dropped, and what follows with it."""

    __slots__ = ("_auth", "_octets", "beginning", "refusal")

    def __init__(self, *, auth: bool) -> None:
        self._auth = auth  # it is an AUTH response
        self._octets = bytearray()
        self.beginning = ""  # of a line that is too long
        self.refusal = b""  # what to reply at its end, when it is too long

    @property
    def held(self) -> int:
        """Octets that are kept."""
        return len(self._octets)

    def keep(self, buf: bytearray, start: int, end: int) -> None:
        """Add `buf[start:end]`, in which there is no LF."""
        if not self.refusal:
            self._octets += buf[start:end]
            # The LF is still to come.
            self.refusal = refuse_length(self._octets, len(self._octets) + 1, auth=self._auth)
            if self.refusal:
                self.beginning = self._octets[:_BEGINNING].decode("latin-1")
                self._octets = bytearray()

    def join(self, buf: bytearray, start: int, feed: int) -> bytearray:
        """The whole line, which ends at the LF at `buf[feed]`, without it. Look at `refusal` then."""
        self.keep(buf, start, feed)
        return self._octets


def refuse_length(line: bytearray, length: int, *, auth: bool) -> bytes:
    """The refusal of a line of `length` octets that begins with `line`, or b"". `auth`: it is an AUTH response."""
    if length <= MAX_COMMAND_LINE:
        return b""
    if not auth and line[:4].upper() != b"AUTH":
        return replies.LINE_TOO_LONG
    return replies.AUTH_LINE_TOO_LONG if length > MAX_AUTH_LINE else b""
