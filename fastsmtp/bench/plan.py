"""What a load is to be, and which of its mails is due when."""

from __future__ import annotations

import math
import secrets
import ssl
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from fastsmtp.bench.message import head
from fastsmtp.client.dialogue import Script
from fastsmtp.client.mail import Content, Mail, OwnEnvelope
from fastsmtp.system.addresses import TCPAddress, UnixAddress


@dataclass
class Plan:
    """What is wanted. Without `mails` the load ends after `duration_s`; with both, at what comes first."""

    address: TCPAddress | UnixAddress
    script: Script
    templates: Iterator[Content]
    envelopes: Iterator[OwnEnvelope] | None = None  # of each mail, in the place of that of the script
    connections: int = 10
    mails: int = 0
    duration_s: float = 0.0
    rate: float = 0.0  # mails per second over all connections, 0 = as fast as they go
    per_connection: int = 0  # mails, 0 = as many as there are
    timeout_s: float = 60.0  # of each reply
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    run: str = field(default_factory=lambda: secrets.token_hex(4))  # what the IDs of the mails begin with


class Agenda:
    """Gives the mails of a plan one after the other, none before it is due. Times are the owner's."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._began = math.inf  # nothing is due before `start`
        self._given = 0
        self._returned: deque[Mail] = deque()
        self._stopped = False
        due = math.ceil(plan.duration_s * plan.rate)
        # How many there are, 0 = that is not known: with a rate the duration says it.
        self._planned = min(due, plan.mails) if due and plan.mails else due or plan.mails

    @property
    def started(self) -> bool:
        """Whether mails are given."""
        return self._began < math.inf

    @property
    def exhausted(self) -> bool:
        """Whether there is no mail to be given any more, except for one that comes back."""
        return not self._returned and (self._stopped or 0 < self._planned <= self._given)

    @property
    def next_due(self) -> float:
        """When the next mail is due."""
        return self._began + self._given / self._plan.rate if self._plan.rate else self._began

    def start(self, now: float) -> None:
        """From now on."""
        self._began = now

    def next(self, now: float) -> Mail | None:
        """The next mail if it is due; its time runs from then on, or from now where there is no rate."""
        due = self.next_due
        if due > now or self.exhausted:
            return None
        if self._returned:
            return self._returned.popleft()
        self._given = number = self._given + 1
        run = self._plan.run
        mail = Mail(f"{run}-{number:08d}", head(run, number), next(self._plan.templates))
        if self._plan.envelopes is not None:
            mail.envelope = next(self._plan.envelopes)
        mail.began = due if self._plan.rate else now
        return mail

    def give_back(self, mail: Mail) -> None:
        """Take back a mail that the server has not looked at: it is the next."""
        self._returned.append(mail)

    def stop(self) -> int:
        """Give no more mails; return how many there would have been, 0 where that is not known."""
        left = max(0, self._planned - self._given) if not self._stopped else 0
        self._stopped = True
        return left
