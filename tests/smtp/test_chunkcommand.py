"""What a chunk is refused for, and whether its mail is over then (RFC 3030 section 2)."""

from __future__ import annotations

import pytest

from fastsmtp.smtp import policy
from fastsmtp.smtp.chunkcommand import judge_chunk
from fastsmtp.smtp.command import ChunkArgument
from fastsmtp.smtp.events import AbortReason
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.outbox import Outbox
from fastsmtp.smtp.peer import Peer
from fastsmtp.smtp.policy import Facts, Refusal
from fastsmtp.smtp.replies import BDAT_SYNTAX, MAIL_FIRST, RCPT_FIRST, TOO_BIG
from fastsmtp.smtp.sessionsettings import SessionSettings
from fastsmtp.smtp.transaction import Transaction

LATER = Refusal(b"451 4.7.1 Later\r\n", True)


class Rule:
    """Refuses one stage, and keeps what it was asked."""

    def __init__(self, stage: str = "") -> None:
        self._stage = stage
        self.asked: list[tuple[str, int]] = []

    def refuse(self, facts: Facts) -> Refusal | None:
        self.asked.append((facts.stage, facts.octets))
        return LATER if facts.stage == self._stage else None


def make_gate(rule: Rule | None = None) -> Gate:
    settings = SessionSettings("mx.test", max_message_size=100, policies=() if rule is None else (rule,))
    return Gate(settings.policies, Outbox(False), Peer(None, "", False))


def make_transaction(octets: int = 0) -> Transaction:
    """A transaction with a recipient, of whose chunks so many octets have come."""
    transaction = Transaction("a@b.c", {})
    transaction.forward_paths.append("d@e.f")
    transaction.octets = octets
    transaction.chunked = octets > 0
    return transaction


def test_there_is_no_mail() -> None:
    assert judge_chunk(make_gate(), None, ChunkArgument(5, True)) == (Refusal(MAIL_FIRST), None)


def test_there_is_no_recipient() -> None:
    assert judge_chunk(make_gate(), Transaction("a@b.c", {}), ChunkArgument(5, True)) == (Refusal(RCPT_FIRST), None)


def test_an_argument_with_a_fault_ends_the_mail() -> None:
    refused = judge_chunk(make_gate(), make_transaction(), ChunkArgument(5, False, well_formed=False))
    assert refused == (Refusal(BDAT_SYNTAX), AbortReason.CHUNK)


@pytest.mark.parametrize(
    ("before", "size", "expected"),
    [(0, 100, (None, None)), (60, 40, (None, None)), (60, 41, (Refusal(TOO_BIG), AbortReason.SIZE))],
)
def test_size(before: int, size: int, expected: tuple[Refusal | None, AbortReason | None]) -> None:
    assert judge_chunk(make_gate(), make_transaction(before), ChunkArgument(size, True)) == expected


@pytest.mark.parametrize("stage", [policy.DATA, policy.BODY])
def test_a_policy_that_refuses_ends_the_mail(stage: str) -> None:
    refused = judge_chunk(make_gate(Rule(stage)), make_transaction(), ChunkArgument(5, True))
    assert refused == (LATER, AbortReason.POLICY)


def test_a_policy_hears_of_the_mail_with_its_first_chunk_and_of_each_size() -> None:
    rule = Rule()
    assert judge_chunk(make_gate(rule), make_transaction(), ChunkArgument(5, False)) == (None, None)
    assert judge_chunk(make_gate(rule), make_transaction(5), ChunkArgument(7, True)) == (None, None)
    assert rule.asked == [(policy.DATA, 0), (policy.BODY, 5), (policy.BODY, 12)]
