"""Which connections wait while too much mail is in memory, and that none waits for ever."""

from __future__ import annotations

import random

import pytest

from fastsmtp.server.backpressure import Backpressure


class Reader:
    """A connection's side: only whether it is read matters."""

    def __init__(self) -> None:
        self.paused = False
        self.complete = False
        self.has_unread = True
        self.is_shed = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def shed(self) -> None:
        self.is_shed = True


@pytest.fixture
def readers() -> list[Reader]:
    return [Reader() for _ in range(3)]


def begun(limit: int, readers: list[Reader]) -> Backpressure:
    """With nothing held but for an octet each, in their order."""
    backpressure = Backpressure(limit, share=0)
    for reader in readers:
        backpressure.hold(reader, 1)
    return backpressure


def paused(readers: list[Reader]) -> list[bool]:
    return [reader.paused for reader in readers]


def test_above_the_limit_only_the_oldest_is_read(readers: list[Reader]) -> None:
    backpressure = begun(100, readers)
    for reader in readers:
        backpressure.hold(reader, 40)
    assert paused(readers) == [False, False, True]
    backpressure.hold(readers[1], 50)
    backpressure.hold(readers[0], 1000)
    assert paused(readers) == [False, True, True]
    assert backpressure.held == 1090


def test_what_is_held_beside_connections_counts_and_pauses_none_by_itself(readers: list[Reader]) -> None:
    backpressure = begun(100, readers)
    backpressure.hold(readers[0], 30)
    backpressure.hold_beside(90)
    assert (backpressure.held, backpressure.is_short, paused(readers)) == (122, True, [False, False, False])
    backpressure.hold(readers[1], 30)
    assert paused(readers) == [False, True, False]
    backpressure.hold_beside(20)
    assert (backpressure.held, paused(readers)) == (81, [False, False, False])
    backpressure.hold_beside(0)
    assert backpressure.held == 61


def test_the_next_oldest_is_read_when_the_oldest_has_ended(readers: list[Reader]) -> None:
    backpressure = begun(100, readers)
    for reader in reversed(readers):
        backpressure.hold(reader, 80)
    backpressure.hold(readers[2], 81)
    assert paused(readers) == [False, True, True]
    backpressure.hold(readers[0], 0)
    assert paused(readers) == [False, False, True]
    backpressure.hold(readers[1], 0)
    assert paused(readers) == [False, False, False]
    assert backpressure.held == 81


def test_all_are_read_when_a_transaction_gives_memory_back(readers: list[Reader]) -> None:
    backpressure = begun(100, readers)
    backpressure.hold(readers[0], 90)
    backpressure.hold(readers[1], 20)
    assert paused(readers) == [False, True, False]
    backpressure.hold(readers[0], 0)  # written to a file, or dropped
    assert paused(readers) == [False, False, False]


def test_who_was_paused_with_its_last_octets_is_read_after_its_transaction(readers: list[Reader]) -> None:
    backpressure = begun(100, readers)
    backpressure.hold(readers[0], 200)
    backpressure.hold(readers[1], 1)
    assert paused(readers) == [False, True, False]
    backpressure.hold(readers[1], 0)
    assert paused(readers) == [False, False, False]


def test_without_a_limit_nobody_waits(readers: list[Reader]) -> None:
    backpressure = begun(0, readers)
    for reader in readers:
        backpressure.hold(reader, 10**12)
    assert paused(readers) == [False, False, False]


@pytest.mark.parametrize("share", [0, 100])
@pytest.mark.parametrize("seed", range(20))
def test_nobody_is_left_paused_whatever_happens(seed: int, share: int) -> None:
    chooser = random.Random(seed)
    backpressure = Backpressure(1000, share)
    running: list[Reader] = []
    ended: list[Reader] = []
    held: dict[Reader, int] = {}
    for _ in range(2000):
        if not running or chooser.random() < 0.1:
            running.append(Reader())
        reader = chooser.choice(running)
        if chooser.random() < 0.1:
            held.pop(reader, None)
            backpressure.hold(reader, 0)
            running.remove(reader)
            ended.append(reader)
        elif not reader.paused:
            held[reader] = chooser.randrange(800)
            backpressure.hold(reader, held[reader])
        assert backpressure.held == sum(held.values())
        assert not any(reader.paused for reader in ended)
        assert not any(reader.paused for reader in running if held.get(reader, 0) <= share)
        assert not running or not all(paused(running))  # one is always read
        assert backpressure.held > 1000 or not any(paused(running))
    for reader in running:
        backpressure.hold(reader, 0)
    assert backpressure.held == 0
    assert not any(paused(running))


