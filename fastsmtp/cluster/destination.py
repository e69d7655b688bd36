"""The cluster as a destination: a mail is accepted when a quorum of the servers has it on disk."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.email import LIGHT, Email
from fastsmtp.capture.identifier import uuid7
from fastsmtp.cluster.message import Outgoing, outgoing
from fastsmtp.cluster.subjects import COPY, by_partition, subjects_of
from fastsmtp.cluster.subjects import MAIL as FOR_WORKERS
from fastsmtp.delivery.deferred import Stretch
from fastsmtp.delivery.destination import ACCEPTED as TAKEN
from fastsmtp.delivery.destination import Several
from fastsmtp.delivery.large import outline_steps
from fastsmtp.delivery.payload import encode_outline
from fastsmtp.delivery.workers import Slices
from fastsmtp.inbox.destination import OUTCOME_OF
from fastsmtp.inbox.namespaces import ACCEPTED
from fastsmtp.inbox.resolver import Resolver
from fastsmtp.smtp import replies
from fastsmtp.smtp.events import Verdict
from fastsmtp.smtp.policy import MAIL, Facts, Refusal


class Publishing(Protocol):
    """Publishes mails: a `publisher.Publisher`."""

    def publish(self, mail: Outgoing, answer: Callable[[Verdict], None]) -> None:
        """See `Publisher.publish`."""


class ClusterDestination:
    """Publishes each mail under the first of its namespaces, and once more in each other partition of the others.

    A mail that has a verdict already, that of a plan, is for inboxes alone.
    """

    def __init__(
        self,
        publisher: Publishing,
        resolve: Resolver,
        log: FilteringBoundLogger,
        *,
        partitions: int,
        node: str,
        slices: Slices | None = None,
    ) -> None:
        """Without `slices` nothing else is served while a large email is encoded."""
        self._publisher: Final = publisher
        self._resolve: Final = resolve
        self._log: Final = log
        self._partitions: Final = partitions
        self._node: Final = node
        self._slices: Final = slices

    def deliver(self, email: Email, decided: Callable[[Verdict], None], handled: object = None) -> None:
        """See `destination.First`; the workers are elsewhere, and later."""
        if email.copies > 1:
            several = Several(email.copies, decided)
            for number in range(email.copies):
                self._encode(email.copy(uuid7()) if number else email, several.on_verdict)
        else:
            self._encode(email, decided)

    def _encode(self, email: Email, decided: Callable[[Verdict], None]) -> None:
        if email.weight <= LIGHT or self._slices is None:
            self._publish(email, [encode_outline(email)], decided)
        else:
            steps = outline_steps(email)
            self._slices.add(functools.partial(self._step, steps.__next__, email, decided))

    def _publish(self, email: Email, outline: Sequence[Stretch], decided: Callable[[Verdict], None]) -> None:
        verdict = email.verdict
        kind, outcome = (FOR_WORKERS, ACCEPTED) if verdict is None else (COPY, OUTCOME_OF[verdict])
        if verdict is not None:
            decided = functools.partial(_decide, verdict, decided)
        groups = by_partition(tuple(self._resolve(email)), self._partitions)
        answer = decided if len(groups) == 1 else Several(len(groups), decided).on_verdict
        for names in groups:
            subjects = subjects_of(names[0], self._partitions, kind)
            self._publisher.publish(outgoing(email, outline, subjects, self._node, names, outcome), answer)
            kind = COPY  # workers get it once

    def _step(self, go_on: Callable[[], None], email: Email, decided: Callable[[Verdict], None]) -> bool:
        """Go on with the JSON of a large email; whether there is more to do."""
        try:
            go_on()
        except StopIteration as end:
            self._publish(email, end.value, decided)
            return False
        except Exception:
            self._log.exception("mail cannot be published", uuid=email.uuid)
            decided(Verdict.STORAGE_FAILED)
            return False
        return True


def _decide(verdict: Verdict, decided: Callable[[Verdict], None], published: Verdict) -> None:
    """The verdict of a plan stands; one that accepts, only if the mail is published."""
    decided(verdict if published in TAKEN or verdict not in TAKEN else published)


class Reachability(Protocol):
    """Knows whether the cluster can be reached: a `connection.NATSConnection`."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection at the moment."""


class ClusterAway:
    """The policy that refuses MAIL while the cluster cannot be reached: nothing is kept here for later."""

    def __init__(self, cluster: Reachability) -> None:
        self._cluster: Final = cluster

    def refuse(self, facts: Facts) -> Refusal | None:
        """See `Policy.refuse`."""
        return Refusal(replies.CLUSTER_AWAY) if facts.stage == MAIL and not self._cluster.connected else None
