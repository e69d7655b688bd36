"""The proxies of `smtp.proxy_protocol`: what they say about their clients is believed."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

UNIX: Final = "unix:"  # stands for the clients of Unix sockets


class Proxies:
    """Networks, and whether a connection comes from one of them."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(text) for text in networks if text != UNIX]
        self._unix = UNIX in networks

    def __bool__(self) -> bool:
        return bool(self._networks) or self._unix

    def believes(self, peername: object) -> bool:
        """Whether the other end of a connection, as `getpeername` names it, is one of them."""
        if not isinstance(peername, tuple):
            return self._unix
        if not self._networks:
            return False
        address = ipaddress.ip_address(peername[0].partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address):
            # A socket for both families names IPv4 addresses ::ffff:192.0.2.1.
            address = address.ipv4_mapped or address
        return any(address in network for network in self._networks)
