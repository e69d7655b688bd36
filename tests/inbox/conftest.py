"""Starts real servers, and inboxes without one."""

from __future__ import annotations

from functools import partial

import pytest
from inboxserver import serving
from pools import LOOPS, Run, run
from startserver import serve

__all__ = ["run_loop", "serve", "serving"]


@pytest.fixture
def run_loop(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on asyncio in debug mode; it must leave nothing behind.

    On uvloop, too, with `on_both_loops`: where it matters how a transport pauses, ends, or is cancelled. What else
    the API does is the same on both; servers of other tests run on uvloop.
    """
    return partial(run, LOOPS[getattr(request, "param", "asyncio")])
