"""Names on the NATS servers."""

from __future__ import annotations

import pytest

from fastsmtp.cluster.subjects import (
    Subjects,
    dead_stream_name,
    namespace_of,
    partition_of,
    stream_name,
    subjects_of,
)


@pytest.mark.parametrize(
    ("text", "value"),
    # Of FNV's own test vectors, http://www.isthe.com/chongo/src/fnv/test_fnv.c.
    [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)],
)
def test_the_partition_is_fnv_1a(text: str, value: int) -> None:
    assert [partition_of(text, count) for count in (1, 16, 2**32)] == [0, value % 16, value]


@pytest.mark.parametrize("namespace", ["default", "run-42/w3", "a..b.", "x" * 64])
def test_a_namespace_is_one_token_and_found_again(namespace: str) -> None:
    subjects = subjects_of(namespace, 4)
    token = namespace.replace(".", "~")
    partition = partition_of(namespace, 4)
    assert subjects == (f"m.{partition}.{token}", f"c.{partition}.{token}")
    assert namespace_of(subjects.mail) == namespace


def test_the_way_to_the_dead_and_back() -> None:
    alive = subjects_of("default", 4)
    dead = alive.dead()
    assert dead == (alive.mail.replace("m.", "dead."), alive.mail.replace("m.", "deadc."))
    assert (dead.alive(), Subjects.of(dead.mail), Subjects.of(alive.mail)) == (alive, dead, alive)


def test_names_of_streams() -> None:
    assert (stream_name("X", 7), dead_stream_name("X")) == ("X-7", "X-dead")
