"""Frozen data about one transaction: the envelope, who authenticated, how the channel was protected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from fastsmtp.smtp.proxied import Proxied


class TLSInfo(NamedTuple):
    """The protected channel of a session: protocol version and cipher as OpenSSL names them."""

    version: str
    cipher: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an AUTH exchange gave away; nothing here was verified.

    `username` and `password` are None for a mechanism that does not carry them; a token mechanism's token stands in
    `password`. CRAM-MD5 carries no password: `challenge` is what we sent, `digest` what the client made of that and of
    its password; both are None with every other mechanism.
    """

    mechanism: str
    username: str | None
    password: str | None = field(default=None, repr=False)
    challenge: str | None = None
    digest: str | None = field(default=None, repr=False)


@dataclass(init=False, slots=True)
class Envelope:
    """One transaction as the commands described it (RFC 5321 section 2.3.1); nothing here comes from a header field.

    `mail_parameters` and each item of `rcpt_parameters` map an ESMTP keyword, as sent, to its value or None.
    `rcpt_parameters` runs parallel to `forward_paths`. `credentials` is None when AUTH never succeeded in this session,
    `auth_attempted` tells whether it was tried. `proxied` is None where no proxy said anything.
    """

    helo: str
    esmtp: bool
    reverse_path: str
    forward_paths: tuple[str, ...]
    mail_parameters: dict[str, str | None]
    rcpt_parameters: tuple[dict[str, str | None], ...]
    auth_attempted: bool
    credentials: Credentials | None
    tls: TLSInfo | None
    proxied: Proxied | None

    def __init__(
        self,
        helo: str,
        esmtp: bool,
        reverse_path: str,
        forward_paths: tuple[str, ...],
        mail_parameters: dict[str, str | None],
        rcpt_parameters: tuple[dict[str, str | None], ...],
        auth_attempted: bool = False,
        credentials: Credentials | None = None,
        tls: TLSInfo | None = None,
        proxied: Proxied | None = None,
    ) -> None:
        self.helo = helo
        self.esmtp = esmtp
        self.reverse_path = reverse_path
        self.forward_paths = forward_paths
        self.mail_parameters = mail_parameters
        self.rcpt_parameters = rcpt_parameters
        self.auth_attempted = auth_attempted
        self.credentials = credentials
        self.tls = tls
        self.proxied = proxied
