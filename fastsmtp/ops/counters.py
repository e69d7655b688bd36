"""What happened so far, as plain numbers: all that an email pays for metrics.

No library is called where mails pass; `metrics` reads the numbers when they are scraped. All of them only grow,
and each that has a name is there from the start, as 0: a rate needs the value from before the first event.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec

from fastsmtp.smtp.events import AbortReason, Verdict
from fastsmtp.smtp.replies import MECHANISMS
from fastsmtp.smtp.violations import CLAUSES

# Seconds: a quick worker first, our own timeouts last.
BOUNDS: Final = (1e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


# The processes of a server whose event loops are watched.
SMTP: Final = "smtp"
PARENT: Final = "parent"
INBOX: Final = "inbox"
PROCESSES: Final = (SMTP, PARENT, INBOX)


class Histogram:
    """How often values fell between BOUNDS. A value that is a bound counts below it, as Prometheus has it."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)  # by bucket; the last one has no bound
        self.total = 0.0  # of all values

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(BOUNDS, value)] += 1
        self.total += value

    def add(self, counts: Iterable[int], total: float) -> None:
        """Add what another one has counted."""
        self.counts = [mine + more for mine, more in zip(self.counts, counts, strict=True)]
        self.total += total


Distribution: TypeAlias = tuple[list[int], float]  # a `Histogram` on its way to another process: counts and total


class CountersSnapshot(msgspec.Struct, frozen=True):
    """A `Counters` on its way to another process."""

    connections: int
    turned_away: int
    mail_bytes: int
    durations: dict[str, Distribution]
    wait: Distribution
    aborted: dict[str, int]
    logins: dict[str, int]
    violations: dict[str, int]
    loop_delays: dict[str, Distribution]


class Counters:
    """The numbers of one server."""

    __slots__ = (
        "aborted",
        "connections",
        "durations",
        "logins",
        "loop_delays",
        "mail_bytes",
        "turned_away",
        "violations",
        "wait",
    )

    def __init__(self) -> None:
        self.connections = 0  # accepted
        self.turned_away = 0  # connections refused before the greeting
        self.mail_bytes = 0  # octets of mail data, of mails that were broken off too
        self.durations = {verdict.value: Histogram() for verdict in Verdict}  # first octet to reply
        self.wait = Histogram()  # for a worker
        self.aborted = _zeros(reason.value for reason in AbortReason)  # mails broken off, by reason
        self.logins = _zeros(MECHANISMS)  # by mechanism
        self.violations = _zeros(CLAUSES)  # by code
        self.loop_delays = {process: Histogram() for process in PROCESSES}

    def snapshot(self) -> CountersSnapshot:
        """What it has counted so far."""
        return CountersSnapshot(
            connections=self.connections,
            turned_away=self.turned_away,
            mail_bytes=self.mail_bytes,
            durations={verdict: (item.counts, item.total) for verdict, item in self.durations.items()},
            wait=(self.wait.counts, self.wait.total),
            aborted=self.aborted,
            logins=self.logins,
            violations=self.violations,
            loop_delays={process: (item.counts, item.total) for process, item in self.loop_delays.items()},
        )

    def add(self, snapshot: CountersSnapshot) -> None:
        """Add what another one has counted."""
        self.connections += snapshot.connections
        self.turned_away += snapshot.turned_away
        self.mail_bytes += snapshot.mail_bytes
        for verdict, histogram in snapshot.durations.items():
            self.durations[verdict].add(*histogram)
        self.wait.add(*snapshot.wait)
        self.aborted.update(snapshot.aborted)
        self.logins.update(snapshot.logins)
        self.violations.update(snapshot.violations)
        for process, histogram in snapshot.loop_delays.items():
            self.loop_delays[process].add(*histogram)


def _zeros(names: Iterable[str]) -> Counter[str]:
    return Counter(dict.fromkeys(names, 0))
