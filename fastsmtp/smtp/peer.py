"""What a session knows of its client: what it said about itself, its login, how the channel is protected."""

from __future__ import annotations

from fastsmtp.smtp.envelope import Credentials, TLSInfo


class Peer:
    """The client of one session."""

    __slots__ = ("auth_attempted", "connections", "credentials", "esmtp", "helo", "tls")

    def __init__(self, tls: TLSInfo | None) -> None:
        self.tls = tls
        self.connections = 0  # open when this one was accepted, without it
        # What the client said; forgotten when TLS starts
        self.helo = ""
        self.esmtp = False
        self.auth_attempted = False
        self.credentials: Credentials | None = None

    def protect(self, tls: TLSInfo) -> None:
        """TLS has started: "The server MUST discard any knowledge obtained from the client" (RFC 3207 section 4.2)."""
        self.tls = tls
        self.helo = ""
        self.esmtp = False
        self.auth_attempted = False
        self.credentials = None
