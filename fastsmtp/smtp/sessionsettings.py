"""What all sessions of a listener have in common."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Final

from fastsmtp.smtp.memory import Memory
from fastsmtp.smtp.policy import Policies, Policy
from fastsmtp.smtp.replies import OFFERED_MECHANISMS


def _random_nonce() -> str:
    return secrets.token_hex(12)


class SessionSettings:
    """The settings of one listener's sessions; they do not change."""

    __slots__ = (
        "auth_mechanisms",
        "hostname",
        "make_nonce",
        "max_message_size",
        "memory",
        "policies",
        "tls_available",
        "trace",
    )

    def __init__(
        self,
        hostname: str = "localhost",
        max_message_size: int = 10 * 1024 * 1024,
        max_recipients: int = 100,
        strict: bool = False,
        tls_available: bool = False,
        trace: bool = False,
        make_nonce: Callable[[], str] = _random_nonce,
        max_connections: int = 0,
        policies: Sequence[Policy] = (),
        auth_mechanisms: Sequence[str] = OFFERED_MECHANISMS,
        memory: Memory | None = None,
    ) -> None:
        """A limit of 0 means no limit; `max_message_size` counts octets of mail data after dot-unstuffing.

        `auth_mechanisms` are those that EHLO offers; a client may use any of `replies.MECHANISMS`.
        `strict` refuses what is otherwise accepted and recorded, `tls_available` offers STARTTLS, `trace` emits
        `Command` and `Replied`, `make_nonce` returns the unique part of a CRAM-MD5 challenge. What is long is refused
        while `memory` is short.
        """
        self.hostname: Final = hostname
        self.max_message_size: Final = max_message_size
        self.tls_available: Final = tls_available
        self.trace: Final = trace
        self.memory: Final = memory
        self.make_nonce: Final = make_nonce
        self.auth_mechanisms: Final = tuple(auth_mechanisms)
        wanted = max_message_size or max_recipients or max_connections or strict or policies
        self.policies: Final = (
            Policies(max_message_size, max_recipients, max_connections, strict, policies) if wanted else None
        )
