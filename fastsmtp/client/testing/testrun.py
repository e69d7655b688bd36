"""The server of one test run: the first worker that needs it starts it, and it ends with the last that uses it.

All is decided by locks on files, which the kernel gives back when their holder ends, killed or not. In the directory of
a run there are
  users   every user holds it shared; the keeper waits for it alone, and then ends the server and removes the directory;
  start   who finds or starts the server holds it, so that one is started;
  alive   the keeper holds it;
  server  where the server is, as JSON, once it is ready.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from fastsmtp.errors import FastSMTPError
from fastsmtp.system.process import own_command

USERS: Final = "users"
ALIVE: Final = "alive"
SERVER: Final = "server"
LOG: Final = "log"
_START: Final = "start"
_KEEPER: Final = "fastsmtp.client.testing.keeper"


class RunError(FastSMTPError):
    """There is no server for this run; the text says why."""


class RunServer(NamedTuple):
    """Where the server of a run is."""

    url: str  # of its inbox
    smtp: str  # host:port, where all namespaces have their mails in common


def run_directory(run: str) -> Path:
    """Return where the files of a run are: of this user, and not to be read by others."""
    return Path(tempfile.gettempdir()) / f"fastsmtp-run-{os.getuid()}-{run}"


@contextlib.contextmanager
def hold(run: str) -> Iterator[RunServer]:
    """Find or start the server of the run of this name, and keep it as long as the block runs. Raises RunError."""
    with contextlib.ExitStack() as stack:
        directory = _join(run_directory(run), stack)
        with _locked(directory / _START, fcntl.LOCK_EX):
            server = _running(directory) or _start(directory)
        yield server


def _join(directory: Path, stack: contextlib.ExitStack) -> Path:
    """Become a user of the run. The directory may vanish meanwhile, with the last one."""
    while True:
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        with contextlib.ExitStack() as attempt:
            try:
                if directory.stat().st_uid != os.getuid():
                    raise RunError(f"{directory} belongs to another user")
                descriptor = attempt.enter_context(_locked(directory / USERS, fcntl.LOCK_SH))
                if os.path.samestat(os.fstat(descriptor), (directory / USERS).stat()):
                    stack.push(attempt.pop_all())
                    return directory
            except FileNotFoundError:
                continue


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Iterator[int]:
    """Hold a lock on a file, which is made where there is none."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind)
        yield descriptor
    finally:
        os.close(descriptor)


def _running(directory: Path) -> RunServer | None:
    """Return the server of a run, None where it has none, or its keeper was killed."""
    try:
        with _locked(directory / ALIVE, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return None
    except BlockingIOError:
        return RunServer(**json.loads((directory / SERVER).read_text()))


def _start(directory: Path) -> RunServer:
    """Start the keeper, which tells in one line where the server is, or why there is none."""
    command = own_command(_KEEPER, str(directory))
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        text=True,
        start_new_session=True,  # Ctrl-C is for the tests: they need the server to clean up
    ) as starter:
        told, complaint = starter.communicate()
    if not told:
        raise RunError(f"fastsmtp did not start:\n{complaint}")
    return RunServer(**json.loads(told))
