"""The limits of one listener's clients: who stays, who makes room, who is cut off after a while."""

from __future__ import annotations

import asyncio
import resource

import pytest
from transports import Transport
from waits import until

from fastsmtp.system.clients import ClientLimits, Clients
from fastsmtp.system.descriptors import most_descriptors, share

FOUR = ClientLimits(connections=4, wait_s=60, backlog=4)
SHORT = ClientLimits(connections=4, wait_s=0.02, backlog=4)


class Hall:
    """Clients by name, and which of them are still there."""

    def __init__(self, limits: ClientLimits) -> None:
        self.clients = Clients(limits)
        self.transports: dict[str, Transport] = {}

    def enter(self, name: str, *, timed: bool = False) -> bool:
        self.transports[name] = Transport()
        return self.clients.admit(self.transports[name], timed=timed)

    def serve(self, name: str) -> None:
        self.clients.on_serving(self.transports[name])

    def serve_once(self, name: str) -> None:
        self.serve(name)
        self.clients.on_idle(self.transports[name])

    def cut(self) -> list[str]:
        return [name for name, transport in self.transports.items() if transport.is_closing()]


def test_of_strangers_the_oldest_makes_room() -> None:
    hall = Hall(FOUR)
    assert [hall.enter(name) for name in "abcdef"] == [True] * 6
    assert hall.cut() == ["a", "b"]
    assert len(hall.clients) == 4


def test_half_of_the_places_are_safe_from_strangers() -> None:
    hall = Hall(FOUR)
    for name in "abcd":
        hall.enter(name)
        hall.serve_once(name)
    for name in "0123456789":
        hall.enter(name)
    assert hall.cut() == ["a", "b", *"01234567"]
    assert len(hall.clients) == 4


def test_one_that_is_served_does_not_make_room() -> None:
    hall = Hall(FOUR)
    for name in "abcd":
        hall.enter(name)
        hall.serve(name)
    assert not hall.enter("e")
    assert hall.cut() == []
    hall.clients.on_idle(hall.transports["c"])
    assert hall.enter("f")
    assert hall.cut() == ["c"]


def test_one_that_is_gone_counts_no_more() -> None:
    hall = Hall(FOUR)
    hall.enter("a")
    transport = hall.transports["a"]
    for forget in (hall.clients.forget, hall.clients.forget):
        forget(transport)
    for too_late in (hall.clients.on_idle, hall.clients.on_awaited, hall.clients.on_serving):
        too_late(transport)
    assert len(hall.clients) == 0


def test_one_that_is_awaited_has_its_time_and_no_more() -> None:
    async def work() -> None:
        hall = Hall(SHORT)
        hall.enter("silent", timed=True)
        hall.enter("idle")
        hall.enter("slow")
        hall.enter("busy", timed=True)
        hall.serve("busy")
        transport = hall.transports["slow"]
        while not transport.is_closing():
            hall.clients.on_awaited(transport)  # it sends octet by octet
            await asyncio.sleep(0)
        await until(lambda: hall.transports["silent"].is_closing())
        assert hall.cut() == ["silent", "slow"]
        hall.clients.on_awaited(hall.transports["busy"])
        await until(lambda: hall.transports["busy"].is_closing())
        hall.clients.abort()
        assert hall.cut() == ["silent", "idle", "slow", "busy"]
        assert len(hall.clients) == 0

    asyncio.run(work())


@pytest.mark.parametrize(
    ("wanted", "part", "soft", "got"), [(64, 16, 256, 16), (64, 16, 1024, 64), (1024, 8, 1024, 128), (8, 8, 4, 1)]
)
def test_a_share_is_lower_where_there_are_few_descriptors(
    monkeypatch: pytest.MonkeyPatch, wanted: int, part: int, soft: int, got: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert (most_descriptors(), share(wanted, part)) == (soft, got)


def test_without_a_limit_a_share_is_what_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert (most_descriptors(), share(64, 16)) == (0, 64)
    assert ClientLimits.within(16, connections=64, wait_s=1.0, backlog=32) == ClientLimits(64, 1.0, 32)
    assert ClientLimits(64, 1.0, 32).max_descriptors == 97
