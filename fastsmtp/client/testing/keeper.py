"""The keeper of a run's server: it starts it, and ends it when the run has no user any more.

A process of its own, since each user may be killed. It leaves its parent at once: which user started it is no matter.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from fastsmtp.client.testing.testrun import ALIVE, LOG, SERVER, USERS
from fastsmtp.system.process import own_command

_READY: Final = "ready.json"
_LOOK_EVERY_S: Final = 0.01
_END_S: Final = 15.0  # that the server may take for its end
_PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>
_SETTINGS: Final = (
    "smtp.addr=127.0.0.1:0",
    "rpc.listen=",
    "inbox.address=127.0.0.1:0",
    "inbox.namespace=[listener, username, helo, plus, 'header:X-Namespace']",
)


def main() -> None:
    """Run in a child. The process that was started ends at once, and so is not waited for."""
    directory = Path(sys.argv[1])
    if os.fork():
        os._exit(0)  # the child has our standard output, and closes it once it has told
    alive = os.open(directory / ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)
    with (directory / LOG).open("ab") as log:
        server = _start(directory, log.fileno())
    if _tell(directory, server):
        threading.Thread(target=_end_without_users, args=(directory, server), daemon=True).start()
        server.wait()
    shutil.rmtree(directory, ignore_errors=True)


def _start(directory: Path, log: int) -> subprocess.Popen[bytes]:
    (directory / _READY).unlink(missing_ok=True)
    options = [argument for setting in _SETTINGS for argument in ("-o", setting)]
    command = own_command(
        "fastsmtp.cli.main", "serve", "--silent", "-w", str(directory), *options, "--ready-file", _READY
    )
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_end_with_parent, cwd=directory
    )


def _end_with_parent() -> None:
    """Have the server end when this keeper is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _tell(directory: Path, server: subprocess.Popen[bytes]) -> bool:
    """Say where the server is, once it is ready; else say why it is not, and remove what there is of it."""
    ready = directory / _READY
    while not ready.exists():
        if server.poll() is not None:
            _say(sys.stderr.fileno(), (directory / LOG).read_text(errors="replace"))
            return False
        time.sleep(_LOOK_EVERY_S)
    document = json.loads(ready.read_text())
    told = json.dumps({"url": document["inbox"], "smtp": document["listeners"]["default"][0]})
    (directory / SERVER).write_text(told)
    _say(sys.stdout.fileno(), told)
    return True


def _say(descriptor: int, text: str) -> None:
    """Write, and close both streams: the reader waits for their end."""
    os.write(descriptor, text.encode())
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _end_without_users(directory: Path, server: subprocess.Popen[bytes]) -> None:
    """End the server when the lock of its users can be had; who comes now waits, and then starts another."""
    users = os.open(directory / USERS, os.O_RDWR | os.O_CLOEXEC)
    fcntl.flock(users, fcntl.LOCK_EX)
    server.terminate()
    try:
        server.wait(_END_S)
    except subprocess.TimeoutExpired:
        server.kill()
