"""What a command has to pass before it has its effect: strict mode, policies and fault plans, in this order."""

from __future__ import annotations

from typing import Final

from fastsmtp.smtp import replies, violations
from fastsmtp.smtp.envelope import Credentials
from fastsmtp.smtp.memory import LARGE, Memory
from fastsmtp.smtp.outbox import Outbox
from fastsmtp.smtp.peer import Peer
from fastsmtp.smtp.planner import Fault, Planner, Plans
from fastsmtp.smtp.policy import BODY, Facts, Policies, Refusal
from fastsmtp.smtp.transaction import Transaction


class Gate:
    """Asks the policies on behalf of one session, and queues their refusals. Without policies it costs a test for None.

    Once `closes` is True a refusal was the last reply of the session, which is then to end.

    Where a plan has to be asked, `asking` is what about, and `closes` is True until then, so that a command has one
    test. The command has no effect yet: its handler is called again when `answered` is True. It then passes, or is
    refused with `answer`.
    """

    __slots__ = ("answer", "answered", "asking", "closes", "memory", "out", "peer", "planner", "plans", "policies")

    def __init__(
        self,
        policies: Policies | None,
        out: Outbox,
        peer: Peer,
        memory: Memory | None = None,
        planner: Planner | None = None,
    ) -> None:
        """Without `memory` there is always room."""
        self.policies: Final = policies
        self.planner: Final = planner
        self.plans: Final = Plans() if planner is None else planner.plans
        self.asking: Facts | None = None
        self.answered = False
        self.answer: Fault | None = None  # a refusal
        self.out: Final = out
        self.peer: Final = peer
        self.memory: Final = memory
        self.closes = False

    def forgive(self, code: str, detail: str = "", refusal: bytes = b"") -> bool:
        """Record a violation. In strict mode reply with `refusal`, else the one of its clause, and return False."""
        if self.answered:  # it was recorded when the plan was asked
            return True
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

    def lets(
        self,
        stage: str,
        subject: str,
        transaction: Transaction | None = None,
        credentials: Credentials | None = None,
    ) -> bool:
        """Ask the further policies, and plans, about a command that is in order, and may bring `credentials`.

        False: a refusal is queued, or a plan is being asked.
        """
        policies = self.policies
        if policies is not None and policies.others and not self.answered:
            refusal = policies.ask(self._facts(stage, subject, 0, transaction))
            if refusal is not None:
                self.out.reply(refusal.reply)
                self.closes = refusal.close
                return False
        if self.plans.stages is None and not self.answered:
            return True
        return self._plan_lets(stage, subject, transaction, credentials)

    def _plan_lets(
        self, stage: str, subject: str, transaction: Transaction | None, credentials: Credentials | None
    ) -> bool:
        refusal = self.ask_plan(stage, subject, transaction, credentials)
        if self.asking is not None:
            return False
        if refusal is None:
            return True
        self.out.fault = refusal.rule
        self.out.reply(refusal.reply)
        self.out.fault = ""
        self.closes = refusal.close
        return False

    def ask_plan(
        self,
        stage: str,
        subject: str = "",
        transaction: Transaction | None = None,
        credentials: Credentials | None = None,
    ) -> Fault | None:
        """Have a plan asked about a command that is in order: `asking` is set then. Called again, return its refusal.

        Without a plan for it nothing is asked, and there is no refusal.
        """
        if self.answered:
            self.answered = False
            return self.answer
        stages = self.plans.stages
        if stages is not None and stage in stages and self.planner is not None:
            facts = self._facts(stage, subject, 0, transaction, credentials)
            if self.planner.concerns(facts):
                self.asking = facts
                self.closes = True
        return None

    def body_marks(self, transaction: Transaction) -> tuple[int, ...]:
        """How many octets of the mail that begins have to come before plans are asked about it, ascending."""
        stages = self.plans.stages
        if stages is None or BODY not in stages or self.planner is None:
            return ()
        return self.planner.marks(self._facts(BODY, "", 0, transaction))

    def facts_at(self, stage: str, transaction: Transaction | None) -> Facts | None:
        """What plans have to be asked about a mail that is complete, or a handshake; None where they have not."""
        stages = self.plans.stages
        if stages is None or stage not in stages or self.planner is None:
            return None
        facts = self._facts(stage, "", 0 if transaction is None else transaction.octets, transaction)
        return facts if self.planner.concerns(facts) else None

    def ask_body(self, mark: int, transaction: Transaction) -> None:
        """Have plans asked about a mail of which so many octets have come."""
        self.asking = self._facts(BODY, "", mark, transaction)

    def ask(self, stage: str, octets: int, transaction: Transaction) -> Refusal | None:
        """Ask the further policies about the mail data of a transaction, so many octets; return their refusal."""
        policies = self.policies
        if policies is None or not policies.others or self.answered:
            return None
        return policies.ask(self._facts(stage, "", octets, transaction))

    def _facts(
        self,
        stage: str,
        subject: str,
        octets: int,
        transaction: Transaction | None,
        credentials: Credentials | None = None,
    ) -> Facts:
        peer = self.peer
        return Facts(
            stage=stage,
            subject=subject,
            octets=octets,
            connections=peer.connections,
            helo=peer.helo,
            esmtp=peer.esmtp,
            tls=peer.tls,
            credentials=credentials or peer.credentials,
            transaction=transaction,
        )