def test_who_holds_no_more_than_its_share_is_read_whatever_the_others_hold(readers: list[Reader]) -> None:
    backpressure = Backpressure(100, share=50)
    backpressure.hold(readers[0], 1000)
    backpressure.hold(readers[1], 50)
    backpressure.hold(readers[2], 51)
    assert paused(readers) == [False, False, True]
    backpressure.hold(readers[2], 10)
    assert paused(readers) == [False, False, False]


@pytest.mark.parametrize(("limit", "held", "short"), [(100, 100, False), (100, 101, True), (0, 10**9, False)])
def test_memory_is_short_above_the_limit(readers: list[Reader], limit: int, held: int, short: bool) -> None:
    backpressure = Backpressure(limit)
    backpressure.hold(readers[0], held)
    assert backpressure.is_short is short


class TestTurns:
    """Above the limit one transaction is read on; which one, when its client only trickles."""

    def test_who_trickles_loses_the_turn_to_who_waits_longest(self, readers: list[Reader]) -> None:
        backpressure = begun(100, readers)
        backpressure.hold(readers[0], 10)
        backpressure.hold(readers[2], 100_000)
        backpressure.hold(readers[1], 100_000)
        assert paused(readers) == [False, True, True]
        backpressure.look(10.0)
        backpressure.hold(readers[0], 20)
        backpressure.look(11.0)  # too soon to judge
        assert paused(readers) == [False, True, True]
        backpressure.look(12.5)
        assert paused(readers) == [False, True, False]
        backpressure.hold(readers[0], 30)
        backpressure.hold(readers[2], 200_000)
        assert paused(readers) == [True, True, False]
        backpressure.hold(readers[2], 0)
        assert paused(readers) == [False, True, False]

    def test_time_that_the_process_stood_still_is_charged_to_nobody(self, readers: list[Reader]) -> None:
        backpressure = begun(100, readers)
        for reader in readers:
            backpressure.hold(reader, 1000)
        backpressure.look(10.0)
        backpressure.look(21.0, 10.0)
        assert paused(readers) == [False, True, True]
        backpressure.look(22.5)
        assert paused(readers) == [False, False, True]

    def test_who_gets_on_keeps_the_turn(self, readers: list[Reader]) -> None:
        backpressure = begun(100, readers)
        backpressure.hold(readers[1], 1000)
        for second in range(0, 30, 3):
            backpressure.hold(readers[0], 1 + second * 100_000)
            backpressure.look(float(second))
            assert paused(readers) == [False, True, False]

    def test_who_waits_for_a_worker_keeps_the_turn(self, readers: list[Reader]) -> None:
        backpressure = begun(100, readers)
        backpressure.hold(readers[0], 1000)
        backpressure.hold(readers[1], 1000)
        readers[0].complete = True
        for second in range(0, 30, 3):
            backpressure.look(float(second))
            assert paused(readers) == [False, True, False]

    def test_who_has_sent_nothing_gets_no_turn(self, readers: list[Reader]) -> None:
        backpressure = begun(100, readers)
        for reader in readers:
            backpressure.hold(reader, 1000)
        readers[1].has_unread = False
        backpressure.look(10.0)
        backpressure.look(12.5)
        assert paused(readers) == [False, True, False]
        readers[2].has_unread = False
        backpressure.hold(readers[0], 1001)
        backpressure.look(15.0)
        assert paused(readers) == [False, True, False]  # the client of the first has sent something
        readers[0].has_unread = False
        backpressure.hold(readers[2], 1001)
        backpressure.look(17.5)
        backpressure.look(20.0)
        assert paused(readers) == [False, True, True]  # the first keeps it, as no other asks for it

    @pytest.mark.parametrize(("held", "shed"), [(100_000, False), (1_000_000, True)])
    def test_who_stops_where_far_too_much_is_held_gives_up_its_mail(
        self, readers: list[Reader], held: int, shed: bool
    ) -> None:
        backpressure = begun(100, readers)
        for reader in readers:
            backpressure.hold(reader, held // 3)
        backpressure.look(10.0)
        backpressure.look(12.5)
        assert [reader.is_shed for reader in readers] == [shed, False, False]

    def test_nobody_has_a_turn_below_the_limit(self, readers: list[Reader]) -> None:
        backpressure = begun(100, readers)
        for second in range(0, 30, 3):
            backpressure.look(float(second))
            backpressure.hold(readers[2], second)
            assert paused(readers) == [False, False, False]
