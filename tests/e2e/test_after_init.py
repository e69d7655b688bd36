"""The command that runs once the server takes mail: `server.after_init`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from procs import wait_until_gone
from servers import Serve
from waits import wait_until
from wire import MAIL, Wire, logged, wait_for_log


def settings(command: str, processes: int = 1, **more: Any) -> dict[str, Any]:
    after_init = {"command": ["sh", "-c", command], **more}
    return {"server": {"after_init": after_init}, "smtp": {"processes": processes}}


@pytest.mark.parametrize("processes", [1, 2])
def test_it_runs_once_when_mail_is_accepted(serve: Serve, tmp_path: Path, processes: int) -> None:
    seen = tmp_path / "seen"
    command = f"echo $GREETING; cat {tmp_path}/ready-0.json >> {seen}.new && mv {seen}.new {seen}"
    server = serve(settings(command, processes, env={"GREETING": "hello"}))
    wait_until(seen.exists)
    assert json.loads(seen.read_text())["listeners"] == server.listeners
    assert len(wait_for_log(server, "  after_init  hello")) == 1


def test_its_failure_is_logged(serve: Serve) -> None:
    server = serve(settings("echo went wrong; exit 3"))
    [line] = wait_for_log(server, "after_init failed")
    assert "exit status 3" in line
    with Wire(server) as wire:
        wire.begin()
        assert wire.ask(MAIL % b"x")[:3] == b"250"


def test_its_failure_stops_the_server_where_that_is_wanted(serve: Serve) -> None:
    server = serve(settings("exit 3", exit_on_error=True))
    server.exit_code = 1
    assert server.wait_for_end() == 1
    [line] = logged(server, "  ERROR  smtp  stopping  reason=")
    assert "after_init" in line
    assert "exit status 3" in line
    assert len(logged(server, "  smtp  stopped")) == 1


def test_it_does_not_outlive_the_server(serve: Serve, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    server = serve(settings(f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 1000"))
    wait_until(pid.exists)
    assert server.stop() == 0
    wait_until_gone(int(pid.read_text()))


def test_it_may_take_as_long_as_exec_timeout_says(serve: Serve) -> None:
    server = serve(settings("exec sleep 1000", exec_timeout="100ms"))
    [line] = wait_for_log(server, "after_init failed")
    assert "did not end within 0.1 s" in line
