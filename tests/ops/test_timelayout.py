"""Layouts of Go: each of its constants, and what only looks like a part of one."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from fastsmtp.ops.timelayout import format_time

MOMENT = datetime(2026, 3, 9, 14, 5, 7, 120_300, timezone.utc)  # a Monday


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("01/02 03:04:05PM '06 -0700", "03/09 02:05:07PM '26 +0000"),  # Layout
        ("Mon Jan _2 15:04:05 2006", "Mon Mar  9 14:05:07 2026"),  # ANSIC
        ("Mon Jan 02 15:04:05 -0700 2006", "Mon Mar 09 14:05:07 +0000 2026"),  # RubyDate
        ("02 Jan 06 15:04 MST", "09 Mar 26 14:05 UTC"),  # RFC822
        ("Monday, 02-Jan-06 15:04:05 MST", "Monday, 09-Mar-26 14:05:07 UTC"),  # RFC850
        ("2006-01-02T15:04:05Z07:00", "2026-03-09T14:05:07Z"),  # RFC3339
        ("2006-01-02T15:04:05.999999999Z07:00", "2026-03-09T14:05:07.1203Z"),  # RFC3339Nano
        ("3:04PM", "2:05PM"),  # Kitchen
        ("Jan _2 15:04:05.000", "Mar  9 14:05:07.120"),  # StampMilli
        ("Jan _2 15:04:05.000000000", "Mar  9 14:05:07.120300000"),  # StampNano
        ("2006-01-02 15:04:05", "2026-03-09 14:05:07"),  # DateTime
        ("January 2, 2006 at 3:4:5 pm", "March 9, 2026 at 2:5:7 pm"),
        ("002 __2 1/2 -07:00 -07 Z0700", "068  68 3/9 +00:00 +00 Z"),
        ("15:04:05,999", "14:05:07,12"),
        ("[time] %d", "[time] %d"),
        ("", ""),
    ],
)
def test_layout(layout: str, text: str) -> None:
    assert format_time(MOMENT, layout) == text


def test_a_fraction_of_nothing_is_left_out_where_nines_ask_for_it() -> None:
    assert format_time(MOMENT.replace(microsecond=0), "05.999 05.000") == "07 07.000"


def test_midnight_and_noon() -> None:
    assert [format_time(MOMENT.replace(hour=hour), "3 15 PM") for hour in (0, 12)] == ["12 00 AM", "12 12 PM"]
