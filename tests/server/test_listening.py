"""The connections that listeners have, counted over all processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from destinations import Shelf
from listenings import make_listening

from fastsmtp.server.listening import (
    SMALL_READ_BYTES,
    TINY_READ_BYTES,
    TURNED_AWAY_UNDER_TLS,
    Listening,
    ReadBuffer,
)
from fastsmtp.server.protocol import SMTPProtocol
from fastsmtp.smtp.events import HEADROOM
from fastsmtp.system.sharedcount import SharedCount, shared_file

Make = Callable[[Listening], SMTPProtocol]


@pytest.fixture
def make() -> Iterator[Make]:
    """Connections that are not open."""
    loop = asyncio.new_event_loop()
    yield lambda listening: SMTPProtocol(listening, loop)
    loop.close()


def listening(**changes: Any) -> Listening:
    return make_listening([], Shelf(), **changes)


def test_others_are_those_of_this_process(make: Make) -> None:
    ours = listening()
    first, second = make(ours), make(ours)
    assert [ours.enter(first), ours.enter(second)] == [0, 1]
    ours.leave(first)
    ours.leave(first)
    assert ours.connections == {second}


def test_others_are_those_of_all_processes(make: Make) -> None:
    descriptor = shared_file(2)
    of_another = SharedCount(descriptor, 1)
    of_another.set(5)
    ours = listening(shared=SharedCount(descriptor, 0))
    first, second = make(ours), make(ours)
    assert [ours.enter(first), ours.enter(second)] == [5, 6]
    assert of_another.total() == 7
    ours.leave(first)
    assert of_another.total() == 6
    os.close(descriptor)


@pytest.mark.parametrize(
    ("max_connections", "others", "may"),
    [
        (0, 10_000, True),
        (2, 1, True),
        (2, 1 + TURNED_AWAY_UNDER_TLS, True),
        (2, 2 + TURNED_AWAY_UNDER_TLS, False),
    ],
)
def test_some_are_turned_away_under_tls(max_connections: int, others: int, may: bool) -> None:
    assert listening(max_connections=max_connections).may_shake_hands(others) is may


def test_views_of_the_buffer_begin_behind_the_headroom() -> None:
    buffer = ReadBuffer()
    for octet, view in enumerate((buffer.view, buffer.small_view, buffer.tiny_view)):
        view[0] = octet
        assert buffer.octets[HEADROOM] == octet
    assert (len(buffer.small_view), len(buffer.tiny_view)) == (SMALL_READ_BYTES, TINY_READ_BYTES)
