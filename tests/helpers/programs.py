"""What users of the package have in PATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has `fastsmtp` and `python3` of this installation in PATH."""
    directory = tmp_path / "bin"
    directory.mkdir()
    script = directory / "fastsmtp"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m fastsmtp "$@"\n')
    script.chmod(0o755)
    (directory / "python3").symlink_to(sys.executable)
    return {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
