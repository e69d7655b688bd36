"""UUIDs: version, variant, order."""

from __future__ import annotations

import time
import uuid

from fastsmtp.capture.identifier import uuid7


def test_is_a_uuid_of_version_7_made_now() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(uuid7())
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after + 1


def test_sorts_in_the_order_of_making() -> None:
    made = [uuid7() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_sorts_on_when_the_clock_is_set_back() -> None:
    newest = uuid7()
    made = [uuid7(lambda: 1_000_000_000) for _ in range(5000)]
    assert [newest, *made] == sorted({newest, *made})
