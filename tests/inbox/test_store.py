"""The store: what was committed is there, in order, counted; what failed changed nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arrivals import arrival
from pools import Log

from fastsmtp.errors import DamagedStoreError, StoreError
from fastsmtp.inbox.group import FILE_GONE, OUT_OF_ORDER, Arrival, StreamPosition, reason_of
from fastsmtp.inbox.ledger import make_ledger
from fastsmtp.inbox.namespaces import NamespaceSettings
from fastsmtp.inbox.opening import open_store
from fastsmtp.inbox.store import Store

Open = Callable[..., Store]


@pytest.fixture(params=["normal", "full", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    memory = request.param == "memory"
    made = Store("" if memory else str(tmp_path), durability=request.param, segment_bytes=4000)
    yield made
    made.close()


def subjects(store: Store, name: str = "default", **bounds: object) -> list[str]:
    rows = store.mails.rows(store.namespaces[name], **bounds)  # type: ignore[arg-type]
    return [store.mails.document(row).split(b'"subject":"')[1].split(b'"')[0].decode() for row in rows]


def test_a_group_is_filed_in_order(store: Store) -> None:
    filed = store.commit([arrival(subject=str(number), raw=b"raw %d" % number) for number in range(5)])
    assert [[(place.namespace.name, place.seq, place.known) for place in places] for places in filed] == [
        [("default", seq, False)] for seq in range(1, 6)
    ]
    assert subjects(store) == ["4", "3", "2", "1", "0"]
    assert subjects(store, newest_first=False) == ["0", "1", "2", "3", "4"]
    assert subjects(store, after=1, before=4) == ["2", "1"]
    assert subjects(store, limit=2) == ["4", "3"]
    assert [store.mails.raw(row) for row in store.mails.rows(store.namespaces["default"], limit=1)] == [b"raw 4"]


def test_a_recipient_is_looked_up(store: Store) -> None:
    store.commit([arrival(subject=str(number), to=f"u{number % 2}@example.com") for number in range(5)])
    assert subjects(store, recipient="u1@example.com") == ["3", "1"]
    assert subjects(store, recipient="u1@example.com", newest_first=False, after=2) == ["3"]
    assert subjects(store, recipient="none@example.com") == []


def test_a_mail_in_two_namespaces(store: Store) -> None:
    ((first, second),) = store.commit([arrival("a", "b", uuid="1", subject="both")])
    store.commit([arrival("b", uuid="2", subject="one")])
    assert (first.seq, second.seq, first.namespace.name, second.namespace.name) == (1, 1, "a", "b")
    assert (subjects(store, "a"), subjects(store, "b")) == (["both"], ["one", "both"])
    rows, following = store.mails.rows_of_all(limit=10)
    assert ([row.uuid for row in rows], following) == (["2", "1"], None)


def test_a_mail_that_comes_again_is_filed_once(store: Store) -> None:
    store.commit([arrival(uuid="same")])
    ((again,),) = store.commit([arrival(uuid="same")])
    assert (again.seq, again.known, store.namespaces["default"].counters.accepted) == (1, True, 1)


def test_a_mail_that_comes_twice_in_one_group_is_filed_once(store: Store) -> None:
    first, second = store.commit([arrival("a", "b", uuid="again"), arrival("a", "b", uuid="again")])
    assert [(place.seq, place.known) for place in (*first, *second)] == [(1, False), (1, False), (1, True), (1, True)]
    assert [store.namespaces[name].counters.accepted for name in "ab"] == [1, 1]


def test_mails_that_are_counted_leave_no_octets(store: Store) -> None:
    store.put("load", NamespaceSettings(keep="count"))
    made = [
        Arrival.to_be_counted(f"mail-{number}", ("load",), 1_800_000_000_000, "accepted", 10) for number in range(3)
    ]
    assert [place.seq for (place,) in store.commit(made)] == [0, 0, 0]
    ((counted,), (kept,)) = store.commit([made[0], arrival("a", subject="kept")])
    assert (counted.seq, kept.seq, subjects(store, "a")) == (0, 1, ["kept"])
    counters = store.namespaces["load"].counters
    assert (counters.accepted, counters.counted_only, counters.present, counters.bytes) == (4, 4, 0, 0)


def test_counters(store: Store) -> None:
    store.commit([arrival(size=10), arrival(size=20), arrival(size=40, outcome="worker-failed")])
    counters = store.namespaces["default"].counters
    assert (counters.accepted, counters.present, counters.unread, counters.bytes) == (2, 2, 2, 30)
    assert (counters.refused_present, counters.by_outcome) == (1, {"accepted": 2, "worker-failed": 1})
    refused, second, first = store.mails.rows(store.namespaces["default"])
    (read,) = store.changes.mark([second], read=True, tags=("red", "blue"))
    assert (counters.unread, counters.tags) == (1, {"red": 1, "blue": 1})
    assert store.changes.mark([read], read=True) == []
    store.changes.delete([read, refused])
    assert (counters.present, counters.unread, counters.bytes, counters.tags) == (1, 1, 10, {})
    assert (counters.deleted, counters.forgotten, counters.refused_present) == (1, 1, 0)
    assert store.mails.rows(store.namespaces["default"]) == [first]


def test_a_mail_whose_client_was_told_no(store: Store) -> None:
    store.commit([arrival(uuid="kept"), arrival(uuid="withdrawn")])
    assert [row.uuid for row in store.changes.withdraw(["withdrawn", "unknown"])] == ["withdrawn"]
    assert store.changes.withdraw(["withdrawn"]) == []
    counters = store.namespaces["default"].counters
    assert (counters.accepted, counters.present, counters.unread, counters.refused) == (1, 1, 1, 1)
    assert [row.outcome for row in store.mails.rows(store.namespaces["default"])] == ["storage-failed", "accepted"]


def test_emptying_keeps_the_order_and_deletes_later(store: Store) -> None:
    store.commit([arrival(subject=str(number)) for number in range(3)])
    assert store.empty("default") == 3
    assert (subjects(store), store.mails.find("mail-1"), store.empty("default")) == ([], None, 0)
    ((filed,),) = store.commit([arrival(subject="next")])
    assert (filed.seq, subjects(store)) == (4, ["next"])
    while store.changes.purge(limit=2):
        pass
    assert subjects(store) == ["next"]
    ledger = store.namespaces["default"].counters.ledger()
    assert (ledger["stored"], ledger["deleted"], ledger["present"]) == (4, 3, 1)


def test_a_namespace_that_ends_takes_everything_along(store: Store) -> None:
    store.commit([arrival("a", subject="old"), arrival("b", subject="other")])
    old = store.namespaces["a"]
    assert (store.end("a"), store.end("a"), "a" in store.namespaces) == (old, None, False)
    while store.changes.purge(limit=1):
        pass
    store.commit([arrival("a", subject="new")])
    new = store.namespaces["a"]
    assert (subjects(store, "a"), new.seq, new.epoch != old.epoch) == (["new"], 1, True)
    totals = store.totals()
    assert (totals.stored, totals.deleted, totals.present) == (3, 1, 2)


def test_settings_of_a_namespace(store: Store) -> None:
    store.put("counted", NamespaceSettings(keep="count"))
    store.put("short", NamespaceSettings(keep="summary"))
    ((counted, short),) = store.commit([arrival("counted", "short")])
    assert (counted.seq, counted.namespace.counters.counted_only, store.mails.rows(counted.namespace)) == (0, 1, [])
    (row,) = store.mails.rows(short.namespace)
    assert (store.mails.document(row), store.mails.raw(row), row.summary != b"") == (b"", b"", True)
    assert store.put("short").settings == NamespaceSettings(keep="summary")


def test_segments_go_with_their_last_mail(store: Store) -> None:
    for number in range(8):
        store.commit([arrival(subject=str(number), raw=b"x" * 3000)])
    numbers = list(store.segments.sizes)
    assert len(numbers) == 4
    store.changes.delete(store.mails.rows(store.namespaces["default"], newest_first=False, limit=2))
    assert list(store.segments.sizes) == numbers[1:]
    while store.changes.evict_segment(numbers[1], limit=1):
        pass
    assert (list(store.segments.sizes), subjects(store)) == (numbers[2:], ["7", "6", "5", "4"])
    assert store.namespaces["default"].counters.evicted == 2


def test_a_failed_commit_changes_nothing(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.commit([arrival(subject="there")])
    with pytest.raises(StoreError, match=r"^mails cannot be stored: File name too long$"):
        store.commit([arrival("default", "new", subject="no"), arrival(raw=str(tmp_path / ("x" * 300)))])
    assert (subjects(store), list(store.namespaces)) == (["there"], ["default"])
    counters = store.namespaces["default"].counters
    assert (counters.accepted, store.namespaces["default"].seq) == (1, 1)
    ((filed,),) = store.commit([arrival("new", subject="yes")])
    assert (filed.seq, subjects(store, "new")) == (1, ["yes"])
    store.close()


# --- large mails


LARGE = b"Subject: large\r\n\r\n" + b"x" * 10_000


def test_a_large_mail_is_linked(store: Store, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.write_bytes(LARGE)
    mail = arrival("a", "b", uuid="1", raw=str(spool), size=len(LARGE))
    ((first, _second), _small) = store.commit([mail, arrival()])
    spool.unlink()
    again = store.commit([mail])
    assert [(place.seq, place.known) for place in again[0]] == [(1, True), (1, True)]
    assert [store.mails.raw(row) for row in store.mails.rows(store.namespaces["b"])] == [LARGE]
    assert len(store.segments.sizes) == 2
    store.changes.delete(store.mails.rows(store.namespaces["a"]), "deleted")
    assert store.segments.sizes[first.place.spool] == len(LARGE)
    store.changes.delete(store.mails.rows(store.namespaces["b"]), "deleted")
    assert first.place.spool not in store.segments.sizes


@pytest.mark.parametrize("wrong", ["missing", "shorter", "link", "directory"])
def test_a_large_mail_without_its_file_is_refused_alone(store: Store, tmp_path: Path, wrong: str) -> None:
    spool = tmp_path / "spool"
    if wrong == "shorter":
        spool.write_bytes(LARGE[:-1])
    elif wrong == "link":
        spool.symlink_to("/etc/passwd")
    elif wrong == "directory":
        spool.mkdir()
    filed = store.commit([arrival(subject="one"), arrival(raw=str(spool), size=len(LARGE)), arrival(subject="two")])
    assert [reason_of(places) for places in filed] == ["", FILE_GONE, ""]
    assert (subjects(store), len(store.segments.sizes)) == (["two", "one"], 1)
    assert store.namespaces["default"].counters.accepted == 2


@pytest.mark.parametrize("keep", ["count", "summary"])
def test_a_large_mail_that_is_not_kept_leaves_no_file(store: Store, tmp_path: Path, keep: str) -> None:
    store.put("default", NamespaceSettings(keep=keep))
    (tmp_path / "spool").write_bytes(LARGE)
    ((filed,),) = store.commit([arrival(raw=str(tmp_path / "spool"), size=len(LARGE))])
    assert (filed.refusal, len(store.segments.sizes)) == ("", 1)


def test_a_failed_commit_leaves_no_file_of_a_large_mail(tmp_path: Path) -> None:
    (tmp_path / "spool").write_bytes(LARGE)
    store = Store(str(tmp_path))
    large = arrival(raw=str(tmp_path / "spool"), size=len(LARGE))
    with pytest.raises(StoreError, match=r"^mails cannot be stored: File name too long$"):
        store.commit([large, arrival(raw=str(tmp_path / ("x" * 300)))])
    store.connection.execute("CREATE TRIGGER full BEFORE INSERT ON mails BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(StoreError, match=r"^mails cannot be stored: full$"):
        store.commit([large])
    assert not list(tmp_path.glob("*.eml"))
    store.connection.execute("DROP TRIGGER full")
    ((filed,),) = store.commit([large])
    assert store.segments.read_raw(filed.place) == LARGE
    store.close()


# --- the next start


def of_stream(previous: int, seq: int) -> Arrival:
    """The mail `seq` of a stream, which comes after `previous` there."""
    return arrival(subject=str(seq))._replace(position=StreamPosition("s", previous, seq))


def test_mails_of_a_stream_come_in_its_order(store: Store) -> None:
    filed = store.commit([of_stream(0, 3), of_stream(5, 6), of_stream(3, 5), arrival(subject="other")])
    assert [reason_of(places) for places in filed] == ["", OUT_OF_ORDER, "", ""]
    assert [reason_of(places) for places in store.commit([of_stream(0, 3)])] == [OUT_OF_ORDER]
    assert (store.positions, subjects(store)) == ({"s": 5}, ["other", "5", "3"])


def test_numbers_of_mails_are_those_of_their_stream(store: Store) -> None:
    store.epoch_of = lambda name: f"of{name}"
    one, other = of_stream(0, 7), of_stream(7, 9)
    both = one._replace(namespaces=("y",), position=StreamPosition("t", 0, 3))  # the same mail, of another partition
    filed = store.commit([one, both, other, both._replace(position=StreamPosition("t", 3, 5))])
    assert [[(place.namespace and place.namespace.name, place.seq) for place in places] for places in filed] == [
        [("default", 7)],
        [("y", 3)],
        [("default", 9)],
        [],
    ]
    assert [len(store.mails.rows_of_all()[0]), str(store.namespaces["y"].cursor)] == [2, "ofy.3"]
    store.note_deletion("default", 10)
    store.end("default")
    assert (str(store.put("default").cursor), store.namespaces["default"].begun) == ("ofdefault.10", 10)


def test_a_mail_of_a_stream_may_be_counted_only(store: Store) -> None:
    dropped = Arrival.to_be_counted("u", ("default",), 1, "dropped-by-plan", 7)
    filed = store.commit([dropped._replace(position=StreamPosition("s", 0, 4)), of_stream(4, 6), of_stream(4, 5)])
    assert [reason_of(places) for places in filed] == ["", "", OUT_OF_ORDER]
    assert (store.positions, subjects(store)) == ({"s": 6}, ["6"])


def test_a_position_is_committed_with_its_mail(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.commit([of_stream(0, 3)])
    store.connection.execute("CREATE TRIGGER full BEFORE INSERT ON mails BEGIN SELECT RAISE(FAIL, 'full'); END")
    with pytest.raises(StoreError):
        store.commit([of_stream(3, 4)])
    assert store.positions == {"s": 3}
    store.connection.execute("DROP TRIGGER full")
    assert [reason_of(places) for places in store.commit([of_stream(4, 5)])] == [OUT_OF_ORDER]
    store.close()
    again = Store(str(tmp_path))
    assert (again.positions, subjects(again)) == ({"s": 3}, ["3"])
    again.close()


def test_everything_is_there_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.put("a", NamespaceSettings(ttl=5.0))
    store.commit([arrival("a", subject=str(number), size=7) for number in range(3)])
    store.changes.mark(store.mails.rows(store.namespaces["a"], limit=1), read=True, tags=("red",))
    store.end("b")
    cursor, counters = store.namespaces["a"].cursor, store.namespaces["a"].counters
    store.close()
    store = Store(str(tmp_path))
    again = store.namespaces["a"]
    assert (again.cursor, again.counters, again.settings.ttl, store.recovered) == (cursor, counters, 5.0, 0)
    assert subjects(store, "a") == ["2", "1", "0"]
    ((filed,),) = store.commit([arrival("a", subject="next")])
    assert (filed.seq, subjects(store, "a", limit=2)) == (4, ["next", "2"])
    store.close()


def copy_of_a_running_store(store: Store, directory: Path, target: Path) -> Path:
    """What a `kill -9` leaves: the files as they are, nothing closed."""
    shutil.copytree(directory, target)
    return target


def test_a_killed_store_has_what_was_committed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    store = Store(str(tmp_path / "a"))
    store.commit([arrival(subject=str(number)) for number in range(3)])
    killed = copy_of_a_running_store(store, tmp_path / "a", tmp_path / "b")
    with open(killed / "0000000001.segment", "ab") as file:
        file.write(b"FSM1 of a mail that was never answered")
    store.close()
    again = Store(str(killed))
    assert (subjects(again), again.recovered) == (["2", "1", "0"], 0)
    again.commit([arrival(subject="next")])
    assert subjects(again) == ["next", "2", "1", "0"]
    again.close()


@pytest.mark.parametrize("lost", [1, 5, 40, 300, 700])
def test_rows_without_octets_are_dropped(tmp_path: Path, lost: int) -> None:
    store = Store(str(tmp_path))
    store.commit([arrival(subject=str(number), size=10) for number in range(3)])
    end = store.mails.rows(store.namespaces["default"], limit=1)[0].place.offset
    store.close()
    path = tmp_path / "0000000001.segment"
    os.truncate(path, min(path.stat().st_size - lost, path.stat().st_size))
    store = Store(str(tmp_path))
    assert (subjects(store), store.recovered, store.segments.total) == (["1", "0"], 1, end)
    counters = store.namespaces["default"].counters
    assert (counters.present, counters.evicted, counters.bytes) == (2, 1, 20)
    ledger = make_ledger(store.ledger.of_all(), store.ledger.in_flight(), store.totals())
    assert (ledger["sessions"]["accepted"], ledger["store"]["stored"], ledger["balanced"]) == (3, 3, True)
    store.close()


def test_a_segment_of_nothing_is_deleted(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.commit([arrival()])
    store.close()
    (tmp_path / "0000000007.segment").write_bytes(b"FSM1")
    (tmp_path / "0000000008.eml").write_bytes(b"Subject: spooled and never committed\r\n\r\n")
    store = Store(str(tmp_path))
    assert list(store.segments.sizes) == [1]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".segment", ".sqlite", ".sqlite-shm", ".sqlite-wal"]
    store.close()


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    Store(str(tmp_path)).close()
    connection = sqlite3.connect(tmp_path / "inbox.sqlite")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreError, match=r"was written by a newer fastsmtp \(store version 99, ours is 1\)$"):
        Store(str(tmp_path))


def test_another_database_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "inbox.sqlite")
    connection.execute("CREATE TABLE mine (a)")
    connection.close()
    with pytest.raises(StoreError, match=r"inbox\.sqlite is no store of fastsmtp$"):
        Store(str(tmp_path))


DAMAGED = pytest.mark.parametrize("octets", [b"no database" * 100, b"SQLite format 3\0" + b"\xff" * 4080])


@DAMAGED
def test_a_damaged_database_is_named(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "inbox.sqlite").write_bytes(octets)
    with pytest.raises(DamagedStoreError, match=r"inbox\.sqlite is damaged: "):
        Store(str(tmp_path))


@DAMAGED
def test_a_damaged_store_is_kept_aside(tmp_path: Path, log: Log, octets: bytes) -> None:
    store = Store(str(tmp_path))
    store.commit([arrival()])
    store.close()
    segment = (tmp_path / "0000000001.segment").read_bytes()
    (tmp_path / "inbox.sqlite").write_bytes(octets)
    (tmp_path / "lock").touch()
    for times in (1, 2):  # the second one may be damaged in the same second
        store = open_store(str(tmp_path), log.logger, "normal", 100)
        store.commit([arrival(subject="next")])
        assert subjects(store) == ["next"]
        store.close()
        kept = sorted(tmp_path.glob("damaged-*"))
        assert len(kept) == times
        assert [record["event"] for record in log.records] == [
            "the store is damaged: it is kept aside, and an empty one is begun"
        ] * times
        (tmp_path / "inbox.sqlite").write_bytes(octets)
    assert ((kept[0] / "inbox.sqlite").read_bytes(), (kept[0] / "0000000001.segment").read_bytes()) == (octets, segment)
    assert str(kept[0]) == log.records[0]["kept"]
    assert (tmp_path / "lock").exists()


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("PRAGMA user_version=99", r"was written by a newer fastsmtp \(store version 99, ours is 1\)$"),
        ("CREATE TABLE mine (a)", r"inbox\.sqlite is no store of fastsmtp$"),
    ],
    ids=["newer", "another"],
)
def test_what_is_not_damaged_is_left_where_it_is(tmp_path: Path, log: Log, sql: str, reason: str) -> None:
    connection = sqlite3.connect(tmp_path / "inbox.sqlite")
    connection.execute(sql)
    connection.close()
    before = (tmp_path / "inbox.sqlite").read_bytes()
    with pytest.raises(StoreError, match=reason):
        open_store(str(tmp_path), log.logger, "normal", 100)
    assert ((tmp_path / "inbox.sqlite").read_bytes(), list(tmp_path.glob("damaged-*"))) == (before, [])


def test_a_log_that_another_program_reads_starts_over_later(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.commit([arrival()])
    reader = sqlite3.connect(tmp_path / "inbox.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM mails").fetchone() == (1,)
    store.commit([arrival()])
    store.checkpoint()
    assert store.checkpoints == {"done": 0, "busy": 1}
    reader.close()
    store.checkpoint()
    assert store.checkpoints == {"done": 1, "busy": 1}
    store.close()
