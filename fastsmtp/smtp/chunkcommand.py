"""BDAT (RFC 3030 section 2): whether a chunk is taken, and what becomes of its mail if it is not."""

from __future__ import annotations

from fastsmtp.smtp import policy, replies
from fastsmtp.smtp.command import ChunkArgument
from fastsmtp.smtp.events import AbortReason
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.policy import Refusal
from fastsmtp.smtp.transaction import Transaction


def judge_chunk(
    gate: Gate, transaction: Transaction | None, chunk: ChunkArgument
) -> tuple[Refusal | None, AbortReason | None]:
    """The refusal of a chunk, None where it is taken; and why the transaction, of which it is a part, is over then.

    Without one of its chunks a mail is broken. None: there is no transaction, or it goes on. Where `gate.asking` is set
    nothing is said yet.
    """
    if transaction is None:
        return Refusal(replies.MAIL_FIRST), None
    if not transaction.forward_paths:
        return Refusal(replies.RCPT_FIRST), None
    if not chunk.well_formed:
        return Refusal(replies.BDAT_SYNTAX), AbortReason.CHUNK
    policies, octets = gate.policies, transaction.octets + chunk.size
    too_big = policies.limit_size(octets) if policies is not None else b""
    if too_big:
        return Refusal(too_big), AbortReason.SIZE
    refusal = None if transaction.chunked else gate.ask(policy.DATA, 0, transaction)
    if refusal is None:
        refusal = gate.ask(policy.BODY, octets, transaction)
    if refusal is None and not transaction.chunked:
        fault = gate.ask_plan(policy.DATA, "", transaction)
        refusal = None if fault is None else Refusal(fault.reply, fault.close, fault.rule)
    return refusal, None if refusal is None else AbortReason.POLICY
