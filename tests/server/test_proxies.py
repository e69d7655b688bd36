"""Which connections are of a proxy that is believed."""

from __future__ import annotations

import pytest

from fastsmtp.server.proxies import Proxies


@pytest.mark.parametrize(
    ("networks", "peername", "expected"),
    [
        (["10.0.0.0/8"], ("10.1.2.3", 4), True),
        (["10.0.0.0/8"], ("11.1.2.3", 4), False),
        (["192.0.2.1", "10.0.0.0/8"], ("192.0.2.1", 4), True),
        (["10.0.0.0/8"], ("::ffff:10.1.2.3", 4, 0, 0), True),
        (["10.0.0.0/8"], ("::1", 4, 0, 0), False),
        (["::1"], ("::1", 4, 0, 0), True),
        (["fe80::/10"], ("fe80::1%eth0", 4, 0, 2), True),
        (["::/0"], ("10.1.2.3", 4), False),
        (["unix:"], "", True),
        (["unix:"], None, True),
        (["unix:"], ("127.0.0.1", 4), False),
        (["127.0.0.1"], "", False),
        ([], ("127.0.0.1", 4), False),
        ([], "", False),
    ],
)
def test_believes(networks: list[str], peername: object, expected: bool) -> None:
    proxies = Proxies(networks)
    assert (proxies.believes(peername), bool(proxies)) == (expected, bool(networks))
