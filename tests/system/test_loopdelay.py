"""How late an event loop is, on a clock that a test moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from transports import StoppedLoop

from fastsmtp.system.loopdelay import BUSY_S, INTERVAL_S, Delay, LoopDelay


@dataclass
class Watched:
    """A loop that is watched, and what was seen."""

    loop: StoppedLoop = field(default_factory=StoppedLoop)
    seen: list[Delay] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.delay = LoopDelay(self.seen.append)
        self.loop.call_soon(self.delay.start)
        self.loop.turn()

    def told(self) -> list[tuple[float, str]]:
        """Delays and mails since the last time."""
        seen, self.seen[:] = list(self.seen), []
        return [(round(delay.late_s, 3), delay.mail) for delay in seen]


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.delay.stop()
    watched.loop.close()


def test_a_loop_with_nothing_to_do_is_punctual(watched: Watched) -> None:
    watched.loop.advance(1.0 + INTERVAL_S / 2)
    assert {late_s < 0.01 for late_s, _mail in watched.told()} == {True}


def test_a_delay_and_the_mail_that_took_the_longest(watched: Watched) -> None:
    watched.delay.worked("short", BUSY_S)
    watched.delay.worked("longest", 0.3)
    watched.delay.worked("long", 0.2)
    watched.loop.stall(INTERVAL_S + 0.4)
    watched.loop.stall(INTERVAL_S)
    assert watched.told() == [(0.4, "longest"), (0.0, "")]


def test_cpu_is_counted_from_look_to_look(watched: Watched) -> None:
    for _ in range(2):
        sum(range(300_000))
        watched.loop.stall(INTERVAL_S)
    sums = [delay.cpu_s for delay in watched.seen]
    assert (len(sums), min(sums) > 0, max(sums) < 60) == (2, True, True)


def test_nothing_is_seen_after_the_end(watched: Watched) -> None:
    watched.delay.stop()
    watched.delay.stop()
    watched.loop.stall(1.0)
    assert watched.told() == []


def test_an_end_without_a_beginning() -> None:
    seen: list[Delay] = []
    LoopDelay(seen.append).stop()
    assert seen == []
