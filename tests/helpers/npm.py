"""Packages of npm, installed once for all runs of the tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path


def npm_package(spec: str) -> Path:
    """Return the directory in which this package, `name@version`, is installed; it is put there the first time."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastsmtp-tests"
    directory = base / re.sub(r"[^a-z0-9.]+", "-", spec)
    if not directory.exists():
        base.mkdir(parents=True, exist_ok=True)
        unfinished = tempfile.mkdtemp(dir=base)
        command = [
            "npm",
            "install",
            "--prefix",
            unfinished,
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--legacy-peer-deps",
            spec,
        ]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        try:
            os.rename(unfinished, directory)
        except OSError:  # another run was quicker
            shutil.rmtree(unfinished)
    return directory
