"""The header of the PROXY protocol, versions 1 and 2, in which a proxy says who its client is.

HAProxy's specification, `proxy-protocol.txt`, is the reference; sections below are its.

Strategy: as many octets are taken as surely belong to a header, whatever the reads are, and not one more: what follows
it is the client's, and may be a TLS handshake. Octets that turn out to be no header are given back.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_V1: Final = b"PROXY "
_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"  # section 2.2
_V2_FIXED: Final = 16  # octets before the addresses
MAX_V1: Final = 107  # octets with CRLF (section 2.1)
# What a header begins with: an SMTP client begins with neither, but for "P", and for an empty line.
FIRST_OCTETS: Final = (_V1[0], _V2[0])

# Lengths of the addresses by family and transport (section 2.2): TCP and UDP over IPv4 and IPv6, Unix sockets.
_ADDRESS_OCTETS: Final = {0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_CRC32C: Final = 0x03
_SSL: Final = 0x20
# Section 2.2 and those below it; the sub-fields of PP2_TYPE_SSL are named as fields of their own.
_NAMES: Final = {
    0x01: "alpn",
    0x02: "authority",
    0x05: "unique_id",
    0x21: "ssl_version",
    0x22: "ssl_cn",
    0x23: "ssl_cipher",
    0x24: "ssl_sig_alg",
    0x25: "ssl_key_alg",
    0x30: "netns",
}
_NO_TEXT: Final = (_CRC32C, 0x04, _SSL)  # a checksum, padding, and what is taken apart
MAX_FIELDS: Final = 64  # that are kept of one header
_is_v1: Final = re.compile(r"PROXY (TCP[46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) ([0-9]{1,5}) ([0-9]{1,5})").fullmatch

# What has become of the octets so far
UNDECIDED: Final = 0
ABSENT: Final = 1  # there is no header: `octets` are the client's
COMPLETE: Final = 2
MALFORMED: Final = 3


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a header says. `source` and `destination` are `ip:port`, or None where it does not say."""

    version: int
    source: str | None
    destination: str | None
    fields: dict[str, str]  # of version 2: text by name, hexadecimal digits where it is no text


class ProxyHeaderReader:
    """Reads the first octets of a connection until it is known whether they are a header, and what it says."""

    __slots__ = ("header", "octets", "state")

    def __init__(self) -> None:
        self.state = UNDECIDED
        self.octets = bytearray()
        self.header: ProxyHeader | None = None  # once it is COMPLETE

    @property
    def decided(self) -> bool:
        """Whether it is known what the octets are."""
        return self.state != UNDECIDED

    @property
    def malformed(self) -> bool:
        """Whether there is a header, and it does not say anything."""
        return self.state == MALFORMED

    def feed(self, buf: bytearray, start: int, end: int) -> int:
        """Take octets from `buf[start:end]`, and return where what is not taken begins."""
        while start < end and self.state == UNDECIDED:
            stop = min(end, start + self._wanted(buf, start, end))
            self.octets += buf[start:stop]
            start = stop
            self._judge()
        return start

    def _wanted(self, buf: bytearray, start: int, end: int) -> int:
        """How many octets can be taken without one that is behind the header."""
        octets, size = self.octets, len(self.octets)
        if octets[:1] == _V2[:1]:
            if size < _V2_FIXED:
                return (len(_V2) if size < len(_V2) else _V2_FIXED) - size
            return _V2_FIXED + int.from_bytes(octets[14:16], "big") - size
        if size < len(_V1):
            return len(_V1) - size if size else 1
        feed = buf.find(b"\n", start, end)
        return min(MAX_V1 - size, (end if feed < 0 else feed + 1) - start)

    def _judge(self) -> None:
        octets, size = self.octets, len(self.octets)
        if octets[: len(_V2)] == _V2[:size]:
            if size >= _V2_FIXED and size == _V2_FIXED + int.from_bytes(octets[14:16], "big"):
                self._finish(_read_v2(bytes(octets)))
        elif octets[: len(_V1)] != _V1[:size]:
            self.state = ABSENT
        elif octets[-1:] == b"\n" or size == MAX_V1:
            self._finish(_read_v1(bytes(octets)))

    def _finish(self, header: ProxyHeader | None) -> None:
        self.header = header
        self.state = MALFORMED if header is None else COMPLETE


