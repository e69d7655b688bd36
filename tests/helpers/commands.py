"""Commands, run to their end: of others, and ours on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ready import readable

FASTSMTP: Final = [sys.executable, "-m", "fastsmtp"]
PATIENCE_S: Final = 60.0  # far more than a verb takes


def run(command: Sequence[str], *, octets: bytes = b"", patience_s: float = 90, **environment: str) -> None:
    """Run a command with `octets` as its input; fail with what it said where it fails."""
    variables = {**os.environ, "LC_ALL": "C.UTF-8", **environment}
    ended = subprocess.run(command, input=octets, env=variables, capture_output=True, check=False, timeout=patience_s)
    assert ended.returncode == 0, (ended.stdout + ended.stderr).decode()


def stderr_on_terminal(directory: Path, *arguments: str) -> tuple[int, str, bytes]:
    """Run `fastsmtp` in `directory`; return its exit code, stdout, and what a terminal as stderr was shown."""
    outer, inner = pty.openpty()
    process = subprocess.Popen([*FASTSMTP, *arguments], cwd=directory, stdout=subprocess.PIPE, stderr=inner, text=True)
    os.close(inner)
    out, _ = process.communicate(timeout=PATIENCE_S)
    shown = b""
    while readable(outer, seconds=0):
        try:
            shown += os.read(outer, 65536)
        except OSError:  # the end of a terminal
            break
    os.close(outer)
    return process.returncode, out, shown
