"""What is made of a mail when it arrives at the inbox."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import orjson

from fastsmtp.capture.handling import Handling
from fastsmtp.inbox.documents import LARGE, Octets, load_steps
from fastsmtp.inbox.group import Arrival
from fastsmtp.inbox.summary import summarize
from fastsmtp.inbox.tags import tags_of


class Incoming(NamedTuple):
    """A mail as it comes to the inbox.

    `document` is the JSON a worker gets, without contents; `raw` the mail, or the path of the file that has it;
    `faults` are rules of plans and what they did; `worker` is what a worker did with it.
    """

    document: Octets
    raw: Octets | str
    namespaces: tuple[str, ...]
    received_at_ms: int
    outcome: str
    faults: Sequence[tuple[str, str]] = ()
    worker: Handling | None = None


def make_arrival(mail: Incoming) -> Arrival:
    """Return the mail as it is to be committed."""
    return _arrival(mail, orjson.loads(mail.document))


def arrival_steps(mail: Incoming) -> Generator[None, None, Arrival]:
    """What `make_arrival` does, some milliseconds at a time."""
    if len(mail.document) <= LARGE:
        return make_arrival(mail)
    payload = yield from load_steps(mail.document)
    return _arrival(mail, payload)._replace(loaded=payload)


def _arrival(mail: Incoming, payload: dict[str, Any]) -> Arrival:
    acted = [{"rule": rule, "action": action} for rule, action in mail.faults]
    return Arrival(
        uuid=payload["uuid"],
        namespaces=mail.namespaces,
        received_at=mail.received_at_ms,
        outcome=mail.outcome,
        payload=mail.document,
        raw=mail.raw,
        size=payload["message"]["size"],
        summary=summarize(payload, mail.received_at_ms, mail.outcome, acted, mail.worker),
        tags=tags_of(payload["message"]["headers"]),
    )
