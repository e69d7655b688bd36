"""What a client is given time for, on a clock that is told."""

from __future__ import annotations

import pytest

from fastsmtp.server.clienttimeouts import HANDSHAKE_S, ClientTimeouts


def test_silence() -> None:
    timeouts = ClientTimeouts(60.0, 10.0)
    timeouts.since = 1000.0
    assert not timeouts.awaits_reader
    assert not timeouts.sender_is_late(1060.0)
    assert timeouts.sender_is_late(1060.5)


def test_a_client_that_reads_nothing_is_late_and_one_that_reads_slowly_is_not() -> None:
    timeouts = ClientTimeouts(60.0, 10.0)
    timeouts.await_reader(1000.0, 500)
    assert timeouts.awaits_reader
    assert not timeouts.reader_is_late(1009.0, 499)  # it read one octet: the time begins again
    assert not timeouts.reader_is_late(1019.0, 499)
    assert timeouts.reader_is_late(1019.5, 499)
    timeouts.end_waiting(1020.0)
    assert not timeouts.awaits_reader
    assert timeouts.since == 1020.0


def test_time_in_which_the_process_stood_still_is_not_charged() -> None:
    timeouts = ClientTimeouts(60.0, 10.0)
    timeouts.since = 1000.0
    timeouts.await_reader(1000.0, 500)
    timeouts.stand_still(30.0, 1035.0)
    assert timeouts.since == 1030.0
    assert not timeouts.reader_is_late(1040.0, 500)
    assert timeouts.reader_is_late(1040.5, 500)


def test_nothing_is_awaited_from_the_future() -> None:
    """What began while the process stood still begins when it goes on."""
    timeouts = ClientTimeouts(60.0, 10.0)
    timeouts.since = 1000.0
    timeouts.stand_still(30.0, 1010.0)
    assert timeouts.since == 1010.0
    assert not timeouts.awaits_reader


def test_without_timeouts_all_but_a_handshake_may_take_for_ever() -> None:
    timeouts = ClientTimeouts(0.0, 0.0)
    timeouts.since = 1000.0
    timeouts.await_reader(1000.0, 500)
    assert not timeouts.sender_is_late(1e9)
    assert not timeouts.reader_is_late(1e9, 500)
    assert timeouts.handshake_is_late(1e9)


@pytest.mark.parametrize(("read_timeout_s", "allowed_s"), [(5.0, 5.0), (0.0, HANDSHAKE_S)])
def test_a_handshake_has_the_time_of_a_command(read_timeout_s: float, allowed_s: float) -> None:
    timeouts = ClientTimeouts(read_timeout_s, 10.0)
    timeouts.since = 1000.0
    assert not timeouts.handshake_is_late(1000.0 + allowed_s)
    assert timeouts.handshake_is_late(1000.5 + allowed_s)
