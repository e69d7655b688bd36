"""Every test of workers and pools runs on asyncio in debug mode and on uvloop."""

from __future__ import annotations

from functools import partial

import pytest
from pools import LOOPS, RELAYS, Log, Run, run


@pytest.fixture(params=LOOPS)
def run_loop(request: pytest.FixtureRequest) -> Run:
    return partial(run, LOOPS[request.param])


@pytest.fixture(params=RELAYS, ids=["unix", "pipes", "tcp"])
def relay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def log() -> Log:
    return Log()
