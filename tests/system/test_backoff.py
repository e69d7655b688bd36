"""When a process is started again."""

from __future__ import annotations

from fastsmtp.system.backoff import Backoff


def test_they_double_up_to_the_last_and_begin_anew_after_a_long_life() -> None:
    delays = Backoff()
    assert [delays.after(lived_s) for lived_s in (1.0, 0.0, 59.9, 0.0, 0.0, 0.0, 0.0, 0.0)] == [
        0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0,
    ]  # fmt: skip
    assert [delays.after(lived_s) for lived_s in (60.0, 0.0)] == [0.1, 0.2]
