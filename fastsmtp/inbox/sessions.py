"""The ledger's first line, as an SMTP process counts it: mails that were begun, and how each ended."""

from __future__ import annotations

from typing import Final

from fastsmtp.delivery.destination import ACCEPTED
from fastsmtp.inbox import ledger
from fastsmtp.inbox.link import Link
from fastsmtp.inbox.resolver import Resolver
from fastsmtp.smtp.envelope import Envelope
from fastsmtp.smtp.events import Verdict


class MailLedger:
    """Tells the inbox of each mail that begins and ends, in the namespaces that its envelope names.

    A header field, which may file the mail elsewhere, is not known yet when it begins.
    """

    def __init__(self, link: Link, resolve: Resolver) -> None:
        self._link: Final = link
        self._resolve: Final = resolve

    def begin(self, envelope: Envelope, server: str) -> list[str]:
        """Count a mail that begins; return the namespaces, for `end`."""
        names = self._resolve.of_envelope(envelope, server)
        for name in names:
            self._link.count(name, ledger.BEGUN)
        return names

    def decide(self, names: list[str], verdict: Verdict) -> None:
        """Count a mail that was decided about."""
        event = ledger.ACCEPTED if verdict in ACCEPTED else ledger.REFUSED
        for name in names:
            self._link.count(name, event)

    def abort(self, names: list[str]) -> None:
        """Count a mail that was broken off."""
        for name in names:
            self._link.count(name, ledger.ABORTED)
