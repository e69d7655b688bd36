"""What is kept no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arrivals import RECEIVED_AT, arrival
from pools import Log, Run

from fastsmtp.config.settings import RetentionSettings
from fastsmtp.errors import CrowdedError, StoreError
from fastsmtp.inbox.group import Filed
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.ledger import Report
from fastsmtp.inbox.namespaces import NamespaceSettings, Quota
from fastsmtp.inbox.retention import Retention
from fastsmtp.inbox.store import Store

MB = 1000**2
MINUTES = 60_000
CROWDED = "there are 5 namespaces already, and none of them is empty and idle"


class Kept:
    """An inbox with its retention, at a time that stands still."""

    def __init__(self, store: Store, log: Log, **settings: Any) -> None:
        self.inbox = Inbox(store, log.logger)
        self.now = RECEIVED_AT
        self._retention = Retention(self.inbox, RetentionSettings(**settings), log.logger, lambda: self.now)

    async def file(self, *namespaces: str, **changes: Any) -> list[Filed]:
        answered: asyncio.Future[list[Filed] | StoreError] = asyncio.get_running_loop().create_future()
        self.inbox.file(arrival(*namespaces, **changes), answered.set_result)
        filed = await answered
        assert isinstance(filed, list)
        return filed

    async def left(self, name: str = "default") -> list[int]:
        """Enforce the limits; the numbers of the mails that are left."""
        await self._retention.enforce()
        space = self.inbox.namespace(name)
        assert space is not None
        return [row.seq for row in (await self.inbox.find(space, limit=10_000, newest_first=False)).rows]


@pytest.fixture
def keeping(run_loop: Run, log: Log, tmp_path: Path) -> Callable[..., None]:
    """Do the work with an inbox of these settings."""

    def do(work: Any, segment_bytes: int = 64 * MB, **settings: Any) -> None:
        async def go() -> None:
            kept = Kept(Store(str(tmp_path), segment_bytes=segment_bytes), log, **settings)
            try:
                await work(kept)
            finally:
                await kept.inbox.close()

        run_loop(go())

    return do


def test_no_limits(keeping: Callable[..., None]) -> None:
    async def work(kept: Kept) -> None:
        for _ in range(3):
            await kept.file()
        kept.now += 10**12
        assert await kept.left() == [1, 2, 3]

    keeping(work, max_bytes=0, namespace_ttl_s=0)


def test_the_oldest_mails_go(keeping: Callable[..., None]) -> None:
    async def work(kept: Kept) -> None:
        await asyncio.gather(*(kept.file("a" if number % 2 else "b") for number in range(1200)))
        assert (await kept.left("a"), await kept.left("b")) == ([599, 600], [599, 600])
        counters = kept.inbox.namespaces()[0].counters
        assert (counters.stored, counters.evicted, counters.present) == (600, 598, 2)

    keeping(work, max_mails=4)


def test_whole_segments_go(keeping: Callable[..., None]) -> None:
    async def work(kept: Kept) -> None:
        for _ in range(10):
            await kept.file(raw=b"x" * 10_000)
        assert await kept.left() == [7, 8, 9, 10]
        assert len(await kept.inbox.run(lambda store: store.segments.sizes)) == 2

    keeping(work, segment_bytes=20_000, max_bytes=45_000)


def test_a_large_mail_that_was_spooled_goes(keeping: Callable[..., None], tmp_path: Path) -> None:
    async def work(kept: Kept) -> None:
        (tmp_path / "spool").write_bytes(b"x" * 50_000)
        await kept.file(raw=str(tmp_path / "spool"), size=50_000)
        await kept.file()
        assert await kept.left() == [2]
        assert not list(tmp_path.glob("*.eml"))

    keeping(work, max_bytes=45_000)


def test_old_mails_expire(keeping: Callable[..., None]) -> None:
    async def work(kept: Kept) -> None:
        for at in (0, 1000, 2000):
            await kept.file(at=at)
        kept.now += 61_500
        assert await kept.left() == [3]
        (space,) = kept.inbox.namespaces()
        assert (space.counters.expired, space.counters.evicted) == (2, 0)

    keeping(work, max_age_s=60.0)


def test_old_mails_are_found_wherever_they_are_by_one_query(keeping: Callable[..., None]) -> None:
    async def work(kept: Kept) -> None:
        names = [f"n{number}" for number in range(30)]
        for name in names:
            await kept.file(name, at=600_000)
        for at in (600_000, 0, 600_000):  # the one between is an import
            await kept.file(*names[:2], at=at)
        kept.now += 61_000
        assert [await kept.left(name) for name in names[:3]] == [[1, 2, 4], [1, 2, 4], [1]]
        asked: list[str] = []
        await kept.inbox.run(lambda store: store.connection.set_trace_callback(asked.append))
        assert await kept.left("n2") == [1]
        assert len([statement for statement in asked if "received_at <" in statement]) == 1
        assert len([statement for statement in asked if "FROM mails" in statement]) < len(names)
        totals = await kept.inbox.run(Store.totals)
        assert (totals.expired, totals.present) == (2, 34)

    keeping(work, max_age_s=60.0)


def test_unused_namespaces_end(keeping: Callable[..., None]) -> None:
    async def work(kept: Kept) -> None:
        await kept.inbox.put("short", NamespaceSettings(ttl=1.0))
        for name in ("default", "a", "short"):
            await kept.file(name)
        kept.now += 5000
        assert await kept.left() == [1]
        assert [space.name for space in kept.inbox.namespaces()] == ["a", "default"]
        kept.now += 6000
        assert await kept.left() == [1]
        assert [space.name for space in kept.inbox.namespaces()] == ["default"]

    keeping(work, namespace_ttl_s=10.0)


@pytest.mark.parametrize("quota", [Quota(mails=3), Quota(bytes=300)])
def test_a_quota_evicts(keeping: Callable[..., None], quota: Quota) -> None:
    async def work(kept: Kept) -> None:
        await kept.inbox.put("a", NamespaceSettings(quota=quota))
        for _ in range(5):
            await kept.file("a", size=100)
        assert await kept.left("a") == [3, 4, 5]

    keeping(work)


def test_a_quota_counts_only(keeping: Callable[..., None]) -> None:
    async def work(kept: Kept) -> None:
        await kept.inbox.put("a", NamespaceSettings(quota=Quota(mails=1), on_quota="count-only"))
        for _ in range(3):
            await kept.file("a")
        (space,) = kept.inbox.namespaces()
        assert (await kept.left("a"), space.counters.accepted, space.counters.counted_only) == ([1], 3, 2)

    keeping(work)


def test_a_quota_refuses(keeping: Callable[..., None]) -> None:
    async def work(kept: Kept) -> None:
        await kept.inbox.put("a", NamespaceSettings(quota=Quota(mails=1), on_quota="refuse"))
        assert [place.refusal for place in await kept.file("a")] == [""]
        assert [place.refusal for place in await kept.file("a", "b")] == ["namespace a is full", ""]
        space = kept.inbox.namespace("a")
        assert space is not None
        assert (await kept.left("a"), space.counters.accepted, space.counters.by_outcome) == (
            [1],
            1,
            {"accepted": 1, "refused": 1},
        )

    keeping(work)


def test_what_was_emptied_is_deleted(keeping: Callable[..., None]) -> None:
    async def work(kept: Kept) -> None:
        await asyncio.gather(*(kept.file() for _ in range(1200)))
        (space,) = kept.inbox.namespaces()
        assert await kept.inbox.empty(space) == 1200
        assert await kept.left() == []
        assert await kept.inbox.run(lambda store: store.mails.rows_of_all(limit=10)) == ([], None)

    keeping(work)


def test_idle_namespaces_make_room_the_least_recently_used_first(run_loop: Run, log: Log, tmp_path: Path) -> None:
    async def go() -> None:
        now = RECEIVED_AT
        kept = Kept(Store(str(tmp_path), max_namespaces=5, clock_ms=lambda: now), log)
        inbox = kept.inbox
        for name in ("default", "older", "old", "listens", "holds"):
            now += 1
            await inbox.put(name, NamespaceSettings(listen="127.0.0.1:1" if name == "listens" else ""))
        await kept.file("holds")
        stream = inbox.events.open(inbox.namespace("older"))
        inbox.tell(Report("p", 1, {"older": {"begun": 1}}))
        assert (await inbox.ledger(inbox.namespace("older")))["sessions"]["begun"] == 1
        with pytest.raises(CrowdedError) as refused:
            await inbox.put("early")
        assert str(refused.value) == CROWDED
        now += 11 * MINUTES
        assert [place.refusal for place in await kept.file("new")] == [""]
        assert [space.name for space in inbox.namespaces()] == ["default", "holds", "listens", "new", "old"]
        assert (stream.ended, (await inbox.ledger())["sessions"]["begun"]) == (True, 3)
        await inbox.put("newest")
        assert [space.name for space in inbox.namespaces()] == ["default", "holds", "listens", "new", "newest"]
        assert [place.refusal for place in await kept.file("x", "y")] == [CROWDED, CROWDED]
        assert [place.refusal for place in await kept.file("x", "holds")] == [CROWDED, ""]
        assert [space.name for space in inbox.namespaces()] == ["default", "holds", "listens", "new", "newest"]
        now += 11 * MINUTES
        assert [place.refusal for place in await kept.file("x", "y")] == ["", CROWDED]
        await inbox.close()

    run_loop(go())


def test_namespaces_that_made_room_are_gone_after_a_restart(tmp_path: Path) -> None:
    now = RECEIVED_AT
    store = Store(str(tmp_path), max_namespaces=3, clock_ms=lambda: now)
    for name in ("a", "b", "c"):
        store.put(name)
    now += 11 * MINUTES
    store.commit([arrival("d"), arrival("e"), arrival("f"), arrival("g")])
    assert sorted(store.namespaces) == ["d", "e", "f"]
    assert [space.name for space in store.take_evicted()] == ["a", "b", "c"]
    assert list(store.take_evicted()) == []
    store.close()
    again = Store(str(tmp_path), max_namespaces=2)
    assert sorted(again.namespaces) == ["d", "e", "f"]
    with pytest.raises(CrowdedError):
        again.put("a")
    assert again.put("d").name == "d"
    again.close()


def test_an_import_of_old_mails_is_not_unused(keeping: Callable[..., None]) -> None:
    async def work(kept: Kept) -> None:
        await kept.file("a")
        await kept.file("a", at=-1_000_000)
        assert await kept.left("a") == [1, 2]

    keeping(work, namespace_ttl_s=10.0)
