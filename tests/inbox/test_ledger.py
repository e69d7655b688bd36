"""The ledger: what SMTP processes tell, and what of it outlives a kill of the inbox process."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arrivals import arrival
from pools import Log, Run
from waits import until

from fastsmtp.inbox.frames import Counted, Counts, Head, LinkDecoder
from fastsmtp.inbox.group import Arrival
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.ledger import MAX_NAMES, Report, make_ledger
from fastsmtp.inbox.link import Link
from fastsmtp.inbox.linkserver import LinkServer
from fastsmtp.inbox.namespaces import NamespaceCounters, NamespaceSettings, Quota
from fastsmtp.inbox.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "store").mkdir()
    made = Store(str(tmp_path / "store"))
    made.put("default")
    yield made
    made.close()


def killed(store: Store, tmp_path: Path) -> Store:
    """The store as the next inbox process finds it when this one is killed now."""
    copy = tmp_path / f"killed-{next(_NUMBERS)}"
    shutil.copytree(tmp_path / "store", copy)
    return Store(str(copy))


_NUMBERS = itertools.count()


def sessions(store: Store, name: str | None = None) -> dict[str, int]:
    """What is not 0 of the sessions' side; and it is balanced."""
    ledger = store.ledger
    counters = store.totals() if name is None else store.namespaces[name].counters
    made = make_ledger(ledger.of_all() if name is None else ledger.of(name), ledger.in_flight(name), counters)
    assert made["balanced"], made
    return {event: count for event, count in made["sessions"].items() if count}


def told(number: int, process: str = "p", name: str = "default", **events: int) -> Report:
    return Report(process, number, {name: events})


def sent(number: int, *namespaces: str, **changes: Any) -> Arrival:
    return arrival(*namespaces, **changes)._replace(sender=("p", number))


def counted(number: int, process: str = "p") -> Arrival:
    return Arrival.to_be_counted(f"u{number}", ("default",), 1_800_000_000_000, "accepted", 10, (process, number))


# --- a kill of the inbox process


def test_what_was_told_outlives_the_inbox(store: Store, tmp_path: Path) -> None:
    store.commit([told(1, begun=5), sent(1), sent(2), sent(3)])
    store.commit([told(2, accepted=1, refused=1, aborted=1)])
    assert sessions(store) == {"begun": 5, "accepted": 1, "refused": 1, "aborted": 1, "in_flight": 2}
    again = killed(store, tmp_path)
    assert sessions(again) == sessions(store)
    again.commit([Report("p", open={"default": 9}), told(2, accepted=1, refused=1, aborted=1)])  # it was not answered
    assert sessions(again) == sessions(store)
    again.commit([told(3, accepted=2)])
    assert sessions(again) == {"begun": 5, "accepted": 3, "refused": 1, "aborted": 1}
    again.close()


def test_a_process_that_is_gone_has_nothing_in_flight_and_what_it_filed_is_accepted(
    store: Store, tmp_path: Path
) -> None:
    store.commit([told(1, begun=3), sent(1), sent(2)])
    again = killed(store, tmp_path)
    again.commit([Report("p", left=True)])
    assert sessions(again) == {"begun": 3, "accepted": 2, "aborted": 1}
    again.commit([Report("p", left=True)])
    assert sessions(again) == {"begun": 3, "accepted": 2, "aborted": 1}
    again.close()


def test_a_process_that_is_not_known_tells_what_is_in_flight_in_it(store: Store) -> None:
    store.commit([Report("p", open={"default": 2, "run-1": 1}), told(7, accepted=1, refused=1)])
    assert store.ledger.of_all() == {"begun": 3, "moved": 1, "refused": 1}  # the store that had the mail is gone
    assert store.ledger.in_flight() == (1, 0)


