"""HELO, EHLO and STARTTLS, the commands of a session that has just begun: whether they have their effect."""

from __future__ import annotations

from fastsmtp.smtp import policy, replies, violations
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.mailbox import is_helo
from fastsmtp.smtp.memory import memory_of
from fastsmtp.smtp.peer import Peer
from fastsmtp.smtp.sessionsettings import SessionSettings


def take_name(gate: Gate, argument: str) -> str | None:
    """The name by which HELO or EHLO with this argument introduces the client. None: its refusal is queued."""
    name = argument.strip(" \t")  # QUIRK: power supplies and drives send none
    if not is_helo(name) and not gate.forgive(violations.INVALID_HELO, name):
        return None
    if not gate.has_room(memory_of(name)) or not gate.lets(policy.EHLO, name):
        return None
    return name


def ehlo_reply(settings: SessionSettings, peer: Peer) -> bytes:
    """The reply to EHLO: the extensions that are there, TLS until there is, XCLIENT for proxies."""
    offer_tls = settings.tls_available and peer.tls is None
    return replies.ehlo(
        settings.hostname, settings.max_message_size, offer_tls, settings.auth_mechanisms, peer.believed
    )


def may_start_tls(gate: Gate, settings: SessionSettings, argument: str, *, in_transaction: bool) -> bool:
    """Whether the handshake that STARTTLS asks for may begin (RFC 3207 section 4). False: the refusal is queued."""
    if not gate.forgive_argument(argument):
        return False
    if gate.peer.tls is not None:
        gate.out.reply(replies.TLS_ACTIVE)
    elif not settings.tls_available:
        gate.out.reply(replies.NOT_IMPLEMENTED)
    elif in_transaction:
        gate.out.reply(replies.NOT_IN_TRANSACTION)
    elif gate.peer.esmtp or gate.forgive(violations.STARTTLS_WITHOUT_EHLO):
        return gate.lets(policy.STARTTLS, "")
    return False
