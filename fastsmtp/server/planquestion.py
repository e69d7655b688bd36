"""What fault plans are told of a session when they are asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastsmtp.faults.question import Question
from fastsmtp.mime.words import decode_words
from fastsmtp.smtp.policy import AUTH, BODY, DATA, EHLO, MAIL, QUIT, RCPT, RSET, STARTTLS, Facts
from fastsmtp.smtp.transaction import Transaction

Fields = Sequence[tuple[str, str]]

_MAX_FIELDS: Final = 500
_MAX_VALUE: Final = 2000  # characters
_COMMANDS: Final = {
    EHLO: "EHLO {}",
    STARTTLS: "STARTTLS",
    AUTH: "AUTH {}",
    MAIL: "MAIL FROM:<{}>",
    RCPT: "RCPT TO:<{}>",
    DATA: "DATA",
    RSET: "RSET",
    QUIT: "QUIT",
}


def make_question(facts: Facts, connection: str, peer: str, mail: str = "", fields: Fields = ()) -> Question:
    """Return the question about what is known of a session: its connection's uuid, its client's address.

    A mail, which has a uuid, has the header `fields`, their names in lower case, once it is complete.
    """
    transaction, credentials = facts.transaction, facts.credentials
    before_mail = transaction is None
    return Question(
        at=facts.stage,
        connection=connection,
        command=_COMMANDS.get(facts.stage, "").format(facts.subject),
        ip=peer.rpartition(":")[0].strip("[]") or peer,
        helo=facts.subject if facts.stage == EHLO else facts.helo,
        tls=facts.tls is not None,
        mechanism="" if credentials is None else credentials.mechanism,
        username="" if credentials is None else credentials.username or "",
        sender="" if transaction is None else transaction.reverse_path,
        rcpt=facts.subject if facts.stage == RCPT else "",
        rcpts=[] if transaction is None else list(transaction.forward_paths),
        size=0 if before_mail else facts.octets or _announced(transaction),
        headers=list(fields),
        mail=mail,
        after=facts.octets if facts.stage == BODY else 0,
    )


def shown_fields(fields: Fields) -> list[tuple[str, str]]:
    """Return the header fields for plans: names in lower case, values decoded; a part of what is long."""
    return [(name.lower(), decode_words(value[:_MAX_VALUE], [])) for name, value in fields[:_MAX_FIELDS]]


def _announced(transaction: Transaction | None) -> int:
    """Octets of the mail, as MAIL has them (RFC 1870 section 3)."""
    parameters = {} if transaction is None else transaction.mail_parameters
    for keyword, value in parameters.items():
        if keyword.upper() == "SIZE" and value is not None and value.isdecimal() and value.isascii():
            return int(value[:18])
    return 0
