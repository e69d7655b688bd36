"""What a session knows of its client: what it said about itself, its login, how the channel is protected, and what a
proxy said about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fastsmtp.smtp.envelope import Credentials, TLSInfo
from fastsmtp.smtp.memory import memory_of
from fastsmtp.smtp.proxied import Proxied, known_value
from fastsmtp.smtp.proxyheader import ProxyHeader

XCLIENT_LOGIN: Final = "XCLIENT"  # the mechanism of a login that was the proxy's business


class Peer:
    """The client of one session."""

    __slots__ = (
        "_remote_addr",
        "auth_attempted",
        "believed",
        "connections",
        "credentials",
        "esmtp",
        "helo",
        "introduced",
        "proxied",
        "tls",
    )

    def __init__(self, tls: TLSInfo | None, remote_addr: str, believed: bool) -> None:
        """`remote_addr` is the other end of the connection, `believed` is whether this is a proxy of ours."""
        self.tls = tls
        self._remote_addr: Final = remote_addr
        self.believed: Final = believed
        self.proxied: Proxied | None = None
        self.connections = 0  # open when this one was accepted, without it
        # What the client said; forgotten when TLS starts
        self.introduced = False  # by HELO or EHLO
        self.helo = ""
        self.esmtp = False
        self.auth_attempted = False
        self.credentials: Credentials | None = None

    @property
    def held(self) -> int:
        """Octets in memory, about."""
        octets, credentials = memory_of(self.helo), self.credentials
        if credentials is not None:
            octets += memory_of(credentials.username or "") + memory_of(credentials.password or "")
            octets += memory_of(credentials.digest or "")
        return octets

    def protect(self, tls: TLSInfo) -> None:
        """TLS has started: "The server MUST discard any knowledge obtained from the client" (RFC 3207 section 4.2)."""
        self.tls = tls
        self.introduced = False
        self.helo = ""
        self.esmtp = False
        self.auth_attempted = False
        self.credentials = None

    def introduce(self, helo: str, esmtp: bool) -> None:
        """Keep the argument of HELO, or of EHLO: `esmtp`. It may be empty."""
        self.introduced = True
        self.helo = helo
        self.esmtp = esmtp

    def take_header(self, header: ProxyHeader) -> None:
        """Keep what a PROXY header says."""
        self.proxied = Proxied(self._remote_addr, self.believed, header)

    def take_xclient(self, attributes: dict[str, str]) -> None:
        """Keep what XCLIENT says, beside what it said before; where it is believed, the client is another one now."""
        proxied = self.proxied or Proxied(self._remote_addr, self.believed)
        self.proxied = replace(proxied, xclient={**(proxied.xclient or {}), **attributes})
        if not self.believed:
            return
        helo, protocol = known_value(attributes, "HELO"), known_value(attributes, "PROTO")
        login = known_value(attributes, "LOGIN")
        if helo:
            self.introduced = True
            self.helo = helo
        if protocol:
            self.esmtp = protocol.upper().startswith("E")
        self.credentials = Credentials(XCLIENT_LOGIN, login) if login else None

    def take_xforward(self, attributes: dict[str, str]) -> None:
        """Keep what XFORWARD says about the next mail, beside what it said before."""
        proxied = self.proxied or Proxied(self._remote_addr, self.believed)
        self.proxied = replace(proxied, xforward={**(proxied.xforward or {}), **attributes})

    def forget_xforward(self) -> None:
        """The mail that XFORWARD was about has begun, or does not come."""
        proxied = self.proxied
        if proxied is not None and proxied.xforward is not None:
            left = replace(proxied, xforward=None)
            self.proxied = left if left.header is not None or left.xclient is not None else None
