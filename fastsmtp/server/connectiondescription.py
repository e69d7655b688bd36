"""What is told to people of a connection that is open."""

from __future__ import annotations

from fastsmtp.server.connectionlog import ConnectionLog
from fastsmtp.server.reception import Reception
from fastsmtp.smtp.session import Session
from fastsmtp.text import timestamp


def describe(
    session: Session, mails: Reception, log: ConnectionLog, server: str, since: float, *, shakes_hands: bool
) -> dict[str, object]:
    """Return who is connected, since which Unix time, and what the session does; all that is unknown yet is empty."""
    transaction = session.transaction
    credentials = session.peer.credentials
    return {
        "uuid": log.uuid,
        "remote_addr": log.peer,
        "server": server,
        "since": timestamp(int(since)),
        "emails": mails.count,
        "email_uuid": mails.email_uuid,
        "state": "tls" if shakes_hands else session.state,
        "helo": session.peer.helo,
        "from": "" if transaction is None else transaction.reverse_path,
        "to": [] if transaction is None else transaction.forward_paths,
        "authenticated": credentials is not None,
        "username": "" if credentials is None else credentials.username or "",
    }
