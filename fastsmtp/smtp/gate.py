"""What a command of a session has to pass before it has its effect: strict mode, and the policies of the listener."""

from __future__ import annotations

from typing import Final

from fastsmtp.smtp import replies, violations
from fastsmtp.smtp.memory import LARGE, Memory
from fastsmtp.smtp.outbox import Outbox
from fastsmtp.smtp.peer import Peer
from fastsmtp.smtp.policy import Facts, Policies, Refusal
from fastsmtp.smtp.transaction import Transaction


class Gate:
    """Asks the policies on behalf of one session, and queues their refusals. Without policies it costs a test for None.

    Once `closes` is True a refusal was the last reply of the session, which is then to end.
    """

    __slots__ = ("closes", "memory", "out", "peer", "policies")

    def __init__(self, policies: Policies | None, out: Outbox, peer: Peer, memory: Memory | None = None) -> None:
        """Without `memory` there is always room."""
        self.policies: Final = policies
        self.out: Final = out
        self.peer: Final = peer
        self.memory: Final = memory
        self.closes = False

    def forgive(self, code: str, detail: str = "", refusal: bytes = b"") -> bool:
        """Record a violation. In strict mode reply with `refusal`, else the one of its clause, and return False."""
        self.out.record(code, detail)
        policies = self.policies
        if policies is not None:
            wire = policies.refuse_violation(code, refusal)
            if wire:
                self.out.reply(wire)
                return False
        return True

    def forgive_argument(self, argument: str) -> bool:
        """Whether a command that takes no argument may go on; blanks at its end do not count (RFC 5321 4.1.1)."""
        extra = argument.strip(" \t")
        return not extra or self.forgive(violations.UNEXPECTED_ARGUMENT, extra)

    def has_room(self, octets: int, large: int = LARGE, refusal: bytes = replies.OUT_OF_MEMORY) -> bool:
        """Whether the session may keep so much, which is `large` or not. False: the refusal is queued."""
        if octets <= large or self.memory is None or not self.memory.is_short:
            return True
        self.out.reply(refusal)
        return False

    def lets(self, stage: str, subject: str, transaction: Transaction | None = None) -> bool:
        """Ask the further policies about a command that is in order. False: their refusal is queued."""
        policies = self.policies
        if policies is None or not policies.others:
            return True
        refusal = policies.ask(self._facts(stage, subject, 0, transaction))
        if refusal is None:
            return True
        self.out.reply(refusal.reply)
        self.closes = refusal.close
        return False

    def ask(self, stage: str, octets: int, transaction: Transaction) -> Refusal | None:
        """Ask the further policies about the mail data of a transaction, so many octets; return their refusal."""
        policies = self.policies
        if policies is None or not policies.others:
            return None
        return policies.ask(self._facts(stage, "", octets, transaction))

    def _facts(self, stage: str, subject: str, octets: int, transaction: Transaction | None) -> Facts:
        peer = self.peer
        return Facts(
            stage=stage,
            subject=subject,
            octets=octets,
            connections=peer.connections,
            helo=peer.helo,
            esmtp=peer.esmtp,
            tls=peer.tls,
            credentials=peer.credentials,
            transaction=transaction,
        )
