"""PROXY headers of version 2 for tests, made octet by octet as HAProxy's `proxy-protocol.txt` says."""

from __future__ import annotations

from typing import Final

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, kind: int, content: bytes, *, checksum: bool = False) -> bytes:
    """A whole header, its checksum as last field."""
    if checksum:
        content += field(0x03, bytes(4))
    octets = SIGNATURE + bytes([command, kind]) + len(content).to_bytes(2, "big") + content
    return octets[:-4] + crc32c(octets).to_bytes(4, "big") if checksum else octets


def field(kind: int, value: bytes) -> bytes:
    """One of type, length and value."""
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def crc32c(octets: bytes) -> int:
    """CRC-32C by polynomial division, one bit after the other."""
    reflected = bytes(int(f"{octet:08b}"[::-1], 2) for octet in octets)
    bits = int.from_bytes(reflected, "big") << 32
    size = len(octets) * 8
    bits ^= 0xFFFFFFFF << size  # the register begins with ones
    for position in range(size + 31, 31, -1):
        if bits >> position & 1:
            bits ^= 0x11EDC6F41 << (position - 32)
    return int(f"{bits & 0xFFFFFFFF:032b}"[::-1], 2) ^ 0xFFFFFFFF