def test_mails_that_are_counted_only_are_counted_once(store: Store, tmp_path: Path) -> None:
    store.put("default", NamespaceSettings(keep="count"))
    store.commit([told(1, begun=3), counted((1 << 32) - 2), counted((1 << 32) - 1)])
    again = killed(store, tmp_path)
    again.commit([counted((1 << 32) - 2), counted((1 << 32) - 1), counted(0), counted(0)])  # numbers recur
    assert again.namespaces["default"].counters.counted_only == 3
    again.commit([told(2, accepted=3)])
    assert sessions(again) == {"begun": 3, "accepted": 3}
    again.commit([told(1, "q", begun=1), counted(0, "q")])  # of another process
    assert again.namespaces["default"].counters.counted_only == 4
    again.close()


def test_a_counted_mail_that_was_refused_after_all_is_counted_so_once(store: Store, tmp_path: Path) -> None:
    store.put("default", NamespaceSettings(keep="count"))
    dropped = counted(3)._replace(outcome="dropped-by-plan")
    store.commit([told(1, begun=4), counted(1), counted(2), dropped, told(2, accepted=1, refused=2)])
    withdrawn = Report("p", uncounted=[(2, "accepted", ["default"]), (3, "dropped-by-plan", ["default", "gone"])])
    never_came = Report("p", uncounted=[(4, "accepted", ["default"])])
    store.commit([withdrawn, never_came, withdrawn])
    again = killed(store, tmp_path)
    again.commit([withdrawn, counted(4), told(3, accepted=1)])  # told again, and its number is used for the first time
    counters = again.namespaces["default"].counters
    assert (counters.accepted, counters.counted_only, counters.dropped) == (2, 2, 0)
    assert counters.by_outcome == {"accepted": 2, "dropped-by-plan": 0, "storage-failed": 2}
    assert sessions(again) == {"begun": 4, "accepted": 2, "refused": 2}
    again.close()


def test_a_store_of_before_has_a_ledger(store: Store, tmp_path: Path) -> None:
    store.commit([arrival(), arrival("gone"), arrival("gone")])
    store.end("gone")
    store.connection.executescript("DROP TABLE sessions; DROP TABLE processes")
    again = killed(store, tmp_path)
    assert (sessions(again), sessions(again, "default")) == ({"begun": 3, "accepted": 3}, {"begun": 1, "accepted": 1})
    again.close()


