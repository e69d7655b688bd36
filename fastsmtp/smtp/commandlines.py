"""The command lines of a session: where each ends, what their octets mean, and which of them are refused unread.

Strategy: complete lines in a read are taken where they stand; only a line cut off by the end of a read is copied.
"""

from __future__ import annotations

from typing import Final

from fastsmtp._parse import take_line
from fastsmtp.smtp import replies, violations
from fastsmtp.smtp.authentication import Authentication
from fastsmtp.smtp.events import Command
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.otherprotocol import is_http_request
from fastsmtp.smtp.partialline import MAX_COMMAND_LINE, PartialLine

_take_line: Final = take_line  # what is imported is looked up in a dictionary each time, this is not


class CommandLines:
    """Reads one line after the other; `text` is the last one without its end."""

    __slots__ = ("_authentication", "_first", "_gate", "_partial", "_trace", "text")

    def __init__(self, gate: Gate, authentication: Authentication, trace: bool) -> None:
        """With `trace` every line is an event, too."""
        self._gate: Final = gate
        self._authentication: Final = authentication
        self._trace: Final = trace
        self._first = True  # no line was read yet but empty ones
        self._partial: PartialLine | None = None  # a line whose end has not come
        self.text: str | None = None  # None where the line is incomplete, or was refused

    @property
    def held(self) -> int:
        """Octets of a line whose end has not come."""
        return 0 if self._partial is None else self._partial.held

    def read(self, buf: bytearray, start: int, end: int) -> int:
        """Take a line from `buf[start:end]`, and return where what follows it begins."""
        self.text, next_line = _take_line(buf, start, end)
        if next_line < 0:
            self._begin().keep(buf, start, end)
            return end
        if self._partial is not None or next_line - start > MAX_COMMAND_LINE:
            self._end_long_line(buf, start, next_line - 1)
        elif self.text is None:
            self._read_octets(buf[start : next_line - 1])
        else:
            if self._trace:
                self._gate.out.events.append(Command(self.text))
            if self._first:
                self._judge_first(self.text)
        return next_line

    def _judge_first(self, text: str) -> bool:
        """Turn away a client whose first line is one of HTTP, and return whether it is."""
        self._first = not text
        if not is_http_request(text):
            return False
        self.text = None
        self._gate.out.record(violations.HTTP_REQUEST, text)
        self._gate.out.reply(replies.OTHER_PROTOCOL)
        self._gate.closes = True
        return True

    def _begin(self) -> PartialLine:
        if self._partial is None:
            self._partial = PartialLine(auth=self._authentication.under_way)
        return self._partial

    def _end_long_line(self, buf: bytearray, start: int, feed: int) -> None:
        """A line that is long or came in pieces ends at `buf[feed]`."""
        partial = self._begin()
        self._partial = None
        line = partial.join(buf, start, feed)
        if not partial.refusal:
            self._read_octets(line)
        elif not self._first or not self._judge_first(partial.beginning):
            self.text = None
            self._authentication.stop()
            self._gate.out.reply(partial.refusal)

    def _read_octets(self, line: bytearray) -> None:
        """Read a line that may have any octets in it, without its LF."""
        bare_lf = line[-1:] != b"\r"
        if not bare_lf:
            del line[-1]
        try:
            text, utf8 = line.decode(), True
        except UnicodeDecodeError:
            text, utf8 = line.decode("latin-1"), False
        self.text = text
        if self._trace:
            self._gate.out.events.append(Command(text))
        if self._first and self._judge_first(text.rstrip("\r")):
            return
        if bare_lf or not text.isascii() or "\r" in text:
            if self._forgive(text, bare_lf, utf8):
                # QUIRK: "NOOP<CR><CR><LF>", from text mode files under Windows.
                self.text = text.rstrip("\r")
            else:
                self.text = None
                self._authentication.stop()

    def _forgive(self, text: str, bare_lf: bool, utf8: bool) -> bool:
        """Record what is wrong with the octets of a line. False when that was refused."""
        gate, verb = self._gate, text.lstrip(" \t")[:4].upper()
        # What a client says in AUTH is for the capture alone.
        detail = "AUTH" if self._authentication.under_way or verb == "AUTH" else text
        if bare_lf and not gate.forgive(violations.BARE_LF_IN_COMMAND, detail):
            return False
        if "\r" in text and not gate.forgive(violations.BARE_CR_IN_COMMAND, detail):
            return False
        if not utf8:
            return gate.forgive(violations.NOT_UTF8_COMMAND, detail)
        # UTF-8 in paths depends on SMTPUTF8 in MAIL; VRFY and EXPN carry their own (RFC 6531 section 3.7.4.2).
        allowed = verb in ("MAIL", "RCPT") or (verb in ("VRFY", "EXPN") and text.upper().endswith(" SMTPUTF8"))
        return text.isascii() or allowed or gate.forgive(violations.EIGHT_BIT_COMMAND, detail)