def _read_v1(line: bytes) -> ProxyHeader | None:
    """The header that this line is, None where it is malformed."""
    if not line.endswith(b"\r\n"):
        return None
    text = line[:-2].decode("latin-1")
    # "For "UNKNOWN", the rest of the line before the CRLF may be omitted by the sender, and the receiver must ignore
    # anything presented before the CRLF is found" (section 2.1).
    if text == "PROXY UNKNOWN" or text.startswith("PROXY UNKNOWN "):
        return ProxyHeader(1, None, None, {})
    found = _is_v1(text)
    if found is None:
        return None
    kind, *hosts = found.groups()[:3]
    ports = [int(port) for port in found.groups()[3:]]
    try:
        ends = [ipaddress.ip_address(host) for host in hosts]
    except ValueError:
        return None
    if max(ports) > 65535 or any(address.version != int(kind[3]) for address in ends):
        return None
    return ProxyHeader(1, format_end(ends[0], ports[0]), format_end(ends[1], ports[1]), {})


def format_end(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> str:
    """`ip:port`, or `[ip]:port` of IPv6."""
    if isinstance(address, ipaddress.IPv4Address):
        return f"{address}:{port}"
    # A proxy that listens for both families names IPv4 addresses ::ffff:192.0.2.1.
    mapped = address.ipv4_mapped
    return f"[{address}]:{port}" if mapped is None else f"{mapped}:{port}"


def _read_v2(octets: bytes) -> ProxyHeader | None:
    """The header that these octets are, None where it is malformed."""
    command, kind = octets[12], octets[13]
    if command == _LOCAL:
        # "The receiver must ... discard the protocol block including the family": a health check.
        return ProxyHeader(2, None, None, {})
    if command != _PROXY:
        return None
    length = _ADDRESS_OCTETS.get(kind, 0)
    addresses, rest = octets[_V2_FIXED : _V2_FIXED + length], octets[_V2_FIXED + length :]
    if len(addresses) != length:
        return None
    source = destination = None
    if length in (12, 36):
        size = 4 if length == 12 else 16
        source = _binary_end(addresses[:size], addresses[2 * size : 2 * size + 2])
        destination = _binary_end(addresses[size : 2 * size], addresses[2 * size + 2 :])
    elif not length and kind:
        rest = b""  # addresses of a kind that is not known
    fields: dict[str, str] = {}
    position = _V2_FIXED + length
    for field, value in _split_fields(rest):
        position += 3 + len(value)
        if field < 0 or (field == _CRC32C and not _is_checksum(octets, position - len(value), value)):
            return None
        _keep_field(fields, field, value)
    return ProxyHeader(2, source, destination, fields)


def _binary_end(host: bytes, port: bytes) -> str:
    return format_end(ipaddress.ip_address(host), int.from_bytes(port, "big"))


def _split_fields(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each field (section 2.2.1); type -1 for one that ends behind the header."""
    position = 0
    while position < len(octets):
        begin = position + 3
        end = begin + int.from_bytes(octets[position + 1 : begin], "big")
        if begin > len(octets) or end > len(octets):
            yield -1, b""
            return
        yield octets[position], octets[begin:end]
        position = end


def _keep_field(fields: dict[str, str], kind: int, value: bytes) -> None:
    if kind == _SSL:
        # Octets for what the client did, and whether its certificate was verified (section 2.2.6).
        for inner, text in _split_fields(value[5:]):
            if inner > 0 and inner != _SSL:
                _keep_field(fields, inner, text)
    elif kind not in _NO_TEXT and len(fields) < MAX_FIELDS:
        fields[_NAMES.get(kind, f"0x{kind:02x}")] = _read_text(value)


def _read_text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() else value.hex()


def _is_checksum(octets: bytes, position: int, value: bytes) -> bool:
    """Whether the value at `position` is the CRC32c of the header with zeros in its place (section 2.2.5)."""
    if len(value) != 4:
        return False
    zeroed = octets[:position] + bytes(4) + octets[position + 4 :]
    return int.from_bytes(value, "big") == _crc32c(zeroed)


def _make_table() -> list[int]:
    table = []
    for octet in range(256):
        rest = octet
        for _ in range(8):
            rest = rest >> 1 ^ (0x82F63B78 if rest & 1 else 0)
        table.append(rest)
    return table


_TABLE: Final = _make_table()


def _crc32c(octets: bytes) -> int:
    """CRC-32C of RFC 9260 appendix A."""
    rest = 0xFFFFFFFF
    for octet in octets:
        rest = _TABLE[(rest ^ octet) & 0xFF] ^ rest >> 8
    return rest ^ 0xFFFFFFFF
