"""Commands of others, run to their end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence


def run(command: Sequence[str], *, octets: bytes = b"", patience_s: float = 90, **environment: str) -> None:
    """Run a command with `octets` as its input; fail with what it said where it fails."""
    variables = {**os.environ, "LC_ALL": "C.UTF-8", **environment}
    ended = subprocess.run(command, input=octets, env=variables, capture_output=True, check=False, timeout=patience_s)
    assert ended.returncode == 0, (ended.stdout + ended.stderr).decode()