def test_what_cannot_be_committed_is_not_told(store: Store) -> None:
    store.connection.execute("CREATE TRIGGER no BEFORE INSERT ON processes BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(Exception, match="mails cannot be stored: no"):
        store.commit([told(1, begun=1), sent(1)])
    assert (sessions(store), store.ledger.books) == ({}, {})


# --- namespaces


def test_a_mail_that_a_header_field_files_elsewhere_is_moved(store: Store) -> None:
    store.commit([told(1, begun=1), sent(1, "run-1")])
    store.commit([told(2, accepted=1)])
    assert (sessions(store, "default"), sessions(store, "run-1")) == (
        {"begun": 1, "moved": 1},
        {"begun": 1, "accepted": 1},
    )


def test_a_mail_that_one_of_its_namespaces_refuses(store: Store) -> None:
    store.put("full", NamespaceSettings(quota=Quota(mails=1), on_quota="refuse"))
    store.commit([arrival("full")])
    store.commit([told(1, name="full", begun=1), told(2, begun=1), sent(1, "full", "default")])
    store.commit([told(3, name="full", accepted=1), told(4, accepted=1)])
    assert sessions(store, "full") == {"begun": 2, "accepted": 1, "refused": 1}
    assert sessions(store, "default") == {"begun": 1, "accepted": 1}
    store.commit([told(5, name="full", begun=2), sent(2, "full"), sent(3, "full")])
    store.commit([told(6, name="full", refused=1), Report("p", left=True)])
    assert sessions(store, "full") == {"begun": 4, "accepted": 1, "refused": 3}


def test_what_is_in_flight_in_a_namespace_that_is_deleted(store: Store) -> None:
    store.commit([told(1, begun=3), sent(1)])
    store.end("default")
    store.put("default")
    assert (sessions(store), sessions(store, "default")) == ({"begun": 3, "in_flight": 3}, {})
    store.commit([told(2, begun=1, accepted=2)])
    assert sessions(store, "default") == {"begun": 1, "moved": 1}
    store.commit([told(3, aborted=2)])
    assert sessions(store) == {"begun": 4, "accepted": 1, "moved": 1, "aborted": 2}


def test_a_mail_without_smtp(store: Store) -> None:
    store.commit([arrival(), arrival()._replace(outcome="refused")])
    assert sessions(store) == {"begun": 2, "accepted": 1, "refused": 1}


@pytest.mark.parametrize("told_before", [True, False])
def test_a_mail_that_is_withdrawn(store: Store, *, told_before: bool) -> None:
    store.commit([told(1, begun=1), sent(1, uuid="u")])
    if told_before:
        store.commit([told(2, refused=1)])
    assert [row.uuid for row in store.changes.withdraw(["u"], "p")] == ["u"]
    if not told_before:
        store.commit([told(2, refused=1)])
    assert sessions(store) == {"begun": 1, "refused": 1}


def test_so_many_names_of_mails_that_never_came_are_known(store: Store, tmp_path: Path) -> None:
    strange = {f"n{number}": {"begun": 1, "aborted": 1} for number in range(MAX_NAMES + 500)}
    store.commit([Report("p", 1, strange), told(2, begun=3, aborted=3)])
    store.put("n600")
    more = {f"m{number}": {"begun": 1, "aborted": 1} for number in range(MAX_NAMES)}
    store.commit([Report("p", 3, more)])
    for one in (store, again := killed(store, tmp_path)):
        assert sessions(one) == {"begun": 2 * MAX_NAMES + 503, "aborted": 2 * MAX_NAMES + 503}
        known = [name for name in ("n499", "n600", "n601", "m0", "m999", "default") if one.ledger.of(name)]
        assert known == ["n600", "m0", "m999", "default"]
    again.close()


# --- over the link


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    return listener


def test_a_link_that_cannot_tell_knows_so_many_names(run_loop: Run, log: Log, tmp_path: Path) -> None:
    async def go() -> None:
        link = Link(str(tmp_path / "s"), log.logger)
        for number in range(MAX_NAMES + 500):
            link.count(f"n{number}", "begun")
            link.count(f"n{number}", "aborted")
        store = Store("")
        inbox = Inbox(store, log.logger)
        server = LinkServer(inbox, log.logger)
        await server.start(listening(tmp_path / "s"))
        await link.start()
        everything = {"begun": MAX_NAMES + 500, "aborted": MAX_NAMES + 500}
        await until(lambda: store.ledger.of_all() == everything)
        assert store.ledger.of("") == {"begun": 500, "aborted": 500}
        assert store.ledger.of(f"n{MAX_NAMES}") == {}
        link.close()
        await until(lambda: not store.ledger.books)
        assert store.ledger.of_all() == everything
        await server.close()
        await inbox.close()

    run_loop(go())


class Killable:
    """An inbox process that can be killed: its store is left as it is."""

    def __init__(self, log: Log, tmp_path: Path, store: Store) -> None:
        self.inbox = Inbox(store, log.logger)
        self.store = store
        self.server = LinkServer(self.inbox, log.logger)
        self._path = tmp_path / "s"

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        await self.server.start(listening(self._path))

    async def close(self) -> None:
        await self.server.close()
        await self.inbox.close()


@pytest.mark.parametrize("read", [True, False], ids=["committed", "not read"])
def test_reports_and_counted_mails_that_were_not_acknowledged_are_told_again(
    run_loop: Run, log: Log, tmp_path: Path, *, read: bool
) -> None:
    """The first inbox commits them, or not, and is killed before it answers."""

    async def go() -> None:
        store = Store("")
        store.put("default", NamespaceSettings(keep="count"))
        first = listening(tmp_path / "s")
        first.listen()
        link = Link(str(tmp_path / "s"), log.logger)
        await link.start()
        connection, _address = await asyncio.get_running_loop().run_in_executor(None, first.accept)
        answers: list[str] = []
        link.count("default", "begun", 2)
        for number in range(2):
            head = Head(["default"], 1_800_000_000_000, "accepted", counted=Counted(f"u{number}", 100))
            link.send(f"u{number}", head, lambda: (), b"", answers.append)
        with connection:
            octets = b""
            while octets.count(b'"uuid":"u') < 2:
                octets += await asyncio.get_running_loop().run_in_executor(None, connection.recv, 65536)
        first.close()
        await until(lambda: not link.connected)
        if read:
            _file(store, octets)
        inbox = Killable(log, tmp_path, store)
        await inbox.start()
        await until(lambda: answers == ["", ""])
        link.count("default", "accepted", 2)
        await until(lambda: store.ledger.of("default") == {"begun": 2, "accepted": 2})
        assert (store.namespaces["default"].counters.counted_only, sessions(store)) == (2, {"begun": 2, "accepted": 2})
        link.close()
        await inbox.close()

    run_loop(go())


def _file(store: Store, octets: bytes) -> None:
    """What an inbox process does with these octets of a link."""
    process, reports, mails = "", [], []
    for said in LinkDecoder().feed(octets):
        if isinstance(said, Counts):
            process = said.process or process
            reports.append(Report(process, said.number, said.events, said.open))
        else:
            assert said.head.counted is not None
            mails.append(
                Arrival.to_be_counted(
                    said.head.counted.uuid, ("default",), 1_800_000_000_000, "accepted", 100, (process, said.number)
                )
            )
    store.commit([*reports, *mails])


def test_a_report_that_cannot_be_committed_is_told_again(run_loop: Run, log: Log, tmp_path: Path) -> None:
    async def go() -> None:
        store = Store("")
        inbox = Killable(log, tmp_path, store)
        await inbox.start()
        refused: list[str] = []
        store.connection.create_function("told", 0, lambda: refused.append("told"))
        store.connection.execute(
            "CREATE TRIGGER no BEFORE INSERT ON sessions BEGIN SELECT told(); SELECT RAISE(ABORT, 'no'); END"
        )
        link = Link(str(tmp_path / "s"), log.logger)
        await link.start()
        link.count("default", "begun", 2)
        await until(lambda: store.ledger.of("default") == {} and refused)
        await inbox.inbox.run(lambda store: store.connection.execute("DROP TRIGGER no"))
        await until(lambda: store.ledger.of("default") == {"begun": 2})
        link.close()
        await inbox.close()

    run_loop(go())


# --- the document


def test_the_ledger_of_a_namespace() -> None:
    counters = NamespaceCounters(accepted=5, stored=4, counted_only=1, deleted=1, by_outcome={"accepted": 5})
    events = {"begun": 9, "accepted": 4, "refused": 1, "aborted": 1, "moved": 1, "421": 2}
    events |= {"fault refused": 3, "fault delayed": 1, "rule slow": 1, "rule full": 3}
    assert make_ledger(events, (2, 1), counters) == {
        "sessions": {"begun": 9, "accepted": 4, "refused": 1, "aborted": 1, "moved": 1, "in_flight": 2},
        "store": {
            "present": 3,
            "accepted": 5,
            "counted_only": 1,
            "dropped": 0,
            "stored": 4,
            "deleted": 1,
            "evicted": 0,
            "expired": 0,
        },
        "outcomes": {"accepted": 5},
        "faults": {
            "refused": 3,
            "dropped": 0,
            "doubled": 0,
            "delayed": 1,
            "closed": 0,
            "rules": {"full": 3, "slow": 1},
        },
        "other": {"421": 2},
        "balanced": True,
    }


ACCEPTED = NamespaceCounters(accepted=1, stored=1)


@pytest.mark.parametrize(
    ("events", "in_flight", "counters"),
    [
        ({"accepted": 1}, (0, 0), ACCEPTED),
        ({"begun": 1}, (0, 0), NamespaceCounters()),
        ({"begun": 1, "accepted": 1}, (0, 0), NamespaceCounters()),
        ({"begun": 1}, (1, 0), ACCEPTED),
        ({"begun": 1, "accepted": 1}, (0, 0), NamespaceCounters(accepted=1)),
        ({}, (0, 0), NamespaceCounters(deleted=1)),
    ],
)
def test_a_ledger_that_is_not_balanced(
    events: dict[str, int], in_flight: tuple[int, int], counters: NamespaceCounters
) -> None:
    assert make_ledger(events, in_flight, counters)["balanced"] is False
