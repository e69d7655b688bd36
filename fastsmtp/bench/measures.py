"""What a load has come to so far: counts, times, and how both went over time."""

from __future__ import annotations

from collections import Counter

from fastsmtp.bench.histogram import LatencyHistogram
from fastsmtp.bench.interval import Interval
from fastsmtp.bench.slices import LONGEST_S, LoadSlices
from fastsmtp.client.dialogue import BETWEEN
from fastsmtp.client.mail import Failure, Mail

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
_ENOUGH = 0.9  # of an interval: an owner that looks now and then would else make each a bit longer
_SHOWN_CHARACTERS = 200  # of a reply
_MAX_KINDS = 100  # of failures that are told apart
ABANDONED = Failure(BETWEEN, "never sent", "due, but no connection was free")
_OTHER = Failure("other", "failures")


class Measures:
    """Filled while the load runs. All times are in seconds."""

    def __init__(self, interval_s: float = 1.0, *, sliced: bool = False) -> None:
        """With `sliced` the beginning is looked at more closely, for a picture; that costs a microsecond a mail."""
        self.interval_s = interval_s
        self._slices = LoadSlices() if sliced else None
        # Counts
        self.answered = 0  # mails with a 250
        self.failed = 0  # mails without
        self.octets = 0  # of mail data, of those with
        self.connections = 0  # that were opened
        self.failures: Counter[str] = Counter()  # by kind
        self.examples: dict[str, str] = {}  # the first reply of each kind
        # Times
        self.mail = LatencyHistogram()  # from when it was due or its connection was free, to the 250
        self.verdict = LatencyHistogram()  # from the last octet of mail data to the 250
        self.opening = LatencyHistogram()  # of a connection, up to its first MAIL
        self.intervals: list[Interval] = []
        # The run
        self.began = 0.0
        self.seconds = 0.0  # from the start of the clock to the last outcome
        self.cpu_s = 0.0  # of the client
        self._start = 0.0
        self._mail = LatencyHistogram()  # of the current interval
        self._before = (0, 0, 0)  # answered, failed and octets when it began

    @property
    def mails(self) -> int:
        """How many have an outcome."""
        return self.answered + self.failed

    @property
    def rate(self) -> float:
        """Mails with a 250 per second."""
        return self.answered / self.seconds if self.seconds else 0.0

    @property
    def curve(self) -> list[Interval]:
        """What a picture shows over time: the intervals, or where there are few of them, finer ones."""
        if self._slices is not None and self.seconds < LONGEST_S:
            return self._slices.intervals(self.seconds)
        return self.intervals

    def start(self, now: float) -> None:
        """The clock starts; what was counted before, while connections were opened, stays."""
        self.began = now

    def on_answered(self, mail: Mail, now: float) -> None:
        """A mail got its 250."""
        self.answered += 1
        self.octets += mail.octets
        self._mail.add(now - mail.began)
        self.verdict.add(now - mail.sent)
        self.seconds = now - self.began
        if self._slices is not None:
            self._slices.on_answered(self.seconds, now - mail.began, mail.octets)

    def on_failure(self, mail: Mail | None, failure: Failure, now: float) -> None:
        """A mail failed, or something that belongs to no mail."""
        kind = failure.kind
        if kind not in self.failures and len(self.failures) >= _MAX_KINDS:
            kind = _OTHER.kind
        self.failures[kind] += 1
        self.examples.setdefault(kind, failure.text[:_SHOWN_CHARACTERS])
        if mail is not None:
            self.failed += 1
            self.seconds = now - self.began
            if self._slices is not None:
                self._slices.on_failed(self.seconds)

    def on_abandoned(self, count: int, now: float) -> None:
        """So many mails were never sent: they were due and found no free connection, or the server was gone."""
        self.failures[ABANDONED.kind] += count
        self.examples[ABANDONED.kind] = ABANDONED.text
        self.failed += count
        self.seconds = now - self.began

    def turn(self, now: float, *, end: bool = False) -> None:
        """End the current interval if it has lasted long enough, or the run is over."""
        at = now - self.began
        if at - self._start < _ENOUGH * self.interval_s and not (end and at > self._start):
            return
        current, (answered, failed, octets) = self._mail, self._before
        counts = (self.answered - answered, self.failed - failed, self.octets - octets)
        self.intervals.append(Interval.of(self._start, at - self._start, counts, current))
        self.mail.merge(current)
        self._mail = LatencyHistogram()
        self._start = at
        self._before = (self.answered, self.failed, self.octets)
