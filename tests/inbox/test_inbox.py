"""The inbox: what was answered is visible, waits see each mail once, and are told of the end of a namespace."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from arrivals import arrival
from pools import Log, Run
from waits import until

from fastsmtp.errors import StoreError
from fastsmtp.inbox.events import EventFrame, Stream
from fastsmtp.inbox.expectation import Expectation, ExpectationState, make_item
from fastsmtp.inbox.group import Filed
from fastsmtp.inbox.inbox import GoneError, Inbox
from fastsmtp.inbox.observation import LIGHT
from fastsmtp.inbox.store import Store
from fastsmtp.inbox.watchers import MAX_WATCHERS, TooManyWatchers, Watcher
from fastsmtp.inbox.where import Candidate, Where

Work = Callable[[Inbox], Awaitable[None]]


@pytest.fixture
def with_inbox(run_loop: Run, log: Log) -> Callable[[Work], None]:
    """Do the work with an inbox in memory."""

    def do(work: Work) -> None:
        async def go() -> None:
            inbox = Inbox(Store(""), log.logger)
            try:
                await work(inbox)
            finally:
                await inbox.close()

        run_loop(go())

    return do


async def file(inbox: Inbox, **changes: object) -> Filed:
    """Commit a mail and return where it is."""
    answered: asyncio.Future[list[Filed] | StoreError] = asyncio.get_running_loop().create_future()
    inbox.file(arrival(*changes.pop("namespaces", ()), **changes), answered.set_result)  # type: ignore[misc, arg-type]
    assert not answered.done()  # never from within the call
    places = await answered
    assert isinstance(places, list)
    return places[0]


async def taken(inbox: Inbox, stream: Stream) -> list[EventFrame]:
    """What a stream is told of all that has happened until now."""
    await until(lambda: not inbox.events.untold)
    return stream.take()


def waiting_for(count: int, **where: str) -> Expectation:
    return Expectation(
        [make_item({"where": where, "exactly": count}, "", lambda value, pointer: float(value))], settle_s=0
    )


def test_a_mail_is_visible_before_it_is_answered(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        for number in range(1, 4):
            filed = await file(inbox, subject=str(number))
            assert (filed.seq, inbox.cursor(filed.namespace).seq) == (number, number)
            assert (await inbox.find(filed.namespace, limit=1)).rows[0].seq == number

    with_inbox(work)


def test_mails_at_once_share_commits(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        seqs = [filed.seq for filed in await asyncio.gather(*(file(inbox) for _ in range(700)))]
        assert (seqs, inbox.commits) == (list(range(1, 701)), 3)  # the first alone, 500, the rest

    with_inbox(work)


def test_lists_go_on_where_they_ended(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        await asyncio.gather(*(file(inbox, subject=str(number % 7)) for number in range(1000)))
        space = inbox.namespace("default")
        assert space is not None
        where, found, before = Where({"subject": "3"}), [], None
        while True:
            part = await inbox.find(space, where, limit=10, before=before)
            found += [row.seq for row in part.rows]
            if part.following is None:
                break
            before = part.following
        assert found == [number + 1 for number in reversed(range(1000)) if number % 7 == 3]

    with_inbox(work)


class Slow:
    """A condition that looks at a mail for as long as it takes."""

    recipient = None

    def __init__(self) -> None:
        self.looking, self.goes_on = threading.Event(), threading.Event()

    def __call__(self, mail: Candidate) -> bool:
        self.looking.set()
        return self.goes_on.wait(60)


def test_mails_do_not_wait_for_a_search(with_inbox: Callable[[Work], None]) -> None:
    """A pattern may have to be looked for at each place of a large text."""

    async def work(inbox: Inbox) -> None:
        for _ in range(3):
            filed = await file(inbox)
        one, all_of_them = Slow(), Slow()
        found = asyncio.ensure_future(inbox.find(filed.namespace, one, limit=2))

        async def seqs() -> list[int]:
            return [row.seq async for rows in inbox.slices_of_all(all_of_them) for row in rows]

        found_anywhere = asyncio.ensure_future(seqs())
        assert await asyncio.to_thread(lambda: one.looking.wait(60) and all_of_them.looking.wait(60))
        assert (await file(inbox)).seq == 4
        one.goes_on.set()
        all_of_them.goes_on.set()
        assert [row.seq for row in (await found).rows] == [3, 2]
        assert await found_anywhere == [3, 2, 1]

    with_inbox(work)


def test_streams_are_told_of_many_mails_in_steps(with_inbox: Callable[[Work], None]) -> None:
    """A group of 500 mails was told to all streams in one step of the loop: 50 000 calls for 100 of them."""

    async def work(inbox: Inbox) -> None:
        space = await inbox.put("default")
        streams = [inbox.events.open(space), inbox.events.open()]
        await asyncio.gather(*(file(inbox) for _ in range(600)))
        late = inbox.events.open(space)
        filed = await file(inbox, subject="last")
        assert [(frame.seq, frame.content["count"]) for frame in await taken(inbox, late)] == [(filed.seq, 1)]
        for stream in streams:
            (frame,) = (frame for frame in stream.take() if frame.event == "mail")
            assert (frame.seq, frame.content["mails"][-1]["subject"]) == (filed.seq, "last")

    with_inbox(work)


@pytest.mark.parametrize("there", [0, 3, 5, 400])
def test_a_wait_sees_each_mail_once(with_inbox: Callable[[Work], None], there: int) -> None:
    """Some mails are there, others come while these are read, the rest later."""

    async def work(inbox: Inbox) -> None:
        space = await inbox.put("default")
        for _ in range(there):
            await file(inbox)
        expectation = waiting_for(there + 20)
        wait = asyncio.ensure_future(inbox.observe(space, expectation, after=0, within_s=30))
        await asyncio.gather(*(file(inbox) for _ in range(10)))
        for _ in range(10):
            await file(inbox)
        assert (await wait)[0] is ExpectationState.MET
        assert [seen.seq for seen in expectation.items[0].seen] == list(range(1, there + 21))

    with_inbox(work)


def test_a_wait_for_one_recipient(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        space = await inbox.put("default")
        await asyncio.gather(*(file(inbox, to=f"u{number % 5}@example.com") for number in range(20)))
        expectation = waiting_for(5, to="U3@example.com")
        recipient = expectation.items[0].where.recipient
        wait = asyncio.ensure_future(inbox.observe(space, expectation, after=4, within_s=30, recipient=recipient))
        await file(inbox, to="u4@example.com")
        await file(inbox, to="u3@example.com")
        await file(inbox, to="u3@example.com")
        assert (await wait)[0] is ExpectationState.MET
        assert [seen.seq for seen in expectation.items[0].seen] == [9, 14, 19, 22, 23]

    with_inbox(work)


def test_a_recipient_is_found_wherever_its_field_is(with_inbox: Callable[[Work], None]) -> None:
    """`to` is of the header; the envelope may name others."""

    async def work(inbox: Inbox) -> None:
        space = await inbox.put("default")
        await file(inbox, to="list@example.com", rcpt=["x@example.com"])
        for where in ({"to": "list@example.com"}, {"rcpt": "x@example.com"}):
            expectation = waiting_for(1, **where)
            recipient = expectation.items[0].where.recipient
            state, _elapsed_s = await inbox.observe(space, expectation, after=0, within_s=30, recipient=recipient)
            assert (state, expectation.count) == (ExpectationState.MET, 1)

    with_inbox(work)


def test_a_wait_in_vain(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        space = await inbox.put("default")
        await file(inbox)
        state, elapsed_s = await inbox.observe(space, waiting_for(2), after=0, within_s=0.05)
        assert (state, elapsed_s >= 0.05, len(inbox.watchers)) == (ExpectationState.OPEN, True, 0)

    with_inbox(work)


def test_too_much_ends_a_wait_at_once(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        space = await inbox.put("default")
        wait = asyncio.ensure_future(inbox.observe(space, waiting_for(0), after=0, within_s=3600))
        await until(lambda: len(inbox.watchers))
        await file(inbox)
        assert (await wait)[0] is ExpectationState.VIOLATED

    with_inbox(work)


def test_many_waits_that_one_mail_ends_end_a_few_at_a_time(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        space = await inbox.put("default")
        waits = [
            asyncio.ensure_future(inbox.observe(space, waiting_for(1), after=0, within_s=3600)) for _ in range(100)
        ]
        await until(lambda: len(inbox.watchers) == 100)
        filing = asyncio.ensure_future(file(inbox))
        ended = [0]  # after each turn of the loop
        while ended[-1] < len(waits):
            await asyncio.sleep(0)
            ended.append(sum(wait.done() for wait in waits))
        assert (await filing).seq == 1
        assert {wait.result()[0] for wait in waits} == {ExpectationState.MET}
        assert max(later - earlier for earlier, later in itertools.pairwise(ended)) <= 8

    with_inbox(work)


@pytest.mark.parametrize("there", [0, 2, 4])
def test_large_mails_are_judged_in_their_order_and_their_payloads_are_read_again(
    with_inbox: Callable[[Work], None], there: int
) -> None:
    texts = ["x" * LIGHT + "end", "end", "y" * LIGHT + "end", "z"]

    async def work(inbox: Inbox) -> None:
        space = await inbox.put("default")
        for number in range(there):
            await file(inbox, subject=str(number), text=texts[number])
        item = make_item({"where": {"text": "*end"}, "exactly": 3, "in_order": "subject"}, "", lambda value, _: value)
        expectation = Expectation([item], settle_s=0)
        wait = asyncio.ensure_future(inbox.observe(space, expectation, after=0, within_s=3600))
        await until(lambda: len(inbox.watchers))
        for number in range(there, 4):
            await file(inbox, subject=str(number), text=texts[number])
        assert (await wait)[0] is ExpectationState.MET
        assert [(seen.seq, seen.mail.message["text"]) for seen in item.seen] == list(enumerate(texts[:3], 1))

    with_inbox(work)


def test_refused_mails_wake_nothing(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        space = await inbox.put("default")
        expectation = waiting_for(1, subject="good")
        wait = asyncio.ensure_future(inbox.observe(space, expectation, after=0, within_s=30))
        await file(inbox, subject="good", outcome="worker-failed")
        filed = await file(inbox, subject="good")
        assert (await wait)[0] is ExpectationState.MET
        assert [seen.seq for seen in expectation.items[0].seen] == [filed.seq] == [2]
        assert [row.seq for row in (await inbox.find(space)).rows] == [2]
        assert [row.seq for row in (await inbox.find(space, outcomes=None)).rows] == [2, 1]

    with_inbox(work)


def test_a_namespace_that_ends_ends_its_waits(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        space = await inbox.put("a")
        cursor = str(inbox.cursor(space))
        wait = asyncio.ensure_future(inbox.observe(space, waiting_for(1), after=0, within_s=3600))
        await until(lambda: len(inbox.watchers))
        await inbox.end("a")
        with pytest.raises(GoneError, match="the namespace was deleted meanwhile"):
            await wait
        again = await inbox.put("a")
        with pytest.raises(GoneError, match="the cursor is of a namespace that was deleted"):
            inbox.position(again, cursor)

    with_inbox(work)


def test_waits_of_a_namespace_are_limited(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        a, b = await inbox.put("a"), await inbox.put("b")
        watchers = [Watcher(a.id, None, lambda mail: None, lambda: None) for _ in range(MAX_WATCHERS)]
        for watcher in watchers:
            inbox.watchers.add(watcher)
        with pytest.raises(TooManyWatchers):
            await inbox.observe(a, waiting_for(1), after=0, within_s=1)
        await file(inbox, namespaces=("b",))
        assert (await inbox.observe(b, waiting_for(1), after=0, within_s=30))[0] is ExpectationState.MET
        for watcher in (*watchers, *watchers):  # twice is no harm
            inbox.watchers.remove(watcher)
        assert len(inbox.watchers) == 0

    with_inbox(work)


def test_what_a_store_cannot_take_is_answered(run_loop: Run, log: Log, tmp_path: Path) -> None:
    async def go() -> None:
        inbox = Inbox(Store(str(tmp_path)), log.logger)
        answers: list[object] = []
        inbox.file(arrival(raw=str(tmp_path / ("x" * 300))), answers.append)
        inbox.file(arrival(), answers.append)
        await until(lambda: len(answers) == 2)
        assert str(answers[0]) == "mails cannot be stored: File name too long"
        assert isinstance(answers[1], list)
        await inbox.close()

    run_loop(go())


# --- streams


def test_a_stream_tells_what_happens(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        space, other = await inbox.put("a"), await inbox.put("b")
        stream, everything = inbox.events.open(space), inbox.events.open()
        await file(inbox, namespaces=("a",), subject="one")
        await file(inbox, namespaces=("b",), subject="other")
        (row,) = (await inbox.find(space)).rows
        (changed,) = await inbox.mark([row], read=True)
        await inbox.delete([changed])
        await inbox.empty(other)
        told = [(frame.event, frame.seq, frame.content) for frame in await taken(inbox, stream)]
        assert [(event, seq) for event, seq, _content in told] == [("mail", 1), ("update", 1), ("delete", 1)]
        assert [mail["subject"] for mail in told[0][2]["mails"]] == ["one"]
        assert told[1][2] == {"uuid": row.uuid, "seq": 1, "read": True, "tags": []}
        assert told[2][2] == {"uuid": row.uuid, "seq": 1}
        names = [(frame.event, frame.namespace.name) for frame in everything.take()]
        assert names == [("mail", "a"), ("mail", "b"), ("update", "a"), ("delete", "a"), ("purge", "b")]
        assert (stream.take(), stream.changed.is_set()) == ([], False)
        await inbox.end("a")
        assert ([frame.event for frame in await taken(inbox, stream)], stream.ended) == (["purge"], True)
        inbox.events.close(stream)
        inbox.events.close(stream)

    with_inbox(work)


def test_a_burst_is_one_frame(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        space = await inbox.put("default")
        stream = inbox.events.open(space)
        await asyncio.gather(*(file(inbox) for _ in range(500)))
        (frame,) = await taken(inbox, stream)
        assert (frame.seq, frame.content["count"]) == (500, 500)
        assert [mail["seq"] for mail in frame.content["mails"]] == list(range(451, 501))

    with_inbox(work)


def test_a_stream_that_is_not_read_holds_no_more_than_so_much(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        space = await inbox.put("default")
        await asyncio.gather(*(file(inbox) for _ in range(1500)))
        stream = inbox.events.open(space)
        await inbox.delete((await inbox.find(space, limit=1500)).rows)
        frames = await taken(inbox, stream)
        assert (len(frames), frames[-1].event) == (1001, "overflow")

    with_inbox(work)


def test_a_stream_of_all_that_is_not_read_holds_no_more_than_so_much(with_inbox: Callable[[Work], None]) -> None:
    async def work(inbox: Inbox) -> None:
        stream = inbox.events.open()
        await asyncio.gather(*(file(inbox, namespaces=(f"n{number}",)) for number in range(1300)))
        *mails, overflow = await taken(inbox, stream)
        assert [(frame.event, frame.content["count"]) for frame in mails] == [("mail", 1)] * 300
        assert (overflow.event, stream.take()) == ("overflow", [])

    with_inbox(work)
