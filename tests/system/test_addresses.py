"""Addresses as text: what is understood, what is refused, and how they are shown."""

from __future__ import annotations

import pytest

from fastsmtp.system.addresses import TCPAddress, UnixAddress, format_peer, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:25", TCPAddress("127.0.0.1", 25)),
        (":25", TCPAddress("", 25)),
        ("[::]:25", TCPAddress("::", 25)),
        ("[fe80::1%eth0]:25", TCPAddress("fe80::1%eth0", 25)),
        ("tcp://[::1]:0", TCPAddress("::1", 0)),
        ("tcp://:25", TCPAddress("", 25)),
        ("unix:/run/x", UnixAddress("/run/x")),
        ("unix://x", UnixAddress("x")),
    ],
)
def test_parse_address(text: str, address: TCPAddress | UnixAddress) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("localhost", "the port is missing"),
        ("localhost:", "the port is missing"),
        ("::1", "the port is missing"),
        ("[::1]", "the port is missing"),
        ("[::1]:", "the port is missing"),
        ("", "the port is missing"),
        ("x:65536", "a port is a number from 0 to 65535"),
        ("x:٢٥", "a port is a number from 0 to 65535"),
        ("::1:25", 'did you mean "\\[::1\\]:25"\\?'),
        (":::25", 'did you mean "\\[::\\]:25"\\?'),
        ("2001:db8::1:25", 'did you mean "\\[2001:db8::1\\]:25"\\?'),
        ("[127.0.0.1]:25", 'did you mean "127.0.0.1:25"\\?'),
        ("*:25", 'did you mean ":25"\\?'),
        ("[x]:25", "there is no IPv6 address between the brackets"),
        ("[1::2::3]:25", "there is no IPv6 address between the brackets"),
        ("a:25:26", "this is not a host name"),
        ("[::1:25", "this is not a host name"),
        ("a b:25", "this is not a host name"),
        (" a:25", 'did you mean "a:25"\\?'),
        ("unix:", "the path is missing"),
        ("1025", 'did you mean ":1025"\\?'),
        ("run/x.sock", 'did you mean "unix:run/x.sock"\\?'),
        ("tcp://127.0.0.1:25/", 'did you mean "127.0.0.1:25"\\?'),
        ("/run/x.sock", 'did you mean "unix:/run/x.sock"\\?'),
        ("smtp://127.0.0.1:1025", 'did you mean "127.0.0.1:1025"\\?'),
        ("http://[::1]:2112/metrics", 'did you mean "\\[::1\\]:2112"\\?'),
        ("unix:/" + "x" * 107, "a socket path has at most 107 bytes"),
    ],
)
def test_what_is_no_address(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{fault}$"):
        parse_address(text)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (("192.0.2.1", 25), "192.0.2.1:25"),
        (("2001:db8::1", 25, 0, 0), "[2001:db8::1]:25"),
        (("::ffff:192.0.2.1", 25, 0, 0), "192.0.2.1:25"),
        ("", "unix"),
        (None, "unix"),
    ],
)
def test_format_peer(address: object, shown: str) -> None:
    assert format_peer(address) == shown
