"""What clients were told, what workers recorded and what the inbox keeps, held against each other."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_SHOWN = 5


class Record(NamedTuple):
    """A line of a worker."""

    uuid: str
    client: str  # its address, without the port
    size: int  # -1: what it got was no JSON
    ident: str


class Ledger:
    """What clients saw. A client has an address of its own, so that mails whose header is damaged can be counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.accepted: dict[str, int] = {}  # ident -> size, of mails that were answered 250
        self.broken: set[str] = set()  # mails whose end was not sent
        self.unsure: Counter[str] = Counter()  # by client: mails whose reply was not seen, or was not 250
        self.counted: Counter[str] = Counter()  # by client: mails answered 250, whatever they were
        self.replies: Counter[str] = Counter()
        self.oddities: list[str] = []
        self.clients = 0

    def accept(self, client: str, ident: str, size: int) -> None:
        """A 250."""
        with self._lock:
            self.counted[client] += 1
            self.replies["250"] += 1
            self.accepted[ident] = size

    def count(self, client: str, accepted: int, unsure: int) -> None:
        """So many, of which only their number is known."""
        with self._lock:
            self.counted[client] += accepted
            self.unsure[client] += unsure

    def refuse(self, client: str, reply: str) -> None:
        """Another reply, or none: a worker may have it all the same."""
        with self._lock:
            self.unsure[client] += 1
            self.replies[reply] += 1

    def break_off(self, ident: str) -> None:
        """It has no end."""
        with self._lock:
            self.broken.add(ident)

    def next_client(self) -> str:
        """An address that no client had."""
        with self._lock:
            self.clients += 1
            number = self.clients
        return f"127.{1 + number // 62_500}.{number // 250 % 250}.{1 + number % 250}"

    def wonder(self, what: str) -> None:
        """A reply that should not have been."""
        with self._lock:
            self.oddities.append(what)

    def faults(self, records: list[Record], kept: list[str] | None) -> Iterator[str]:
        """All that does not fit; `kept` are the uuids in the inbox that were accepted, None where there is none."""
        by_ident: dict[str, list[Record]] = {}
        for record in records:
            by_ident.setdefault(record.ident, []).append(record)
        yield from _some("no JSON", (record.uuid for record in records if record.size < 0))
        yield from _some("with a worker twice", _repeated(record.uuid for record in records))
        yield from _some("lost", (ident for ident in self.accepted if ident not in by_ident))
        yield from _some("from nowhere", (ident for ident in self.broken if ident in by_ident))
        wrong = (
            f"{ident} ({size} sent, {by_ident[ident][0].size} recorded)"
            for ident, size in self.accepted.items()
            if ident in by_ident and by_ident[ident][0].size != size
        )
        yield from _some("of another size", wrong)
        yield from _some("several, one 250", (ident for ident in self.accepted if len(by_ident.get(ident, ())) > 1))
        yield from self._wrong_counts("workers", Counter(record.client for record in records))
        if kept is not None:
            yield from self._inbox_faults(records, by_ident, kept)
        yield from _some("odd", self.oddities)

    def _inbox_faults(self, records: list[Record], by_ident: dict[str, list[Record]], kept: list[str]) -> Iterator[str]:
        there, client_of = set(kept), {record.uuid: record.client for record in records}
        yield from _some("in the inbox twice", _repeated(kept))
        lacking = (ident for ident in self.accepted if ident in by_ident and by_ident[ident][0].uuid not in there)
        yield from _some("not in the inbox", lacking)
        yield from _some("in the inbox, and with no worker", (uuid for uuid in there if uuid not in client_of))
        yield from self._wrong_counts("inbox", Counter(client_of[uuid] for uuid in there if uuid in client_of))

    def _wrong_counts(self, place: str, found: Counter[str]) -> Iterator[str]:
        """At least the mails that were answered 250, at most those and what is not known."""
        wrong = (
            f"{client} ({self.counted[client]} answered 250, {self.unsure[client]} unsure, {found[client]} there)"
            for client in self.counted.keys() | found.keys()
            if not self.counted[client] <= found[client] <= self.counted[client] + self.unsure[client]
        )
        yield from _some(f"clients and {place} differ", wrong)


def read_records(directory: Path) -> list[Record]:
    """What all workers wrote."""
    records = []
    for path in directory.glob("records-*"):
        for line in path.read_text().splitlines():
            uuid, client, size, ident, *_fate = line.split(" ")
            records.append(Record(uuid, client.rpartition(":")[0], -1 if size == "no-json" else int(size), ident))
    return records


def read_inbox(url: str) -> list[str]:
    """The uuids of all accepted mails in the namespace `default`."""
    found: list[str] = []
    before = ""
    while True:
        page = fetch(f"{url}/api/ns/default/mails?limit=1000{before and f'&before={before}'}")
        found += [mail["uuid"] for mail in page["mails"]]
        if not page.get("next"):
            return found
        before = page["next"]


def fetch(url: str) -> dict[str, object] | object:  # a document of the API
    """The JSON at a URL."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def _repeated(items: Iterable[str]) -> list[str]:
    return [item for item, count in Counter(items).items() if count > 1]


def _some(what: str, items: Iterable[str]) -> Iterator[str]:
    """A sentence, unless there are none."""
    found = list(items)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        yield f"{what}: {', '.join(found[:_SHOWN])}{more}"
