"""Mailboxes, domains and address literals of RFC 5321, each beside its like that is wrong."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.smtp.mailbox import find_route, is_helo, is_mailbox, is_route

LITERALS = [
    "127.0.0.1", "0.0.0.0", "255.255.255.255", "001.02.3.4", "IPv6:::1", "ipv6:::", "IPV6:1:2:3:4:5:6:7:8",
    "IPv6:2001:db8::19", "IPv6:1::", "IPv6:::2:3:4:5:6:7", "IPv6:1:2:3:4:5:6::", "IPv6:ABCD:ef01::", "IPv6:::1.2.3.4",
    "IPv6:::ffff:192.0.2.1", "IPv6:1:2:3:4:5:6:7.8.9.10", "IPv6:1::4:5:7.8.9.10", "tag:content", "x-9:!\"(<>{}~",
    "ipv7:1:2",
]  # fmt: skip
WRONG_LITERALS = [
    "", "1.2.3", "1.2.3.4.5", "300.1.1.1", "1.2.3.256", "1.2.3.0004", "1.2.3.", ".1.2.3", "a.b.c.d", "1.2.3.4 ", "1",
    "2001:db8::19", "::1", "::", "fe80::1%eth0", "abcd:1", "IPv6:", "IPv6:zz", "IPv6:1::2::3", "IPv6:1:2:3:4:5:6:7",
    "IPv6:1:2:3:4:5:6:7:8:9", "IPv6:12345::", "IPv6:::g", "IPv6:1:2:3:4:5:6:7::", "IPv6:::2:3:4:5:6:7:8", "IPv6::::",
    "IPv6:1:", "IPv6::1", "IPv6:1.2.3.4", "IPv6:1.2.3.4::", "IPv6:::1.2.3.4:5", "IPv6:::1.2.3.300", "IPv6:::1.2.3",
    "IPv6:fe80::1%eth0", "IPv6:1:2:3:4:5:6:7:1.2.3.4", "IPv6: ::1", "-:a", "tag-:a", ":a", "tag:", "tag:a[b",
    "tag:a\\b", "IPv6:1::2:3:4:5:6:7",
]  # fmt: skip


@pytest.mark.parametrize("content", LITERALS)
def test_literal(content: str) -> None:
    assert is_helo(f"[{content}]")
    assert is_mailbox(f"a@[{content}]")
    route = f"@b,@[{content}]:"
    assert find_route(route + "c@d") == len(route)
    assert is_route(route)


@pytest.mark.parametrize("content", WRONG_LITERALS)
def test_no_literal(content: str) -> None:
    assert not is_helo(f"[{content}]")
    assert not is_mailbox(f"a@[{content}]")
    route = f"@[{content}],@b:"
    assert not find_route(route + "c@d") or not is_route(route)


@pytest.mark.parametrize(
    "text", ["[127.0.0.1", "127.0.0.1]", "[[127.0.0.1]]", "[127.0.0.1]]", "[127.0.0.1].b", "[", "[]"]
)
def test_brackets_out_of_place(text: str) -> None:
    assert not is_helo(text)
    assert not is_mailbox(f"a@{text}")


def test_a_literal_may_stand_in_a_quoted_local_part() -> None:
    assert is_mailbox('"@[300.1.1.1]"@b')
    assert not is_mailbox('"@[1.1.1.1]"@[300.1.1.1]')


@given(st.ip_addresses(v=6), st.booleans())
def test_every_ipv6_address(address: ipaddress.IPv6Address, exploded: bool) -> None:
    text = address.exploded if exploded else str(address)
    assert is_helo(f"[IPv6:{text}]")
    assert not is_helo(f"[{text}]")


@given(st.text(alphabet="0123456789abf:.", max_size=30))
def test_ipv6_as_the_standard_library_sees_it(text: str) -> None:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        assert not is_helo(f"[IPv6:{text}]") or any(len(part) > 1 and part[0] == "0" for part in text.split("."))


@given(st.ip_addresses(v=4))
def test_every_ipv4_address(address: ipaddress.IPv4Address) -> None:
    assert is_helo(f"[{address}]")
