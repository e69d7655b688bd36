"""Every message of `corpus/` gives the facts of its index, whole and in pieces."""

from __future__ import annotations

import pytest
from captures import capture
from facts import FILES, check, read


@pytest.mark.parametrize("name", FILES)
def test_facts(name: str) -> None:
    octets = read(name)
    context = capture(octets)
    assert context is not None
    check(name, context)
    for piece in (1, 7, 1000):
        again = capture(octets, piece)
        assert again is not None
        assert {**again, "uuid": "", "received_at": ""} == {**context, "uuid": "", "received_at": ""}, piece
