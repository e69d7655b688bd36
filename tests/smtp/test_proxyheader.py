"""The header of the PROXY protocol: what each says, wherever the reads end, and that nothing behind it is taken."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxyheaders import SIGNATURE, crc32c, field, v2

from fastsmtp.smtp.proxyheader import MAX_FIELDS, ProxyHeader, ProxyHeaderReader

V4 = bytes([203, 0, 113, 7, 192, 0, 2, 1]) + b"\x12\x67\x00\x19"
V6 = ipaddress.ip_address("2001:db8::7").packed + ipaddress.ip_address("::1").packed + b"\x12\x67\x00\x19"
MAPPED = ipaddress.ip_address("::ffff:203.0.113.7").packed * 2 + b"\x12\x67\x00\x19"
V4_ENDS = ("203.0.113.7:4711", "192.0.2.1:25")
V6_ENDS = ("[2001:db8::7]:4711", "[::1]:25")
SSL = (
    b"\x07\x00\x00\x00\x00"
    + field(0x21, b"TLSv1.3")
    + field(0x22, b"joe")
    + field(0x23, b"AES")
    + field(0x20, b"x" * 9)
)
LONGEST = b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535".ljust(105, b" ") + b"\r\n"

HEADERS: dict[str, tuple[bytes, ProxyHeader]] = {
    "v1 TCP4": (b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 25\r\n", ProxyHeader(1, *V4_ENDS, {})),
    "v1 TCP6": (b"PROXY TCP6 2001:DB8::7 ::1 4711 25\r\n", ProxyHeader(1, *V6_ENDS, {})),
    "v1 mapped": (
        b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.1 4711 25\r\n",
        ProxyHeader(1, "203.0.113.7:4711", "192.0.2.1:25", {}),
    ),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", ProxyHeader(1, None, None, {})),
    "v1 UNKNOWN and more": (b"PROXY UNKNOWN \xff what ever\r\n", ProxyHeader(1, None, None, {})),
    "v1 longest": (LONGEST, ProxyHeader(1, None, None, {})),
    "v2 TCP4": (v2(0x21, 0x11, V4), ProxyHeader(2, *V4_ENDS, {})),
    "v2 UDP4": (v2(0x21, 0x12, V4), ProxyHeader(2, *V4_ENDS, {})),
    "v2 TCP6": (v2(0x21, 0x21, V6), ProxyHeader(2, *V6_ENDS, {})),
    "v2 mapped": (v2(0x21, 0x21, MAPPED), ProxyHeader(2, "203.0.113.7:4711", "203.0.113.7:25", {})),
    "v2 Unix": (v2(0x21, 0x31, b"/run/a".ljust(216, b"\0")), ProxyHeader(2, None, None, {})),
    "v2 LOCAL": (v2(0x20, 0x00, b""), ProxyHeader(2, None, None, {})),
    "v2 LOCAL with an address": (v2(0x20, 0x11, V4), ProxyHeader(2, None, None, {})),
    "v2 UNSPEC": (v2(0x21, 0x00, field(0x02, b"mx.test")), ProxyHeader(2, None, None, {"authority": "mx.test"})),
    "v2 of a family to come": (v2(0x21, 0x71, b"\1\2\3"), ProxyHeader(2, None, None, {})),
    "v2 fields": (
        v2(0x21, 0x11, V4 + field(0x01, b"smtp") + field(0x04, b"\0" * 9) + field(0x05, b"\1\xff") + field(0xE0, b"x")),
        ProxyHeader(2, *V4_ENDS, {"alpn": "smtp", "unique_id": "01ff", "0xe0": "x"}),
    ),
    "v2 TLS": (
        v2(0x21, 0x11, V4 + field(0x20, SSL)),
        ProxyHeader(2, *V4_ENDS, {"ssl_version": "TLSv1.3", "ssl_cn": "joe", "ssl_cipher": "AES"}),
    ),
    "v2 checksum": (v2(0x21, 0x11, V4, checksum=True), ProxyHeader(2, *V4_ENDS, {})),
    "v2 longest": (v2(0x21, 0x11, V4 + field(0x04, bytes(65535 - 12 - 3))), ProxyHeader(2, *V4_ENDS, {})),
    "v2 many fields": (
        v2(0x21, 0x11, V4 + b"".join(field(0x80 + n, b"x") for n in range(100))),
        ProxyHeader(2, *V4_ENDS, {f"0x{0x80 + n:02x}": "x" for n in range(MAX_FIELDS)}),
    ),
}
MALFORMED: dict[str, bytes] = {
    "no address": b"PROXY TCP4\r\n",
    "no kind": b"PROXY \r\n",
    "another kind": b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "lower case": b"PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
    "LF": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
    "LF of UNKNOWN": b"PROXY UNKNOWN\n",
    "UNKNOWN glued": b"PROXY UNKNOWNS\r\n",
    "two blanks": b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
    "families mixed": b"PROXY TCP4 ::1 1.2.3.4 1 2\r\n",
    "number above 255": b"PROXY TCP4 300.2.3.4 1.2.3.4 1 2\r\n",
    "port above 65535": b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
    "port negative": b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
    "digits of Arabic": "PROXY TCP4 1.2.3.4 1.2.3.4 ٣ 2\r\n".encode(),
    "zone": b"PROXY TCP6 fe80::1%1 ::1 1 2\r\n",
    "more": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
    "too long": LONGEST[:-2] + b" \r",
    "v2 version 1": SIGNATURE + b"\x11\x11\x00\x0c" + V4,
    "v2 another command": v2(0x22, 0x11, V4),
    "v2 address cut": v2(0x21, 0x11, V4[:-1]),
    "v2 field cut": v2(0x21, 0x11, V4 + b"\x01\x00"),
    "v2 field beyond the end": v2(0x21, 0x11, V4 + b"\x01\x00\x09smtp"),
    "v2 wrong checksum": v2(0x21, 0x11, V4 + field(0x03, b"\1\2\3\4")),
    "v2 short checksum": v2(0x21, 0x11, V4 + field(0x03, b"")),
}
ABSENT = [b"EHLO x\r\n", b"POST / HTTP/1.1\r\n", b"PROXYTCP4 1.2.3.4\r\n", b"PROX\r\n", b"\r\nEHLO x\r\n",
          SIGNATURE[:-1] + b"x", b"\r\n\r\n\0\r\nQUIT\r\n", b"proxy TCP4\r\n", b"P", b"\0", b"\r"]  # fmt: skip
BEHIND = b"PROXY \r\n\r\n\0EHLO x\r\n"


def read(octets: bytes, cuts: list[int]) -> tuple[ProxyHeaderReader, bytes]:
    """Feed the octets in reads that end at the cuts; what was not taken, given back octets first."""
    reader = ProxyHeaderReader()
    points = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    left = b""
    for start, end in itertools.pairwise(points):
        buf = bytearray(b"\xee" * 5 + octets[start:end] + b"\r\n")
        stop = reader.feed(buf, 5, 5 + end - start)
        left += buf[stop : 5 + end - start]
    return reader, left


def every_way(octets: bytes) -> list[list[int]]:
    short = octets[:400]
    return [
        [],
        [*range(len(octets))] if len(octets) < 400 else [*range(0, len(octets), 977)],
        *([at] for at in range(len(short))),
    ]


@pytest.mark.parametrize("name", HEADERS)
def test_header(name: str) -> None:
    octets, expected = HEADERS[name]
    for cuts in every_way(octets):
        reader, left = read(octets + BEHIND, cuts)
        assert (reader.decided, reader.malformed, reader.header, left) == (True, False, expected, BEHIND)


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    octets = MALFORMED[name]
    for cuts in every_way(octets):
        reader, left = read(octets + BEHIND, cuts)
        assert (reader.decided, reader.malformed, reader.header, left) == (True, True, None, BEHIND)


@pytest.mark.parametrize("octets", ABSENT, ids=ascii)
def test_absent(octets: bytes) -> None:
    for cuts in every_way(octets):
        reader, left = read(octets + b"NOOP\r\n", cuts)
        assert (reader.decided, reader.malformed, reader.header) == (True, False, None)
        assert bytes(reader.octets) + left == octets + b"NOOP\r\n"


@given(st.sampled_from(sorted(HEADERS)), st.integers(0, 10**6))
def test_the_beginning_of_a_header_decides_nothing(name: str, length: int) -> None:
    octets = HEADERS[name][0]
    reader, left = read(octets[: length % len(octets)], [])
    assert (reader.decided, left) == (False, b"")


@given(
    st.one_of(st.just(b""), st.just(b"PROXY "), st.just(SIGNATURE)),
    st.binary(max_size=300),
    st.lists(st.integers(0, 400)),
)
def test_any_octets(begin: bytes, octets: bytes, cuts: list[int]) -> None:
    """The same is found wherever the reads end, and no octet is lost."""
    whole, left = read(begin + octets, [])
    reader, rest = read(begin + octets, cuts)
    assert (reader.state, reader.header, reader.octets, rest) == (whole.state, whole.header, whole.octets, left)
    assert bytes(whole.octets) + left == begin + octets


@given(st.ip_addresses(), st.integers(0, 65535), st.lists(st.tuples(st.integers(0x80, 0xFF), st.binary(max_size=20))))
def test_every_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, fields: list[tuple[int, bytes]]
) -> None:
    kind = 0x11 if address.version == 4 else 0x21
    ends = address.packed * 2 + port.to_bytes(2, "big") * 2
    reader, _left = read(v2(0x21, kind, ends + b"".join(field(*item) for item in fields), checksum=True), [])
    assert reader.header is not None
    text = reader.header.source
    line, _left = read(f"PROXY TCP{address.version} {address} {address} {port} {port}\r\n".encode(), [])
    assert line.header == ProxyHeader(1, text, text, {})
    assert text is not None
    host, _, shown = text.rpartition(":")
    assert shown == str(port)
    if address.version == 4 or not host.startswith("["):
        assert ipaddress.ip_address(host).packed == address.packed[-4:]
    else:
        assert ipaddress.ip_address(host.strip("[]")) == address


def test_checksum_of_the_rfc() -> None:
    """RFC 3720 appendix B.4."""
    assert (crc32c(bytes(32)), crc32c(b"\xff" * 32)) == (0x8A9136AA, 0x62A8AB43)
