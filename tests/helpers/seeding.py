"""Stores with many mails, made in seconds: without SMTP, without the API, all mails like one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from arrivals import arrival

from fastsmtp.inbox.group import Arrival
from fastsmtp.inbox.store import Store

_GROUP = 1000  # mails that are committed at a time


def seed(directory: Path, count: int) -> None:
    """Make a store with so many mails in the namespace `default`: `mail-0` is the oldest, with the subject "mail 0"."""
    directory.mkdir()
    store = Store(str(directory))
    mails = _mails(count)
    while group := list(islice(mails, _GROUP)):
        store.commit(group)
    store.close()


def _mails(count: int) -> Iterator[Arrival]:
    first = arrival(uuid="@uuid@", subject="@subject@")
    payload = bytes(first.payload)
    for number in range(count):
        uuid, subject = f"mail-{number}", f"mail {number}"
        yield first._replace(
            uuid=uuid,
            received_at=first.received_at + number,
            payload=payload.replace(b"@uuid@", uuid.encode()).replace(b"@subject@", subject.encode()),
            summary={**first.summary, "uuid": uuid, "subject": subject},
        )
