"""What is made of a mail when it arrives at the inbox."""

from __future__ import annotations

import orjson

from fastsmtp.inbox.group import Arrival
from fastsmtp.inbox.summary import summarize


def make_arrival(
    document: bytes, raw: bytes | str, namespaces: tuple[str, ...], received_at_ms: int, outcome: str
) -> Arrival:
    """Return the mail with this payload, as it is to be committed.

    `document` is the JSON a worker gets, without contents; `raw` the mail, or the path of the file that has it.
    """
    payload = orjson.loads(document)
    return Arrival(
        uuid=payload["uuid"],
        namespaces=namespaces,
        received_at=received_at_ms,
        outcome=outcome,
        payload=document,
        raw=raw,
        size=payload["message"]["size"],
        summary=summarize(payload, received_at_ms, outcome),
    )
