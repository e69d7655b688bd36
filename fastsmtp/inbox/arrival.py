"""What is made of a mail when it arrives at the inbox."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import orjson

from fastsmtp.inbox.documents import LARGE, Octets, load_steps
from fastsmtp.inbox.group import Arrival
from fastsmtp.inbox.summary import summarize
from fastsmtp.inbox.tags import tags_of


def make_arrival(
    document: Octets,
    raw: Octets | str,
    namespaces: tuple[str, ...],
    received_at_ms: int,
    outcome: str,
    faults: Sequence[tuple[str, str]] = (),
) -> Arrival:
    """Return the mail with this payload, as it is to be committed.

    `document` is the JSON a worker gets, without contents; `raw` the mail, or the path of the file that has it;
    `faults` are rules of plans and what they did.
    """
    return _arrival(document, orjson.loads(document), raw, namespaces, received_at_ms, outcome, faults)


def arrival_steps(
    document: Octets,
    raw: Octets | str,
    namespaces: tuple[str, ...],
    received_at_ms: int,
    outcome: str,
    faults: Sequence[tuple[str, str]] = (),
) -> Generator[None, None, Arrival]:
    """What `make_arrival` does, some milliseconds at a time."""
    if len(document) <= LARGE:
        return make_arrival(document, raw, namespaces, received_at_ms, outcome, faults)
    payload = yield from load_steps(document)
    arrival = _arrival(document, payload, raw, namespaces, received_at_ms, outcome, faults)
    return arrival._replace(loaded=payload)


def _arrival(
    document: Octets,
    payload: dict[str, Any],
    raw: Octets | str,
    namespaces: tuple[str, ...],
    received_at_ms: int,
    outcome: str,
    faults: Sequence[tuple[str, str]],
) -> Arrival:
    acted = [{"rule": rule, "action": action} for rule, action in faults]
    return Arrival(
        uuid=payload["uuid"],
        namespaces=namespaces,
        received_at=received_at_ms,
        outcome=outcome,
        payload=document,
        raw=raw,
        size=payload["message"]["size"],
        summary=summarize(payload, received_at_ms, outcome, acted),
        tags=tags_of(payload["message"]["headers"]),
    )
