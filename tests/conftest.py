"""What every test shares."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from leftovers import no_leftovers  # noqa: F401
from pools import LOOPS, RELAYS, Log, Run, run

# No limits of time: on a busy machine an example takes as long as it takes. pytest ends a test that goes on for ever.
settings.register_profile("fastsmtp", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Where the same was tried on another interpreter with as many examples as usual: `ci/pythons`.
settings.register_profile("few", settings.get_profile("fastsmtp"), max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fastsmtp"))


# A shell that runs the tests in the background has SIGINT ignored, and programs inherit that: Ctrl-C would end none.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Files can be made, and writing to new ones fails as on a full disk, until `full_disk.undo()`."""
    open_anywhere = os.open

    def open_on_full_disk(path: str, flags: int, *arguments: Any, **options: Any) -> int:
        descriptor = open_anywhere(path, flags, *arguments, **options)
        if flags & os.O_CREAT:
            full = open_anywhere("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(full, descriptor, inheritable=False)
            os.close(full)
        return descriptor

    monkeypatch.setattr(os, "open", open_on_full_disk)
    return monkeypatch


@pytest.fixture(params=LOOPS)
def run_loop(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on asyncio in debug mode, and on uvloop; it must leave nothing behind."""
    return partial(run, LOOPS[request.param])


@pytest.fixture(params=RELAYS, ids=["unix", "pipes", "tcp"])
def relay(request: pytest.FixtureRequest) -> str:
    """Each way in which workers reach us."""
    return str(request.param)


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty directory in the place of /tmp, for this process and those it starts; short, for paths of sockets.

    Every test has its own: a server that starts removes what killed ones have left there, and says so.
    """
    tmp_path_factory.getbasetemp()  # stays where it is
    # Not the fixture `monkeypatch`: tests undo that.
    with (
        tempfile.TemporaryDirectory(prefix="t", ignore_cleanup_errors=True) as directory,
        pytest.MonkeyPatch.context() as patch,
    ):
        os.chmod(directory, 0o1777)  # for workers of another user
        patch.setattr(tempfile, "tempdir", directory)
        patch.setenv("TMPDIR", directory)
        yield Path(directory)


@pytest.fixture
def log() -> Log:
    """A log whose records are kept."""
    return Log()
