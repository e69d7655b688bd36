"""What is told of one connection: its lines of the log, its transcript, and its share of the counters."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import Final

from fastsmtp.server.listening import Listening
from fastsmtp.smtp.envelope import Credentials
from fastsmtp.smtp.transcript import Transcript
from fastsmtp.smtp.violations import LOWER_CASE_VERB, Violation


class ConnectionLog:
    """Tells of the connection `uuid`, whose other end is `peer`."""

    __slots__ = ("_counted", "_counters", "_include_transcript", "_log", "_quiet", "peer", "transcript", "uuid")

    def __init__(self, listening: Listening) -> None:
        self._log: Final = listening.services.log
        self._counters: Final = listening.counters
        self._quiet: Final = listening.quiet
        self._include_transcript: Final = listening.include_transcript
        self.uuid = ""
        self.peer = ""
        self.transcript: Transcript | None = None  # from the greeting on
        self._counted: Credentials | None = None  # the login that is in the counters already

    # From beginning to end

    def opened(self) -> None:
        """The session begins."""
        if self._counters is not None:
            self._counters.connections += 1
        if self._include_transcript:
            self.transcript = Transcript(monotonic())
        (self._log.debug if self._quiet else self._log.info)("connection", peer=self.peer, connection=self.uuid)

    def turned_away(self, reply: bytes) -> None:
        """The client got this reply in place of a session."""
        self._log.warning("connection turned away", peer=self.peer, reply=reply.decode().rstrip())
        if self._counters is not None:
            self._counters.turned_away += 1

    def timed_out(self, waited_for: str) -> None:
        """The client took too long."""
        self._log.warning(waited_for, peer=self.peer, connection=self.uuid)

    def given_up(self) -> None:
        """There was a fault of ours: called while its exception is handled."""
        self._log.exception("connection given up", peer=self.peer, connection=self.uuid)

    def closed(self, emails: int) -> None:
        """The session is over, with so many emails. One without any is worth a line in any case."""
        tell = self._log.debug if self._quiet and emails else self._log.info
        tell("connection closed", peer=self.peer, connection=self.uuid, emails=emails)

    # What comes in between

    def add_line(self, kind: str, speaker: str, line: str, fault: str = "") -> None:
        """One of both has said something; `fault` is the rule of a plan that made us say it."""
        if self.transcript is not None:
            self.transcript.add(monotonic(), speaker, line, fault)
        self._log.debug(kind, peer=self.peer, connection=self.uuid, line=line)

    def client_named(self, client: str) -> None:
        """The peer is a proxy, and has said who its client is: that one is the peer from now on."""
        proxy, self.peer = self.peer, client
        self._log.info("client of a proxy", peer=client, connection=self.uuid, proxy=proxy)

    def count_login(self, credentials: Credentials | None) -> None:
        """Called with the first mail after a login, and at the latest when the login is forgotten."""
        if credentials is not None and credentials is not self._counted:
            self._counted = credentials
            if self._counters is not None:
                self._counters.logins[credentials.mechanism] += 1

    def tell_violations(self, violations: Iterable[Violation]) -> None:
        """All of the session, once."""
        for violation in violations:
            # "Command verbs ... are not case sensitive" (RFC 5321 section 2.4): nothing to be warned of.
            tell = self._log.debug if violation.code == LOWER_CASE_VERB else self._log.warning
            tell(
                "violation",
                peer=self.peer,
                connection=self.uuid,
                code=violation.code,
                detail=violation.detail,
                count=violation.count,
            )
            if self._counters is not None:
                self._counters.violations[violation.code] += violation.count

    # TLS

    def malformed_header(self, octets: bytes) -> None:
        """What came before the handshake begins like a PROXY header, and does not say anything."""
        self._log.warning("malformed PROXY header", peer=self.peer, header=octets.decode("latin-1"))

    def handshake_failed(self, reason: str, *, probe: bool) -> None:
        """There is no session. A `probe` looks whether the port is open, and is no reason for a warning."""
        tell = self._log.debug if probe else self._log.warning
        tell("TLS handshake failed", peer=self.peer, connection=self.uuid, error=reason)
