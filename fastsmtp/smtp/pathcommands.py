"""MAIL and RCPT, the commands that have a path: from their argument to a transaction, or to a refusal."""

from __future__ import annotations

from fastsmtp.smtp import command, policy, replies, violations
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.memory import LARGE_ENVELOPE, PARAMETER_OCTETS, RECIPIENT_OCTETS, memory_of
from fastsmtp.smtp.transaction import Transaction
from fastsmtp.smtp.violations import CLAUSES


def open_transaction(gate: Gate, argument: str) -> Transaction | None:
    """The transaction that MAIL with this argument opens. Its reply is queued; None: it is a refusal."""
    if not gate.peer.introduced and not gate.forgive(violations.MAIL_WITHOUT_HELO):
        return None
    try:
        path, parameters, quirks = command.parse_mail(argument)
    except command.ArgumentError:
        gate.out.reply(replies.MAIL_SYNTAX)
        return None
    for code, detail in quirks:
        if not gate.forgive(code, detail):
            return None
    transaction = Transaction(path, parameters, gate.peer.proxied)
    transaction.held = memory_of(argument) + PARAMETER_OCTETS * len(parameters)
    if not gate.has_room(transaction.held):
        return None
    if parameters and not _use_parameters(gate, transaction):
        return None
    if not transaction.utf8 and not _forgive_utf8(gate, argument, replies.UTF8_REVERSE_PATH):
        return None
    if not gate.lets(policy.MAIL, path, transaction):
        return None
    if transaction.proxied is not None:
        gate.peer.forget_xforward()
    gate.out.reply(replies.MAIL_OK)
    return transaction


def add_recipient(gate: Gate, transaction: Transaction, argument: str) -> None:
    """Add the forward-path that RCPT with this argument names, or do not; the reply is queued."""
    try:
        path, parameters, quirks = command.parse_rcpt(argument)
    except command.ArgumentError:
        gate.out.reply(replies.RCPT_SYNTAX)
        return
    policies = gate.policies
    if policies is not None:
        refusal = policies.limit_recipients(transaction)
        if refusal:
            gate.out.reply(refusal)
            return
    for code, detail in quirks:
        if not gate.forgive(code, detail, CLAUSES[code].rcpt_refusal):
            return
    if parameters and not _may_have(gate, parameters):
        return
    if not transaction.utf8 and not _forgive_utf8(gate, argument, replies.UTF8_FORWARD_PATH):
        return
    held = transaction.held + RECIPIENT_OCTETS + memory_of(argument) + PARAMETER_OCTETS * len(parameters)
    if gate.has_room(held, LARGE_ENVELOPE) and gate.lets(policy.RCPT, path, transaction):
        transaction.held = held
        transaction.forward_paths.append(path)
        transaction.rcpt_parameters.append(parameters)
        gate.out.reply(replies.RCPT_OK)


def _use_parameters(gate: Gate, transaction: Transaction) -> bool:
    """Give the parameters of MAIL their effect. False when one was refused."""
    if not _may_have(gate, transaction.mail_parameters):
        return False
    policies = gate.policies
    if policies is not None:
        refusal = policies.limit_announced_size(transaction.mail_parameters)
        if refusal:
            gate.out.reply(refusal)
            return False
    for keyword, value in transaction.mail_parameters.items():
        name = keyword.upper()
        if name == "BODY":
            transaction.binary = value is not None and value.upper() == "BINARYMIME"
        elif name == "SMTPUTF8":
            transaction.utf8 = True
    return True


def _may_have(gate: Gate, parameters: dict[str, str | None]) -> bool:
    return gate.peer.esmtp or gate.forgive(violations.PARAMETER_WITHOUT_EHLO, next(iter(parameters)))


def _forgive_utf8(gate: Gate, argument: str, refusal: bytes) -> bool:
    """RFC 6531 section 3.5: without SMTPUTF8 a path is ASCII."""
    return argument.isascii() or gate.forgive(violations.EIGHT_BIT_COMMAND, argument, refusal)
