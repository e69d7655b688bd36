"""Process 1 of a container, and a child subreaper: what workers leave behind comes to us, and is no zombie for long."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from procs import children_of, is_guard
from servers import Serve, Server
from waits import wait_until
from wire import MAIL, Wire, wait_for_log

MAILS = 10
SUBREAPER = [
    sys.executable,
    "-c",
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); os.execvp(sys.argv[1], sys.argv[1:])",
]
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def possible(wrapper: list[str]) -> bool:
    """Whether this user, or this container, may do it."""
    return subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode == 0


# Where no namespace can be made a subreaper has to do: orphans come to both in the same way.
WRAPPERS = {"subreaper": SUBREAPER, "process 1": NAMESPACE, "process 1 of a user": [*NAMESPACE, "--map-root-user"]}
POSSIBLE = [name for name, wrapper in WRAPPERS.items() if possible(wrapper)]


def own_children(pid: int) -> list[int]:
    """Workers, or processes with a worker each. The guard leaves its parent, and is adopted like any orphan."""
    return [child for child in children_of(pid) if not is_guard(child)]


def real_pid(server: Server) -> int:
    """That of the server, which the wrapper may have as its child."""
    [command] = Path(f"/proc/{server.process.pid}/cmdline").read_bytes().split(b"\0")[:1]
    return children_of(server.process.pid)[0] if command == b"unshare" else server.process.pid


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("init", POSSIBLE)
def test_what_workers_leave_behind_is_reaped(serve: Serve, tmp_path: Path, init: str, processes: int) -> None:
    helpers = tmp_path / "helpers"
    settings = {"server": {"env": {"HELPERS": str(helpers)}}, "smtp": {"processes": processes}}
    server = serve(settings, worker="leaves_helpers.php", wrapper=WRAPPERS[init])
    pid = real_pid(server)
    own = own_children(pid)
    assert len(own) == 2
    for _ in range(MAILS):
        with Wire(server) as wire:
            wire.begin()
            assert wire.ask(MAIL % b"x")[:3] == b"250"
    wait_until(lambda: helpers.exists() and helpers.read_text().count("\n") == 3 * MAILS)
    wait_until(lambda: own_children(pid) == own)
    # Its own it waits for itself, and knows how they ended.
    with Wire(server) as wire:
        wire.begin()
        assert wire.ask(MAIL % b"exit")[:3] == b"451"
    [ended] = wait_for_log(server, "worker has ended")
    assert re.findall(r'status="(.*?)"', ended) == ["exit status 3"]
    wait_until(lambda: helpers.read_text().count("\n") == 3 * (MAILS + 1))
    wait_until(lambda: len(own_children(pid)) == 2)
    os.kill(pid, signal.SIGTERM)
    assert server.process.wait(60) == 0
