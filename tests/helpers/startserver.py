"""The fixture that starts real servers, for the tests and for the load tests."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers import WORKERS, Serve, Server


def merge(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """`base` with `more` laid over it, section by section."""
    merged = dict(base)
    for key, value in more.items():
        merged[key] = merge(merged[key], value) if isinstance(value, dict) and key in merged else value
    return merged


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers: `serve({"smtp": {...}})`. Their worker is `record.php` unless `worker` says otherwise.

    `banner` says whether one is expected.
    """
    started: list[Server] = []

    def start(
        settings: dict[str, Any] | None = None,
        *,
        worker: str | None = "record.php",
        arguments: Sequence[str] = (),
        wrapper: Sequence[str] = (),
        text: str = "",
        banner: bool = True,
    ) -> Server:
        base: dict[str, Any] = {
            "version": "3",
            "server": {"relay": "unix", "env": {"RECORDS": str(tmp_path / "records")}},
            "smtp": {"addr": "127.0.0.1:0", "pool": {"num_workers": 2}},
            "inbox": {"address": ""},  # off, unless the settings ask for one
        }
        if worker is not None:
            base["server"]["command"] = f"php {WORKERS / worker}"
        (tmp_path / ".rr.yaml").write_text(text or yaml.safe_dump(merge(base, settings or {})))
        ready_file = tmp_path / f"ready-{len(started)}.json"
        fastsmtp = shutil.which("fastsmtp", path=str(Path(sys.executable).parent))
        command = [fastsmtp] if fastsmtp else [sys.executable, "-m", "fastsmtp"]
        command = [*wrapper, *command, "serve", "--ready-file", str(ready_file), *arguments]
        server = Server(command, tmp_path, ready_file, banner=banner)
        started.append(server)
        return server

    yield start
    for server in started:
        code, expected = server.stop(), -signal.SIGKILL if server.killed else server.exit_code
        assert code == expected, f"ended with {code}, not {expected}:\n" + "\n".join(server.lines)
        assert not any("Traceback" in line for line in server.lines), "\n".join(server.lines)
