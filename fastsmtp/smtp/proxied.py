"""What proxies in front of the server said about its client: in a PROXY header, by XCLIENT, by XFORWARD."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from fastsmtp.smtp.proxyheader import ProxyHeader, format_end

# What stands for a value that the proxy does not know.
_UNKNOWN: Final = ("", "[UNAVAILABLE]", "[TEMPUNAVAIL]")


@dataclass(frozen=True, slots=True)
class Proxied:
    """All of it, as one transaction sees it.

    `proxy_addr` is who connected. Where `believed` is False, the proxy is not a trusted one: what it said is kept
    and has no effect. `xclient` and `xforward` are the attributes of these commands, names in upper case; `xforward` is
    about one mail.
    """

    proxy_addr: str
    believed: bool
    header: ProxyHeader | None = None
    xclient: dict[str, str] | None = None
    xforward: dict[str, str] | None = None

    @property
    def client_addr(self) -> str:
        """`ip:port` of the client of the proxy, "" where this is not known, or not believed; of the mail's own client
        where XFORWARD names it."""
        if not self.believed:
            return ""
        for attributes in (self.xforward, self.xclient):
            found = _address(attributes or {})
            if found:
                return found
        return "" if self.header is None or self.header.source is None else self.header.source


def known_value(attributes: dict[str, str], name: str) -> str:
    """The value of an attribute, "" where the proxy does not know it."""
    value = attributes.get(name, "")
    return "" if value.upper() in _UNKNOWN else value


def _address(attributes: dict[str, str]) -> str:
    """ADDR and PORT as `ip:port`, port 0 where it is not known; "" without an address."""
    host, port = known_value(attributes, "ADDR"), known_value(attributes, "PORT")
    return format_end(ipaddress.ip_address(host), int(port) if port else 0) if host else ""
