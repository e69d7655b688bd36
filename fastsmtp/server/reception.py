"""The mails of one connection, one after the other: from the first octet to what the log says of the verdict."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from logging import INFO, WARNING
from time import monotonic
from typing import Final

from fastsmtp.capture.capture import Capture
from fastsmtp.capture.email import Attachments, Email, Origin
from fastsmtp.delivery.destination import ACCEPTED, Destination
from fastsmtp.ops.counters import BOUNDS, Counters
from fastsmtp.server.listening import Listening
from fastsmtp.server.record import MailRecord
from fastsmtp.smtp.envelope import Envelope
from fastsmtp.smtp.events import AbortReason, MailOctets, Verdict
from fastsmtp.smtp.session import Session
from fastsmtp.smtp.transcript import Transcript

# Of mail data as much is taken apart at a time as takes so long, and not more than so many octets before the clock is
# looked at; then others are served.
_STEP_S: Final = 0.005
_STEP_BYTES: Final = 64 * 1024


class Reception:
    """The mail that a connection sends, and the one before it: its capture, its record, its place in the counters.

    The order of a mail is `begin`, `feed`, `complete`, `settle` where a destination has decided, `decided`; or `begin`,
    `feed`, `abort`.
    """

    __slots__ = (
        "_attachments",
        "_began",
        "_capture",
        "_connection",
        "_counters",
        "_email",
        "_listening",
        "_log",
        "_namespaces",
        "_peer",
        "_record",
        "count",
        "email_uuid",
    )

    def __init__(self, listening: Listening) -> None:
        # Server
        self._listening = listening
        self._log = listening.services.log
        self._counters = listening.counters
        # Connection
        self._connection = ""  # its uuid
        self._peer = ""
        self.count = 0  # mails that have begun
        self.email_uuid = ""  # of the last email, which may be under way
        # Transaction
        self._capture: Capture | None = None  # of a mail that arrives
        self._namespaces: list[str] = []  # in which the ledger of the inbox has it
        self._email: Email | None = None  # that is complete, and not handed on yet
        self._attachments: Attachments | None = None  # of an email that is being decided; ours to release or discard
        self._record: MailRecord | None = None  # what the log will say of the mail
        self._began = 0.0  # monotonic time of the first octet of mail data; 0 = there was none, or no metrics

    def begin(self, envelope: Envelope, connection: str, peer: str) -> None:
        """Mail data comes next, on the connection of this uuid, from this address."""
        self.count += 1
        self._connection, self._peer = connection, peer
        listening = self._listening
        if listening.ledger is not None:
            self._namespaces = listening.ledger.begin(envelope, listening.server)
        proxied = envelope.proxied
        if proxied is not None:
            peer = proxied.client_addr or peer  # of this mail, where XFORWARD says it
        capture = Capture(listening.services, Origin(connection, peer, listening.server, self.count), envelope)
        self._capture = capture
        self._record = MailRecord(envelope)
        self.email_uuid = capture.uuid

    @property
    def held(self) -> int:
        """Octets of the mail in memory, while it arrives."""
        capture = self._capture
        return 0 if capture is None else capture.held

    def feed(self, event: MailOctets) -> int:
        """Take mail data apart, but not for long where others wait; return where to go on, `event.end` where done."""
        capture = self._capture
        assert capture is not None
        buf, start, end = event.buf, event.start, event.end
        counters = self._counters
        if counters is not None:
            if not self._began:
                self._began = monotonic()
            counters.mail_bytes += end - start
        if end - start <= _STEP_BYTES:
            start = capture.feed(buf, start, end)
        return start if start >= end else self._feed_steps(capture, buf, start, end)

    def _feed_steps(self, capture: Capture, buf: bytearray, start: int, end: int) -> int:
        ends = monotonic() + _STEP_S
        while start < end:
            start = capture.feed(buf, start, min(end, start + _STEP_BYTES))
            if monotonic() > ends and self._listening.slices is not None:
                break
        return start

    def complete(self, session: Session, transcript: Transcript | None) -> Verdict | None:
        """End the mail, which is to be handed on by `deliver`; or return the verdict at once."""
        capture = self._capture
        assert capture is not None
        verdict = session.judge(capture.close())
        if verdict is not None:
            capture.abort()
            return verdict
        said = None if transcript is None else transcript.lines()
        violations = [(item.code, item.detail, item.count) for item in session.violations.values()]
        email = capture.finish(violations, said)
        if email is None:
            return Verdict.STORAGE_FAILED
        self._capture = None
        self._attachments = email.attachments
        if self._record is not None:
            self._record.complete(email)
        self._email = email
        return None

    @property
    def email(self) -> Email | None:
        """The email that is complete, and not handed on yet."""
        return self._email

    @property
    def namespaces(self) -> list[str]:
        """Those that its envelope names."""
        return self._namespaces

    def deliver(
        self, on_verdict: Callable[[Verdict], None], faults: Sequence[tuple[str, str]] = (), copies: int = 1
    ) -> Verdict | None:
        """Hand the email to the destination, which calls `on_verdict`; or return the verdict at once.

        `faults` and `copies` are what a plan does to it.
        """
        email, self._email = self._email, None
        assert email is not None
        if faults or copies > 1:
            email = email.faulted(faults, copies)
        return self._hand_to(self._listening.destination, email, on_verdict)

    def keep(
        self, verdict: Verdict, on_verdict: Callable[[Verdict], None], faults: Sequence[tuple[str, str]]
    ) -> Verdict | None:
        """Hand the email to the inbox alone, with the verdict of a plan; it calls `on_verdict`."""
        email, self._email = self._email, None
        assert email is not None
        inbox = self._listening.inbox
        if inbox is None:
            self._discard(email)
            return verdict
        return self._hand_to(inbox, email.faulted(faults, 1).decided(verdict), on_verdict)

    def discard(self) -> None:
        """A plan has refused the email."""
        email, self._email = self._email, None
        assert email is not None
        self._discard(email)

    def _discard(self, email: Email) -> None:
        self._attachments = None
        email.attachments.discard()

    def _hand_to(self, destination: Destination, email: Email, on_verdict: Callable[[Verdict], None]) -> Verdict | None:
        try:
            destination.deliver(email, on_verdict)
        except Exception:  # a fault of the destination: the client may try again
            self._log.exception("email could not be delivered", uuid=self.email_uuid)
            self._discard(email)
            return Verdict.STORAGE_FAILED
        return None

    def settle(self, verdict: Verdict) -> None:
        """All destinations have decided about the email: the files of attachments are the worker's, or go."""
        attachments, self._attachments = self._attachments, None
        assert attachments is not None
        if verdict in ACCEPTED and verdict is not Verdict.DROPPED:
            attachments.release()
        else:
            attachments.discard()

    def decided(self, verdict: Verdict) -> None:
        """Count the mail, and tell the ledger and the log of its verdict."""
        self._capture = None
        if self._counters is not None:
            self._count(verdict, self._counters)
        if self._listening.ledger is not None:
            self._listening.ledger.decide(self._namespaces, verdict)
        self._tell_verdict(verdict)
        self._record = None

    def abort(self, reason: AbortReason) -> None:
        """The mail ends without its end: drop it."""
        capture, self._capture = self._capture, None
        assert capture is not None
        capture.abort()
        self._began = 0.0
        if self._listening.ledger is not None:
            self._listening.ledger.abort(self._namespaces)
        if self._counters is not None:
            self._counters.aborted[reason.value] += 1
        self._log.warning(
            "mail broken off",
            peer=self._peer,
            connection=self._connection,
            reason=reason.value,
            **self._describe_mail(),
        )
        self._record = None

    def _tell_verdict(self, verdict: Verdict) -> None:
        if verdict in ACCEPTED:
            if self._log.is_enabled_for(INFO):
                event = "email dropped by a plan" if verdict is Verdict.DROPPED else "email"
                self._log.info(event, uuid=self.email_uuid, peer=self._peer, **self._describe_mail())
        elif self._log.is_enabled_for(WARNING):
            self._log.warning(
                "email not accepted",
                uuid=self.email_uuid,
                peer=self._peer,
                verdict=verdict.value,
                **self._describe_mail(),
            )

    def _describe_mail(self) -> dict[str, object]:
        return {} if self._record is None else self._record.describe()

    def _count(self, verdict: Verdict, counters: Counters) -> None:
        # _value_: before Python 3.11 `value` costs as much as all the rest.
        histogram = counters.durations[verdict._value_]
        seconds = monotonic() - self._began if self._began else 0.0
        self._began = 0.0
        histogram.counts[bisect_left(BOUNDS, seconds)] += 1  # `observe`, without the call
        histogram.total += seconds
