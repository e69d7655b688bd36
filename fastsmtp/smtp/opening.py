"""The first octets of a connection, where they may be something else than a command: a PROXY header, or TLS."""

from __future__ import annotations

from typing import Final

from fastsmtp.smtp import replies, violations
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.otherprotocol import TLS_HANDSHAKE
from fastsmtp.smtp.proxycommands import take_header
from fastsmtp.smtp.proxyheader import FIRST_OCTETS, ProxyHeaderReader

# With any other first octet a connection begins with a command, and needs no `Opening`.
SPECIAL_OCTETS: Final = (*FIRST_OCTETS, TLS_HANDSHAKE)


class Opening:
    """Reads until it is known what these octets are. Those of a command are given back, in `octets`."""

    __slots__ = ("_gate", "_header", "decided", "octets")

    def __init__(self, gate: Gate) -> None:
        self._gate: Final = gate
        self._header: Final = ProxyHeaderReader()
        self.decided = False
        self.octets = bytearray()

    def read(self, buf: bytearray, start: int, end: int) -> int:
        """Take octets from `buf[start:end]`, and return where what is not taken begins."""
        reader, gate = self._header, self._gate
        if buf[start] == TLS_HANDSHAKE and not reader.octets:
            self._turn_away(violations.TLS_WITHOUT_STARTTLS, "", replies.OTHER_PROTOCOL)
            return end
        start = reader.feed(buf, start, end)
        self.decided = reader.decided
        if reader.header is not None:
            gate.closes = not take_header(gate, reader.header)
        elif reader.malformed:
            detail = reader.octets.decode("latin-1")
            self._turn_away(violations.MALFORMED_PROXY_HEADER, detail, replies.MALFORMED_PROXY_HEADER)
        elif self.decided:
            self.octets = reader.octets
        return start

    def _turn_away(self, code: str, detail: str, reply: bytes) -> None:
        self.decided = True
        self._gate.out.record(code, detail)
        self._gate.out.reply(reply)
        self._gate.closes = True
