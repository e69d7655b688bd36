"""What every test shares."""

from __future__ import annotations

import os
from functools import partial

import pytest
from leftovers import no_leftovers  # noqa: F401
from pools import LOOPS, RELAYS, Log, Run, run

from fastsmtp.capture.attachments import TempfileStorage


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Tempfiles are made, and writing to them fails as on a full disk, until `full_disk.undo()`."""
    create = TempfileStorage._create

    def create_on_full_disk(storage: TempfileStorage, name: str) -> tuple[int, str]:
        descriptor, path = create(storage, name)
        full = os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(full, descriptor, inheritable=False)
        os.close(full)
        return descriptor, path

    monkeypatch.setattr(TempfileStorage, "_create", create_on_full_disk)
    return monkeypatch


@pytest.fixture(params=LOOPS)
def run_loop(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on asyncio in debug mode, and on uvloop; it must leave nothing behind."""
    return partial(run, LOOPS[request.param])


@pytest.fixture(params=RELAYS, ids=["unix", "pipes", "tcp"])
def relay(request: pytest.FixtureRequest) -> str:
    """Each way in which workers reach us."""
    return str(request.param)


@pytest.fixture
def log() -> Log:
    """A log whose records are kept."""
    return Log()
