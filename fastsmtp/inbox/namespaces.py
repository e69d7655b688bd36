"""A namespace: a mailbox with its own order of mails, counters, settings and retention."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec

from fastsmtp.inbox.names import Cursor

ACCEPTED: Final = "accepted"
# How a mail may have ended; a row says it as the place in this tuple. All but the first are kept to be looked at.
DROPPED: Final = "dropped-by-plan"  # accepted, and not kept
WITHDRAWN: Final = "storage-failed"
OUTCOMES: Final = (ACCEPTED, "worker-failed", "no-worker", "refused", DROPPED, WITHDRAWN)


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that a namespace keeps; 0 = unlimited."""

    mails: int = 0
    bytes: int = 0


class NamespaceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `PUT /api/ns/{ns}` may say. `ttl` is in seconds, 0 = as the section `inbox` says.

    `listen` is where its own port is, `host:port`, "" without one. `magic`: addresses may ask for faults by themselves.
    """

    ttl: float = 0.0
    quota: Quota = Quota()
    on_quota: Literal["evict", "refuse", "count-only"] = "evict"
    keep: Literal["full", "summary", "count"] = "full"
    listen: str = ""
    magic: bool = False


class NamespaceCounters(msgspec.Struct):
    """What happened in a namespace. All but `unread` and `bytes` only grow.

    `refused` is how many mails were kept though their client was told no, and `forgotten` how many of these are gone.
    """

    accepted: int = 0
    counted_only: int = 0
    dropped: int = 0
    stored: int = 0
    deleted: int = 0
    evicted: int = 0
    expired: int = 0
    refused: int = 0
    forgotten: int = 0
    unread: int = 0
    bytes: int = 0
    by_outcome: dict[str, int] = {}
    tags: dict[str, int] = {}

    @property
    def present(self) -> int:
        """How many accepted mails there are."""
        return self.stored - self.deleted - self.evicted - self.expired

    @property
    def refused_present(self) -> int:
        """How many mails there are whose client was told no."""
        return self.refused - self.forgotten

    def count_arrival(self, outcome: str) -> None:
        """A mail has come."""
        if outcome in (ACCEPTED, DROPPED):
            self.accepted += 1
        if outcome == DROPPED:
            self.dropped += 1
        self.by_outcome[outcome] = self.by_outcome.get(outcome, 0) + 1

    def uncount(self, outcome: str) -> None:
        """A mail that was counted and not kept was refused after all."""
        self.accepted -= 1
        if outcome == DROPPED:
            self.dropped -= 1
        else:
            self.counted_only -= 1
        for name, step in ((outcome, -1), (WITHDRAWN, 1)):
            self.by_outcome[name] = self.by_outcome.get(name, 0) + step

    def count_stored(self, outcome: str, octets: int, tags: Iterable[str] = ()) -> None:
        """A mail that has come is kept."""
        if outcome == ACCEPTED:
            self.stored += 1
            self.unread += 1
            self.bytes += octets
            self.count_tags(tags, 1)
        else:
            self.refused += 1

    def count_gone(self, outcome: str, octets: int, tags: Iterable[str], why: str, *, read: bool) -> None:
        """A mail is kept no longer; `why` is the counter that tells: deleted, evicted, expired."""
        if outcome != ACCEPTED:
            self.forgotten += 1
            return
        setattr(self, why, getattr(self, why) + 1)
        self.bytes -= octets
        self.unread -= not read
        self.count_tags(tags, -1)

    def count_tags(self, tags: Iterable[str], step: int) -> None:
        """One mail more has these tags, or one less."""
        for tag in tags:
            left = self.tags.get(tag, 0) + step
            if left > 0:
                self.tags[tag] = left
            else:
                self.tags.pop(tag, None)

    def add(self, other: NamespaceCounters) -> None:
        """Add those of another namespace."""
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, dict):
                for key, count in theirs.items():
                    mine[key] = mine.get(key, 0) + count
            else:
                setattr(self, name, mine + theirs)

    def ledger(self) -> dict[str, int]:
        """Return the side of the store in the ledger."""
        names = ("accepted", "counted_only", "dropped", "stored", "deleted", "evicted", "expired")
        return {"present": self.present, **{name: getattr(self, name) for name in names}}


class Namespace:
    """One live namespace. Times are Unix times in milliseconds; `last_mail_at` is 0 where no mail is known.

    Its numbers are above `begun`: on a cluster that of the message in the stream that deleted one of this name before.
    """

    __slots__ = (
        "begun",
        "counters",
        "created_at",
        "emptied",
        "epoch",
        "id",
        "last_mail_at",
        "name",
        "seq",
        "settings",
        "used_at",
    )

    def __init__(
        self,
        row_id: int,
        name: str,
        epoch: str,
        *,
        seq: int = 0,
        emptied: int = 0,
        begun: int = 0,
        created_at: int = 0,
        used_at: int = 0,
        settings: NamespaceSettings | None = None,
        counters: NamespaceCounters | None = None,
    ) -> None:
        self.id: Final = row_id
        self.name: Final = name
        self.epoch: Final = epoch
        self.seq = seq
        self.emptied = emptied
        self.begun: Final = begun
        self.created_at = created_at
        self.used_at = used_at
        self.last_mail_at = 0
        self.settings = settings or NamespaceSettings()
        self.counters = counters or NamespaceCounters()

    @property
    def cursor(self) -> Cursor:
        """The place behind its newest mail."""
        return Cursor(self.epoch, self.seq)

    @property
    def excess(self) -> int:
        """How many of the oldest mails have to go, 500 at most, until the rest is within the quota."""
        quota, counters = self.settings.quota, self.counters
        excess = max(0, counters.present - quota.mails) if quota.mails else 0
        if not excess and quota.bytes and counters.bytes > quota.bytes:
            excess = 1  # of unknown size: one by one
        return min(excess, 500)

    def room_for(self, octets: int) -> bool:
        """Whether one more mail of this size is within the quota."""
        quota, counters = self.settings.quota, self.counters
        if quota.mails and counters.present >= quota.mails:
            return False
        return not (quota.bytes and counters.bytes + octets > quota.bytes)


def now_ms() -> int:
    """Return the Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def to_json(value: Any) -> str:
    """Return a column of JSON."""
    return msgspec.json.encode(value).decode()
